// Color jitter of a run of RGB pixels: brightness, contrast, saturation and hue in an order drawn for it.
#ifndef CK_JITTER_H
#define CK_JITTER_H

#include "ck_augment.h"
#include "cpu.h"

static inline void ck_channel_means(const float *y, int64_t pixels, float *mean) {
    double sum[3] = {0, 0, 0};
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++) sum[c] += y[3 * i + c];
    for (int c = 0; c < 3; c++) mean[c] = (float)(sum[c] / (double)pixels);
}

static inline void ck_jitter_pixels(float *y, int64_t pixels, ck_drawn_jitter j) {
    for (int i = 0; i < 4; i++) {
        int what = j.order[i];
        if (what < 0) continue;
        float mean[3] = {0, 0, 0}, amount = j.amount[what];
        if (what == CK_CONTRAST) ck_channel_means(y, pixels, mean);
        switch (what) {  // one loop each, so that each is vectorized
        case CK_BRIGHTNESS:
            for (int64_t k = 0; k < pixels; k++) ck_jitter_pixel(y + 3 * k, CK_BRIGHTNESS, amount, mean);
            break;
        case CK_CONTRAST:
            for (int64_t k = 0; k < pixels; k++) ck_jitter_pixel(y + 3 * k, CK_CONTRAST, amount, mean);
            break;
        case CK_SATURATION:
            for (int64_t k = 0; k < pixels; k++) ck_jitter_pixel(y + 3 * k, CK_SATURATION, amount, mean);
            break;
        default:
            for (int64_t k = 0; k < pixels; k++) ck_jitter_pixel(y + 3 * k, CK_HUE, amount, mean);
        }
    }
}

#endif
