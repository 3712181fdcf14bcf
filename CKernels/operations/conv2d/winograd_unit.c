// 3x3 convolution at stride 1 by F(4x4, 3x3): 36 multiplications a tile of 4x4 outputs instead of 144; see winograd.c.
#include "winograd_form.h"

typedef ck_conv2d_params conv2d;
typedef ck_winograd_block block;

enum { F = 36, L = CK_LANES };

// ---- One-dimensional transforms, interpolation points 0, 1, -1, 2, -2 and infinity ------------------------------------

// o = B' a
CK_INLINED void input_6(ck_v16 o[6], const ck_v16 a[6]) {
    ck_v16 t1 = a[4] - 4 * a[2], t2 = a[3] - 4 * a[1], t3 = a[4] - a[2], t4 = 2 * (a[3] - a[1]);
    o[0] = 4 * a[0] - 5 * a[2] + a[4];
    o[1] = t1 + t2;
    o[2] = t1 - t2;
    o[3] = t3 + t4;
    o[4] = t3 - t4;
    o[5] = 4 * a[1] - 5 * a[3] + a[5];
}

// o = A' m
CK_INLINED void output_4(ck_v16 o[4], const ck_v16 m[6]) {
    ck_v16 s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    o[0] = m[0] + s1 + s2;
    o[1] = d1 + 2 * d2;
    o[2] = s1 + 4 * s2;
    o[3] = d1 + 8 * d2 + m[5];
}

// o = A y
CK_INLINED void gradient_6(ck_v16 o[6], const ck_v16 y[4]) {
    ck_v16 e1 = y[0] + y[2], o1 = y[1] + y[3], e2 = y[0] + 4 * y[2], o2 = 2 * y[1] + 8 * y[3];
    o[0] = y[0];
    o[1] = e1 + o1;
    o[2] = e1 - o1;
    o[3] = e2 + o2;
    o[4] = e2 - o2;
    o[5] = y[3];
}

// o = G g
CK_INLINED void filter_6(ck_v16 o[6], const ck_v16 g[3]) {
    ck_v16 s = (g[0] + g[2]) * (-1.0f / 6), h = g[1] * (-1.0f / 6), e = g[0] * (1.0f / 24) + g[2] * (1.0f / 6);
    ck_v16 d = g[1] * (1.0f / 12);
    o[0] = g[0] * 0.25f;
    o[1] = s + h;
    o[2] = s - h;
    o[3] = e + d;
    o[4] = e - d;
    o[5] = g[2];
}

// o = G' u
CK_INLINED void filter_gradient_3(ck_v16 o[3], const ck_v16 u[6]) {
    ck_v16 s1 = (u[1] + u[2]) * (-1.0f / 6), s2 = u[3] + u[4];
    o[0] = u[0] * 0.25f + s1 + s2 * (1.0f / 24);
    o[1] = (u[2] - u[1]) * (1.0f / 6) + (u[3] - u[4]) * (1.0f / 12);
    o[2] = s1 + s2 * (1.0f / 6) + u[5];
}

// ---- Filters ----------------------------------------------------------------------------------------------------------

CK_INLINED void filters_body(float *u, const float *w, const conv2d *p, int turned, int64_t panel, int64_t rows_of_v,
                             int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, stride = p->k * c;
    float taps[9][L][L];
    ck_load_filters(taps, w, p, turned, panel, rows_of_v);
    for (int64_t i = 0; i < L; i++) {
        ck_v16 half[3][6], g[3];
        for (int64_t s = 0; s < 3; s++) {
            for (int64_t r = 0; r < 3; r++) g[r] = ck_load16(taps[r * 3 + s][i]);
            filter_6(half[s], g);
        }
        float *to = u + (panel * c + rows_of_v * L + i) * L;
        for (int64_t a = 0; a < 6; a++) {
            ck_v16 row[3] = {half[0][a], half[1][a], half[2][a]}, out[6];
            filter_6(out, row);
            for (int64_t b = 0; b < 6; b++) ck_store16(to + (a * 6 + b) * stride, out[b]);
        }
    }
}
CK_VERSIONS(filters, (float *u, const float *w, const conv2d *p, int turned, int64_t panel, int64_t rows_of_v), u, w, p,
            turned, panel, rows_of_v)

// dw[k][3][3][c] = G' du G of one output channel.
CK_INLINED void weight_body(float *dw, const float *du, const conv2d *p, int64_t k, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, stride = p->k * c;
    dw += k * 9 * c;
    du += k * c;
    for (int64_t at = 0; at < c; at += L) {
        ck_v16 half[6][3], column[6];
        for (int64_t j = 0; j < 6; j++) {
            for (int64_t i = 0; i < 6; i++) column[i] = ck_load16(du + (i * 6 + j) * stride + at);
            filter_gradient_3(half[j], column);
        }
        for (int64_t r = 0; r < 3; r++) {
            ck_v16 row[6] = {half[0][r], half[1][r], half[2][r], half[3][r], half[4][r], half[5][r]}, out[3];
            filter_gradient_3(out, row);
            for (int64_t s = 0; s < 3; s++) ck_store16(dw + (r * 3 + s) * c + at, out[s]);
        }
    }
}
CK_VERSIONS(weight, (float *dw, const float *du, const conv2d *p, int64_t k), dw, du, p, k)

// ---- Tiles ------------------------------------------------------------------------------------------------------------

// v = (B' x B)[f]
CK_INLINED void input_body(float *v, const float *x, const conv2d *p, block b, int64_t from,
                                     int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, stride = c / L * b.room * L;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, 4, b.first + t);
        int64_t top = at.row - p->pad, left = at.column - p->pad;
        int inside = top >= 0 && left >= 0 && top + 6 <= p->h && left + 6 <= p->w;
        const float *origin = x + ((at.n * p->h + top) * p->w + left) * c;
        for (int64_t panel = 0; panel < c / L; panel++) {
            ck_v16 half[6][6], column[6];
            for (int64_t j = 0; j < 6; j++) {
                for (int64_t i = 0; i < 6; i++) {
                    int present = inside || (top + i >= 0 && top + i < p->h && left + j >= 0 && left + j < p->w);
                    column[i] = present ? ck_load16(origin + (i * p->w + j) * c + panel * L) : (ck_v16){0};
                }
                input_6(half[j], column);
            }
            float *to = v + (panel * b.room + t) * L;
            for (int64_t i = 0; i < 6; i++) {
                ck_v16 row[6] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]}, out[6];
                input_6(out, row);
                for (int64_t j = 0; j < 6; j++) ck_store16(to + (i * 6 + j) * stride, out[j]);
            }
        }
    }
}
CK_VERSIONS(input,
            (float *v, const float *x, const conv2d *p, block b, int64_t from, int64_t until), v, x, p, b, from,
            until)

// y = A' m A
CK_INLINED void output_body(float *y, const float *m, const conv2d *p, block b, int64_t from,
                                      int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, stride = k / L * b.room * L;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, 4, b.first + t);
        int64_t height = ck_min64(4, p->p - at.row), width = ck_min64(4, p->q - at.column);
        float *origin = y + ((at.n * p->p + at.row) * p->q + at.column) * k;
        for (int64_t panel = 0; panel < k / L; panel++) {
            const float *from_m = m + (panel * b.room + t) * L;
            ck_v16 half[6][4], column[6];
            for (int64_t j = 0; j < 6; j++) {
                for (int64_t i = 0; i < 6; i++) column[i] = ck_load16(from_m + (i * 6 + j) * stride);
                output_4(half[j], column);
            }
            for (int64_t i = 0; i < height; i++) {
                ck_v16 row[6] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]}, out[4];
                output_4(out, row);
                for (int64_t j = 0; j < width; j++) ck_store16(origin + (i * p->q + j) * k + panel * L, out[j]);
            }
        }
    }
}
CK_VERSIONS(output,
            (float *y, const float *m, const conv2d *p, block b, int64_t from, int64_t until), y, m, p, b, from,
            until)

// g = (A dy A')[f]
CK_INLINED void gradient_body(float *g, const float *dy, const conv2d *p, block b, int64_t from,
                                        int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, stride = k / L * b.room * L;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, 4, b.first + t);
        const float *origin = dy + ((at.n * p->p + at.row) * p->q + at.column) * k;
        int64_t height = ck_min64(4, p->p - at.row), width = ck_min64(4, p->q - at.column);
        for (int64_t panel = 0; panel < k / L; panel++) {
            ck_v16 half[4][6], column[4];
            for (int64_t j = 0; j < 4; j++) {
                for (int64_t i = 0; i < 4; i++)
                    column[i] = i < height && j < width ? ck_load16(origin + (i * p->q + j) * k + panel * L) : (ck_v16){0};
                gradient_6(half[j], column);
            }
            float *to = g + (panel * b.room + t) * L;
            for (int64_t i = 0; i < 6; i++) {
                ck_v16 row[4] = {half[0][i], half[1][i], half[2][i], half[3][i]}, out[6];
                gradient_6(out, row);
                for (int64_t j = 0; j < 6; j++) ck_store16(to + (i * 6 + j) * stride, out[j]);
            }
        }
    }
}
CK_VERSIONS(gradient,
            (float *g, const float *dy, const conv2d *p, block b, int64_t from, int64_t until), g, dy, p, b, from,
            until)

const ck_winograd_form ck_winograd_unit = {4, F, 1, 1, filters, input, output, gradient, weight};
