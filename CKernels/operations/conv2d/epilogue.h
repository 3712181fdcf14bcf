// The CPU's convolutions, forward and back to the input, and what is made of their sums while they are in the
// cache. A result is made in parts, one after the other or side by side; what is added up over pixels is
// added up for each part, so that it does not depend on threads.
#ifndef CK_EPILOGUE_H
#define CK_EPILOGUE_H

#include "cpu.h"

// y[N,P,Q,K] = x[N,H,W,C] * w[K,R,S,C], and then the epilogue unless it is NULL; scratch memory as that of
// conv2d_forward.
void ck_conv2d_convolve(float *y, const float *x, const float *w, const ck_conv2d_params *p,
                        const ck_conv2d_epilogue *epilogue, float *scratch);
int64_t ck_conv2d_forward_parts(const ck_conv2d_params *p);

// dx[N,H,W,C] of dy[N,P,Q,K], and then the epilogue unless it is NULL; scratch memory as that of
// conv2d_backward_data.
void ck_conv2d_convolve_back(float *dx, const float *dy, const float *w, const ck_conv2d_params *p,
                             const ck_conv2d_epilogue *epilogue, float *scratch);
int64_t ck_conv2d_backward_parts(const ck_conv2d_params *p);

// Pixels of a result: `rows` x `columns` from pixel `first` on, whose rows are `apart` pixels from each
// other.
typedef struct ck_pixels {
    int64_t first, rows, columns, apart;
} ck_pixels;

// Where the epilogue has sums, it is told of a part before its pixels.
void ck_conv2d_begin(const ck_conv2d_epilogue *epilogue, int64_t channels, int64_t part);

// What the epilogue makes of the pixels of a part:
// - with a scale (inference): out = relu?(out * scale + shift + residual)
// - with sums and x (the gradient of what was normalized): out = out + residual, and 0 where a ReLU stopped
//   it; partial[part] is the sum of out and that of out * (x - about), [2][channels]
// - with sums and no x (what will be normalized): partial[part] is their moments (parts.h); `about` is not
//   looked at
void ck_conv2d_finish(const ck_conv2d_epilogue *epilogue, float *out, int64_t channels, ck_pixels pixels,
                      int64_t part);

#endif
