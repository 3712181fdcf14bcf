// How a convolution in bf16 is cut into blocks, and what is packed before it (conv2d_bf16.cu). All choices
// follow from the shape alone, so that the same plan gives the same bits on every GPU of an architecture.
#include "launch_bf16.h"
#include <math.h>

enum {
    DEPTH = 64,   // of a slice of the sum: one of wgmma's, two of mma.sync's
    ROWS = 128,   // of a tile
    LARGE = 256,  // columns of the largest, on Hopper
    MOST_PARTS = 128,
    MOST_TAPS = 16,  // of a filter's rows and of its columns (window_reader)
};

// Whether the kernels of conv2d_hopper.cu are taken.
static int is_hopper(const ck_cuda_state *cuda) {
    return cuda->properties.major == 9 && cuda->properties.minor == 0;
}
// Slices of the kernel that is taken in one of DEPTH.
static int32_t slices_in_one(const ck_cuda_state *cuda) { return is_hopper(cuda) ? 1 : 2; }

typedef ck_conv2d_params conv2d;

static int64_t eight(int64_t channels) { return ck_ceil_div(channels, 8) * 8; }
static int64_t taps(const conv2d *p) { return (int64_t)p->r * p->s; }
static int64_t pixels_in(const conv2d *p) { return (int64_t)p->n * p->h * p->w; }
static int64_t pixels_out(const conv2d *p) { return (int64_t)p->n * p->p * p->q; }

// Scratch memory, a piece after another.
static uint64_t padded(uint64_t bytes) { return (bytes + 255) / 256 * 256; }
static void *take(unsigned char **at, uint64_t bytes) {
    void *piece = *at;
    *at += padded(bytes);
    return piece;
}

// ---- Sums in parts ----------------------------------------------------------------------------------------

// A sum of `slices` slices in `parts` parts of `share` slices.
struct split {
    int32_t parts, share;
    double cost;
};

// A size of tile: how many are resident on a multiprocessor; what a slice of it takes, and its beginning and
// end, in slices of a pair of 128 x 128; and the share of that if there is one alone.
struct tile_cost {
    int resident;
    double slice, ends, alone;
};
static const struct tile_cost narrow_cost = {3, 1, 6, 0.6}, usual_cost = {2, 1, 6, 0.6};
// Twice as wide as those: it reads three quarters of what a pair of them does.
static const struct tile_cost large_cost = {1, 0.75, 8, 1};

static double cost_of(const struct tile_cost *c, int64_t blocks, int64_t share) {
    double rounds = blocks <= ck_cuda_multiprocessors()
                        ? c->alone
                        : (double)ck_ceil_div(blocks, c->resident * ck_cuda_multiprocessors());
    return rounds * (c->slice * (double)share + c->ends);
}

// Cuts the sums so that the blocks fill the GPU. Parts are written and read again.
static struct split split_of(const struct tile_cost *c, int64_t tiles, int64_t slices, int64_t results) {
    struct split best = {1, (int32_t)ck_max64(1, slices), INFINITY};
    for (int64_t wanted = 1; wanted <= MOST_PARTS && (wanted == 1 || slices / wanted >= 2); wanted++) {
        int64_t share = ck_max64(1, ck_ceil_div(slices, wanted)),
                parts = ck_max64(1, ck_ceil_div(slices, share));
        double cost = cost_of(c, tiles * parts, share);
        if (parts > 1) cost += 8 + (double)(parts * results) / 225000;
        if (cost < best.cost) best = (struct split){(int32_t)parts, (int32_t)share, cost};
    }
    return best;
}

// ---- Forward, and backward to the data --------------------------------------------------------------------

// The sum of products of windows with filters that a pass is: of `depth` channels, a multiple of eight.
struct pass {
    int backward;
    int64_t depth, channels, lines, classes, columns, results;
    struct split split;
    int is_large;  // on Hopper: tiles of LARGE columns
};

static struct pass pass_of(const conv2d *p, int backward) {
    struct pass a = {.backward = backward};
    a.classes = backward ? (int64_t)p->stride * p->stride : 1;
    a.depth = eight(backward ? p->k : p->c);
    a.channels = backward ? p->c : p->k;
    // Of the class with the most.
    a.lines = backward ? p->n * ck_ceil_div(p->h, p->stride) * ck_ceil_div(p->w, p->stride) : pixels_out(p);
    a.columns = a.channels > 64 ? 128 : 64;
    a.results = (backward ? pixels_in(p) : pixels_out(p)) * a.channels;
    int64_t most_taps = backward ? ck_ceil_div(p->r, p->stride) * ck_ceil_div(p->s, p->stride) : taps(p);
    int64_t tiles = ck_ceil_div(a.lines, ROWS) * ck_ceil_div(a.channels, a.columns) * a.classes;
    int64_t slices = ck_ceil_div(most_taps * a.depth, DEPTH);
    a.split = split_of(a.columns == 64 ? &narrow_cost : &usual_cost, tiles, slices, a.results);
    int64_t large = ck_ceil_div(a.lines, ROWS) * (a.channels / LARGE) * a.classes;
    a.is_large =
        a.channels % LARGE == 0 && a.split.parts == 1 && cost_of(&large_cost, large, slices) < a.split.cost;
    return a;
}

// On Hopper: whether a pixel is copied once for all taps (conv2d_taps.cu), and for how many blocks of four
// warpgroups there are tiles.
static int shares_taps(const conv2d *p) {
    return ck_is_bf16(p) && p->r == 3 && p->s == 3 && p->stride == 1 && p->pad <= 2 &&
           64 + 2 * ck_max64(p->w + 2 * p->pad, p->q + 2 * (2 - p->pad)) + 2 <= CK_TAPS_LINES;
}
static int64_t tap_tiles(const conv2d *p, int backward) {
    return p->n * (backward ? ck_ceil_div((int64_t)p->h * (p->q + 2 * (2 - p->pad)), 64)
                            : ck_ceil_div((int64_t)p->p * (p->w + 2 * p->pad), 64));
}
static int64_t tap_blocks(const conv2d *p, const struct pass *a) {
    if (!shares_taps(p) || a->depth != 64 || a->channels > 64 || a->channels % 8 != 0 || a->split.parts > 1)
        return 0;
    return ck_min64(ck_cuda_multiprocessors(), ck_ceil_div(tap_tiles(p, a->backward), 4));
}

int64_t ck_conv2d_bf16_tiles(const ck_cuda_state *cuda, const conv2d *p, int backward) {
    if (p->math != CK_MATH_BF16 || !ck_is_bf16(p)) return 0;
    struct pass a = pass_of(p, backward);
    if (a.split.parts > 1 || a.channels % 8 != 0) return 0;
    int64_t by_taps = 4 * tap_blocks(p, &a), by_rows = ck_ceil_div(a.lines, ROWS) * a.classes;
    if (!cuda) return ck_max64(by_taps, by_rows);
    return is_hopper(cuda) && by_taps ? by_taps : by_rows;
}

static uint64_t filter_bytes(const conv2d *p, const struct pass *a) {
    return 2 * (uint64_t)(a->channels * taps(p) * a->depth);
}
static uint64_t part_bytes(const struct pass *a) {
    return a->split.parts > 1 ? sizeof(float) * (uint64_t)(a->split.parts * a->results) : 0;
}
// Of rows that are packed: those in single precision, and those whose channels are not a multiple of eight.
static uint64_t row_bytes(const conv2d *p, int64_t rows, int64_t channels) {
    return ck_is_bf16(p) && channels % 8 == 0 ? 0 : 2 * (uint64_t)(rows * eight(channels));
}

static ck_status not_aligned(void) {
    return ck_fail(CK_INVALID_ARGUMENT, "a convolution's tensors in bf16 start at multiples of 16 bytes");
}

// Gives the rows in bf16 and filled up to a multiple of eight channels: as they are, or packed at `to`.
static ck_status pack(ck_cuda_state *cuda, const conv2d *p, const uint16_t **rows, uint16_t *to,
                      const void *from, int64_t count, int64_t channels) {
    int64_t depth = eight(channels);
    ck_grid grid = ck_elements(count * depth / 8);
    *rows = to;
    if (!ck_is_bf16(p))
        return CK_LAUNCH(cuda, ck_conv2d_bf16_pack, grid, .to = to, .from = from, .rows = count,
                         .channels = (int32_t)channels, .depth = (int32_t)depth);
    if (channels % 8 != 0)
        return CK_LAUNCH(cuda, ck_conv2d_bf16_fill, grid, .to = to, .from = from, .rows = count,
                         .channels = (int32_t)channels, .depth = (int32_t)depth);
    if (!ck_is_aligned(from)) return not_aligned();
    *rows = from;
    return CK_OK;
}

static ck_status check_taps(const conv2d *p) {
    if (p->r <= MOST_TAPS && p->s <= MOST_TAPS) return CK_OK;
    return ck_fail(CK_INVALID_ARGUMENT, "a convolution in bf16 has filters of at most %d x %d", MOST_TAPS,
                   MOST_TAPS);
}

// Whether a pass gives zero but at every stride-th pixel, which one class of pixels has.
static int has_one_class(const conv2d *p, const struct pass *a, ck_conv2d_epilogue epilogue) {
    return a->backward && a->classes > 1 && p->r == 1 && p->s == 1 && p->pad == 0 && a->split.parts == 1 &&
           !epilogue.residual && !epilogue.partial;
}

static ck_status run_windows(ck_cuda_state *cuda, const conv2d *p, const struct pass *a, void *to,
                             const uint16_t *from, const uint16_t *filters, ck_conv2d_epilogue epilogue,
                             float *parts) {
    int is_large = is_hopper(cuda) && a->is_large;
    int64_t blocks = is_hopper(cuda) ? tap_blocks(p, a) : 0;
    ck_grid grid = {ck_ceil_div(a->lines, ROWS) * ck_ceil_div(a->channels, is_large ? LARGE : a->columns),
                    a->classes * a->split.parts, 1};
    if (blocks) grid = ck_blocks(blocks);
    if (has_one_class(p, a, epilogue)) {
        uint64_t bytes = (uint64_t)a->results * (ck_is_bf16(p) ? sizeof(uint16_t) : sizeof(float));
        CK_TRY(ck_cuda_clear(cuda, to, bytes));
        grid.y = 1;
    }
    static const ck_kernel kernels[2][2] = {
        {CK_LAUNCH_ck_conv2d_bf16_windows_128x64, CK_LAUNCH_ck_conv2d_bf16_windows_128x128},
        {CK_LAUNCH_ck_conv2d_hopper_windows_128x64, CK_LAUNCH_ck_conv2d_hopper_windows_128x128},
    };
    ck_kernel kernel = blocks     ? CK_LAUNCH_ck_conv2d_taps_windows
                       : is_large ? CK_LAUNCH_ck_conv2d_hopper_windows_128x256
                                  : kernels[is_hopper(cuda)][a->columns == 128];
    CK_TRY(ck_launch_ck_conv2d_bf16_windows_128x128(
        cuda, kernel, grid,
        (ck_conv2d_bf16_windows_128x128_arguments){.to = a->split.parts > 1 ? parts : to,
                                                   .from = from,
                                                   .filters = filters,
                                                   .backward = a->backward,
                                                   .depth = (int32_t)a->depth,
                                                   .is_bf16 = ck_is_bf16(p),
                                                   .parts = a->split.parts,
                                                   .share = a->split.share * slices_in_one(cuda),
                                                   .epilogue = epilogue,
                                                   .p = *p}));
    if (a->split.parts == 1) return CK_OK;
    return CK_LAUNCH(cuda, ck_conv2d_bf16_finish, ck_elements(ck_ceil_div(a->results, 2)), .to = to,
                     .from = parts, .is_bf16 = ck_is_bf16(p), .parts = a->split.parts,
                     .channels = (int32_t)a->channels, .size = a->results, .epilogue = epilogue);
}

uint64_t ck_conv2d_bf16_forward_workspace(const conv2d *p) {
    struct pass a = pass_of(p, 0);
    return padded(row_bytes(p, pixels_in(p), p->c)) + padded(filter_bytes(p, &a)) + part_bytes(&a);
}

ck_status ck_conv2d_bf16_forward(ck_cuda_state *cuda, void *y, const void *x, const float *w, const conv2d *p,
                                 ck_conv2d_epilogue epilogue, void *workspace) {
    struct pass a = pass_of(p, 0);
    unsigned char *at = workspace;
    uint16_t *packed = take(&at, row_bytes(p, pixels_in(p), p->c)), *filters = take(&at, filter_bytes(p, &a));
    const uint16_t *rows;
    CK_TRY(check_taps(p));
    if (ck_is_bf16(p) && !ck_is_aligned(epilogue.residual)) return not_aligned();
    CK_TRY(pack(cuda, p, &rows, packed, x, pixels_in(p), p->c));
    CK_TRY(CK_LAUNCH(cuda, ck_conv2d_bf16_pack, ck_elements(a.channels * taps(p) * a.depth / 8),
                     .to = filters, .from = w, .rows = a.channels * taps(p), .channels = p->c,
                     .depth = (int32_t)a.depth));
    return run_windows(cuda, p, &a, y, rows, filters, epilogue, (float *)at);
}

uint64_t ck_conv2d_bf16_backward_data_workspace(const conv2d *p) {
    struct pass a = pass_of(p, 1);
    return padded(row_bytes(p, pixels_out(p), p->k)) + padded(filter_bytes(p, &a)) + part_bytes(&a);
}

ck_status ck_conv2d_bf16_backward_data(ck_cuda_state *cuda, void *dx, const void *dy, const float *w,
                                       const conv2d *p, ck_conv2d_epilogue epilogue, void *workspace) {
    struct pass a = pass_of(p, 1);
    unsigned char *at = workspace;
    uint16_t *packed = take(&at, row_bytes(p, pixels_out(p), p->k)),
             *filters = take(&at, filter_bytes(p, &a));
    const uint16_t *rows;
    CK_TRY(check_taps(p));
    if (ck_is_bf16(p) && !ck_is_aligned(epilogue.residual)) return not_aligned();
    CK_TRY(pack(cuda, p, &rows, packed, dy, pixels_out(p), p->k));
    ck_grid grid = {ck_ceil_div(a.depth, 32), ck_ceil_div(p->c, 32), taps(p)};
    CK_TRY(CK_LAUNCH(cuda, ck_conv2d_bf16_turn, grid, .to = filters, .w = w, .depth = (int32_t)a.depth,
                     .p = *p));
    return run_windows(cuda, p, &a, dx, rows, filters, epilogue, (float *)at);
}

// ---- Backward to the filters ------------------------------------------------------------------------------

struct gradient {
    int64_t rows, columns, depth, dy_depth, length, pixels;
    struct split split;
    int direct;       // one part, which is dw
    int shares_taps;  // on Hopper: a part to a block of conv2d_taps.cu
};

static struct gradient gradient_of(const conv2d *p, int is_on_hopper) {
    struct gradient g = {
        .rows = p->k > 64 ? 128 : 64, .columns = 128, .depth = eight(p->c), .dy_depth = eight(p->k)};
    g.length = taps(p) * g.depth;
    g.pixels = pixels_out(p);
    int64_t down = ck_ceil_div(p->k, g.rows), slices = ck_ceil_div(g.pixels, DEPTH),
            results = p->k * g.length;
    g.split = split_of(g.rows == 64 ? &narrow_cost : &usual_cost, down * ck_ceil_div(g.length, g.columns),
                       slices, results);
    if (is_on_hopper && g.rows == 128) {
        struct split large = split_of(&large_cost, down * ck_ceil_div(g.length, LARGE), slices, results);
        if (large.cost < g.split.cost) g.split = large, g.columns = LARGE;
    }
    g.shares_taps = is_on_hopper && shares_taps(p) && p->c == 64 && p->k == 64;
    if (g.shares_taps) g.split.parts = (int32_t)ck_min64(ck_cuda_multiprocessors(), tap_tiles(p, 0));
    g.direct = g.split.parts == 1 && g.depth == p->c;
    return g;
}

uint64_t ck_conv2d_bf16_backward_weight_workspace(const conv2d *p) {
    uint64_t most = 0;
    for (int is_on_hopper = 0; is_on_hopper < 2; is_on_hopper++) {
        struct gradient g = gradient_of(p, is_on_hopper);
        uint64_t parts = g.direct ? 0 : sizeof(float) * (uint64_t)(g.split.parts * p->k * g.length);
        if (parts > most) most = parts;
    }
    return padded(row_bytes(p, pixels_out(p), p->k)) + padded(row_bytes(p, pixels_in(p), p->c)) + most;
}

ck_status ck_conv2d_bf16_backward_weight(ck_cuda_state *cuda, float *dw, const void *dy, const void *x,
                                         const conv2d *p, void *workspace) {
    struct gradient g = gradient_of(p, is_hopper(cuda));
    unsigned char *at = workspace;
    uint16_t *packed_dy = take(&at, row_bytes(p, pixels_out(p), p->k));
    uint16_t *packed_x = take(&at, row_bytes(p, pixels_in(p), p->c));
    float *parts = g.direct ? dw : (float *)at;
    const uint16_t *rows, *windows;
    CK_TRY(pack(cuda, p, &rows, packed_dy, dy, pixels_out(p), p->k));
    CK_TRY(pack(cuda, p, &windows, packed_x, x, pixels_in(p), p->c));
    ck_grid grid = {ck_ceil_div(p->k, g.rows), ck_ceil_div(g.length, g.columns), g.split.parts};
    static const ck_kernel kernels[2][2] = {
        {CK_LAUNCH_ck_conv2d_bf16_gradient_64x128, CK_LAUNCH_ck_conv2d_bf16_gradient_128x128},
        {CK_LAUNCH_ck_conv2d_hopper_gradient_64x128, CK_LAUNCH_ck_conv2d_hopper_gradient_128x128},
    };
    if (g.shares_taps) grid = ck_blocks(g.split.parts);
    ck_kernel kernel = g.shares_taps        ? CK_LAUNCH_ck_conv2d_taps_gradient
                       : g.columns == LARGE ? CK_LAUNCH_ck_conv2d_hopper_gradient_128x256
                                            : kernels[is_hopper(cuda)][g.rows == 128];
    CK_TRY(ck_launch_ck_conv2d_bf16_gradient_128x128(
        cuda, kernel, grid,
        (ck_conv2d_bf16_gradient_128x128_arguments){.parts = parts,
                                                    .dy = rows,
                                                    .x = windows,
                                                    .depth = (int32_t)g.depth,
                                                    .dy_depth = (int32_t)g.dy_depth,
                                                    .share = g.split.share * slices_in_one(cuda),
                                                    .p = *p}));
    if (g.direct) return CK_OK;
    return CK_LAUNCH(cuda, ck_conv2d_bf16_finish_gradient, ck_elements(p->k * taps(p) * p->c), .dw = dw,
                     .from = parts, .parts = g.split.parts, .rows = p->k * taps(p), .channels = p->c,
                     .depth = (int32_t)g.depth);
}
