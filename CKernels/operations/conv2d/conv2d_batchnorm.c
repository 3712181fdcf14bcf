// A convolution with batch normalization behind it, or before it on the way back: one operation after the
// other.
#include "cpu.h"
#include "normalization.h"

typedef ck_conv2d_params conv2d;

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

uint64_t ck_cpu_workspace_conv2d_batchnorm_forward(const conv2d *p) {
    ck_batchnorm_params norm = ck_norm_of_result(p);
    return larger(ck_cpu_workspace_conv2d_forward(p), ck_cpu_workspace_batchnorm_forward(&norm));
}

ck_status ck_cpu_conv2d_batchnorm_forward(const ck_conv2d_batchnorm_forward_operands *t, const conv2d *p,
                                          void *workspace) {
    ck_batchnorm_params norm = ck_norm_of_result(p);
    ck_status status =
        ck_cpu_conv2d_forward(&(ck_conv2d_forward_operands){.y = t->z, .x = t->x, .w = t->w}, p, workspace);
    if (status != CK_OK) return status;
    return ck_cpu_batchnorm_forward(
        &(ck_batchnorm_forward_operands){.y = t->y,
                                         .mean = t->mean,
                                         .inverse_deviation = t->inverse_deviation,
                                         .running_mean = t->running_mean,
                                         .running_variance = t->running_variance,
                                         .x = t->z,
                                         .residual = t->residual,
                                         .gamma = t->gamma,
                                         .beta = t->beta},
        &norm, workspace);
}

// Scratch memory: the gradient of what was normalized, then that of either operation.
static int64_t gradient_floats(const conv2d *p) {
    return ck_ceil_div((int64_t)p->n * p->h * p->w * p->c, 16) * 16;
}

uint64_t ck_cpu_workspace_conv2d_batchnorm_backward(const conv2d *p) {
    ck_batchnorm_params norm = ck_norm_of_input(p);
    return sizeof(float) * (uint64_t)gradient_floats(p) +
           larger(ck_cpu_workspace_conv2d_backward_data(p), ck_cpu_workspace_batchnorm_backward(&norm));
}

ck_status ck_cpu_conv2d_batchnorm_backward(const ck_conv2d_batchnorm_backward_operands *t, const conv2d *p,
                                           void *workspace) {
    ck_batchnorm_params norm = ck_norm_of_input(p);
    float *gradient = workspace;
    void *rest = gradient + gradient_floats(p);
    ck_status status = ck_cpu_conv2d_backward_data(
        &(ck_conv2d_backward_data_operands){.dx = gradient, .dy = t->dy, .w = t->w}, p, rest);
    if (status != CK_OK) return status;
    int64_t count = norm.rows * norm.channels;
    for (int64_t i = 0; t->added && i < count; i++) gradient[i] += t->added[i];
    return ck_cpu_batchnorm_backward(
        &(ck_batchnorm_backward_operands){.dx = t->dx,
                                          .dgamma = t->dgamma,
                                          .dbeta = t->dbeta,
                                          .dresidual = t->dresidual,
                                          .dy = gradient,
                                          .x = t->x,
                                          .y = t->y,
                                          .mean = t->mean,
                                          .inverse_deviation = t->inverse_deviation,
                                          .gamma = t->gamma},
        &norm, rest);
}
