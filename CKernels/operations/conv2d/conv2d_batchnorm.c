// A convolution with batch normalization behind it, or before it on the way back: what is summed over the
// batch is added up of the convolution's results while they are in the cache.
#include "../batchnorm/parts.h"
#include "epilogue.h"
#include "normalization.h"

typedef ck_conv2d_params conv2d;

// Scratch memory: what is added up of each part, the factors of a channel, and then the convolution's.
static int64_t padded(int64_t floats) { return ck_ceil_div(floats, 16) * 16; }

static int64_t forward_partial(const conv2d *p) {
    return padded(ck_conv2d_forward_parts(p) * ck_moments_floats(p->k));
}

uint64_t ck_cpu_workspace_conv2d_batchnorm_forward(const conv2d *p) {
    return sizeof(float) * (uint64_t)(forward_partial(p) + padded(2 * p->k)) +
           ck_cpu_workspace_conv2d_forward(p);
}

ck_status ck_cpu_conv2d_batchnorm_forward(const ck_conv2d_batchnorm_forward_operands *t, const conv2d *p,
                                          void *workspace) {
    float *partial = workspace, *factors = partial + forward_partial(p);
    ck_conv2d_epilogue moments = {.partial = partial};
    ck_conv2d_convolve(t->z, t->x, t->w, p, &moments, factors + padded(2 * p->k));
    ck_batchnorm_params norm = ck_norm_of_result(p);
    return ck_cpu_batchnorm_forward_by_parts(
        &(ck_batchnorm_forward_operands){.y = t->y,
                                         .mean = t->mean,
                                         .inverse_deviation = t->inverse_deviation,
                                         .running_mean = t->running_mean,
                                         .running_variance = t->running_variance,
                                         .x = t->z,
                                         .residual = t->residual,
                                         .gamma = t->gamma,
                                         .beta = t->beta},
        &norm, partial, ck_conv2d_forward_parts(p), factors);
}

static int64_t backward_partial(const conv2d *p) { return padded(ck_conv2d_backward_parts(p) * 2 * p->c); }

uint64_t ck_cpu_workspace_conv2d_batchnorm_backward(const conv2d *p) {
    return sizeof(float) * (uint64_t)(backward_partial(p) + padded(3 * p->c)) +
           ck_cpu_workspace_conv2d_backward_data(p);
}

ck_status ck_cpu_conv2d_batchnorm_backward(const ck_conv2d_batchnorm_backward_operands *t, const conv2d *p,
                                           void *workspace) {
    float *partial = workspace, *factors = partial + backward_partial(p);
    ck_conv2d_epilogue sums = {
        .residual = t->added, .relu = p->relu, .partial = partial, .about = t->mean, .x = t->x, .y = t->y};
    ck_conv2d_convolve_back(t->dresidual, t->dy, t->w, p, &sums, factors + padded(3 * p->c));
    ck_batchnorm_params norm = ck_norm_of_input(p);
    norm.relu = 0;  // dresidual is behind it
    return ck_cpu_batchnorm_backward_by_parts(
        &(ck_batchnorm_backward_operands){.dx = t->dx,
                                          .dgamma = t->dgamma,
                                          .dbeta = t->dbeta,
                                          .dy = t->dresidual,
                                          .x = t->x,
                                          .y = t->y,
                                          .mean = t->mean,
                                          .inverse_deviation = t->inverse_deviation,
                                          .gamma = t->gamma},
        &norm, partial, ck_conv2d_backward_parts(p), factors);
}
