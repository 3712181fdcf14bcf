// 3x3 convolution at stride 1 or 2 with fewer multiplications; see winograd.c.
#ifndef CK_WINOGRAD_H
#define CK_WINOGRAD_H

#include "cpu.h"

// Whether a convolution can be done this way, and is worth it.
int ck_winograd_fits(const ck_conv2d_params *p);

// y[N,P,Q,K] = x[N,H,W,C] * w[K,3,3,C]; with `turned` w is [C,3,3,K] and its taps are turned by 180 degrees, and at stride 2
// the convolution is the transposed one, from [H,W] to [P,Q] twice as large.
void ck_winograd_convolve(float *y, const float *x, const float *w, int turned, const ck_conv2d_params *p, float *scratch);
int64_t ck_winograd_convolve_scratch(const ck_conv2d_params *p, int turned, int64_t workers);  // floats

// dw[K,3,3,C] from dy[N,P,Q,K] and x[N,H,W,C]
void ck_winograd_weight(float *dw, const float *dy, const float *x, const ck_conv2d_params *p, float *scratch);
int64_t ck_winograd_weight_scratch(const ck_conv2d_params *p, int64_t workers);  // floats

#endif
