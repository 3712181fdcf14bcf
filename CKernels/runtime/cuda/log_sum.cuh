// The log of a sum of exponentials over tile after tile, by one block of 128 threads to a row.
#ifndef LOG_SUM_CUH
#define LOG_SUM_CUH

#include "ck_device.cuh"

// Takes a row of a tile, scale * s[0 ..< columns] without the one at `skipped`, into the row's largest value
// and its sum of exponentials below that; is_first starts them.
CK_DEVICE void ck_take_tile_row(float *largest, double *sum, const float *s, int columns, int skipped,
                                float scale, int is_first, float *floats, double *doubles) {
    float before = is_first ? -CK_INFINITY : *largest, top = before;
    double sum_before = is_first ? 0.0 : *sum;
    for (int k = threadIdx.x; k < columns; k += 128)
        if (k != skipped) top = fmaxf(top, s[k] * scale);
    top = ck_block_reduce<128>(top, floats, ck_larger());
    double part = 0;
    if (top > -CK_INFINITY)
        for (int k = threadIdx.x; k < columns; k += 128)
            if (k != skipped) part += expf(s[k] * scale - top);
    part = ck_block_reduce<128>(part, doubles, ck_plus());
    if (threadIdx.x != 0) return;
    if (sum_before > 0) part += sum_before * exp((double)before - top);
    *largest = top;
    *sum = part;
}

#endif
