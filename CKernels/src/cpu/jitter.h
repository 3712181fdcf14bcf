// Colour jitter of a run of RGB pixels: brightness, contrast, saturation and hue in an order drawn for it.
#ifndef CK_JITTER_H
#define CK_JITTER_H

#include "cpu.h"

// Strengths of brightness, contrast, saturation and hue; 0 leaves one out.
typedef struct ck_jitter {
    float strength[4];
} ck_jitter;

static inline float ck_mean_luma(const float *y, int64_t pixels) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; i++) sum += ck_luma(y[3 * i], y[3 * i + 1], y[3 * i + 2]);
    return (float)(sum / (double)pixels);
}

// `r` draws the four amounts, `o` the order.
static inline void ck_jitter_pixels(float *y, int64_t pixels, ck_jitter j, ck_random4 r, ck_random4 o) {
    float brightness = j.strength[0] * (2 * ck_uniform(r.v[0]) - 1), contrast = 1 + j.strength[1] * (2 * ck_uniform(r.v[1]) - 1);
    float saturation = 1 + j.strength[2] * (2 * ck_uniform(r.v[2]) - 1), hue = j.strength[3] * (2 * ck_uniform(r.v[3]) - 1);
    int order[4] = {0, 1, 2, 3};
    for (int i = 3; i > 0; i--) {
        int k = (int)ck_below(o.v[i], (uint32_t)(i + 1)), swap = order[i];
        order[i] = order[k];
        order[k] = swap;
    }
    for (int i = 0; i < 4; i++) {
        if (!(j.strength[order[i]] > 0)) continue;
        float mean;
        switch (order[i]) {
        case 0:
            for (int64_t k = 0; k < 3 * pixels; k++) y[k] += brightness;
            break;
        case 1:
            mean = ck_mean_luma(y, pixels);
            for (int64_t k = 0; k < 3 * pixels; k++) y[k] = mean + contrast * (y[k] - mean);
            break;
        case 2:
            for (int64_t k = 0; k < pixels; k++) {
                float gray = ck_luma(y[3 * k], y[3 * k + 1], y[3 * k + 2]);
                for (int c = 0; c < 3; c++) y[3 * k + c] = gray + saturation * (y[3 * k + c] - gray);
            }
            break;
        default:
            for (int64_t k = 0; k < pixels; k++) ck_shift_hue(y + 3 * k, y + 3 * k + 1, y + 3 * k + 2, hue);
        }
    }
}

#endif
