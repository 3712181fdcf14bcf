#include "cuda.h"

enum { SHARE = 16384 };  // elements to a partial sum

int64_t ck_squares_parts(int64_t count) { return ck_ceil_div(count, SHARE); }

ck_status ck_cuda_squares(ck_cuda_state *cuda, double *partial, const float *a, const float *b,
                          int64_t count) {
    return CK_LAUNCH(cuda, ck_squares, ck_blocks(ck_squares_parts(count)), .partial = partial, .a = a, .b = b,
                     .count = count, .share = SHARE);
}

ck_status ck_cuda_mean_squared_error_forward(ck_cuda_state *cuda,
                                             const ck_mean_squared_error_forward_operands *t,
                                             const ck_elementwise_params *p, void *workspace) {
    CK_TRY(ck_cuda_squares(cuda, workspace, t->x, t->target, p->count));
    return CK_LAUNCH(cuda, ck_sum, ck_blocks(1), .y = t->loss, .partial = workspace,
                     .count = ck_squares_parts(p->count), .factor = 1.0 / (double)p->count);
}

ck_status ck_cuda_sum_of_squares(ck_cuda_state *cuda, const ck_sum_of_squares_operands *t,
                                 const ck_elementwise_params *p, void *workspace) {
    CK_TRY(ck_cuda_squares(cuda, workspace, t->x, NULL, p->count));
    return CK_LAUNCH(cuda, ck_sum, ck_blocks(1), .y = t->y, .partial = workspace,
                     .count = ck_squares_parts(p->count), .factor = 1);
}

uint64_t ck_cuda_workspace_mean_squared_error_forward(const ck_elementwise_params *p) {
    return sizeof(double) * (uint64_t)ck_squares_parts(p->count);
}
uint64_t ck_cuda_workspace_sum_of_squares(const ck_elementwise_params *p) {
    return sizeof(double) * (uint64_t)ck_squares_parts(p->count);
}
