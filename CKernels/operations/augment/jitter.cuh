// Color jitter of a run of RGB pixels by one block of 256 threads (CPU: jitter.h).
#ifndef CK_JITTER_CUH
#define CK_JITTER_CUH

#include "ck_augment.h"
#include "ck_device.cuh"

// Each thread keeps to its own pixels; only the means that contrast needs are shared.
CK_DEVICE void ck_jitter_block(float *y, int64_t pixels, const ck_drawn_jitter &j, double *shared) {
    for (int i = 0; i < 4; i++) {
        int what = j.order[i];
        if (what < 0) continue;
        float mean[3] = {0, 0, 0};
        if (what == CK_CONTRAST) {
            // One channel after the other: the sums of all three at once would not stay in registers.
#pragma unroll 1
            for (int c = 0; c < 3; c++) {
                double sum = 0;
                for (int64_t k = threadIdx.x; k < pixels; k += 256) sum += y[3 * k + c];
                sum = ck_block_reduce<256>(sum, shared, ck_plus()) / (double)pixels;
                mean[0] = c == 0 ? (float)sum : mean[0];
                mean[1] = c == 1 ? (float)sum : mean[1];
                mean[2] = c == 2 ? (float)sum : mean[2];
            }
        }
        for (int64_t k = threadIdx.x; k < pixels; k += 256)
            ck_jitter_pixel(y + 3 * k, what, j.amount[what], mean);
    }
}

#endif
