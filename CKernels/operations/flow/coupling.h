// What a coupling layer keeps, shared by the CPU kernels and the CUDA kernels.
#ifndef COUPLING_H
#define COUPLING_H

#include "ck_params.h"

// Whether value i of an image, row by row and pixel by pixel, is kept.
CK_INLINE int ck_is_kept(const ck_coupling_params *p, int64_t i) {
    int64_t pixel = i / p->c;
    int second =
        p->mask == CK_MASK_CHANNELS ? i % p->c >= p->c / 2 : (int)((pixel / p->w + pixel % p->w) % 2);
    return second == p->parity;
}

#endif
