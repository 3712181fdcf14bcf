#include "cuda.h"

uint64_t ck_cuda_workspace_rows(const ck_operation *operation) { return sizeof(double) * (uint64_t)operation->params.rows.n; }

#define LAUNCH_ROWS(kernel, ...)                                                                                       \
    ck_rows_params p = c.p->rows;                                                                                      \
    return CK_LAUNCH(c.cuda, kernel, ((ck_grid){p.n, 1, 1}), 128, __VA_ARGS__, &p)

ck_status ck_cuda_l2_normalize_forward(ck_cuda_call c) {
    LAUNCH_ROWS(ck_l2_normalize_forward, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2]);
}
ck_status ck_cuda_l2_normalize_backward(ck_cuda_call c) {
    LAUNCH_ROWS(ck_l2_normalize_backward, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2], (void *)&c.t[3]);
}
ck_status ck_cuda_softmax(ck_cuda_call c) { LAUNCH_ROWS(ck_softmax, (void *)&c.t[0], (void *)&c.t[1]); }

ck_status ck_cuda_softmax_cross_entropy_forward(ck_cuda_call c) {
    ck_rows_params p = c.p->rows;
    int64_t count = p.n;
    double factor = 1.0 / p.n;
    CK_TRY(CK_LAUNCH(c.cuda, ck_softmax_cross_entropy_forward, ((ck_grid){p.n, 1, 1}), 128, &c.workspace, (void *)&c.t[1],
                     (void *)&c.t[2], (void *)&c.t[3], &p));
    return CK_LAUNCH(c.cuda, ck_sum, ((ck_grid){1, 1, 1}), 256, (void *)&c.t[0], &c.workspace, &count, &factor);
}
ck_status ck_cuda_softmax_cross_entropy_backward(ck_cuda_call c) {
    ck_rows_params p = c.p->rows;
    return CK_LAUNCH(c.cuda, ck_softmax_cross_entropy_backward, ck_elements((int64_t)p.n * p.c), 256, (void *)&c.t[0],
                     (void *)&c.t[1], (void *)&c.t[2], &p);
}
