// What Winograd's filtering needs to know of a stride: how tiles, filters and gradients go to the frequencies and back.
#ifndef CK_WINOGRAD_FORM_H
#define CK_WINOGRAD_FORM_H

#include "cpu.h"
#include "simd.h"

// A block of tiles: `first` of the whole, `count` of them, in buffers with room for `room`.
typedef struct ck_winograd_block {
    int64_t first, count, room;
} ck_winograd_block;

typedef struct ck_winograd_form {
    int side;             // output pixels of a tile, down and across
    int frequencies;
    int inputs, outputs;  // phases: V has inputs * C rows to a frequency, M outputs * K
    // U of 16 output channels (a panel) and 16 input channels; `turned`: w is [c][3][3][k], its taps turned by 180 degrees.
    void (*filters)(float *u, const float *w, const ck_conv2d_params *p, int turned, int64_t panel, int64_t rows);
    // v[f][panel][tile][16] from x, for the tiles from ..< until of a block.
    void (*input)(float *v, const float *x, const ck_conv2d_params *p, ck_winograd_block b, int64_t from, int64_t until);
    // y from m[f][panel][tile][16].
    void (*output)(float *y, const float *m, const ck_conv2d_params *p, ck_winograd_block b, int64_t from, int64_t until);
    // g[f][panel][tile][16] from dy: the adjoint of `output`. NULL where there is no backward weight.
    void (*gradient)(float *g, const float *dy, const ck_conv2d_params *p, ck_winograd_block b, int64_t from, int64_t until);
    // dw[k][3][3][c] of one output channel from du[f][k][row of V]: the adjoint of `filters`.
    void (*weight)(float *dw, const float *du, const ck_conv2d_params *p, int64_t k);
} ck_winograd_form;

extern const ck_winograd_form ck_winograd_unit;          // stride 1
extern const ck_winograd_form ck_winograd_strided;       // stride 2, forward and backward weight
extern const ck_winograd_form ck_winograd_strided_back;  // stride 2, backward data

// Which of the four phases take part in a frequency of the strided form: see winograd_strided.c.
typedef struct ck_winograd_span {
    int64_t first, count;
} ck_winograd_span;

static inline ck_winograd_span ck_winograd_phases(int phases, int64_t f) {
    if (phases == 1) return (ck_winograd_span){0, 1};
    int64_t first = f / 5 == 4, end = f % 5 == 4 ? 2 : f / 5 == 4 ? 3 : 4;
    return (ck_winograd_span){first, end - first};
}

// The place of a tile: image, and its first output row and column.
typedef struct ck_winograd_place {
    int64_t n, row, column;
} ck_winograd_place;

CK_INLINED ck_winograd_place ck_place_of(const ck_conv2d_params *p, int64_t side, int64_t tile) {
    int64_t across = ck_ceil_div(p->q, side), down = ck_ceil_div(p->p, side);
    return (ck_winograd_place){tile / (across * down), tile / across % down * side, tile % across * side};
}

// The nine taps of 16 input channels and 16 output channels, [tap][c][k].
CK_INLINED void ck_load_filters(float to[9][CK_LANES][CK_LANES], const float *w, const ck_conv2d_params *p, int turned,
                                int64_t panel, int64_t rows) {
    int64_t c = p->c, k = p->k;
    for (int64_t i = 0; i < CK_LANES; i++)
        for (int64_t tap = 0; tap < 9; tap++) {
            if (turned) {
                ck_store16(to[tap][i], ck_load16(w + ((rows * CK_LANES + i) * 9 + 8 - tap) * k + panel * CK_LANES));
            } else {
                const float *from = w + ((panel * CK_LANES + i) * 9 + tap) * c + rows * CK_LANES;
                for (int64_t l = 0; l < CK_LANES; l++) to[tap][l][i] = from[l];
            }
        }
}

#endif
