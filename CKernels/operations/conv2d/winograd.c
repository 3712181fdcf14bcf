// 3x3 convolution with fewer multiplications, by Winograd's minimal filtering (Winograd 1980; Lavin & Gray, CVPR 2016).
// With x's tiles V = B'xB, the filters U = GwG' and the outputs' tiles y = A'(UV)A:
//   forward          M[f] = U[f] V[f] for each frequency f, y = A' M A
//   backward data    the same, of dy with the filters turned and their channels exchanged
//   backward weight  dU[f] = (A dy A')[f] V[f], dw = G' dU G   (the forward's adjoint)
// What the transforms are depends on the stride: winograd_unit.c, winograd_strided.c. This file takes tiles through them.
// Channels are multiples of 16 and lie in panels of 16: V and M are [f][panel][tile][16], U is [f][panel of M][row of V][16].
// Every sum has a fixed order, whatever the number of threads.
#include "winograd.h"
#include "winograd_form.h"

typedef ck_conv2d_params conv2d;
typedef ck_winograd_form form;
typedef ck_winograd_block block;

enum { L = CK_LANES };

static int64_t tile_count(const form *w, const conv2d *p) {
    return p->n * ck_ceil_div(p->p, w->side) * ck_ceil_div(p->q, w->side);
}

int ck_winograd_fits(const conv2d *p) {
    if (p->math == CK_MATH_STRICT || p->r != 3 || p->s != 3 || p->c % L || p->k % L) return 0;
    const form *w = p->stride == 1 ? &ck_winograd_unit : &ck_winograd_strided;
    // Below some tiles the transformed filters cost more than they save, and so do tiles that are mostly margin.
    int64_t tiles = tile_count(w, p), pixels = (int64_t)p->n * p->p * p->q;
    if (tiles < 16) return 0;
    return p->stride == 1 ? p->pad <= 2 : p->stride == 2 && p->pad == 1 && 32 * tiles <= 3 * pixels;
}

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

// m[panel][tile][16] = sum_c v u of one frequency, for so many panels.
CK_INLINED void multiply_body(float *m, const float *v, const float *u, int64_t c, int64_t count, int64_t room,
                              int64_t panels, const int rows, const int vectors) {
    for (int64_t panel = 0; panel < panels;) {
        int pair = vectors == 2 && panel + 2 <= panels;
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
            (float *m, const float *v, const float *u, int64_t c, int64_t count, int64_t room, int64_t panels), m, v, u,
            c, count, room, panels)

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

// Bytes of tiles that stay in a core's second-level cache, and in the shared one; of filters that every core may read anew.
enum { CORE_CACHE = 768 << 10, SHARED_CACHE = 12 << 20, FILTERS = 7 << 19, GROUP = 8 };

// Floats to a frequency: of a tile of V and of M, and of the filters.
static int64_t v_size(const form *w, const conv2d *p) { return (int64_t)w->inputs * p->c; }
static int64_t m_size(const form *w, const conv2d *p) { return (int64_t)w->outputs * p->k; }
static int64_t u_size(const form *w, const conv2d *p) { return v_size(w, p) * m_size(w, p); }

static int64_t tile_floats(const form *w, const conv2d *p) { return w->frequencies * (v_size(w, p) + m_size(w, p)); }

static int64_t tiles_in(const form *w, const conv2d *p, int64_t bytes) {
    int64_t fit = bytes / (int64_t)sizeof(float) / tile_floats(w, p) / GROUP * GROUP;
    int64_t all = ck_ceil_div(tile_count(w, p), GROUP) * GROUP;
    return ck_min64(all, ck_max64(GROUP, fit));
}

// Few channels: a worker takes a block of tiles through all three stages. Many: the filters are too large to be read anew for
// a small block, so all workers share a large one, stage by stage.
static int is_shared(const form *w, const conv2d *p) {
    return w->frequencies * u_size(w, p) * (int64_t)sizeof(float) > FILTERS;
}

static int64_t block_room(const form *w, const conv2d *p) {
    return tiles_in(w, p, is_shared(w, p) ? SHARED_CACHE : CORE_CACHE);
}

struct convolution {
    const form *form;
    conv2d p;
    float *y, *u, *tiles;
    const float *x, *w;
    int turned;
    int64_t room;
    block block;  // the shared one
};

static void filter_task(void *context, int64_t index, int worker) {
    (void)worker;
    struct convolution *j = context;
    for (int64_t rows = 0; rows < j->p.c / L; rows++) j->form->filters(j->u, j->w, &j->p, j->turned, index, rows);
}

static float *products_of(const struct convolution *j, float *tiles) {
    return tiles + j->form->frequencies * v_size(j->form, &j->p) * j->room;
}

static void multiply_frequency(const struct convolution *j, float *tiles, block b, int64_t f) {
    const form *w = j->form;
    const conv2d *p = &j->p;
    ck_winograd_span in = ck_winograd_phases(w->inputs, f), out = ck_winograd_phases(w->outputs, f);
    multiply(products_of(j, tiles) + (f * m_size(w, p) + out.first * p->k) * b.room,
             tiles + (f * v_size(w, p) + in.first * p->c) * b.room, j->u + f * u_size(w, p), in.count * p->c, b.count,
             b.room, out.count * p->k / L);
}

static void own_block(void *context, int64_t index, int worker) {
    struct convolution *j = context;
    float *tiles = j->tiles + (int64_t)worker * tile_floats(j->form, &j->p) * j->room;
    block b = {index * j->room, ck_min64(j->room, tile_count(j->form, &j->p) - index * j->room), j->room};
    j->form->input(tiles, j->x, &j->p, b, 0, b.count);
    for (int64_t f = 0; f < j->form->frequencies; f++) multiply_frequency(j, tiles, b, f);
    j->form->output(j->y, products_of(j, tiles), &j->p, b, 0, b.count);
}

static void shared_input(void *context, int64_t index, int worker) {
    (void)worker;
    struct convolution *j = context;
    j->form->input(j->tiles, j->x, &j->p, j->block, index * GROUP, ck_min64(j->block.count, (index + 1) * GROUP));
}

static void shared_multiply(void *context, int64_t index, int worker) {
    (void)worker;
    struct convolution *j = context;
    multiply_frequency(j, j->tiles, j->block, index);
}

static void shared_output(void *context, int64_t index, int worker) {
    (void)worker;
    struct convolution *j = context;
    j->form->output(j->y, products_of(j, j->tiles), &j->p, j->block, index * GROUP,
                    ck_min64(j->block.count, (index + 1) * GROUP));
}

static const form *form_of(const conv2d *p, int turned) {
    return p->stride == 1 ? &ck_winograd_unit : turned ? &ck_winograd_strided_back : &ck_winograd_strided;
}

void ck_winograd_convolve(float *y, const float *x, const float *w, int turned, const conv2d *p, float *scratch) {
    const form *as = form_of(p, turned);
    struct convolution j = {.form = as, .p = *p, .y = y, .u = scratch, .x = x, .w = w, .turned = turned};
    j.room = block_room(as, p);
    j.tiles = scratch + as->frequencies * u_size(as, p);
    ck_parallel_for(p->k / L, filter_task, &j);
    int64_t all = tile_count(as, p);
    if (!is_shared(as, p)) {
        ck_parallel_for(ck_ceil_div(all, j.room), own_block, &j);
        return;
    }
    for (int64_t first = 0; first < all; first += j.room) {
        j.block = (block){first, ck_min64(j.room, all - first), j.room};
        ck_parallel_for(ck_ceil_div(j.block.count, GROUP), shared_input, &j);
        ck_parallel_for(as->frequencies, shared_multiply, &j);
        ck_parallel_for(ck_ceil_div(j.block.count, GROUP), shared_output, &j);
    }
}

int64_t ck_winograd_convolve_scratch(const conv2d *p, int turned, int64_t workers) {
    const form *as = form_of(p, turned);
    int64_t blocks = is_shared(as, p) ? 1 : workers;
    return as->frequencies * u_size(as, p) + blocks * tile_floats(as, p) * block_room(as, p);
}

// ---- Backward weight --------------------------------------------------------------------------------------------------

// Small filters: the tiles are cut into at most PARTS, and a worker takes a part through all stages, block by block, into a dU
// of its own; the parts' are added in order. Large ones: all workers share a block, stage by stage, and one dU.
enum { PARTS = 16, PART_FILTERS = 160 << 10 };

struct weight {
    const form *form;
    conv2d p;
    float *dw, *du, *partial, *tiles;  // partial: the parts' dU
    const float *dy, *x;
    int64_t room, part;
    block block;  // the shared one
};

static int is_parted(const form *w, const conv2d *p) {
    return w->frequencies * u_size(w, p) * (int64_t)sizeof(float) <= PART_FILTERS;
}

// Tiles to a part.
static int64_t part_tiles(const form *w, const conv2d *p) {
    return ck_ceil_div(ck_ceil_div(tile_count(w, p), GROUP), PARTS) * GROUP;
}

static int64_t part_count(const form *w, const conv2d *p) {
    return is_parted(w, p) ? ck_ceil_div(tile_count(w, p), part_tiles(w, p)) : 0;
}

// As many tiles at a time as a core's cache holds, or as outweigh the reading and writing of the shared dU between blocks.
static int64_t weight_room(const form *w, const conv2d *p) {
    int64_t filters = w->frequencies * u_size(w, p) * (int64_t)sizeof(float);
    if (is_parted(w, p)) return ck_min64(part_tiles(w, p), tiles_in(w, p, CORE_CACHE));
    return tiles_in(w, p, ck_max64(SHARED_CACHE / 4, filters * 5 / 4));
}

static float *gradients_of(const struct weight *j, float *tiles) {
    return tiles + j->form->frequencies * v_size(j->form, &j->p) * j->room;
}

static void transform_tiles(const struct weight *j, float *tiles, block b, int64_t from, int64_t until) {
    j->form->input(tiles, j->x, &j->p, b, from, until);
    j->form->gradient(gradients_of(j, tiles), j->dy, &j->p, b, from, until);
}

static void multiply_weight(const struct weight *j, float *du, float *tiles, block b, int64_t f, int first) {
    const form *w = j->form;
    int64_t k = j->p.k;
    ck_winograd_span in = ck_winograd_phases(w->inputs, f);
    for (int64_t panel = 0; panel < k / L; panel++)
        multiply_gradient(du + f * u_size(w, &j->p) + panel * L * in.count * j->p.c,
                          gradients_of(j, tiles) + (f * k / L + panel) * b.room * L,
                          tiles + (f * v_size(w, &j->p) + in.first * j->p.c) * b.room, in.count * j->p.c, b.count, b.room,
                          first);
}

static void weight_part(void *context, int64_t index, int worker) {
    struct weight *j = context;
    const form *w = j->form;
    float *tiles = j->tiles + (int64_t)worker * tile_floats(w, &j->p) * j->room;
    float *du = j->partial + index * w->frequencies * u_size(w, &j->p);
    int64_t begin = index * j->part, end = ck_min64(begin + j->part, tile_count(w, &j->p));
    for (int64_t first = begin; first < end; first += j->room) {
        block b = {first, ck_min64(j->room, end - first), j->room};
        transform_tiles(j, tiles, b, 0, b.count);
        for (int64_t f = 0; f < w->frequencies; f++) multiply_weight(j, du, tiles, b, f, first == begin);
    }
}

static void weight_sum(void *context, int64_t index, int worker) {
    (void)worker;
    struct weight *j = context;
    int64_t size = j->form->frequencies * u_size(j->form, &j->p), from = index * CK_BLOCK;
    ck_cpu_add_parts(j->du, j->partial, size, part_count(j->form, &j->p), from, ck_min64(size, from + CK_BLOCK));
}

static void shared_tiles(void *context, int64_t index, int worker) {
    (void)worker;
    struct weight *j = context;
    transform_tiles(j, j->tiles, j->block, index * GROUP, ck_min64(j->block.count, (index + 1) * GROUP));
}

static void shared_weight(void *context, int64_t index, int worker) {
    (void)worker;
    struct weight *j = context;
    multiply_weight(j, j->du, j->tiles, j->block, index, j->block.first == 0);
}

static void weight_channel(void *context, int64_t index, int worker) {
    (void)worker;
    struct weight *j = context;
    j->form->weight(j->dw, j->du, &j->p, index);
}

void ck_winograd_weight(float *dw, const float *dy, const float *x, const conv2d *p, float *scratch) {
    const form *as = form_of(p, 0);
    int64_t all = tile_count(as, p), size = as->frequencies * u_size(as, p), parts = part_count(as, p);
    struct weight j = {.form = as, .p = *p, .dw = dw, .du = scratch, .dy = dy, .x = x};
    j.room = weight_room(as, p);
    j.part = part_tiles(as, p);
    j.partial = j.du + size;
    j.tiles = j.partial + parts * size;
    if (is_parted(as, p)) {
        ck_parallel_for(parts, weight_part, &j);
        ck_parallel_for(ck_block_count(size), weight_sum, &j);
    } else {
        for (int64_t first = 0; first < all; first += j.room) {
            j.block = (block){first, ck_min64(j.room, all - first), j.room};
            ck_parallel_for(ck_ceil_div(j.block.count, GROUP), shared_tiles, &j);
            ck_parallel_for(as->frequencies, shared_weight, &j);
        }
    }
    ck_parallel_for(p->k, weight_channel, &j);
}

int64_t ck_winograd_weight_scratch(const conv2d *p, int64_t workers) {
    const form *as = form_of(p, 0);
    int64_t blocks = is_parted(as, p) ? workers : 1;
    return (1 + part_count(as, p)) * as->frequencies * u_size(as, p) + blocks * tile_floats(as, p) * weight_room(as, p);
}
