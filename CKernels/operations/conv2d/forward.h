// The CPU's forward convolution, and what inference makes of its sums while they are in the cache.
#ifndef CK_FORWARD_H
#define CK_FORWARD_H

#include "cpu.h"

// y[N,P,Q,K] = x[N,H,W,C] * w[K,R,S,C], and then the epilogue unless it is NULL; scratch memory as that of
// conv2d_forward.
void ck_conv2d_convolve(float *y, const float *x, const float *w, const ck_conv2d_params *p,
                        const ck_conv2d_epilogue *epilogue, float *scratch);

// The epilogue of `rows` x `columns` pixels of y, from pixel `first` on, whose rows are `apart` pixels from
// each other.
void ck_conv2d_finish(const ck_conv2d_epilogue *epilogue, float *y, int64_t channels, int64_t first,
                      int64_t rows, int64_t columns, int64_t apart);

#endif
