#include "cuda.h"

ck_status ck_cuda_lars(ck_cuda_state *cuda, const ck_lars_operands *t, const ck_optimizer_params *p,
                       void *workspace) {
    double *partial = workspace;
    int64_t blocks = ck_squares_parts(p->count);
    CK_TRY(ck_cuda_squares(cuda, partial, t->w, NULL, p->count));
    CK_TRY(ck_cuda_squares(cuda, partial + blocks, t->dw, NULL, p->count));
    return CK_LAUNCH(cuda, ck_lars, ck_elements(p->count), .w = t->w, .velocity = t->velocity, .dw = t->dw,
                     .step = t->step, .partial = partial, .blocks = blocks, .p = *p);
}

uint64_t ck_cuda_workspace_lars(const ck_optimizer_params *p) {
    return 2 * sizeof(double) * (uint64_t)ck_squares_parts(p->count);
}
