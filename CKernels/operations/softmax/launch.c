#include "cuda.h"

ck_status ck_cuda_softmax_cross_entropy_forward(ck_cuda_state *cuda,
                                                const ck_softmax_cross_entropy_forward_operands *t,
                                                const ck_cross_entropy_params *p, void *workspace) {
    CK_TRY(CK_LAUNCH(cuda, ck_softmax_cross_entropy_forward, ck_blocks(p->n), .partial = workspace,
                     .probabilities = t->p, .logits = t->logits, .labels = t->labels, .p = *p));
    return CK_LAUNCH(cuda, ck_sum, ck_blocks(1), .y = t->loss, .partial = workspace, .count = p->n,
                     .factor = 1);
}

uint64_t ck_cuda_workspace_softmax_cross_entropy_forward(const ck_cross_entropy_params *p) {
    return sizeof(double) * (uint64_t)p->n;
}
