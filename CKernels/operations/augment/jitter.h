// Color jitter of a run of RGB pixels: brightness, contrast, saturation and hue in an order drawn for it.
#ifndef CK_JITTER_H
#define CK_JITTER_H

#include "ck_augment.h"
#include "cpu.h"

static inline float ck_mean_luma(const float *y, int64_t pixels) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; i++) sum += ck_luma(y[3 * i], y[3 * i + 1], y[3 * i + 2]);
    return (float)(sum / (double)pixels);
}

static inline void ck_jitter_pixels(float *y, int64_t pixels, ck_drawn_jitter j) {
    for (int i = 0; i < 4; i++) {
        int what = j.order[i];
        if (what < 0) continue;
        float mean = what == CK_CONTRAST ? ck_mean_luma(y, pixels) : 0, amount = j.amount[what];
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
