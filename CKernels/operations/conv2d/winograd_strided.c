// 3x3 convolution at stride 2 and padding 1 by F(4, 2) on the four phases of an image: 81 products a tile of
// 4x4 outputs in place of 144. Its matrices, their derivation and the phases are in winograd_transform.h.
#include "winograd_transform.h"

typedef ck_conv2d_params conv2d;
typedef ck_winograd_block block;

enum { L = CK_LANES, SIDE = 4, POINTS = CK_STRIDED_POINTS, FREQUENCIES = POINTS * POINTS };

// Of a pixel along one axis. Odd pixels have five points, even ones four: their product at infinity is zero.
typedef enum parity { ODD, EVEN } parity;

CK_INLINED int points_of(parity at) { return at == ODD ? POINTS : POINTS - 1; }

CK_INLINED int64_t phase_of(parity row, parity column) {
    if (row == ODD) return column == ODD ? CK_ODD_ODD : CK_ODD_EVEN;
    return column == ODD ? CK_EVEN_ODD : CK_EVEN_EVEN;
}

CK_INLINED int64_t frequency(int64_t row_point, int64_t column_point) {
    return row_point * POINTS + column_point;
}

// An axis has nine places: the points of the odd pixels, then those of the even ones.
enum { PLACES = POINTS + POINTS - 1 };

CK_INLINED parity parity_of(int64_t place) { return place < POINTS ? ODD : EVEN; }
CK_INLINED int64_t point_of(int64_t place) { return place % POINTS; }

// A tile reads nine pixels along an axis, the first one odd.
enum { WINDOW = 9, ODD_PIXELS = 5, EVEN_PIXELS = 4 };

// Puts pixel i of a window among those of its parity.
CK_INLINED void split_window(ck_v16 odd[ODD_PIXELS], ck_v16 even[EVEN_PIXELS], int64_t i, ck_v16 value) {
    if (i % 2 == 0)
        odd[i / 2] = value;
    else
        even[i / 2] = value;
}

// ---- F(4, 2) along one axis -------------------------------------------------------------------------------

// o = B^T d
CK_INLINED void apply_bt(ck_v16 *o, const ck_v16 *d, parity of) {
    ck_v16 e = d[3] - d[2];
    o[0] = 2 * (d[0] - d[2]) + (d[3] - d[1]);
    o[1] = e - 2 * d[1];
    o[2] = e + 2 * (d[1] - d[2]);
    o[3] = d[3] - d[1];
    if (of == ODD) o[4] = 2 * (d[1] - d[3]) + (d[4] - d[2]);
}

// o = A^T m
CK_INLINED void apply_at(ck_v16 o[SIDE], const ck_v16 *m, parity of) {
    ck_v16 s = m[1] + m[2], d = m[1] - m[2];
    o[0] = m[0] + s + m[3];
    o[1] = d + 2 * m[3];
    o[2] = s + 4 * m[3];
    o[3] = d + 8 * m[3];
    if (of == ODD) o[3] += m[4];
}

// o = A y
CK_INLINED void apply_a(ck_v16 o[POINTS], const ck_v16 y[SIDE]) {
    ck_v16 e = y[0] + y[2], d = y[1] + y[3];
    o[0] = y[0];
    o[1] = e + d;
    o[2] = e - d;
    o[3] = y[0] + 2 * y[1] + 4 * y[2] + 8 * y[3];
    o[4] = y[3];
}

// o = G g of the taps 0 and 2 (odd), or of tap 1 and none (even)
CK_INLINED void apply_g(ck_v16 *o, const ck_v16 taps[3], parity of) {
    ck_v16 first = of == ODD ? taps[0] : taps[1], second = of == ODD ? taps[2] : (ck_v16){0};
    o[0] = first * 0.5f;
    o[1] = (first + second) * -0.5f;
    o[2] = (second - first) * (1.0f / 6);
    o[3] = first * (1.0f / 6) + second * (1.0f / 3);
    if (of == ODD) o[4] = second;
}

// G^T u: sets the taps that `apply_g` reads.
CK_INLINED void apply_gt(ck_v16 taps[3], const ck_v16 *u, parity of) {
    ck_v16 first = (u[0] - u[1]) * 0.5f + (u[3] - u[2]) * (1.0f / 6);
    if (of == ODD) {
        taps[0] = first;
        taps[2] = u[1] * -0.5f + u[2] * (1.0f / 6) + u[3] * (1.0f / 3) + u[4];
    } else {
        taps[1] = first;
    }
}

// ---- Filters ----------------------------------------------------------------------------------------------

// Where a phase's vector of 16 output channels (panel_k) for input channel c lies in U. A frequency holds the
// phases that take part, as rows of V (forward) or as panels of M (backward data).
CK_INLINED int64_t filter_at(const conv2d *p, int backward, int64_t f, int64_t phase, int64_t panel_k,
                             int64_t c) {
    ck_winograd_span span = ck_winograd_span_of(CK_PHASES, f);
    int64_t at = phase - span.first;
    int64_t vector =
        backward ? (at * (p->k / L) + panel_k) * p->c + c : panel_k * span.count * p->c + at * p->c + c;
    return f * CK_PHASES * p->c * p->k + vector * L;
}

// Where a phase's input channels for output channel k lie in dU, [f][k][row of V].
CK_INLINED int64_t filter_gradient_at(const conv2d *p, int64_t f, int64_t phase, int64_t k) {
    ck_winograd_span span = ck_winograd_span_of(CK_PHASES, f);
    return f * CK_PHASES * p->c * p->k + (k * span.count + phase - span.first) * p->c;
}

CK_INLINED void filter_transform_body(float *u, const float *w, const conv2d *p, int backward,
                                      int64_t panel_k, int64_t panel_c, int rows, int vectors) {
    (void)rows, (void)vectors;
    const conv2d own = *p;  // so that no store to u can change it: filter_at's products are found once
    float taps[9][L][L];
    ck_load_filters(taps, w, p, backward, panel_k, panel_c);
    for (int64_t i = 0; i < L; i++) {
        ck_v16 half[3][PLACES], g[3], out[POINTS];
        for (int64_t s = 0; s < 3; s++) {
            for (int64_t r = 0; r < 3; r++) g[r] = ck_load16(taps[r * 3 + s][i]);
            apply_g(half[s], g, ODD);
            apply_g(half[s] + POINTS, g, EVEN);
        }
        for (int64_t a = 0; a < PLACES; a++) {
            ck_v16 row[3] = {half[0][a], half[1][a], half[2][a]};
            for (parity column = ODD; column <= EVEN; column++) {
                apply_g(out, row, column);
                int64_t phase = phase_of(parity_of(a), column);
                for (int64_t b = 0; b < points_of(column); b++) {
                    int64_t f = frequency(point_of(a), b);
                    ck_store16(u + filter_at(&own, backward, f, phase, panel_k, panel_c * L + i), out[b]);
                }
            }
        }
    }
}
CK_VERSIONS(filter_transform,
            (float *u, const float *w, const conv2d *p, int backward, int64_t panel_k, int64_t panel_c), u, w,
            p, backward, panel_k, panel_c)

CK_INLINED void filter_adjoint_body(float *dw, const float *du, const conv2d *p, int64_t k, int rows,
                                    int vectors) {
    (void)rows, (void)vectors;
    const conv2d own = *p;
    int64_t c = own.c;
    for (int64_t at = 0; at < c; at += L) {
        ck_v16 half[3][PLACES], column[POINTS], taps[3];
        // Columns to taps, for each place of the rows; then the rows.
        for (int64_t a = 0; a < PLACES; a++) {
            for (parity of = ODD; of <= EVEN; of++) {
                int64_t phase = phase_of(parity_of(a), of);
                for (int64_t b = 0; b < points_of(of); b++)
                    column[b] =
                        ck_load16(du + filter_gradient_at(&own, frequency(point_of(a), b), phase, k) + at);
                apply_gt(taps, column, of);
            }
            for (int64_t s = 0; s < 3; s++) half[s][a] = taps[s];
        }
        for (int64_t s = 0; s < 3; s++) {
            apply_gt(taps, half[s], ODD);
            apply_gt(taps, half[s] + POINTS, EVEN);
            for (int64_t r = 0; r < 3; r++) ck_store16(dw + (k * 9 + r * 3 + s) * c + at, taps[r]);
        }
    }
}
CK_VERSIONS(filter_adjoint, (float *dw, const float *du, const conv2d *p, int64_t k), dw, du, p, k)

// ---- Tiles of the forward pass ----------------------------------------------------------------------------

CK_INLINED void input_transform_body(float *v, const float *in, const conv2d *p, block b, int64_t from,
                                     int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, phase_floats = c * b.room, frequency_floats = CK_PHASES * phase_floats;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, SIDE, b.first + t);
        int64_t top = 2 * at.row - 1, left = 2 * at.column - 1;
        int inside = top >= 0 && left >= 0 && top + WINDOW <= p->h && left + WINDOW <= p->w;
        const float *origin = in + ((at.n * p->h + top) * p->w + left) * c;
        for (int64_t panel = 0; panel < c / L; panel++) {
            ck_v16 half[WINDOW][PLACES], odd[ODD_PIXELS], even[EVEN_PIXELS], out[POINTS];
            for (int64_t j = 0; j < WINDOW; j++) {
                for (int64_t i = 0; i < WINDOW; i++) {
                    int present =
                        inside || (top + i >= 0 && top + i < p->h && left + j >= 0 && left + j < p->w);
                    ck_v16 value = present ? ck_load16(origin + (i * p->w + j) * c + panel * L) : (ck_v16){0};
                    split_window(odd, even, i, value);
                }
                apply_bt(half[j], odd, ODD);
                apply_bt(half[j] + POINTS, even, EVEN);
            }
            float *to = v + ck_tile_at(b, panel, t);
            for (int64_t i = 0; i < PLACES; i++) {
                for (int64_t j = 0; j < WINDOW; j++) split_window(odd, even, j, half[j][i]);
                for (parity column = ODD; column <= EVEN; column++) {
                    float *phase = to + phase_of(parity_of(i), column) * phase_floats;
                    apply_bt(out, column == ODD ? odd : even, column);
                    for (int64_t j = 0; j < points_of(column); j++)
                        ck_store16(phase + frequency(point_of(i), j) * frequency_floats, out[j]);
                }
            }
        }
    }
}
CK_VERSIONS(input_transform,
            (float *v, const float *in, const conv2d *p, block b, int64_t from, int64_t until), v, in, p, b,
            from, until)

CK_INLINED void output_transform_body(float *out, const float *m, const conv2d *p, block b, int64_t from,
                                      int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, frequency_floats = k * b.room;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, SIDE, b.first + t);
        int64_t height = ck_min64(SIDE, p->p - at.row), width = ck_min64(SIDE, p->q - at.column);
        float *origin = out + ((at.n * p->p + at.row) * p->q + at.column) * k;
        for (int64_t panel = 0; panel < k / L; panel++) {
            const float *products = m + ck_tile_at(b, panel, t);
            ck_v16 half[POINTS][SIDE], column[POINTS], pixels[SIDE];
            for (int64_t j = 0; j < POINTS; j++) {
                for (int64_t i = 0; i < POINTS; i++)
                    column[i] = ck_load16(products + frequency(i, j) * frequency_floats);
                apply_at(half[j], column, ODD);
            }
            for (int64_t i = 0; i < height; i++) {
                ck_v16 row[POINTS] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i]};
                apply_at(pixels, row, ODD);
                for (int64_t j = 0; j < width; j++)
                    ck_store16(origin + (i * p->q + j) * k + panel * L, pixels[j]);
            }
        }
    }
}
CK_VERSIONS(output_transform,
            (float *out, const float *m, const conv2d *p, block b, int64_t from, int64_t until), out, m, p, b,
            from, until)

CK_INLINED void output_adjoint_body(float *dm, const float *dy, const conv2d *p, block b, int64_t from,
                                    int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, frequency_floats = k * b.room;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, SIDE, b.first + t);
        const float *origin = dy + ((at.n * p->p + at.row) * p->q + at.column) * k;
        int64_t height = ck_min64(SIDE, p->p - at.row), width = ck_min64(SIDE, p->q - at.column);
        for (int64_t panel = 0; panel < k / L; panel++) {
            ck_v16 half[SIDE][POINTS], column[SIDE], out[POINTS];
            for (int64_t j = 0; j < SIDE; j++) {
                for (int64_t i = 0; i < SIDE; i++) {
                    int present = i < height && j < width;
                    column[i] = present ? ck_load16(origin + (i * p->q + j) * k + panel * L) : (ck_v16){0};
                }
                apply_a(half[j], column);
            }
            float *to = dm + ck_tile_at(b, panel, t);
            for (int64_t i = 0; i < POINTS; i++) {
                ck_v16 row[SIDE] = {half[0][i], half[1][i], half[2][i], half[3][i]};
                apply_a(out, row);
                for (int64_t j = 0; j < POINTS; j++)
                    ck_store16(to + frequency(i, j) * frequency_floats, out[j]);
            }
        }
    }
}
CK_VERSIONS(output_adjoint,
            (float *dm, const float *dy, const conv2d *p, block b, int64_t from, int64_t until), dm, dy, p, b,
            from, until)

// ---- Tiles of the backward pass: 5x5 pixels of dy to 8x8 of dx, 4x4 of each phase -------------------------

enum { BACK_SIDE = 2 * SIDE, BACK_WINDOW = 5 };

CK_INLINED void back_input_transform_body(float *v, const float *in, const conv2d *p, block b, int64_t from,
                                          int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, frequency_floats = c * b.room;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, BACK_SIDE, b.first + t);
        int64_t height = p->h - at.row / 2, width = p->w - at.column / 2;
        const float *origin = in + ((at.n * p->h + at.row / 2) * p->w + at.column / 2) * c;
        for (int64_t panel = 0; panel < c / L; panel++) {
            ck_v16 half[BACK_WINDOW][POINTS], column[BACK_WINDOW], out[POINTS];
            for (int64_t j = 0; j < BACK_WINDOW; j++) {
                for (int64_t i = 0; i < BACK_WINDOW; i++) {
                    int present = i < height && j < width;
                    column[i] = present ? ck_load16(origin + (i * p->w + j) * c + panel * L) : (ck_v16){0};
                }
                apply_bt(half[j], column, ODD);
            }
            float *to = v + ck_tile_at(b, panel, t);
            for (int64_t i = 0; i < POINTS; i++) {
                ck_v16 row[BACK_WINDOW] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i]};
                apply_bt(out, row, ODD);
                for (int64_t j = 0; j < POINTS; j++)
                    ck_store16(to + frequency(i, j) * frequency_floats, out[j]);
            }
        }
    }
}
CK_VERSIONS(back_input_transform,
            (float *v, const float *in, const conv2d *p, block b, int64_t from, int64_t until), v, in, p, b,
            from, until)

// One phase of a tile's pixels, of which height x width are inside the image.
CK_INLINED void back_output_phase(float *out, const float *m, const conv2d *p, int64_t frequency_floats,
                                  int64_t height, int64_t width, const parity row_parity,
                                  const parity column_parity) {
    ck_v16 half[POINTS][SIDE], column[POINTS], pixels[SIDE];
    int64_t down = row_parity == ODD, across = column_parity == ODD;  // the phase's first pixel
    for (int64_t j = 0; j < points_of(column_parity); j++) {
        for (int64_t i = 0; i < points_of(row_parity); i++)
            column[i] = ck_load16(m + frequency(i, j) * frequency_floats);
        apply_at(half[j], column, row_parity);
    }
    for (int64_t i = 0; i < SIDE && 2 * i + down < height; i++) {
        ck_v16 row[POINTS];
        for (int64_t j = 0; j < points_of(column_parity); j++) row[j] = half[j][i];
        apply_at(pixels, row, column_parity);
        for (int64_t j = 0; j < SIDE && 2 * j + across < width; j++)
            ck_store16(out + ((2 * i + down) * p->q + 2 * j + across) * p->k, pixels[j]);
    }
}

CK_INLINED void back_output_transform_body(float *out, const float *m, const conv2d *p, block b, int64_t from,
                                           int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, phase = k * b.room, frequency_floats = CK_PHASES * phase;
    for (int64_t t = from; t < until; t++) {
        ck_winograd_place at = ck_place_of(p, BACK_SIDE, b.first + t);
        int64_t height = p->p - at.row, width = p->q - at.column;
        for (int64_t panel = 0; panel < k / L; panel++) {
            float *to = out + ((at.n * p->p + at.row) * p->q + at.column) * k + panel * L;
            const float *products = m + ck_tile_at(b, panel, t);
            back_output_phase(to, products + CK_EVEN_ODD * phase, p, frequency_floats, height, width, EVEN,
                              ODD);
            back_output_phase(to, products + CK_ODD_ODD * phase, p, frequency_floats, height, width, ODD,
                              ODD);
            back_output_phase(to, products + CK_ODD_EVEN * phase, p, frequency_floats, height, width, ODD,
                              EVEN);
            back_output_phase(to, products + CK_EVEN_EVEN * phase, p, frequency_floats, height, width, EVEN,
                              EVEN);
        }
    }
}
CK_VERSIONS(back_output_transform,
            (float *out, const float *m, const conv2d *p, block b, int64_t from, int64_t until), out, m, p, b,
            from, until)

const ck_winograd_transform ck_winograd_strided = {
    .side = SIDE,
    .frequencies = FREQUENCIES,
    .input_phases = CK_PHASES,
    .output_phases = 1,
    .filter = filter_transform,
    .input = input_transform,
    .output = output_transform,
    .output_adjoint = output_adjoint,
    .filter_adjoint = filter_adjoint,
};
const ck_winograd_transform ck_winograd_strided_back = {
    .side = BACK_SIDE,
    .frequencies = FREQUENCIES,
    .input_phases = 1,
    .output_phases = CK_PHASES,
    .filter = filter_transform,
    .input = back_input_transform,
    .output = back_output_transform,
};
