// What augmentation draws for an image, and what it does to one pixel, in code shared by every backend: an
// image's view depends on (seed, step, image, stream) alone.
#ifndef CK_AUGMENT_H
#define CK_AUGMENT_H

#include "ck_color.h"
#include "ck_dihedral.h"
#include "ck_params.h"
#include "ck_random.h"
#ifndef __CUDACC_RTC__
#include <math.h>
#endif

// ---- Bilinear reading -------------------------------------------------------------------------------------

// Two neighbors of a place in 0 ... size - 1, clamped to the edge, and the second one's share.
typedef struct ck_between {
    int first, second;
    float share;
} ck_between;

CK_INLINE ck_between ck_between_pixels(float at, int size) {
    at = fminf(fmaxf(at, 0.0f), (float)(size - 1));
    ck_between b;
    b.first = (int)at;
    b.second = b.first + 1 < size ? b.first + 1 : b.first;
    b.share = at - (float)b.first;
    return b;
}

// ---- Mirrored edges ---------------------------------------------------------------------------------------

// The pixel of 0 ... size - 1 that is at `at` when the row is continued by its mirror image, the edge pixel
// twice:
// ... c b a | a b c | c b a ...
CK_INLINE int ck_mirrored(int at, int size) {
    int period = 2 * size, place = (at % period + period) % period;
    return place < size ? place : period - 1 - place;
}

// ---- Random crop ------------------------------------------------------------------------------------------

typedef struct ck_crop {
    int top, left, side;
} ck_crop;

// A square of side minimum * H ... H (whole pixels, uniform), anywhere.
CK_INLINE ck_crop ck_draw_crop(const ck_image_params *p, ck_random4 r) {
    int smallest = (int)ceilf(p->minimum * (float)p->h);
    ck_crop crop;
    crop.side = smallest + (int)ck_below(r.v[0], (uint32_t)(p->h - smallest + 1));
    crop.top = (int)ck_below(r.v[1], (uint32_t)(p->h - crop.side + 1));
    crop.left = (int)ck_below(r.v[2], (uint32_t)(p->w - crop.side + 1));
    return crop;
}

// Which pixels of the crop, of `side`, become pixel `index` of `size`: half-pixel centers.
CK_INLINE ck_between ck_resized(int index, int side, int size) {
    return ck_between_pixels(((float)index + 0.5f) * ((float)side / (float)size) - 0.5f, side);
}

// ---- Color jitter -----------------------------------------------------------------------------------------

enum { CK_BRIGHTNESS = 0, CK_CONTRAST = 1, CK_SATURATION = 2, CK_HUE = 3 };

// Strengths of brightness, contrast, saturation and hue; 0 leaves one out.
typedef struct ck_jitter {
    float strength[4];
} ck_jitter;

typedef struct ck_drawn_jitter {
    float amount[4];
    int order[4];  // of the four; -1: left out
} ck_drawn_jitter;

// `r` draws the four amounts, `o` the order.
CK_INLINE ck_drawn_jitter ck_draw_jitter(ck_jitter j, ck_random4 r, ck_random4 o) {
    ck_drawn_jitter drawn;
    for (int i = 0; i < 4; i++) {
        float amount = j.strength[i] * (2 * ck_uniform(r.v[i]) - 1);
        drawn.amount[i] = i == CK_CONTRAST || i == CK_SATURATION ? 1 + amount : amount;
        drawn.order[i] = i;
    }
    for (int i = 3; i > 0; i--) {
        int k = (int)ck_below(o.v[i], (uint32_t)(i + 1)), swap = drawn.order[i];
        drawn.order[i] = drawn.order[k];
        drawn.order[k] = swap;
    }
    for (int i = 0; i < 4; i++)
        if (!(j.strength[drawn.order[i]] > 0)) drawn.order[i] = -1;
    return drawn;
}

// One of the four on one pixel; `mean` is that of each channel over all pixels, which contrast needs.
CK_INLINE void ck_jitter_pixel(float *pixel, int what, float amount, const float *mean) {
    if (what == CK_BRIGHTNESS) {
        for (int c = 0; c < 3; c++) pixel[c] += amount;
    } else if (what == CK_CONTRAST) {
        for (int c = 0; c < 3; c++) pixel[c] = mean[c] + amount * (pixel[c] - mean[c]);
    } else if (what == CK_SATURATION) {
        ck_scale_saturation(pixel, pixel + 1, pixel + 2, amount);
    } else {
        ck_shift_hue(pixel, pixel + 1, pixel + 2, amount);
    }
}

// ---- Blur and noise ---------------------------------------------------------------------------------------

enum { CK_MAX_BLUR_TAPS = 63 };

// The weights of a Gaussian of random width; false where the image is left alone.
CK_INLINE int ck_draw_blur(const ck_image_params *p, ck_random4 r, float *weights) {
    if (!(ck_uniform(r.v[0]) < p->probability)) return 0;
    float sigma = p->minimum + (p->maximum - p->minimum) * ck_uniform(r.v[1]), sum = 0;
    int reach = p->taps / 2;
    for (int i = -reach; i <= reach; i++)
        sum += weights[i + reach] = expf(-0.5f * (float)(i * i) / (sigma * sigma));
    for (int i = 0; i < p->taps; i++) weights[i] /= sum;
    return 1;
}

// Four normal numbers (Box & Muller 1958).
CK_INLINE void ck_normals(ck_random4 r, float normal[4]) {
    for (int k = 0; k < 4; k += 2) {
        float radius = sqrtf(-2 * logf(1 - ck_uniform(r.v[k]))), angle = 6.2831853f * ck_uniform(r.v[k + 1]);
        normal[k] = radius * cosf(angle);
        normal[k + 1] = radius * sinf(angle);
    }
}

// ---- CutPaste (Li et al., CVPR 2021, section 2 and appendix A.2) ------------------------------------------

// The part that is cut, h x w at (top, left), and where it is pasted.
typedef struct ck_paste {
    int h, w, top, left;
    int to_top, to_left;  // a rectangle's first pixel
    float cosine, sine, row, column, down,
        across;  // a scar's angle, its center, and half the sides of what it covers
} ck_paste;

CK_INLINE int ck_rounded(float value, int low, int high) {
    int whole = (int)(value + 0.5f);
    return whole < low ? low : whole > high ? high : whole;
}

CK_INLINE void ck_draw_cut(const ck_cutpaste_params *p, ck_random4 place, ck_paste *cut) {
    cut->top = (int)ck_below(place.v[0], (uint32_t)(p->h - cut->h + 1));
    cut->left = (int)ck_below(place.v[1], (uint32_t)(p->w - cut->w + 1));
}

// A rectangle of a random share of the image's area and a random aspect, upright.
CK_INLINE ck_paste ck_draw_rectangle(const ck_cutpaste_params *p, ck_random4 r, ck_random4 place) {
    float area = (p->area_minimum + (p->area_maximum - p->area_minimum) * ck_uniform(r.v[0])) * (float)p->h *
                 (float)p->w;
    float u = ck_uniform(r.v[1]);  // aspect: in (a, 1) or in (1, 1 / a), evenly
    float aspect = r.v[2] >> 31 ? 1 + (1 / p->aspect - 1) * u : p->aspect + (1 - p->aspect) * u;
    ck_paste cut;
    cut.h = ck_rounded(sqrtf(area * aspect), 1, p->h);
    cut.w = ck_rounded(sqrtf(area / aspect), 1, p->w);
    ck_draw_cut(p, place, &cut);
    cut.to_top = (int)ck_below(place.v[2], (uint32_t)(p->h - cut.h + 1));
    cut.to_left = (int)ck_below(place.v[3], (uint32_t)(p->w - cut.w + 1));
    return cut;
}

// A thin rectangle, upright when it is cut, rotated about its center.
CK_INLINE ck_paste ck_draw_scar(const ck_cutpaste_params *p, ck_random4 r, ck_random4 place) {
    int limit = p->h < p->w ? p->h : p->w;
    int w = p->scar_width_minimum +
            (int)ck_below(r.v[0], (uint32_t)(p->scar_width_maximum - p->scar_width_minimum + 1));
    int l = p->scar_length_minimum +
            (int)ck_below(r.v[1], (uint32_t)(p->scar_length_maximum - p->scar_length_minimum + 1));
    ck_paste cut;
    cut.w = w < limit ? w : limit;
    cut.h = l < limit ? l : limit;
    float angle = p->angle * (2 * ck_uniform(r.v[2]) - 1);
    cut.cosine = cosf(angle);
    cut.sine = sinf(angle);
    ck_draw_cut(p, place, &cut);
    cut.down = 0.5f * (fabsf(cut.cosine) * (float)cut.h + fabsf(cut.sine) * (float)cut.w);
    cut.across = 0.5f * (fabsf(cut.sine) * (float)cut.h + fabsf(cut.cosine) * (float)cut.w);
    cut.row = fminf(cut.down, 0.5f * (float)p->h);
    cut.column = fminf(cut.across, 0.5f * (float)p->w);
    cut.row += ck_uniform(place.v[2]) * ((float)p->h - 2 * cut.row);
    cut.column += ck_uniform(place.v[3]) * ((float)p->w - 2 * cut.column);
    return cut;
}

CK_INLINE float ck_unit(float value) { return value < 0 ? 0 : value > 1 ? 1 : value; }

// Blends a scar's part[h][w][c] into pixel (row, column), by how much of the pixel it covers.
CK_INLINE void ck_paste_scar_pixel(float *to, int channels, const ck_paste *cut, const float *part, int row,
                                   int column) {
    float dy = (float)row + 0.5f - cut->row, dx = (float)column + 0.5f - cut->column;
    if (fabsf(dy) > cut->down + 1) return;
    float u = cut->cosine * dx + cut->sine * dy,
          v = cut->cosine * dy - cut->sine * dx;  // across and along the scar
    float w = (float)cut->w, l = (float)cut->h;
    float alpha = ck_unit(0.5f * w + 0.5f - fabsf(u)) * ck_unit(0.5f * l + 0.5f - fabsf(v));
    if (!(alpha > 0)) return;
    ck_between a = ck_between_pixels(u + 0.5f * w - 0.5f, cut->w),
               b = ck_between_pixels(v + 0.5f * l - 0.5f, cut->h);
    for (int c = 0; c < channels; c++) {
        const float *first = part + (int64_t)b.first * cut->w * channels + c,
                    *second = part + (int64_t)b.second * cut->w * channels + c;
        float upper = first[a.first * channels] * (1 - a.share) + first[a.second * channels] * a.share;
        float lower = second[a.first * channels] * (1 - a.share) + second[a.second * channels] * a.share;
        to[c] += alpha * (upper * (1 - b.share) + lower * b.share - to[c]);
    }
}

#endif
