// Convolution in bf16 on the GPU. Activations are in single precision or in bf16 (p->activations).
#ifndef LAUNCH_BF16_H
#define LAUNCH_BF16_H

#include "cuda.h"

// Whether activations and their gradients are bf16 in memory.
static inline int ck_is_bf16(const ck_conv2d_params *p) { return p->activations == CK_bf16; }

ck_status ck_conv2d_bf16_forward(ck_cuda_state *cuda, void *y, const void *x, const float *w,
                                 const ck_conv2d_params *p, ck_conv2d_epilogue epilogue, void *workspace);
ck_status ck_conv2d_bf16_backward_data(ck_cuda_state *cuda, void *dx, const void *dy, const float *w,
                                       const ck_conv2d_params *p, ck_conv2d_epilogue epilogue,
                                       void *workspace);
ck_status ck_conv2d_bf16_backward_weight(ck_cuda_state *cuda, float *dw, const void *dy, const void *x,
                                         const ck_conv2d_params *p, void *workspace);
// The tiles of a pass that can take sums as it goes (ck_conv2d_epilogue.partial), or 0 where it cannot;
// without `cuda`, the most that there are on any GPU.
int64_t ck_conv2d_bf16_tiles(const ck_cuda_state *cuda, const ck_conv2d_params *p, int backward);

uint64_t ck_conv2d_bf16_forward_workspace(const ck_conv2d_params *p);
uint64_t ck_conv2d_bf16_backward_data_workspace(const ck_conv2d_params *p);
uint64_t ck_conv2d_bf16_backward_weight_workspace(const ck_conv2d_params *p);

#endif
