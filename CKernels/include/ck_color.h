// Color jitter of one pixel, in code shared by every backend: the formulas of TensorFlow's tf.image on
// floats, which the reference implementation of Sohn et al. 2021 calls. Brightness is added. Contrast is a
// factor about the mean of each channel over the image. Saturation is a factor on HSV's S, which is clipped
// to 0...1; hue and value (the largest channel) stay. Hue is shifted around the circle; the largest and the
// smallest channel stay. The results are not clipped to 0...1.
#ifndef CK_COLOR_H
#define CK_COLOR_H

#include "ck_portable.h"

CK_INLINE float ck_luma(float r, float g, float b) { return 0.299f * r + 0.587f * g + 0.114f * b; }

// Scales S = (high - low) / high of HSV, and clips it to 0...1; S is 0 where the largest channel is not above
// 0. Hue and value stay, so that every channel keeps its share of the distance from the largest. One form for
// all pixels: a gray one divides by 0, and stays.
CK_INLINE void ck_scale_saturation(float *r, float *g, float *b, float factor) {
    float high = *r > *g ? (*r > *b ? *r : *b) : (*g > *b ? *g : *b);
    float low = *r < *g ? (*r < *b ? *r : *b) : (*g < *b ? *g : *b);
    float largest = high / (high - low);  // by which S becomes 1
    float scale = largest < factor ? largest : factor;
    scale = scale > 0 ? scale : 0;
    *r = high + scale * (*r - high);
    *g = high + scale * (*g - high);
    *b = high + scale * (*b - high);
}

// Shifts the hue by `shift`, a share of the color circle, through HSV; saturation and value stay.
CK_INLINE void ck_shift_hue(float *r, float *g, float *b, float shift) {
    float high = *r > *g ? (*r > *b ? *r : *b) : (*g > *b ? *g : *b);
    float low = *r < *g ? (*r < *b ? *r : *b) : (*g < *b ? *g : *b);
    float range = high - low;
    if (!(range > 0)) return;
    float hue = *r == high ? (*g - *b) / range : *g == high ? 2 + (*b - *r) / range : 4 + (*r - *g) / range;
    hue = hue / 6 + shift;
    hue -= (float)(int)hue;
    if (hue < 0) hue += 1;
    // channel(n) = high - range * clamp(min(k, 4 - k), 0, 1), k = (n + 6 hue) mod 6, n = 5, 3, 1
    float out[3];
    for (int i = 0; i < 3; i++) {
        float k = (float)(5 - 2 * i) + 6 * hue;
        if (k >= 6) k -= 6;
        float t = k < 4 - k ? k : 4 - k;
        t = t < 0 ? 0 : t > 1 ? 1 : t;
        out[i] = high - range * t;
    }
    *r = out[0], *g = out[1], *b = out[2];
}

#endif
