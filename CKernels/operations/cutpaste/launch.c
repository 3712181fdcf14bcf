#include "cuda.h"

ck_status ck_cuda_cutpaste(ck_cuda_state *cuda, const ck_cutpaste_operands *t, const ck_cutpaste_params *p,
                           void *workspace) {
    return CK_LAUNCH(cuda, ck_cutpaste, ck_blocks(p->n), .y = t->y, .x = t->x, .kinds = t->kinds,
                     .step = t->step, .parts = workspace, .p = *p);
}

uint64_t ck_cuda_workspace_cutpaste(const ck_cutpaste_params *p) {
    return sizeof(float) * (uint64_t)p->n * (uint64_t)p->h * (uint64_t)p->w * (uint64_t)p->c;
}
