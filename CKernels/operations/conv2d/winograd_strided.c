// 3x3 convolution at stride 2 and padding 1; see winograd.c. Along one axis, with a[t] = x[2t - 1] and b[t] = x[2t],
//   y[t] = (w0 a[t] + w2 a[t + 1]) + w1 b[t]
// is a filter of two taps on phase a and one of one tap on phase b. F(4, 2) takes five multiplications for the first; the
// second goes through the same five points with an absent second tap, whose product at infinity is zero, and so shares the
// outputs' transform. In two dimensions the four phases (rows of b with columns of a, aa, ab, bb) take 20 + 25 + 20 + 16 = 81
// multiplications a tile of 4x4 outputs instead of 144. Frequency (4, j) is without rows of b, (i, 4) without columns of b:
// in that order what takes part is always a run of neighbours.
// Backward data: dx[2t + 1] = w2 dy[t] + w0 dy[t + 1] and dx[2t] = w1 dy[t] are the same filters on one input and two outputs.
#include "winograd_form.h"

typedef ck_conv2d_params conv2d;
typedef ck_winograd_block block;

enum { F = 25, L = CK_LANES, BA = 0, AA = 1, AB = 2, BB = 3 };

// The phase of a row and a column; each is one of `a` or not.
CK_INLINED int64_t phase_of(int row_a, int column_a) { return row_a ? (column_a ? AA : AB) : (column_a ? BA : BB); }

// ---- One-dimensional transforms, interpolation points 0, 1, -1, 2 and infinity ----------------------------------------

// o = B' d; with four inputs and outputs for phase b
CK_INLINED void input_points(ck_v16 *o, const ck_v16 *d, int points) {
    ck_v16 e = d[3] - d[2];
    o[0] = 2 * (d[0] - d[2]) + (d[3] - d[1]);
    o[1] = e - 2 * d[1];
    o[2] = e + 2 * (d[1] - d[2]);
    o[3] = d[3] - d[1];
    if (points == 5) o[4] = 2 * (d[1] - d[3]) + (d[4] - d[2]);
}

// o = A' m; without the product at infinity for phase b
CK_INLINED void output_4(ck_v16 o[4], const ck_v16 *m, int points) {
    ck_v16 s = m[1] + m[2], d = m[1] - m[2];
    o[0] = m[0] + s + m[3];
    o[1] = d + 2 * m[3];
    o[2] = s + 4 * m[3];
    o[3] = d + 8 * m[3];
    if (points == 5) o[3] += m[4];
}

// o = A y
CK_INLINED void gradient_5(ck_v16 o[5], const ck_v16 y[4]) {
    ck_v16 e = y[0] + y[2], d = y[1] + y[3];
    o[0] = y[0];
    o[1] = e + d;
    o[2] = e - d;
    o[3] = y[0] + 2 * y[1] + 4 * y[2] + 8 * y[3];
    o[4] = y[3];
}

// o = G g of the taps 0 and 2 (five points, phase a) or of tap 1 (four, phase b)
CK_INLINED void filter_points(ck_v16 *o, const ck_v16 g[3], int points) {
    ck_v16 first = points == 5 ? g[0] : g[1], second = points == 5 ? g[2] : (ck_v16){0};
    o[0] = first * 0.5f;
    o[1] = (first + second) * -0.5f;
    o[2] = (second - first) * (1.0f / 6);
    o[3] = first * (1.0f / 6) + second * (1.0f / 3);
    if (points == 5) o[4] = second;
}

// The adjoint of filter_points: adds to the taps it reads.
CK_INLINED void filter_gradient(ck_v16 g[3], const ck_v16 *u, int points) {
    ck_v16 first = (u[0] - u[1]) * 0.5f + (u[3] - u[2]) * (1.0f / 6);
    if (points == 5) {
        g[0] = first;
        g[2] = u[1] * -0.5f + u[2] * (1.0f / 6) + u[3] * (1.0f / 3) + u[4];
    } else {
        g[1] = first;
    }
}

// ---- Filters ----------------------------------------------------------------------------------------------------------

// U of a frequency holds the phases that take part: as rows of V (forward) or as panels of M (`turned`: backward data).
CK_INLINED void filters_body(float *u, const float *w, const conv2d *p, int turned, int64_t panel, int64_t rows_of_v,
                             int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, k = p->k;
    float taps[9][L][L];
    ck_load_filters(taps, w, p, turned, panel, rows_of_v);
    for (int64_t i = 0; i < L; i++) {
        ck_v16 half[3][9], g[3], out[5];  // the rows' points: five of phase a, then four of phase b
        for (int64_t s = 0; s < 3; s++) {
            for (int64_t r = 0; r < 3; r++) g[r] = ck_load16(taps[r * 3 + s][i]);
            filter_points(half[s], g, 5);
            filter_points(half[s] + 5, g, 4);
        }
        for (int64_t a = 0; a < 9; a++) {
            ck_v16 row[3] = {half[0][a], half[1][a], half[2][a]};
            for (int points = 5; points >= 4; points--) {
                filter_points(out, row, points);
                int64_t phase = phase_of(a < 5, points == 5);
                for (int64_t b = 0; b < points; b++) {
                    int64_t f = a % 5 * 5 + b;
                    ck_winograd_span span = ck_winograd_phases(4, f);
                    int64_t at = phase - span.first, row_of_v = rows_of_v * L + i;
                    int64_t place = turned ? (at * (k / L) + panel) * c + row_of_v
                                           : panel * span.count * c + at * c + row_of_v;
                    ck_store16(u + f * 4 * c * k + place * L, out[b]);
                }
            }
        }
    }
}
CK_VERSIONS(filters, (float *u, const float *w, const conv2d *p, int turned, int64_t panel, int64_t rows_of_v), u, w, p,
            turned, panel, rows_of_v)

// dw[k][3][3][c] = G' du G of one output channel.
CK_INLINED void weight_body(float *dw, const float *du, const conv2d *p, int64_t k, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c;
    for (int64_t at = 0; at < c; at += L) {
        ck_v16 half[3][9], column[5], taps[3];
        // Columns to taps, for each of the rows' nine points; then the rows.
        for (int64_t a = 0; a < 9; a++) {
            for (int points = 5; points >= 4; points--) {
                int64_t phase = phase_of(a < 5, points == 5);
                for (int64_t b = 0; b < points; b++) {
                    int64_t f = a % 5 * 5 + b;
                    ck_winograd_span span = ck_winograd_phases(4, f);
                    column[b] = ck_load16(du + f * 4 * c * p->k + (k * span.count + phase - span.first) * c + at);
                }
                filter_gradient(taps, column, points);
            }
            for (int64_t s = 0; s < 3; s++) half[s][a] = taps[s];
        }
        for (int64_t s = 0; s < 3; s++) {
            filter_gradient(taps, half[s], 5);
            filter_gradient(taps, half[s] + 5, 4);
            for (int64_t r = 0; r < 3; r++) ck_store16(dw + (k * 9 + r * 3 + s) * c + at, taps[r]);
        }
    }
}
CK_VERSIONS(weight, (float *dw, const float *du, const conv2d *p, int64_t k), dw, du, p, k)

// ---- Tiles of the forward pass ----------------------------------------------------------------------------------------

// v = (B' x B)[f] of each phase of a window of 9x9 inputs.
CK_INLINED void input_body(float *v, const float *x, const conv2d *p, block b, int64_t from, int64_t until, int rows,
                           int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, stride = 4 * c * b.room;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, 4, b.first + t);
        int64_t top = 2 * at.row - 1, left = 2 * at.column - 1;
        int inside = top >= 0 && left >= 0 && top + 9 <= p->h && left + 9 <= p->w;
        const float *origin = x + ((at.n * p->h + top) * p->w + left) * c;
        for (int64_t panel = 0; panel < c / L; panel++) {
            ck_v16 half[9][9], a[5], d[5], out[5];
            for (int64_t j = 0; j < 9; j++) {
                for (int64_t i = 0; i < 9; i++) {
                    int present = inside || (top + i >= 0 && top + i < p->h && left + j >= 0 && left + j < p->w);
                    ck_v16 value = present ? ck_load16(origin + (i * p->w + j) * c + panel * L) : (ck_v16){0};
                    if (i % 2) d[i / 2] = value; else a[i / 2] = value;
                }
                input_points(half[j], a, 5);
                input_points(half[j] + 5, d, 4);
            }
            float *to = v + (panel * b.room + t) * L;
            for (int64_t i = 0; i < 9; i++) {
                for (int64_t j = 0; j < 9; j++)
                    if (j % 2) d[j / 2] = half[j][i]; else a[j / 2] = half[j][i];
                float *row = to + i % 5 * 5 * stride;
                input_points(out, a, 5);
                for (int64_t j = 0; j < 5; j++) ck_store16(row + j * stride + phase_of(i < 5, 1) * c * b.room, out[j]);
                input_points(out, d, 4);
                for (int64_t j = 0; j < 4; j++) ck_store16(row + j * stride + phase_of(i < 5, 0) * c * b.room, out[j]);
            }
        }
    }
}
CK_VERSIONS(input, (float *v, const float *x, const conv2d *p, block b, int64_t from, int64_t until), v, x, p, b, from,
            until)

// y = A' m A
CK_INLINED void output_body(float *y, const float *m, const conv2d *p, block b, int64_t from, int64_t until, int rows,
                            int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, stride = k * b.room;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, 4, b.first + t);
        int64_t height = ck_min64(4, p->p - at.row), width = ck_min64(4, p->q - at.column);
        float *origin = y + ((at.n * p->p + at.row) * p->q + at.column) * k;
        for (int64_t panel = 0; panel < k / L; panel++) {
            const float *from_m = m + (panel * b.room + t) * L;
            ck_v16 half[5][4], column[5], out[4];
            for (int64_t j = 0; j < 5; j++) {
                for (int64_t i = 0; i < 5; i++) column[i] = ck_load16(from_m + (i * 5 + j) * stride);
                output_4(half[j], column, 5);
            }
            for (int64_t i = 0; i < height; i++) {
                ck_v16 row[5] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i]};
                output_4(out, row, 5);
                for (int64_t j = 0; j < width; j++) ck_store16(origin + (i * p->q + j) * k + panel * L, out[j]);
            }
        }
    }
}
CK_VERSIONS(output, (float *y, const float *m, const conv2d *p, block b, int64_t from, int64_t until), y, m, p, b, from,
            until)

// g = (A dy A')[f]
CK_INLINED void gradient_body(float *g, const float *dy, const conv2d *p, block b, int64_t from, int64_t until, int rows,
                              int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, stride = k * b.room;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, 4, b.first + t);
        const float *origin = dy + ((at.n * p->p + at.row) * p->q + at.column) * k;
        int64_t height = ck_min64(4, p->p - at.row), width = ck_min64(4, p->q - at.column);
        for (int64_t panel = 0; panel < k / L; panel++) {
            ck_v16 half[4][5], column[4], out[5];
            for (int64_t j = 0; j < 4; j++) {
                for (int64_t i = 0; i < 4; i++)
                    column[i] = i < height && j < width ? ck_load16(origin + (i * p->q + j) * k + panel * L) : (ck_v16){0};
                gradient_5(half[j], column);
            }
            float *to = g + (panel * b.room + t) * L;
            for (int64_t i = 0; i < 5; i++) {
                ck_v16 row[4] = {half[0][i], half[1][i], half[2][i], half[3][i]};
                gradient_5(out, row);
                for (int64_t j = 0; j < 5; j++) ck_store16(to + (i * 5 + j) * stride, out[j]);
            }
        }
    }
}
CK_VERSIONS(gradient, (float *g, const float *dy, const conv2d *p, block b, int64_t from, int64_t until), g, dy, p, b,
            from, until)

// ---- Tiles of the backward pass: p describes the convolution of dy, [H,W] and C, to dx, [P,Q] and K ----------------------

// v = (B' dy B)[f] of a window of 5x5.
CK_INLINED void back_input_body(float *v, const float *x, const conv2d *p, block b, int64_t from, int64_t until,
                                int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, stride = c * b.room;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, 8, b.first + t);
        int64_t height = p->h - at.row / 2, width = p->w - at.column / 2;
        const float *origin = x + ((at.n * p->h + at.row / 2) * p->w + at.column / 2) * c;
        for (int64_t panel = 0; panel < c / L; panel++) {
            ck_v16 half[5][5], column[5], out[5];
            for (int64_t j = 0; j < 5; j++) {
                for (int64_t i = 0; i < 5; i++)
                    column[i] = i < height && j < width ? ck_load16(origin + (i * p->w + j) * c + panel * L) : (ck_v16){0};
                input_points(half[j], column, 5);
            }
            float *to = v + (panel * b.room + t) * L;
            for (int64_t i = 0; i < 5; i++) {
                ck_v16 row[5] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i]};
                input_points(out, row, 5);
                for (int64_t j = 0; j < 5; j++) ck_store16(to + (i * 5 + j) * stride, out[j]);
            }
        }
    }
}
CK_VERSIONS(back_input, (float *v, const float *x, const conv2d *p, block b, int64_t from, int64_t until), v, x, p, b,
            from, until)

// One phase of the 8x8 pixels of dx: those at odd places are of phase a.
CK_INLINED void back_output_phase(float *y, const float *m, const conv2d *p, int64_t stride, int64_t height,
                                  int64_t width, const int row_points, const int column_points) {
    ck_v16 half[5][4], column[5], out[4];
    int64_t down = row_points == 5, across = column_points == 5;
    for (int64_t j = 0; j < column_points; j++) {
        for (int64_t i = 0; i < row_points; i++) column[i] = ck_load16(m + (i * 5 + j) * stride);
        output_4(half[j], column, row_points);
    }
    for (int64_t i = 0; i < 4 && 2 * i + down < height; i++) {
        ck_v16 row[5];
        for (int64_t j = 0; j < column_points; j++) row[j] = half[j][i];
        output_4(out, row, column_points);
        for (int64_t j = 0; j < 4 && 2 * j + across < width; j++)
            ck_store16(y + ((2 * i + down) * p->q + 2 * j + across) * p->k, out[j]);
    }
}

CK_INLINED void back_output_body(float *y, const float *m, const conv2d *p, block b, int64_t from, int64_t until,
                                 int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, stride = 4 * k * b.room, phase = k * b.room;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, 8, b.first + t);
        int64_t height = p->p - at.row, width = p->q - at.column;
        for (int64_t panel = 0; panel < k / L; panel++) {
            float *to = y + ((at.n * p->p + at.row) * p->q + at.column) * k + panel * L;
            const float *from_m = m + (panel * b.room + t) * L;
            back_output_phase(to, from_m + BA * phase, p, stride, height, width, 4, 5);
            back_output_phase(to, from_m + AA * phase, p, stride, height, width, 5, 5);
            back_output_phase(to, from_m + AB * phase, p, stride, height, width, 5, 4);
            back_output_phase(to, from_m + BB * phase, p, stride, height, width, 4, 4);
        }
    }
}
CK_VERSIONS(back_output, (float *y, const float *m, const conv2d *p, block b, int64_t from, int64_t until), y, m, p, b,
            from, until)

const ck_winograd_form ck_winograd_strided = {4, F, 4, 1, filters, input, output, gradient, weight};
const ck_winograd_form ck_winograd_strided_back = {8, F, 1, 4, filters, back_input, back_output, NULL, NULL};
