// Batch normalization whose sums a convolution has taken as it went (ck_conv2d_epilogue): `parts` of them,
// [2][channels] each.
#ifndef BATCHNORM_LAUNCH_H
#define BATCHNORM_LAUNCH_H

#include "cuda.h"

uint64_t ck_batchnorm_by_sums_workspace(const ck_batchnorm_params *p);

// The sums are about t->running_mean.
ck_status ck_batchnorm_forward_by_sums(ck_cuda_state *cuda, const ck_batchnorm_forward_operands *t,
                                       const float *sums, int64_t parts, const ck_batchnorm_params *p,
                                       void *workspace);

// The sums are about t->mean, and t->dy is behind the ReLU; t->y and t->dresidual are not looked at.
ck_status ck_batchnorm_backward_by_sums(ck_cuda_state *cuda, const ck_batchnorm_backward_operands *t,
                                        const float *sums, int64_t parts, const ck_batchnorm_params *p,
                                        void *workspace);

#endif
