#include "cuda.h"

ck_status ck_cuda_random_blur(ck_cuda_state *cuda, const ck_random_blur_operands *t, const ck_image_params *p,
                              void *workspace) {
    return CK_LAUNCH(cuda, ck_random_blur, ck_blocks(p->n), .y = t->y, .x = t->x, .step = t->step,
                     .middle = workspace, .p = *p);
}

uint64_t ck_cuda_workspace_random_blur(const ck_image_params *p) {
    return sizeof(float) * (uint64_t)p->n * (uint64_t)p->h * (uint64_t)p->w * (uint64_t)p->c;
}
