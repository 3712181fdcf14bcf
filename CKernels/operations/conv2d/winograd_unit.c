// 3x3 convolution at stride 1 by F(4x4, 3x3): 36 products a tile of 4x4 outputs in place of 144. Its matrices
// and their derivation are in winograd_transform.h.
#include "winograd_transform.h"

typedef ck_conv2d_params conv2d;
typedef ck_winograd_block block;

enum { L = CK_LANES, SIDE = 4, POINTS = 6, WINDOW = 6 };

CK_INLINED int64_t frequency(int64_t row_point, int64_t column_point) {
    return row_point * POINTS + column_point;
}

// ---- F(4, 3) along one axis -------------------------------------------------------------------------------

// o = B^T a
CK_INLINED void apply_bt(ck_v16 o[6], const ck_v16 a[6]) {
    ck_v16 t1 = a[4] - 4 * a[2], t2 = a[3] - 4 * a[1], t3 = a[4] - a[2], t4 = 2 * (a[3] - a[1]);
    o[0] = 4 * a[0] - 5 * a[2] + a[4];
    o[1] = t1 + t2;
    o[2] = t1 - t2;
    o[3] = t3 + t4;
    o[4] = t3 - t4;
    o[5] = 4 * a[1] - 5 * a[3] + a[5];
}

// o = A^T m
CK_INLINED void apply_at(ck_v16 o[4], const ck_v16 m[6]) {
    ck_v16 s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    o[0] = m[0] + s1 + s2;
    o[1] = d1 + 2 * d2;
    o[2] = s1 + 4 * s2;
    o[3] = d1 + 8 * d2 + m[5];
}

// o = A y
CK_INLINED void apply_a(ck_v16 o[6], const ck_v16 y[4]) {
    ck_v16 e1 = y[0] + y[2], o1 = y[1] + y[3], e2 = y[0] + 4 * y[2], o2 = 2 * y[1] + 8 * y[3];
    o[0] = y[0];
    o[1] = e1 + o1;
    o[2] = e1 - o1;
    o[3] = e2 + o2;
    o[4] = e2 - o2;
    o[5] = y[3];
}

// o = G g
CK_INLINED void apply_g(ck_v16 o[6], const ck_v16 g[3]) {
    ck_v16 s = (g[0] + g[2]) * (-1.0f / 6), h = g[1] * (-1.0f / 6),
           e = g[0] * (1.0f / 24) + g[2] * (1.0f / 6);
    ck_v16 d = g[1] * (1.0f / 12);
    o[0] = g[0] * 0.25f;
    o[1] = s + h;
    o[2] = s - h;
    o[3] = e + d;
    o[4] = e - d;
    o[5] = g[2];
}

// o = G^T u
CK_INLINED void apply_gt(ck_v16 o[3], const ck_v16 u[6]) {
    ck_v16 s1 = (u[1] + u[2]) * (-1.0f / 6), s2 = u[3] + u[4];
    o[0] = u[0] * 0.25f + s1 + s2 * (1.0f / 24);
    o[1] = (u[2] - u[1]) * (1.0f / 6) + (u[3] - u[4]) * (1.0f / 12);
    o[2] = s1 + s2 * (1.0f / 6) + u[5];
}

// ---- Filters ----------------------------------------------------------------------------------------------

CK_INLINED void filter_transform_body(float *u, const float *w, const conv2d *p, int backward,
                                      int64_t panel_k, int64_t panel_c, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, frequency_floats = p->k * c;
    float taps[9][L][L];
    ck_load_filters(taps, w, p, backward, panel_k, panel_c);
    for (int64_t i = 0; i < L; i++) {
        ck_v16 half[3][POINTS], g[3];
        for (int64_t s = 0; s < 3; s++) {
            for (int64_t r = 0; r < 3; r++) g[r] = ck_load16(taps[r * 3 + s][i]);
            apply_g(half[s], g);
        }
        float *to = u + (panel_k * c + panel_c * L + i) * L;
        for (int64_t a = 0; a < POINTS; a++) {
            ck_v16 row[3] = {half[0][a], half[1][a], half[2][a]}, out[POINTS];
            apply_g(out, row);
            for (int64_t b = 0; b < POINTS; b++) ck_store16(to + frequency(a, b) * frequency_floats, out[b]);
        }
    }
}
CK_VERSIONS(filter_transform,
            (float *u, const float *w, const conv2d *p, int backward, int64_t panel_k, int64_t panel_c), u, w,
            p, backward, panel_k, panel_c)

CK_INLINED void filter_adjoint_body(float *dw, const float *du, const conv2d *p, int64_t k, int rows,
                                    int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, frequency_floats = p->k * c;
    dw += k * 9 * c;
    du += k * c;
    for (int64_t at = 0; at < c; at += L) {
        ck_v16 half[POINTS][3], column[POINTS];
        for (int64_t j = 0; j < POINTS; j++) {
            for (int64_t i = 0; i < POINTS; i++)
                column[i] = ck_load16(du + frequency(i, j) * frequency_floats + at);
            apply_gt(half[j], column);
        }
        for (int64_t r = 0; r < 3; r++) {
            ck_v16 row[POINTS] = {half[0][r], half[1][r], half[2][r], half[3][r], half[4][r], half[5][r]},
                   out[3];
            apply_gt(out, row);
            for (int64_t s = 0; s < 3; s++) ck_store16(dw + (r * 3 + s) * c + at, out[s]);
        }
    }
}
CK_VERSIONS(filter_adjoint, (float *dw, const float *du, const conv2d *p, int64_t k), dw, du, p, k)

// ---- Tiles ------------------------------------------------------------------------------------------------
//
// Tiles that are whole, which most are, have code without conditions: their numbers stay in registers.

// V of 16 channels of a window. Its rows top ..< bottom and columns left ..< right are inside the image.
CK_INLINED void window_in(float *to, int64_t frequency_floats, const float *origin, int64_t row_floats,
                          int64_t c, const int64_t top, const int64_t bottom, const int64_t left,
                          const int64_t right) {
    ck_v16 half[WINDOW][POINTS], column[WINDOW];
    CK_UNROLLED for (int64_t j = 0; j < WINDOW; j++) {
        CK_UNROLLED for (int64_t i = 0; i < WINDOW; i++) {
            int present = i >= top && i < bottom && j >= left && j < right;
            column[i] = present ? ck_load16(origin + i * row_floats + j * c) : (ck_v16){0};
        }
        apply_bt(half[j], column);
    }
    CK_UNROLLED for (int64_t i = 0; i < POINTS; i++) {
        ck_v16 row[WINDOW] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
        ck_v16 out[POINTS];
        apply_bt(out, row);
        CK_UNROLLED for (int64_t j = 0; j < POINTS; j++)
            ck_store16(to + frequency(i, j) * frequency_floats, out[j]);
    }
}

CK_INLINED void input_transform_body(float *v, const float *in, const conv2d *p, block b, int64_t from,
                                     int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, h = p->h, w = p->w, frequency_floats = c * b.room;
    ck_winograd_walk walk = ck_walk_from(p, SIDE, b.first + from, c);
    for (int64_t t = from; t < until; t++, ck_step(p, SIDE, &walk)) {
        int64_t top = walk.at.row - p->pad, left = walk.at.column - p->pad;
        const float *origin = in + ((walk.at.n * h + top) * w + left) * c;
        // The pixels that the tiles before did not read.
        int64_t row = walk.later.row - p->pad + 2, column = walk.later.column - p->pad + 2;
        ck_prefetch_pixels(in + ((walk.later.n * h + row) * w + column) * c, w, c, SIDE, SIDE);
        for (int64_t panel = 0; panel < c / L; panel++, origin += L) {
            float *to = v + ck_tile_at(b, panel, t);
            if (top >= 0 && left >= 0 && top + WINDOW <= h && left + WINDOW <= w)
                window_in(to, frequency_floats, origin, w * c, c, 0, WINDOW, 0, WINDOW);
            else
                window_in(to, frequency_floats, origin, w * c, c, -top, h - top, -left, w - left);
        }
    }
}
CK_VERSIONS(input_transform,
            (float *v, const float *in, const conv2d *p, block b, int64_t from, int64_t until), v, in, p, b,
            from, until)

// The height x width pixels of 16 channels of a tile.
CK_INLINED void window_out(float *origin, int64_t row_floats, int64_t k, const float *m,
                           int64_t frequency_floats, const int64_t height, const int64_t width) {
    ck_v16 half[POINTS][SIDE], column[POINTS], pixels[SIDE];
    CK_UNROLLED for (int64_t j = 0; j < POINTS; j++) {
        CK_UNROLLED for (int64_t i = 0; i < POINTS; i++) column[i] =
            ck_load16(m + frequency(i, j) * frequency_floats);
        apply_at(half[j], column);
    }
    CK_UNROLLED for (int64_t i = 0; i < SIDE; i++) {
        ck_v16 row[POINTS] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
        apply_at(pixels, row);
        CK_UNROLLED for (int64_t j = 0; j < SIDE; j++) if (i < height && j < width)
            ck_store16(origin + i * row_floats + j * k, pixels[j]);
    }
}

CK_INLINED void output_transform_body(float *out, const float *m, const conv2d *p, block b, int64_t from,
                                      int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, frequency_floats = k * b.room;
    ck_winograd_place at = ck_place_of(p, SIDE, b.first + from);
    for (int64_t t = from; t < until; t++, ck_step_place(p, SIDE, &at)) {
        int64_t height = p->p - at.row, width = p->q - at.column;
        float *origin = out + ((at.n * p->p + at.row) * p->q + at.column) * k;
        for (int64_t panel = 0; panel < k / L; panel++, origin += L) {
            const float *products = m + ck_tile_at(b, panel, t);
            if (height >= SIDE && width >= SIDE)
                window_out(origin, p->q * k, k, products, frequency_floats, SIDE, SIDE);
            else
                window_out(origin, p->q * k, k, products, frequency_floats, height, width);
        }
    }
}
CK_VERSIONS(output_transform,
            (float *out, const float *m, const conv2d *p, block b, int64_t from, int64_t until), out, m, p, b,
            from, until)

// dM of 16 channels of a tile, of which height x width pixels are inside the image.
CK_INLINED void window_adjoint(float *to, int64_t frequency_floats, const float *origin, int64_t row_floats,
                               int64_t k, const int64_t height, const int64_t width) {
    ck_v16 half[SIDE][POINTS], column[SIDE], out[POINTS];
    CK_UNROLLED for (int64_t j = 0; j < SIDE; j++) {
        CK_UNROLLED for (int64_t i = 0; i < SIDE; i++) column[i] =
            i < height && j < width ? ck_load16(origin + i * row_floats + j * k) : (ck_v16){0};
        apply_a(half[j], column);
    }
    CK_UNROLLED for (int64_t i = 0; i < POINTS; i++) {
        ck_v16 row[SIDE] = {half[0][i], half[1][i], half[2][i], half[3][i]};
        apply_a(out, row);
        CK_UNROLLED for (int64_t j = 0; j < POINTS; j++)
            ck_store16(to + frequency(i, j) * frequency_floats, out[j]);
    }
}

CK_INLINED void output_adjoint_body(float *dm, const float *dy, const conv2d *p, block b, int64_t from,
                                    int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, q = p->q, frequency_floats = k * b.room;
    ck_winograd_walk walk = ck_walk_from(p, SIDE, b.first + from, k);
    for (int64_t t = from; t < until; t++, ck_step(p, SIDE, &walk)) {
        int64_t height = p->p - walk.at.row, width = q - walk.at.column;
        const float *origin = dy + ((walk.at.n * p->p + walk.at.row) * q + walk.at.column) * k;
        ck_prefetch_pixels(dy + ((walk.later.n * p->p + walk.later.row) * q + walk.later.column) * k, q, k,
                           SIDE, SIDE);
        for (int64_t panel = 0; panel < k / L; panel++, origin += L) {
            float *to = dm + ck_tile_at(b, panel, t);
            if (height >= SIDE && width >= SIDE)
                window_adjoint(to, frequency_floats, origin, q * k, k, SIDE, SIDE);
            else
                window_adjoint(to, frequency_floats, origin, q * k, k, height, width);
        }
    }
}
CK_VERSIONS(output_adjoint,
            (float *dm, const float *dy, const conv2d *p, block b, int64_t from, int64_t until), dm, dy, p, b,
            from, until)

const ck_winograd_transform ck_winograd_unit = {
    .side = SIDE,
    .frequencies = POINTS * POINTS,
    .input_phases = 1,
    .output_phases = 1,
    .filter = filter_transform,
    .input = input_transform,
    .output = output_transform,
    .output_adjoint = output_adjoint,
    .filter_adjoint = filter_adjoint,
};
