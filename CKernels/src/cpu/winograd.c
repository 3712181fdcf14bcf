// 3x3 convolution at stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray, CVPR 2016): 36 multiplications a
// tile of 4x4 outputs instead of 144. With x's tiles V = B'xB, the filters U = GwG' and the outputs' tiles y = A'(UV)A:
//   forward        M[f] = V[f] U[f]' for each of the 36 frequencies f, y = A' M A
//   backward data  the forward of dy with the filters turned and their channels exchanged
//   backward weight  dU[f] = (A dy A')[f]' V[f], dw = G' dU G   (the forward's adjoint)
// Channels are multiples of 16 and lie in panels of 16: V and M are [36][channels / 16][tiles][16], U is
// [36][K / 16][C][16]. Every sum has a fixed order, whatever the number of threads.
#include "winograd.h"
#include "simd.h"

typedef ck_conv2d_params conv2d;

enum { F = 36, L = CK_LANES };

static int64_t tiles_down(const conv2d *p) { return ck_ceil_div(p->p, 4); }
static int64_t tiles_across(const conv2d *p) { return ck_ceil_div(p->q, 4); }
static int64_t tile_count(const conv2d *p) { return p->n * tiles_down(p) * tiles_across(p); }

int ck_winograd_fits(const conv2d *p) {
    // Below some tiles the transformed filters cost more than they save.
    return !p->strict && p->r == 3 && p->s == 3 && p->stride == 1 && p->pad <= 2 && p->c % L == 0 && p->k % L == 0 && tile_count(p) >= 16;
}

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

struct filters {
    float *u;
    const float *w;
    int64_t c, k;  // of the convolution that U serves: reduction and output channels
    int turned;    // w is [c][3][3][k], its taps to be turned by 180 degrees; otherwise it is [k][3][3][c]
};

// U of 16 output channels (a panel) and 16 input channels.
CK_INLINED void transform_filters_body(const struct filters *j, int64_t panel, int64_t block, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = j->c, k = j->k, stride = k / L * c * L;
    float tile[9][L][L];  // [tap][c][k]
    if (!j->turned)
        for (int64_t i = 0; i < L; i++)
            for (int64_t tap = 0; tap < 9; tap++) {
                const float *from = j->w + ((panel * L + i) * 9 + tap) * c + block * L;
                for (int64_t l = 0; l < L; l++) tile[tap][l][i] = from[l];
            }
    for (int64_t i = 0; i < L; i++) {
        ck_v16 half[3][6], g[3];
        for (int64_t s = 0; s < 3; s++) {
            for (int64_t r = 0; r < 3; r++)
                g[r] = j->turned ? ck_load16(j->w + ((block * L + i) * 9 + 8 - (r * 3 + s)) * k + panel * L)
                                 : ck_load16(tile[r * 3 + s][i]);
            filter_6(half[s], g);
        }
        float *to = j->u + (panel * c + block * L + i) * L;
        for (int64_t a = 0; a < 6; a++) {
            ck_v16 row[3] = {half[0][a], half[1][a], half[2][a]}, out[6];
            filter_6(out, row);
            for (int64_t b = 0; b < 6; b++) ck_store16(to + (a * 6 + b) * stride, out[b]);
        }
    }
}
CK_VERSIONS(transform_filters, (const struct filters *j, int64_t panel, int64_t block), j, panel, block)

static void filter_task(void *context, int64_t index, int worker) {
    (void)worker;
    struct filters *j = context;
    for (int64_t block = 0; block < j->c / L; block++) transform_filters(j, index, block);
}

// ---- Tiles ------------------------------------------------------------------------------------------------------------

// A block of tiles: `first` of the whole, `count` of them, in buffers with room for `room`.
struct block {
    int64_t first, count, room;
};

// The place of a tile: image, and its first output row and column.
struct place {
    int64_t n, row, column;
};

CK_INLINED struct place place_of(const conv2d *p, int64_t tile) {
    int64_t across = tiles_across(p), down = tiles_down(p);
    return (struct place){tile / (across * down), tile / across % down * 4, tile % across * 4};
}

// v[f][panel][tile][16] = (B' x B)[f] for tiles from ..< until of a block.
CK_INLINED void transform_input_body(float *v, const float *x, const conv2d *p, struct block b, int64_t from,
                                     int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t c = p->c, stride = c / L * b.room * L;
    for (int64_t t = from; t < until; t++) {
        struct place at = place_of(p, b.first + t);
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
CK_VERSIONS(transform_input,
            (float *v, const float *x, const conv2d *p, struct block b, int64_t from, int64_t until), v, x, p, b, from,
            until)

// y = A' m A for tiles from ..< until of a block.
CK_INLINED void transform_output_body(float *y, const float *m, const conv2d *p, struct block b, int64_t from,
                                      int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, stride = k / L * b.room * L;
    for (int64_t t = from; t < until; t++) {
        struct place at = place_of(p, b.first + t);
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
CK_VERSIONS(transform_output,
            (float *y, const float *m, const conv2d *p, struct block b, int64_t from, int64_t until), y, m, p, b, from,
            until)

// g[f][panel][tile][16] = (A dy A')[f] for tiles from ..< until of a block.
CK_INLINED void transform_gradient_body(float *g, const float *dy, const conv2d *p, struct block b, int64_t from,
                                        int64_t until, int rows, int vectors) {
    (void)rows, (void)vectors;
    int64_t k = p->k, stride = k / L * b.room * L;
    for (int64_t t = from; t < until; t++) {
        struct place at = place_of(p, b.first + t);
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
CK_VERSIONS(transform_gradient,
            (float *g, const float *dy, const conv2d *p, struct block b, int64_t from, int64_t until), g, dy, p, b, from,
            until)

// ---- Products ---------------------------------------------------------------------------------------------------------

// rows x vectors of m[panel][tile][16], summed over all C: v is [C / 16][room][16], u is [K / 16][C][16].
CK_INLINED void product_tile(float *m, const float *v, const float *u, int64_t c, int64_t room, const int rows,
                             const int vectors) {
    ck_v16 sum[8][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) sum[r][j] = (ck_v16){0};
    for (int64_t block = 0; block < c / L; block++) {
        const float *a = v + block * room * L, *b = u + block * L * L;
#pragma clang loop unroll_count(2)
        for (int64_t l = 0; l < L; l++) {
            ck_v16 w[2];
#pragma clang loop unroll(full)
            for (int j = 0; j < vectors; j++) w[j] = ck_load16(b + j * c * L + l * L);
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
                for (int j = 0; j < vectors; j++) sum[r][j] += a[r * L + l] * w[j];
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) ck_store16(m + (j * room + r) * L, sum[r][j]);
}

// m[panel][tile][16] = sum_c v u of one frequency, for the panels from ..< until.
CK_INLINED void multiply_body(float *m, const float *v, const float *u, int64_t c, int64_t count, int64_t room,
                              int64_t from, int64_t until, const int rows, const int vectors) {
    for (int64_t panel = from; panel < until;) {
        int pair = vectors == 2 && panel + 2 <= until;
        float *to = m + panel * room * L;
        const float *with = u + panel * c * L;
        int64_t t = 0;
        for (; t + rows <= count; t += rows) {
            if (pair)
                product_tile(to + t * L, v + t * L, with, c, room, rows, 2);
            else
                product_tile(to + t * L, v + t * L, with, c, room, rows, 1);
        }
        for (; t < count; t++) {
            if (pair)
                product_tile(to + t * L, v + t * L, with, c, room, 1, 2);
            else
                product_tile(to + t * L, v + t * L, with, c, room, 1, 1);
        }
        panel += pair ? 2 : 1;
    }
}
CK_VERSIONS(multiply,
            (float *m, const float *v, const float *u, int64_t c, int64_t count, int64_t room, int64_t from,
             int64_t until),
            m, v, u, c, count, room, from, until)

// rows x vectors of du[k][c], summed over the tiles of a block and added to what is there unless it is the first.
CK_INLINED void gradient_tile(float *du, const float *g, const float *v, int64_t c, int64_t count, int64_t room,
                              int first, const int rows, const int vectors) {
    ck_v16 sum[8][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) sum[r][j] = first ? (ck_v16){0} : ck_load16(du + r * c + j * L);
    for (int64_t t = 0; t < count; t++) {
        ck_v16 x[2];
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) x[j] = ck_load16(v + (j * room + t) * L);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
            for (int j = 0; j < vectors; j++) sum[r][j] += g[t * L + r] * x[j];
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) ck_store16(du + r * c + j * L, sum[r][j]);
}

// du[k][c] (+)= sum_t g v of one frequency, for the 16 output channels of a panel.
CK_INLINED void multiply_gradient_body(float *du, const float *g, const float *v, int64_t c, int64_t count, int64_t room,
                                       int first, const int rows, const int vectors) {
    for (int64_t panel = 0; panel < c / L;) {
        int pair = vectors == 2 && panel + 2 <= c / L;
        for (int64_t k = 0; k < L; k += rows) {
            if (pair)
                gradient_tile(du + k * c + panel * L, g + k, v + panel * room * L, c, count, room, first, rows, 2);
            else
                gradient_tile(du + k * c + panel * L, g + k, v + panel * room * L, c, count, room, first, rows, 1);
        }
        panel += pair ? 2 : 1;
    }
}
CK_VERSIONS(multiply_gradient,
            (float *du, const float *g, const float *v, int64_t c, int64_t count, int64_t room, int first), du, g, v, c,
            count, room, first)

// ---- Forward and backward data ----------------------------------------------------------------------------------------

// Bytes of tiles that stay in a core's second-level cache, and in the shared one.
enum { CORE_CACHE = 768 << 10, SHARED_CACHE = 12 << 20, GROUP = 8 };

static int64_t tiles_in(const conv2d *p, int64_t bytes) {
    int64_t fit = bytes / (int64_t)(F * sizeof(float) * (size_t)(p->c + p->k)) / GROUP * GROUP;
    int64_t all = ck_ceil_div(tile_count(p), GROUP) * GROUP;
    return ck_min64(all, ck_max64(GROUP, fit));
}

// Few channels: a worker takes a block of tiles through all three stages. Many: the filters are too large to be read anew for
// a small block, so all workers share a large one, stage by stage.
static int is_shared(const conv2d *p) { return p->c + p->k > 320; }
static int64_t block_room(const conv2d *p) { return tiles_in(p, is_shared(p) ? SHARED_CACHE : CORE_CACHE); }

struct convolution {
    conv2d p;
    float *y, *u, *tiles;
    const float *x;
    int64_t room;
    struct block block;  // the shared one
};

static float *products_of(const struct convolution *j, float *tiles) { return tiles + F * j->p.c * j->room; }

static void multiply_frequency(const struct convolution *j, float *tiles, struct block b, int64_t f, int64_t from,
                               int64_t until) {
    int64_t c = j->p.c, k = j->p.k;
    multiply(products_of(j, tiles) + f * k * b.room, tiles + f * c * b.room, j->u + f * k * c, c, b.count, b.room, from,
             until);
}

static void own_block(void *context, int64_t index, int worker) {
    struct convolution *j = context;
    float *tiles = j->tiles + (int64_t)worker * F * (j->p.c + j->p.k) * j->room;
    struct block b = {index * j->room, ck_min64(j->room, tile_count(&j->p) - index * j->room), j->room};
    transform_input(tiles, j->x, &j->p, b, 0, b.count);
    for (int64_t f = 0; f < F; f++) multiply_frequency(j, tiles, b, f, 0, j->p.k / L);
    transform_output(j->y, products_of(j, tiles), &j->p, b, 0, b.count);
}

static void shared_input(void *context, int64_t index, int worker) {
    (void)worker;
    struct convolution *j = context;
    transform_input(j->tiles, j->x, &j->p, j->block, index * GROUP, ck_min64(j->block.count, (index + 1) * GROUP));
}

static void shared_multiply(void *context, int64_t index, int worker) {
    (void)worker;
    struct convolution *j = context;
    multiply_frequency(j, j->tiles, j->block, index, 0, j->p.k / L);
}

static void shared_output(void *context, int64_t index, int worker) {
    (void)worker;
    struct convolution *j = context;
    transform_output(j->y, products_of(j, j->tiles), &j->p, j->block, index * GROUP,
                     ck_min64(j->block.count, (index + 1) * GROUP));
}

void ck_winograd_convolve(float *y, const float *x, const float *w, int turned, const conv2d *p, float *scratch) {
    struct filters filters = {scratch, w, p->c, p->k, turned};
    ck_parallel_for(p->k / L, filter_task, &filters);
    struct convolution j = {.p = *p, .y = y, .u = scratch, .x = x, .room = block_room(p)};
    j.tiles = scratch + F * (int64_t)p->c * p->k;
    int64_t all = tile_count(p);
    if (!is_shared(p)) {
        ck_parallel_for(ck_ceil_div(all, j.room), own_block, &j);
        return;
    }
    for (int64_t first = 0; first < all; first += j.room) {
        j.block = (struct block){first, ck_min64(j.room, all - first), j.room};
        ck_parallel_for(ck_ceil_div(j.block.count, GROUP), shared_input, &j);
        ck_parallel_for(F, shared_multiply, &j);
        ck_parallel_for(ck_ceil_div(j.block.count, GROUP), shared_output, &j);
    }
}

int64_t ck_winograd_convolve_scratch(const conv2d *p, int64_t workers) {
    int64_t blocks = is_shared(p) ? 1 : workers;
    return F * (int64_t)p->c * p->k + blocks * F * (p->c + p->k) * block_room(p);
}

// ---- Backward weight --------------------------------------------------------------------------------------------------

struct weight {
    conv2d p;
    float *dw, *du, *v, *g;
    const float *dy, *x;
    struct block block;
};

static void weight_tiles(void *context, int64_t index, int worker) {
    (void)worker;
    struct weight *j = context;
    int64_t from = index * GROUP, until = ck_min64(j->block.count, from + GROUP);
    transform_input(j->v, j->x, &j->p, j->block, from, until);
    transform_gradient(j->g, j->dy, &j->p, j->block, from, until);
}

static void weight_multiply(void *context, int64_t index, int worker) {
    (void)worker;
    struct weight *j = context;
    int64_t c = j->p.c, k = j->p.k, room = j->block.room, f = index;
    for (int64_t panel = 0; panel < k / L; panel++)
        multiply_gradient(j->du + (f * k + panel * L) * c, j->g + (f * k / L + panel) * room * L, j->v + f * c * room, c,
                          j->block.count, room, j->block.first == 0);
}

// dw[k][3][3][c] = G' du G of one output channel.
CK_INLINED void weight_output_body(float *dw, const float *du, int64_t c, int64_t stride, int rows, int vectors) {
    (void)rows, (void)vectors;
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
CK_VERSIONS(weight_output, (float *dw, const float *du, int64_t c, int64_t stride), dw, du, c, stride)

static void weight_channel(void *context, int64_t index, int worker) {
    (void)worker;
    struct weight *j = context;
    int64_t c = j->p.c;
    weight_output(j->dw + index * 9 * c, j->du + index * c, c, j->p.k * c);
}

// As many tiles at a time as outweigh the reading and writing of dU between blocks.
static int64_t weight_room(const conv2d *p) {
    return tiles_in(p, ck_max64(SHARED_CACHE / 4, F * (int64_t)sizeof(float) * p->c * p->k * 5 / 4));
}

void ck_winograd_weight(float *dw, const float *dy, const float *x, const conv2d *p, float *scratch) {
    int64_t room = weight_room(p), all = tile_count(p);
    struct weight j = {.p = *p, .dw = dw, .du = scratch, .dy = dy, .x = x};
    j.v = j.du + F * (int64_t)p->c * p->k;
    j.g = j.v + F * (int64_t)p->c * room;
    for (int64_t first = 0; first < all; first += room) {
        j.block = (struct block){first, ck_min64(room, all - first), room};
        ck_parallel_for(ck_ceil_div(j.block.count, GROUP), weight_tiles, &j);
        ck_parallel_for(F, weight_multiply, &j);
    }
    ck_parallel_for(p->k, weight_channel, &j);
}

int64_t ck_winograd_weight_scratch(const conv2d *p) {
    return F * ((int64_t)p->c * p->k + (p->c + p->k) * weight_room(p));
}
