// 3x3 convolution at stride 1 or 2 with fewer multiplications, by Winograd's transform: see
// winograd_transform.h.
#ifndef CK_WINOGRAD_H
#define CK_WINOGRAD_H

#include "cpu.h"

// Whether a convolution can be done this way, and is worth it.
int ck_winograd_fits(const ck_conv2d_params *p);

// out[N,P,Q,K] = in[N,H,W,C] * w[K,3,3,C]. With `backward` it is dx = dy * w: in is dy, out is dx, `p` says
// their shapes, and w is [C,3,3,K]. At stride 2 that is the transposed convolution, from [H,W] to [P,Q] twice
// as large. The epilogue follows unless it is NULL.
void ck_winograd_convolve(float *out, const float *in, const float *w, int backward,
                          const ck_conv2d_params *p, const ck_conv2d_epilogue *epilogue, float *scratch);
// The parts of the result that the epilogue is told of.
int64_t ck_winograd_parts(const ck_conv2d_params *p, int backward);
int64_t ck_winograd_convolve_scratch(const ck_conv2d_params *p, int backward, int64_t workers);  // floats

// dw[K,3,3,C] from dy[N,P,Q,K] and x[N,H,W,C]
void ck_winograd_weight(float *dw, const float *dy, const float *x, const ck_conv2d_params *p,
                        float *scratch);
int64_t ck_winograd_weight_scratch(const ck_conv2d_params *p, int64_t workers);  // floats

#endif
