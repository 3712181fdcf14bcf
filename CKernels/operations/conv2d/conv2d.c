// 2-D convolution, NHWC x KRSC -> NHWC, as matrix products over tiles of gathered patches (im2col of a tile
// at a time, never of the whole tensor). Every tile has a fixed size and every sum a fixed order, whatever
// the number of threads; forward, whatever the other images of the batch too (row_products.h).
#include "epilogue.h"
#include "row_products.h"
#include "winograd.h"

typedef ck_conv2d_params conv2d;

static int64_t patch_length(const conv2d *p) { return (int64_t)p->r * p->s * p->c; }

// A 1x1 filter at stride 1 reads its input as it lies.
static int is_pointwise(const conv2d *p) { return p->r == 1 && p->s == 1 && p->stride == 1 && p->pad == 0; }

// Output pixels to a tile: enough for the product to amortise the packing of the weights.
static int64_t tile_rows(int64_t rows, int64_t length) {
    int64_t fit = 262144 / length / 32 * 32;
    return ck_min64(rows, ck_min64(2048, ck_max64(256, fit)));
}

// columns[row][r][s][c] = x[n][p * stride + r - pad][q * stride + s - pad][c], zero outside the image, for
// the output pixels first ..< first + count.
static void gather_patches(float *columns, const float *x, const conv2d *p, int64_t first, int64_t count) {
    int64_t length = patch_length(p), c = p->c;
    int64_t q = first % p->q, row = first / p->q % p->p, n = first / p->q / p->p;
    for (int64_t i = 0; i < count; i++) {
        float *to = columns + i * length;
        int64_t top = row * p->stride - p->pad, left = q * p->stride - p->pad;
        int64_t s0 = ck_max64(0, -left), s1 = ck_min64(p->s, p->w - left);  // the taps that fall inside
        for (int64_t r = 0; r < p->r; r++, to += p->s * c) {
            int64_t h = top + r;
            if (h < 0 || h >= p->h || s1 <= s0) {
                memset(to, 0, sizeof(float) * (size_t)(p->s * c));
                continue;
            }
            const float *from = x + ((n * p->h + h) * p->w + left + s0) * c;
            if (s0 > 0) memset(to, 0, sizeof(float) * (size_t)(s0 * c));
            memcpy(to + s0 * c, from, sizeof(float) * (size_t)((s1 - s0) * c));
            if (s1 < p->s) memset(to + s1 * c, 0, sizeof(float) * (size_t)((p->s - s1) * c));
        }
        if (++q == p->q) {
            q = 0;
            if (++row == p->p) row = 0, n++;
        }
    }
}

struct convolution {
    conv2d p;
    float *out;
    const float *in, *w;  // w packed
    float *scratch;
    int64_t rows, tile;
    const ck_conv2d_epilogue *epilogue;  // or NULL
};

// Pixels that lie behind each other are a part of the result.
static void finish_part(const ck_conv2d_epilogue *epilogue, float *out, int64_t channels, int64_t first,
                        int64_t count, int64_t part) {
    if (!epilogue) return;
    ck_conv2d_begin(epilogue, channels, part);
    ck_conv2d_finish(epilogue, out, channels, (ck_pixels){first, 1, count, 0}, part);
}

static void convolve_tile(void *context, int64_t index, int worker) {
    struct convolution *f = context;
    int64_t length = patch_length(&f->p), first = index * f->tile, count = ck_min64(f->tile, f->rows - first);
    const float *a = f->in + first * length;
    if (!is_pointwise(&f->p)) {
        float *columns = f->scratch + (int64_t)worker * f->tile * length;
        gather_patches(columns, f->in, &f->p, first, count);
        a = columns;
    }
    ck_row_products(f->out + first * f->p.k, f->p.k, a, count, f->w, f->p.k, length);
    finish_part(f->epilogue, f->out, f->p.k, first, count, index);
}

// out[N,P,Q,K] = in[N,H,W,C] * w[K,R,S,C]: y of x, or dx of dy.
static void convolve(float *out, const float *in, const float *w, const conv2d *p,
                     const ck_conv2d_epilogue *epilogue, float *scratch) {
    int64_t rows = (int64_t)p->n * p->p * p->q, length = patch_length(p);
    ck_pack_rows(scratch, w, p->k, length);
    struct convolution f = {
        *p,      out, in, scratch, scratch + ck_packed_floats(p->k, length), rows, tile_rows(rows, length),
        epilogue};
    ck_parallel_for(ck_ceil_div(rows, f.tile), convolve_tile, &f);
}

static int64_t part_count(const conv2d *p) {
    int64_t rows = (int64_t)p->n * p->p * p->q;
    return ck_ceil_div(rows, tile_rows(rows, patch_length(p)));
}

int64_t ck_conv2d_forward_parts(const conv2d *p) {
    return ck_winograd_fits(p) ? ck_winograd_parts(p, 0) : part_count(p);
}

void ck_conv2d_convolve(float *y, const float *x, const float *w, const conv2d *p,
                        const ck_conv2d_epilogue *epilogue, float *scratch) {
    if (ck_winograd_fits(p))
        ck_winograd_convolve(y, x, w, 0, p, epilogue, scratch);
    else
        convolve(y, x, w, p, epilogue, scratch);
}

ck_status ck_cpu_conv2d_forward(const ck_conv2d_forward_operands *t, const conv2d *p, void *workspace) {
    ck_conv2d_convolve(t->y, t->x, t->w, p, NULL, workspace);
    return CK_OK;
}

// ---- dx ---------------------------------------------------------------------------------------------------

// The convolution from dy to dx. At stride 1 that is one with the filters rotated by 180 degrees and their
// channels exchanged; at stride 2 the transposed one, which Winograd's transform does too.
static conv2d back_of(const conv2d *p) {
    conv2d back = *p;
    back.h = p->p, back.w = p->q, back.c = p->k;
    back.p = p->h, back.q = p->w, back.k = p->c;
    back.pad = p->r - 1 - p->pad;
    return back;
}

static int is_gathered(const conv2d *p) { return p->stride == 1 && p->r == p->s && p->r - 1 >= p->pad; }

static int is_winograd_backward(const conv2d *p) {
    conv2d back = back_of(p);
    return p->stride == 1 ? is_gathered(p) && ck_winograd_fits(&back) : ck_winograd_fits(p);
}

// rotated[C,R,S,K]: the filters rotated by 180 degrees, their channels exchanged.
struct turning {
    conv2d p;
    float *rotated;
    const float *w;
};

static void turn_channel(void *context, int64_t c, int worker) {
    (void)worker;
    struct turning *t = context;
    int64_t taps = (int64_t)t->p.r * t->p.s;
    for (int64_t tap = 0; tap < taps; tap++) {
        float *to = t->rotated + (c * taps + tap) * t->p.k;
        const float *from = t->w + (taps - 1 - tap) * t->p.c + c;
        for (int64_t k = 0; k < t->p.k; k++) to[k] = from[k * taps * t->p.c];
    }
}

// Otherwise the patches' gradients are computed for a group of images and summed back where they came from.
static int64_t images_to_group(const conv2d *p) {
    return ck_min64(p->n, ck_max64(1, 256 / ((int64_t)p->p * p->q)));
}

struct scatter {
    conv2d p;
    float *dx;
    const float *dy, *w;
    float *scratch;
    int64_t group;
    const ck_conv2d_epilogue *epilogue;  // or NULL
};

static void scatter_group(void *context, int64_t index, int worker) {
    struct scatter *f = context;
    const conv2d *p = &f->p;
    int64_t length = patch_length(p), pixels = (int64_t)p->p * p->q, first = index * f->group;
    int64_t images = ck_min64(f->group, p->n - first), c = p->c;
    float *columns = f->scratch + (int64_t)worker * f->group * pixels * length;
    ck_gemm(0, 0, images * pixels, length, p->k, f->dy + first * pixels * p->k, p->k, f->w, length, 0,
            columns, length);
    float *dx = f->dx + first * p->h * p->w * c;
    memset(dx, 0, sizeof(float) * (size_t)(images * p->h * p->w * c));
    for (int64_t i = 0; i < images * pixels; i++) {
        int64_t n = i / pixels, top = i % pixels / p->q * p->stride - p->pad,
                left = i % p->q * p->stride - p->pad;
        for (int64_t r = 0; r < p->r; r++) {
            if (top + r < 0 || top + r >= p->h) continue;
            for (int64_t s = 0; s < p->s; s++) {
                if (left + s < 0 || left + s >= p->w) continue;
                float *to = dx + ((n * p->h + top + r) * p->w + left + s) * c;
                const float *from = columns + i * length + (r * p->s + s) * c;
                for (int64_t j = 0; j < c; j++) to[j] += from[j];
            }
        }
    }
    finish_part(f->epilogue, f->dx, c, first * p->h * p->w, images * p->h * p->w, index);
}

void ck_conv2d_convolve_back(float *dx, const float *dy, const float *w, const conv2d *p,
                             const ck_conv2d_epilogue *epilogue, float *scratch) {
    conv2d back = back_of(p);
    if (is_winograd_backward(p)) {
        ck_winograd_convolve(dx, dy, w, 1, &back, epilogue, scratch);
    } else if (is_gathered(p)) {
        struct turning turning = {*p, scratch, w};
        ck_parallel_for(p->c, turn_channel, &turning);
        convolve(dx, dy, scratch, &back, epilogue, scratch + patch_length(p) * p->k);
    } else {
        struct scatter f = {*p, dx, dy, w, scratch, images_to_group(p), epilogue};
        ck_parallel_for(ck_ceil_div(p->n, f.group), scatter_group, &f);
    }
}

int64_t ck_conv2d_backward_parts(const conv2d *p) {
    conv2d back = back_of(p);
    if (is_winograd_backward(p)) return ck_winograd_parts(&back, 1);
    return is_gathered(p) ? part_count(&back) : ck_ceil_div(p->n, images_to_group(p));
}

ck_status ck_cpu_conv2d_backward_data(const ck_conv2d_backward_data_operands *t, const conv2d *p,
                                      void *workspace) {
    ck_conv2d_convolve_back(t->dx, t->dy, t->w, p, NULL, workspace);
    return CK_OK;
}

// ---- dw ---------------------------------------------------------------------------------------------------

// A small filter: the pixels are cut into PARTS, each summed by itself, then the parts are added in order.
// A large one: each tap (or block of output channels of a tap) is one task over all pixels, and needs no
// parts.
enum { PARTS = 16, DW_TILE = 512 };

static int is_parted(const conv2d *p) { return p->c < 16 || patch_length(p) * p->k <= 300000; }

struct weight {
    conv2d p;
    float *dw;
    const float *dy, *x;
    float *scratch, *partial;
    int64_t rows, part, blocks;
};

static void weight_part(void *context, int64_t index, int worker) {
    struct weight *f = context;
    int64_t length = patch_length(&f->p), k = f->p.k, begin = index * f->part;
    int64_t end = ck_min64(f->rows, begin + f->part);
    float *columns = f->scratch + (int64_t)worker * DW_TILE * length, *sum = f->partial + index * k * length;
    if (begin >= end) {
        memset(sum, 0, sizeof(float) * (size_t)(k * length));
        return;
    }
    for (int64_t first = begin; first < end; first += DW_TILE) {
        int64_t count = ck_min64(DW_TILE, end - first);
        const float *a = f->x + first * length;
        if (!is_pointwise(&f->p)) {
            gather_patches(columns, f->x, &f->p, first, count);
            a = columns;
        }
        ck_gemm(1, 0, k, length, count, f->dy + first * k, k, a, length, first > begin, sum, length);
    }
}

static void reduce_block(void *context, int64_t index, int worker) {
    (void)worker;
    struct weight *f = context;
    int64_t size = patch_length(&f->p) * f->p.k, from = index * CK_BLOCK;
    ck_cpu_add_parts(f->dw, f->partial, size, PARTS, from, ck_min64(size, from + CK_BLOCK));
}

// The pixels that tap (r, s) reads, one row of C each.
static void gather_tap(float *columns, const float *x, const conv2d *p, int64_t r, int64_t s, int64_t first,
                       int64_t count) {
    int64_t q = first % p->q, row = first / p->q % p->p, n = first / p->q / p->p;
    size_t bytes = sizeof(float) * (size_t)p->c;
    for (int64_t i = 0; i < count; i++) {
        int64_t h = row * p->stride + r - p->pad, w = q * p->stride + s - p->pad;
        float *to = columns + i * p->c;
        if (h < 0 || h >= p->h || w < 0 || w >= p->w)
            memset(to, 0, bytes);
        else
            memcpy(to, x + ((n * p->h + h) * p->w + w) * p->c, bytes);
        if (++q == p->q) {
            q = 0;
            if (++row == p->p) row = 0, n++;
        }
    }
}

static void weight_tap(void *context, int64_t index, int worker) {
    struct weight *f = context;
    const conv2d *p = &f->p;
    int64_t tap = index / f->blocks, block = index % f->blocks, width = ck_ceil_div(p->k, f->blocks);
    int64_t k0 = block * width, k1 = ck_min64(p->k, k0 + width), length = patch_length(p);
    if (k0 >= k1) return;
    float *columns = f->scratch + (int64_t)worker * DW_TILE * p->c;
    for (int64_t first = 0; first < f->rows; first += DW_TILE) {
        int64_t count = ck_min64(DW_TILE, f->rows - first);
        const float *a = f->x + first * p->c;
        if (!is_pointwise(p)) {
            gather_tap(columns, f->x, p, tap / p->s, tap % p->s, first, count);
            a = columns;
        }
        ck_gemm(1, 0, k1 - k0, p->c, count, f->dy + first * p->k + k0, p->k, a, p->c, first > 0,
                f->dw + k0 * length + tap * p->c, length);
    }
}

ck_status ck_cpu_conv2d_backward_weight(const ck_conv2d_backward_weight_operands *t, const conv2d *p,
                                        void *workspace) {
    struct weight f = {.p = *p, .dw = t->dw, .dy = t->dy, .x = t->x};
    f.rows = (int64_t)p->n * p->p * p->q;
    if (ck_winograd_fits(p)) {
        ck_winograd_weight(t->dw, t->dy, t->x, p, workspace);
    } else if (is_parted(p)) {
        f.part = ck_ceil_div(f.rows, PARTS);
        f.partial = workspace;
        f.scratch = f.partial + PARTS * patch_length(p) * p->k;
        ck_parallel_for(PARTS, weight_part, &f);
        ck_parallel_for(ck_block_count(patch_length(p) * p->k), reduce_block, &f);
    } else {
        f.scratch = workspace;
        f.blocks = p->r * p->s > 1 ? 2 : 8;
        ck_parallel_for(p->r * p->s * f.blocks, weight_tap, &f);
    }
    return CK_OK;
}

// ---- Scratch memory ---------------------------------------------------------------------------------------

static int64_t forward_scratch(const conv2d *p, int64_t workers) {
    if (ck_winograd_fits(p)) return ck_winograd_convolve_scratch(p, 0, workers);
    int64_t length = patch_length(p), packed = ck_packed_floats(p->k, length);
    if (is_pointwise(p)) return packed;
    return packed + workers * length * tile_rows((int64_t)p->n * p->p * p->q, length);
}

uint64_t ck_cpu_workspace_conv2d_forward(const conv2d *p) {
    return sizeof(float) * (uint64_t)forward_scratch(p, ck_thread_count());
}

uint64_t ck_cpu_workspace_conv2d_backward_data(const conv2d *p) {
    int64_t workers = ck_thread_count(), floats;
    conv2d back = back_of(p);
    if (is_winograd_backward(p))
        floats = ck_winograd_convolve_scratch(&back, 1, workers);
    else if (is_gathered(p))
        floats = patch_length(p) * p->k + forward_scratch(&back, workers);
    else
        floats = workers * images_to_group(p) * p->p * p->q * patch_length(p);
    return sizeof(float) * (uint64_t)floats;
}

uint64_t ck_cpu_workspace_conv2d_backward_weight(const conv2d *p) {
    int64_t workers = ck_thread_count(), length = patch_length(p), floats;
    if (ck_winograd_fits(p))
        floats = ck_winograd_weight_scratch(p, workers);
    else if (is_parted(p))
        floats = PARTS * length * p->k + workers * DW_TILE * length;
    else
        floats = workers * DW_TILE * p->c;
    return sizeof(float) * (uint64_t)floats;
}
