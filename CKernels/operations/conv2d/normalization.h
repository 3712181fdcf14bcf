// The batch normalization that goes with a convolution: that of its result, or of its input.
#ifndef CONV2D_NORMALIZATION_H
#define CONV2D_NORMALIZATION_H

#include "ck_params.h"

static inline ck_batchnorm_params ck_norm_of(const ck_conv2d_params *p, int64_t rows, int32_t channels) {
    return (ck_batchnorm_params){.rows = rows,
                                 .channels = channels,
                                 .relu = p->relu,
                                 .epsilon = p->epsilon,
                                 .momentum = p->momentum,
                                 .activations = p->activations};
}
static inline ck_batchnorm_params ck_norm_of_result(const ck_conv2d_params *p) {
    return ck_norm_of(p, (int64_t)p->n * p->p * p->q, p->k);
}
static inline ck_batchnorm_params ck_norm_of_input(const ck_conv2d_params *p) {
    return ck_norm_of(p, (int64_t)p->n * p->h * p->w, p->c);
}

#endif
