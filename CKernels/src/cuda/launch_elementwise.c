#include "cuda.h"

enum { SHARE = 16384 };  // elements to a partial sum

uint64_t ck_cuda_workspace_reduce(const ck_operation *operation) {
    int64_t count = operation->kind == CK_KIND_lars ? operation->params.optimizer.count : operation->params.elementwise.count;
    return sizeof(double) * 2 * (uint64_t)ck_ceil_div(count, SHARE);
}

static ck_status squares(ck_cuda_state *cuda, void *partial, const void *a, const void *b, int64_t count) {
    int64_t share = SHARE;
    return CK_LAUNCH(cuda, ck_squares, ((ck_grid){ck_ceil_div(count, SHARE), 1, 1}), 256, &partial, &a, &b, &count, &share);
}

static ck_status sum(ck_cuda_state *cuda, void *y, const void *partial, int64_t count, double factor) {
    return CK_LAUNCH(cuda, ck_sum, ((ck_grid){1, 1, 1}), 256, &y, &partial, &count, &factor);
}

ck_status ck_cuda_relu_forward(ck_cuda_call c) {
    int64_t count = c.p->elementwise.count;
    return CK_LAUNCH(c.cuda, ck_relu_forward, ck_elements(count), 256, (void *)&c.t[0], (void *)&c.t[1], &count);
}

ck_status ck_cuda_relu_backward(ck_cuda_call c) {
    int64_t count = c.p->elementwise.count;
    return CK_LAUNCH(c.cuda, ck_relu_backward, ck_elements(count), 256, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2], &count);
}

ck_status ck_cuda_add(ck_cuda_call c) {
    int64_t count = c.p->elementwise.count;
    return CK_LAUNCH(c.cuda, ck_add_tensors, ck_elements(count), 256, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2], &count);
}

ck_status ck_cuda_mean_squared_error_forward(ck_cuda_call c) {
    int64_t count = c.p->elementwise.count;
    CK_TRY(squares(c.cuda, c.workspace, c.t[1], c.t[2], count));
    return sum(c.cuda, c.t[0], c.workspace, ck_ceil_div(count, SHARE), 1.0 / (double)count);
}

ck_status ck_cuda_mean_squared_error_backward(ck_cuda_call c) {
    int64_t count = c.p->elementwise.count;
    return CK_LAUNCH(c.cuda, ck_mean_squared_error_backward, ck_elements(count), 256, (void *)&c.t[0], (void *)&c.t[1],
                     (void *)&c.t[2], &count);
}

ck_status ck_cuda_sum_of_squares(ck_cuda_call c) {
    int64_t count = c.p->elementwise.count;
    CK_TRY(squares(c.cuda, c.workspace, c.t[1], NULL, count));
    return sum(c.cuda, c.t[0], c.workspace, ck_ceil_div(count, SHARE), 1);
}

ck_status ck_cuda_sgd(ck_cuda_call c) {
    ck_optimizer_params p = c.p->optimizer;
    return CK_LAUNCH(c.cuda, ck_sgd, ck_elements(p.count), 256, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2],
                     (void *)&c.t[3], &p);
}

ck_status ck_cuda_lars(ck_cuda_call c) {
    ck_optimizer_params p = c.p->optimizer;
    int64_t blocks = ck_ceil_div(p.count, SHARE);
    CK_TRY(squares(c.cuda, c.workspace, c.t[0], NULL, p.count));
    CK_TRY(squares(c.cuda, (double *)c.workspace + blocks, c.t[2], NULL, p.count));
    return CK_LAUNCH(c.cuda, ck_lars, ck_elements(p.count), 256, (void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2],
                     (void *)&c.t[3], &c.workspace, &blocks, &p);
}
