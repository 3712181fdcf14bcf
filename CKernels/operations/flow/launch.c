#include "cuda.h"

ck_status ck_cuda_coupling_backward(ck_cuda_state *cuda, const ck_coupling_backward_operands *t,
                                    const ck_coupling_params *p, void *) {
    int64_t count = (int64_t)p->n * p->h * p->w * p->c;
    CK_TRY(CK_LAUNCH(cuda, ck_coupling_gradient, ck_elements(count), .dx = t->dx, .dnet = t->dnet,
                     .dy = t->dy, .dlog_likelihood = t->dlog_likelihood, .x = t->x, .net = t->net,
                     .factor = t->factor, .p = *p));
    return CK_LAUNCH(cuda, ck_coupling_factor_gradient, ck_blocks(p->c), .dfactor = t->dfactor, .dy = t->dy,
                     .dlog_likelihood = t->dlog_likelihood, .x = t->x, .net = t->net, .factor = t->factor,
                     .p = *p);
}

uint64_t ck_cuda_workspace_coupling_backward(const ck_coupling_params *) { return 0; }
