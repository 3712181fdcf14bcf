// What becomes of a part of a convolution's result while it is in the cache.
#include "epilogue.h"
#include "../batchnorm/parts.h"
#include "simd.h"

void ck_conv2d_begin(const ck_conv2d_epilogue *epilogue, int64_t channels, int64_t part) {
    if (!epilogue->partial) return;
    int64_t floats = epilogue->x ? 2 * channels : ck_moments_floats(channels);
    memset(epilogue->partial + part * floats, 0, sizeof(float) * (size_t)floats);
}

// ---- Inference --------------------------------------------------------------------------------------------

CK_SIMD static void finish_pixels(float *restrict y, const float *restrict residual,
                                  const float *restrict scale, const float *restrict shift, int64_t pixels,
                                  int64_t channels, int relu) {
    for (int64_t i = 0; i < pixels; i++, y += channels) {
        if (residual) {
            const float *r = residual + i * channels;
            for (int64_t k = 0; k < channels; k++) y[k] = y[k] * scale[k] + shift[k] + r[k];
        } else {
            for (int64_t k = 0; k < channels; k++) y[k] = y[k] * scale[k] + shift[k];
        }
        if (relu)
            for (int64_t k = 0; k < channels; k++) y[k] = y[k] > 0 ? y[k] : 0;
    }
}

// ---- The gradient of what was normalized ------------------------------------------------------------------

typedef int32_t mask __attribute__((vector_size(64), aligned(4)));

// Up to 16 channels, from c on, of the pixels at `places`, in floats.
CK_INLINED void gradient_lanes(const ck_conv2d_epilogue *epilogue, float *sums, float *out,
                               const int64_t *places, int64_t count, int64_t channels, int64_t c,
                               int64_t lanes) {
    const float *residual = epilogue->residual, *x = epilogue->x, *y = epilogue->y;
    const int relu = epilogue->relu;
    ck_v16 mean = ck_load_lanes(epilogue->about + c, lanes), first[2] = {{0}}, second[2] = {{0}};
#pragma clang loop unroll_count(4)
    for (int64_t i = 0; i < count; i++) {
        int64_t at = places[i] + c;
        ck_v16 v = ck_load_lanes(out + at, lanes);
        if (residual) v += ck_load_lanes(residual + at, lanes);
        if (relu) v = (ck_v16)((mask)v & (mask)(ck_load_lanes(y + at, lanes) > 0));
        if (residual || relu) ck_store_lanes(out + at, v, lanes);
        first[i % 2] += v;
        second[i % 2] += v * (ck_load_lanes(x + at, lanes) - mean);
    }
    float *sum = sums + c, *product = sum + channels;
    ck_store_lanes(sum, ck_load_lanes(sum, lanes) + (first[0] + first[1]), lanes);
    ck_store_lanes(product, ck_load_lanes(product, lanes) + (second[0] + second[1]), lanes);
}

CK_INLINED void gradient_pixels_body(const ck_conv2d_epilogue *epilogue, float *sums, float *out,
                                     const int64_t *places, int64_t count, int64_t channels, const int rows,
                                     const int vectors) {
    (void)rows, (void)vectors;
    int64_t c = 0;
    for (; c + CK_LANES <= channels; c += CK_LANES)
        gradient_lanes(epilogue, sums, out, places, count, channels, c, CK_LANES);
    if (c < channels) gradient_lanes(epilogue, sums, out, places, count, channels, c, channels - c);
}
CK_VERSIONS(gradient_pixels,
            (const ck_conv2d_epilogue *epilogue, float *sums, float *out, const int64_t *places,
             int64_t count, int64_t channels),
            epilogue, sums, out, places, count, channels)

// ---- All of them ------------------------------------------------------------------------------------------

// Of pixels that are to be added up, a few at a time.
static void add_up(const ck_conv2d_epilogue *epilogue, float *out, int64_t channels, ck_pixels pixels,
                   int64_t part) {
    int64_t places[CK_MOMENT_ROWS], count = 0;
    for (int64_t row = 0; row < pixels.rows; row++)
        for (int64_t column = 0; column < pixels.columns; column++) {
            places[count++] = (pixels.first + row * pixels.apart + column) * channels;
            int is_last = row + 1 == pixels.rows && column + 1 == pixels.columns;
            if (count < CK_MOMENT_ROWS && !is_last) continue;
            if (epilogue->x)
                gradient_pixels(epilogue, epilogue->partial + part * 2 * channels, out, places, count,
                                channels);
            else
                ck_add_moments(epilogue->partial + part * ck_moments_floats(channels), out, places, count,
                               channels);
            count = 0;
        }
}

void ck_conv2d_finish(const ck_conv2d_epilogue *epilogue, float *out, int64_t channels, ck_pixels pixels,
                      int64_t part) {
    if (epilogue->partial) {
        add_up(epilogue, out, channels, pixels, part);
        return;
    }
    const float *residual = epilogue->residual;
    for (int64_t row = 0; row < pixels.rows; row++) {
        int64_t at = (pixels.first + row * pixels.apart) * channels;
        finish_pixels(out + at, residual ? residual + at : NULL, epilogue->scale, epilogue->shift,
                      pixels.columns, channels, epilogue->relu);
    }
}
