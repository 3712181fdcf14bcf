// Winograd's minimal filtering (Winograd 1980; Lavin & Gray 2016) of 3x3: the derivation, and what winograd.c
// has to know of a stride. The longer form is Sources/OneClass/OneClass.docc/Winograd.md.
//
// F(m, r) gives m outputs y[i] = sum_j g[j] d[i + j] of r taps g with m + r - 1 products, one to a point:
//   y = A^T ((G g) . (B^T d))
// The last point is infinity, the others are numbers. With P(x) the product of (x - p) over those numbers p:
//   row p of B^T     the coefficients of P(x) / (x - p), lowest first   at infinity those of P(x)
//   row p of G       1, p, p^2, ... divided by P'(p)                    at infinity 0, ..., 0, 1
//   column p of A^T  1, p, p^2, ...                                     at infinity 0, ..., 0, 1
//
// F(4, 3), points 0, 1, -1, 2, -2, infinity (stride 1, winograd_unit.c):
//         [4  0 -5  0  1  0]       [ 1/4    0    0 ]         [1  1  1  1  1  0]
//         [0 -4 -4  1  1  0]       [-1/6  -1/6 -1/6]   A^T = [0  1 -1  2 -2  0]
//   B^T = [0  4 -4 -1  1  0]   G = [-1/6   1/6 -1/6]         [0  1  1  4  4  0]
//         [0 -2 -1  2  1  0]       [1/24  1/12  1/6]         [0  1 -1  8 -8  1]
//         [0  2 -1 -2  1  0]       [1/24 -1/12  1/6]
//         [0  4  0 -5  0  1]       [  0     0    1 ]
//
// F(4, 2), points 0, 1, -1, 2, infinity (stride 2, winograd_strided.c):
//         [2 -1 -2  1  0]          [ 1/2    0 ]              [1  1  1  1  0]
//         [0 -2 -1  1  0]          [-1/2  -1/2]        A^T = [0  1 -1  2  0]
//   B^T = [0  2 -3  1  0]      G = [-1/6   1/6]              [0  1  1  4  0]
//         [0 -1  0  1  0]          [ 1/6   1/3]              [0  1 -1  8  1]
//         [0  2 -1 -2  1]          [  0     1 ]
//
// In two dimensions one axis is transformed after the other. A frequency f is a pair of points (i, j):
//   forward          V = B^T x B, U = G w G^T, M[f] = sum over channels U[f] V[f], y = A^T M A
//   backward data    the same of dy, with the filters rotated by 180 degrees and their channels exchanged
//   backward weight  the forward's adjoint: dM = A dy A^T, dU[f] = sum over tiles dM[f] V[f], dw = G^T dU G
//
// Stride 2, padding 1, along one axis: y[t] = w0 x[2t - 1] + w1 x[2t] + w2 x[2t + 1] is two filters, the taps
// w0, w2 on the odd pixels x[2t - 1] and the tap w1 on the even pixels x[2t]. F(4, 2) does the first with
// five products. The second goes through it as the taps w1, 0, whose product at infinity is zero: four
// products. Both have the same A^T, so their products are added before it. In two dimensions an image has
// four phases, by the parity of row and column, and a tile of 4x4 outputs takes 25 (odd, odd) + 20 + 20 + 16
// (even, even) = 81 products in place of 144. Backward data is the same filters from one input to two
// outputs:
//   dx[2t + 1] = w2 dy[t] + w0 dy[t + 1], dx[2t] = w1 dy[t]
#ifndef CK_WINOGRAD_TRANSFORM_H
#define CK_WINOGRAD_TRANSFORM_H

#include "cpu.h"
#include "simd.h"

// A block of tiles: `first` of the whole, `count` of them, in buffers with room for `room`.
typedef struct ck_winograd_block {
    int64_t first, count, room;
} ck_winograd_block;

// The transform of one stride and direction. V, M and dM are [f][panel][tile][16], U is [f][panel of M][row
// of V][16] and dU [f][row of M][row of V]. Backward data is the convolution of dy, with C and [H,W] in `p`,
// to dx.
typedef struct ck_winograd_transform {
    int side;  // output pixels of a tile, down and across
    int frequencies;
    int input_phases, output_phases;  // V has input_phases * C rows to a frequency, M output_phases * K

    // U = G w G^T of a panel of K and a panel of C; for w see ck_load_filters.
    void (*filter)(float *u, const float *w, const ck_conv2d_params *p, int backward, int64_t panel_k,
                   int64_t panel_c);
    // V = B^T in B, for the tiles from ..< until of a block.
    void (*input)(float *v, const float *in, const ck_conv2d_params *p, ck_winograd_block b, int64_t from,
                  int64_t until);
    // out = A^T M A.
    void (*output)(float *out, const float *m, const ck_conv2d_params *p, ck_winograd_block b, int64_t from,
                   int64_t until);
    // dM = A dy A^T. NULL, as the next, where there is no backward weight.
    void (*output_adjoint)(float *dm, const float *dy, const ck_conv2d_params *p, ck_winograd_block b,
                           int64_t from, int64_t until);
    // dw[k][3][3][c] = G^T dU G of one output channel.
    void (*filter_adjoint)(float *dw, const float *du, const ck_conv2d_params *p, int64_t k);
} ck_winograd_transform;

extern const ck_winograd_transform ck_winograd_unit;          // stride 1
extern const ck_winograd_transform ck_winograd_strided;       // stride 2, forward and backward weight
extern const ck_winograd_transform ck_winograd_strided_back;  // stride 2, backward data

// The phases of an image at stride 2, by the parity of row and column, in their order in V (or M).
enum { CK_EVEN_ODD, CK_ODD_ODD, CK_ODD_EVEN, CK_EVEN_EVEN, CK_PHASES };

enum { CK_STRIDED_POINTS = 5, CK_STRIDED_INFINITY = 4 };

// A run of phases that lie next to each other.
typedef struct ck_winograd_span {
    int64_t first, count;
} ck_winograd_span;

// The phases that take part in a frequency. Even pixels have no product at infinity: a row at infinity is
// without even rows, a column at infinity without even columns.
static inline ck_winograd_span ck_winograd_span_of(int phases, int64_t f) {
    if (phases == 1) return (ck_winograd_span){0, 1};
    int row_at_infinity = f / CK_STRIDED_POINTS == CK_STRIDED_INFINITY;
    int column_at_infinity = f % CK_STRIDED_POINTS == CK_STRIDED_INFINITY;
    int64_t first = row_at_infinity ? CK_ODD_ODD : CK_EVEN_ODD;
    int64_t last = column_at_infinity ? CK_ODD_ODD : row_at_infinity ? CK_ODD_EVEN : CK_EVEN_EVEN;
    return (ck_winograd_span){first, last + 1 - first};
}

// The place of a tile: image, and its first output row and column.
typedef struct ck_winograd_place {
    int64_t n, row, column;
} ck_winograd_place;

CK_INLINED ck_winograd_place ck_place_of(const ck_conv2d_params *p, int64_t side, int64_t tile) {
    int64_t across = ck_ceil_div(p->q, side), down = ck_ceil_div(p->p, side);
    return (ck_winograd_place){tile / (across * down), tile / across % down * side, tile % across * side};
}

// A walk over tiles in their order, which knows the place of one that comes later: its pixels are asked for
// early, since they lie in rows of their own and the hardware does not foresee them.
typedef struct ck_winograd_walk {
    ck_winograd_place at, later;
} ck_winograd_walk;

// As many tiles ahead as make some eight KiB of pixels.
CK_INLINED int64_t ck_tiles_ahead(int64_t channels) { return ck_max64(1, ck_min64(8, 128 / channels)); }

CK_INLINED ck_winograd_walk ck_walk_from(const ck_conv2d_params *p, int64_t side, int64_t tile,
                                         int64_t channels) {
    return (ck_winograd_walk){ck_place_of(p, side, tile),
                              ck_place_of(p, side, tile + ck_tiles_ahead(channels))};
}

CK_INLINED void ck_step_place(const ck_conv2d_params *p, int64_t side, ck_winograd_place *place) {
    if ((place->column += side) < p->q) return;
    place->column = 0;
    if ((place->row += side) < p->p) return;
    place->row = 0;
    place->n++;
}

CK_INLINED void ck_step(const ck_conv2d_params *p, int64_t side, ck_winograd_walk *walk) {
    ck_step_place(p, side, &walk->at);
    ck_step_place(p, side, &walk->later);
}

// Asks for rows x columns pixels from `first` on, of an image `width` pixels wide. They may lie outside of
// it.
CK_INLINED void ck_prefetch_pixels(const float *first, int64_t width, int64_t channels, int64_t rows,
                                   int64_t columns) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns * channels; j += CK_LANES)
            __builtin_prefetch(first + i * width * channels + j);
}

// Where 16 channels of a tile lie within a frequency of V or M.
CK_INLINED int64_t ck_tile_at(ck_winograd_block b, int64_t panel, int64_t tile) {
    return (panel * b.room + tile) * CK_LANES;
}

// The nine taps of 16 input channels and 16 output channels, [tap][c][k], of w[k][3][3][c]; with `backward`
// of w[c][3][3][k], rotated by 180 degrees.
CK_INLINED void ck_load_filters(float to[9][CK_LANES][CK_LANES], const float *w, const ck_conv2d_params *p,
                                int backward, int64_t panel_k, int64_t panel_c) {
    int64_t c = p->c, k = p->k;
    for (int64_t i = 0; i < CK_LANES; i++)
        for (int64_t tap = 0; tap < 9; tap++) {
            if (backward) {
                const float *from = w + ((panel_c * CK_LANES + i) * 9 + 8 - tap) * k + panel_k * CK_LANES;
                ck_store16(to[tap][i], ck_load16(from));
            } else {
                const float *from = w + ((panel_k * CK_LANES + i) * 9 + tap) * c + panel_c * CK_LANES;
                for (int64_t l = 0; l < CK_LANES; l++) to[tap][l][i] = from[l];
            }
        }
}

#endif
