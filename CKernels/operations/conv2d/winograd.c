// 3x3 convolution with fewer multiplications: takes tiles through the input transform, the products of each
// frequency and the output transform of winograd_transform.h, where the derivation is.
// Channels are multiples of 16 and lie in panels of 16. Sums have a fixed order, for any number of threads.
#include "winograd.h"
#include "epilogue.h"
#include "winograd_transform.h"

typedef ck_conv2d_params conv2d;
typedef ck_winograd_transform transform;
typedef ck_winograd_block block;

enum { L = CK_LANES };

static const transform *transform_of(const conv2d *p, int backward) {
    return p->stride == 1 ? &ck_winograd_unit : backward ? &ck_winograd_strided_back : &ck_winograd_strided;
}

static int64_t tile_count(const transform *by, const conv2d *p) {
    return p->n * ck_ceil_div(p->p, by->side) * ck_ceil_div(p->q, by->side);
}

int ck_winograd_fits(const conv2d *p) {
    if (p->math == CK_MATH_STRICT || p->r != 3 || p->s != 3 || p->c % L || p->k % L) return 0;
    // With few tiles, transforming the filters costs more than it saves; so do tiles that are mostly margin.
    int64_t tiles = tile_count(transform_of(p, 0), p), pixels = (int64_t)p->n * p->p * p->q;
    if (tiles < 16) return 0;
    return p->stride == 1 ? p->pad <= 2 : p->stride == 2 && p->pad == 1 && 32 * tiles <= 3 * pixels;
}

// ---- Products ---------------------------------------------------------------------------------------------

// rows x vectors of m[panel][tile][16], summed over all C: v is [C / 16][room][16], u is [K / 16][C][16].
CK_INLINED void product_tile(float *m, const float *v, const float *u, int64_t c, int64_t room,
                             const int rows, const int vectors) {
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
CK_INLINED void multiply_body(float *m, const float *v, const float *u, int64_t c, int64_t count,
                              int64_t room, int64_t panels, const int rows, const int vectors) {
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
            (float *m, const float *v, const float *u, int64_t c, int64_t count, int64_t room,
             int64_t panels),
            m, v, u, c, count, room, panels)

// rows x vectors of du[k][c], summed over a block's tiles and added to what is there unless it is the first.
CK_INLINED void gradient_tile(float *du, const float *dm, const float *v, int64_t c, int64_t count,
                              int64_t room, int first, const int rows, const int vectors) {
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
            for (int j = 0; j < vectors; j++) sum[r][j] += dm[t * L + r] * x[j];
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) ck_store16(du + r * c + j * L, sum[r][j]);
}

// du[k][c] (+)= sum_t dm v of one frequency, for the 16 output channels of a panel.
CK_INLINED void multiply_gradient_body(float *du, const float *dm, const float *v, int64_t c, int64_t count,
                                       int64_t room, int first, const int rows, const int vectors) {
    for (int64_t panel = 0; panel < c / L;) {
        int pair = vectors == 2 && panel + 2 <= c / L;
        for (int64_t k = 0; k < L; k += rows) {
            if (pair)
                gradient_tile(du + k * c + panel * L, dm + k, v + panel * room * L, c, count, room, first,
                              rows, 2);
            else
                gradient_tile(du + k * c + panel * L, dm + k, v + panel * room * L, c, count, room, first,
                              rows, 1);
        }
        panel += pair ? 2 : 1;
    }
}
CK_VERSIONS(multiply_gradient,
            (float *du, const float *dm, const float *v, int64_t c, int64_t count, int64_t room, int first),
            du, dm, v, c, count, room, first)

// ---- Forward and backward data ----------------------------------------------------------------------------

// Bytes of tiles that stay in a core's second-level cache, and in the shared one; of filters that every core
// may read anew.
enum { CORE_CACHE = 768 << 10, SHARED_CACHE = 12 << 20, FILTERS = 7 << 19, GROUP = 8 };

// Rows of V and M in a frequency; floats of a tile's V and M, of a frequency of U (or dU), of all of U.
static int64_t v_rows(const transform *by, const conv2d *p) { return (int64_t)by->input_phases * p->c; }
static int64_t m_rows(const transform *by, const conv2d *p) { return (int64_t)by->output_phases * p->k; }
static int64_t tile_floats(const transform *by, const conv2d *p) {
    return by->frequencies * (v_rows(by, p) + m_rows(by, p));
}
static int64_t u_floats(const transform *by, const conv2d *p) { return v_rows(by, p) * m_rows(by, p); }
static int64_t filter_floats(const transform *by, const conv2d *p) {
    return by->frequencies * u_floats(by, p);
}
static int64_t filter_bytes(const transform *by, const conv2d *p) {
    return filter_floats(by, p) * (int64_t)sizeof(float);
}

// A buffer holds V of a block's tiles, then M (or dM). Where a phase begins in a frequency of either:
static float *v_at(const transform *by, const conv2d *p, float *tiles, int64_t room, int64_t f,
                   int64_t phase) {
    return tiles + (f * v_rows(by, p) + phase * p->c) * room;
}
static float *m_at(const transform *by, const conv2d *p, float *tiles, int64_t room, int64_t f,
                   int64_t phase) {
    return tiles + (by->frequencies * v_rows(by, p) + f * m_rows(by, p) + phase * p->k) * room;
}

// How many tiles fit into so many bytes: whole groups, one at least, no more than there are.
static int64_t tiles_in(const transform *by, const conv2d *p, int64_t bytes) {
    int64_t fit = bytes / (int64_t)sizeof(float) / tile_floats(by, p) / GROUP * GROUP;
    int64_t all = ck_ceil_div(tile_count(by, p), GROUP) * GROUP;
    return ck_min64(all, ck_max64(GROUP, fit));
}

static int64_t group_end(block b, int64_t group) { return ck_min64(b.count, (group + 1) * GROUP); }

// Few channels: a worker takes a block of tiles through all three stages. Many: the filters are too large to
// be read anew for a small block, so all workers share a large one, stage by stage.
static int is_shared(const transform *by, const conv2d *p) { return filter_bytes(by, p) > FILTERS; }

static int64_t block_room(const transform *by, const conv2d *p) {
    return tiles_in(by, p, is_shared(by, p) ? SHARED_CACHE : CORE_CACHE);
}

struct convolution {
    const transform *by;
    conv2d p;
    float *out, *u, *tiles;
    const float *in, *w;
    int backward;
    int64_t room;
    const ck_conv2d_epilogue *epilogue;  // or NULL
    block block;                         // the shared one
};

static void filter_task(void *context, int64_t panel_k, int worker) {
    (void)worker;
    struct convolution *j = context;
    for (int64_t panel_c = 0; panel_c < j->p.c / L; panel_c++)
        j->by->filter(j->u, j->w, &j->p, j->backward, panel_k, panel_c);
}

static void multiply_frequency(const struct convolution *j, float *tiles, block b, int64_t f) {
    const transform *by = j->by;
    const conv2d *p = &j->p;
    ck_winograd_span in = ck_winograd_span_of(by->input_phases, f),
                     out = ck_winograd_span_of(by->output_phases, f);
    multiply(m_at(by, p, tiles, b.room, f, out.first), v_at(by, p, tiles, b.room, f, in.first),
             j->u + f * u_floats(by, p), in.count * p->c, b.count, b.room, out.count * p->k / L);
}

// Writes the pixels of the tiles from ..< until of a block, which are a part of the result.
static void put_out(const struct convolution *j, float *tiles, block b, int64_t from, int64_t until,
                    int64_t part) {
    const conv2d *p = &j->p;
    int64_t side = j->by->side;
    j->by->output(j->out, m_at(j->by, p, tiles, b.room, 0, 0), p, b, from, until);
    if (!j->epilogue) return;
    ck_conv2d_begin(j->epilogue, p->k, part);
    for (int64_t t = from, run; t < until; t += run) {
        ck_winograd_place at = ck_place_of(p, side, b.first + t);
        run = ck_min64(until - t, ck_ceil_div(p->q - at.column, side));  // tiles side by side
        ck_pixels pixels = {(at.n * p->p + at.row) * p->q + at.column, ck_min64(side, p->p - at.row),
                            ck_min64(run * side, p->q - at.column), p->q};
        ck_conv2d_finish(j->epilogue, j->out, p->k, pixels, part);
    }
}

static void own_block(void *context, int64_t index, int worker) {
    struct convolution *j = context;
    const transform *by = j->by;
    float *tiles = j->tiles + (int64_t)worker * tile_floats(by, &j->p) * j->room;
    block b = {index * j->room, ck_min64(j->room, tile_count(by, &j->p) - index * j->room), j->room};
    by->input(tiles, j->in, &j->p, b, 0, b.count);
    for (int64_t f = 0; f < by->frequencies; f++) multiply_frequency(j, tiles, b, f);
    put_out(j, tiles, b, 0, b.count, index);
}

static void shared_input(void *context, int64_t group, int worker) {
    (void)worker;
    struct convolution *j = context;
    j->by->input(j->tiles, j->in, &j->p, j->block, group * GROUP, group_end(j->block, group));
}

static void shared_multiply(void *context, int64_t f, int worker) {
    (void)worker;
    struct convolution *j = context;
    multiply_frequency(j, j->tiles, j->block, f);
}

static void shared_output(void *context, int64_t group, int worker) {
    (void)worker;
    struct convolution *j = context;
    put_out(j, j->tiles, j->block, group * GROUP, group_end(j->block, group), j->block.first / GROUP + group);
}

void ck_winograd_convolve(float *out, const float *in, const float *w, int backward, const conv2d *p,
                          const ck_conv2d_epilogue *epilogue, float *scratch) {
    const transform *by = transform_of(p, backward);
    struct convolution j = {.by = by,
                            .p = *p,
                            .out = out,
                            .u = scratch,
                            .in = in,
                            .w = w,
                            .backward = backward,
                            .epilogue = epilogue};
    j.room = block_room(by, p);
    j.tiles = scratch + filter_floats(by, p);
    ck_parallel_for(p->k / L, filter_task, &j);
    int64_t all = tile_count(by, p);
    if (!is_shared(by, p)) {
        ck_parallel_for(ck_ceil_div(all, j.room), own_block, &j);
        return;
    }
    for (int64_t first = 0; first < all; first += j.room) {
        j.block = (block){first, ck_min64(j.room, all - first), j.room};
        ck_parallel_for(ck_ceil_div(j.block.count, GROUP), shared_input, &j);
        ck_parallel_for(by->frequencies, shared_multiply, &j);
        ck_parallel_for(ck_ceil_div(j.block.count, GROUP), shared_output, &j);
    }
}

int64_t ck_winograd_parts(const conv2d *p, int backward) {
    const transform *by = transform_of(p, backward);
    return ck_ceil_div(tile_count(by, p), is_shared(by, p) ? GROUP : block_room(by, p));
}

int64_t ck_winograd_convolve_scratch(const conv2d *p, int backward, int64_t workers) {
    const transform *by = transform_of(p, backward);
    int64_t blocks = is_shared(by, p) ? 1 : workers;
    return filter_floats(by, p) + blocks * tile_floats(by, p) * block_room(by, p);
}

// ---- Backward weight --------------------------------------------------------------------------------------

// Small filters: the tiles are cut into at most PARTS, and a worker takes a part through all stages, block by
// block, into a dU of its own; the parts' are added in order. Large ones: all workers share a block, stage by
// stage, and one dU.
enum { PARTS = 16, PART_FILTERS = 256 << 10 };

struct weight {
    const transform *by;
    conv2d p;
    float *dw, *du, *partial, *tiles;  // partial: the parts' dU
    const float *dy, *x;
    int64_t room, part;
    block block;  // the shared one
};

static int is_parted(const transform *by, const conv2d *p) { return filter_bytes(by, p) <= PART_FILTERS; }

// Tiles to a part.
static int64_t part_tiles(const transform *by, const conv2d *p) {
    return ck_ceil_div(ck_ceil_div(tile_count(by, p), GROUP), PARTS) * GROUP;
}

static int64_t part_count(const transform *by, const conv2d *p) {
    return is_parted(by, p) ? ck_ceil_div(tile_count(by, p), part_tiles(by, p)) : 0;
}

// As many tiles at a time as a core's cache holds, or as outweigh reading and writing the shared dU for each.
static int64_t weight_room(const transform *by, const conv2d *p) {
    if (is_parted(by, p)) return ck_min64(part_tiles(by, p), tiles_in(by, p, CORE_CACHE));
    return tiles_in(by, p, ck_max64(SHARED_CACHE / 4, filter_bytes(by, p) * 5 / 4));
}

static void transform_tiles(const struct weight *j, float *tiles, block b, int64_t from, int64_t until) {
    j->by->input(tiles, j->x, &j->p, b, from, until);
    j->by->output_adjoint(m_at(j->by, &j->p, tiles, b.room, 0, 0), j->dy, &j->p, b, from, until);
}

static void multiply_weight(const struct weight *j, float *du, float *tiles, block b, int64_t f, int first) {
    const transform *by = j->by;
    const conv2d *p = &j->p;
    ck_winograd_span in = ck_winograd_span_of(by->input_phases, f);
    const float *v = v_at(by, p, tiles, b.room, f, in.first), *dm = m_at(by, p, tiles, b.room, f, 0);
    int64_t rows = in.count * p->c;  // of V that take part
    for (int64_t panel = 0; panel < p->k / L; panel++)
        multiply_gradient(du + f * u_floats(by, p) + panel * L * rows, dm + ck_tile_at(b, panel, 0), v, rows,
                          b.count, b.room, first);
}

static void weight_part(void *context, int64_t index, int worker) {
    struct weight *j = context;
    const transform *by = j->by;
    float *tiles = j->tiles + (int64_t)worker * tile_floats(by, &j->p) * j->room;
    float *du = j->partial + index * filter_floats(by, &j->p);
    int64_t begin = index * j->part, end = ck_min64(begin + j->part, tile_count(by, &j->p));
    for (int64_t first = begin; first < end; first += j->room) {
        block b = {first, ck_min64(j->room, end - first), j->room};
        transform_tiles(j, tiles, b, 0, b.count);
        for (int64_t f = 0; f < by->frequencies; f++) multiply_weight(j, du, tiles, b, f, first == begin);
    }
}

static void weight_sum(void *context, int64_t index, int worker) {
    (void)worker;
    struct weight *j = context;
    int64_t size = filter_floats(j->by, &j->p), from = index * CK_BLOCK;
    ck_cpu_add_parts(j->du, j->partial, size, part_count(j->by, &j->p), from,
                     ck_min64(size, from + CK_BLOCK));
}

static void shared_tiles(void *context, int64_t group, int worker) {
    (void)worker;
    struct weight *j = context;
    transform_tiles(j, j->tiles, j->block, group * GROUP, group_end(j->block, group));
}

static void shared_weight(void *context, int64_t f, int worker) {
    (void)worker;
    struct weight *j = context;
    multiply_weight(j, j->du, j->tiles, j->block, f, j->block.first == 0);
}

static void weight_channel(void *context, int64_t k, int worker) {
    (void)worker;
    struct weight *j = context;
    j->by->filter_adjoint(j->dw, j->du, &j->p, k);
}

void ck_winograd_weight(float *dw, const float *dy, const float *x, const conv2d *p, float *scratch) {
    const transform *by = transform_of(p, 0);
    int64_t all = tile_count(by, p), size = filter_floats(by, p), parts = part_count(by, p);
    struct weight j = {.by = by, .p = *p, .dw = dw, .du = scratch, .dy = dy, .x = x};
    j.room = weight_room(by, p);
    j.part = part_tiles(by, p);
    j.partial = j.du + size;
    j.tiles = j.partial + parts * size;
    if (is_parted(by, p)) {
        ck_parallel_for(parts, weight_part, &j);
        ck_parallel_for(ck_block_count(size), weight_sum, &j);
    } else {
        for (int64_t first = 0; first < all; first += j.room) {
            j.block = (block){first, ck_min64(j.room, all - first), j.room};
            ck_parallel_for(ck_ceil_div(j.block.count, GROUP), shared_tiles, &j);
            ck_parallel_for(by->frequencies, shared_weight, &j);
        }
    }
    ck_parallel_for(p->k, weight_channel, &j);
}

int64_t ck_winograd_weight_scratch(const conv2d *p, int64_t workers) {
    const transform *by = transform_of(p, 0);
    int64_t blocks = is_parted(by, p) ? workers : 1;
    return (1 + part_count(by, p)) * filter_floats(by, p) + blocks * tile_floats(by, p) * weight_room(by, p);
}
