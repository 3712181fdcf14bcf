// Which form of the convolution kernels a shape takes. All choices follow from the shape alone, so that the same plan gives the
// same bits on every GPU of an architecture.
#include "cuda.h"

enum { LARGE = 128, SMALL = 64, ENOUGH_BLOCKS = 128, PARTIAL_DEPTH = 512 };

typedef ck_conv2d_params conv2d;

static int is_aligned(const void *a) { return (uintptr_t)a % 16 == 0; }

// Large tiles read less; small ones give more blocks to go round. Odd numbers of channels have small ones only.
static int64_t tile_size(int64_t rows, int64_t columns, int64_t copies, int by_four) {
    int64_t large = ck_ceil_div(rows, LARGE) * ck_ceil_div(columns, LARGE) * copies;
    return by_four && columns > SMALL && large >= ENOUGH_BLOCKS ? LARGE : SMALL;
}

// One of a pass' nine kernels; they are listed in the order strict, tf32, bf16, each any, small, large.
static ck_kernel form(ck_kernel first, const conv2d *p, int64_t size, int by_four) {
    int mode = p->math == CK_MATH_STRICT ? 0 : p->math == CK_MATH_BF16 ? 2 : 1;
    return (ck_kernel)(first + 3 * mode + (size == LARGE ? 2 : by_four));
}
_Static_assert(CK_LAUNCH_ck_conv2d_forward_bf16_large == CK_LAUNCH_ck_conv2d_forward_strict_any + 8, "the order that form() counts on");
_Static_assert(CK_LAUNCH_ck_conv2d_backward_data_bf16_large == CK_LAUNCH_ck_conv2d_backward_data_strict_any + 8, "likewise");
_Static_assert(CK_LAUNCH_ck_conv2d_backward_weight_bf16_large == CK_LAUNCH_ck_conv2d_backward_weight_strict_any + 8, "likewise");

static int threads_of(int64_t size) { return size == LARGE ? 256 : 128; }

ck_status ck_cuda_conv2d_forward(ck_cuda_call c) {
    conv2d p = c.p->conv2d;
    int by_four = p.c % 4 == 0 && is_aligned(c.t[1]) && is_aligned(c.t[2]);
    int64_t rows = (int64_t)p.n * p.p * p.q, size = tile_size(rows, p.k, 1, by_four);
    return ck_cuda_launch(c.cuda, form(CK_LAUNCH_ck_conv2d_forward_strict_any, &p, size, by_four),
                          (ck_grid){ck_ceil_div(rows, size), ck_ceil_div(p.k, size), 1}, threads_of(size),
                          (void *[]){(void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2], &p});
}

ck_status ck_cuda_conv2d_backward_data(ck_cuda_call c) {
    conv2d p = c.p->conv2d;
    int64_t classes = (int64_t)p.stride * p.stride;
    int by_four = p.c % 4 == 0 && p.k % 4 == 0 && is_aligned(c.t[1]) && is_aligned(c.t[2]);
    int64_t rows = p.n * ck_ceil_div(p.h, p.stride) * ck_ceil_div(p.w, p.stride);
    int64_t size = tile_size(rows, p.c, classes, by_four);
    return ck_cuda_launch(c.cuda, form(CK_LAUNCH_ck_conv2d_backward_data_strict_any, &p, size, by_four),
                          (ck_grid){ck_ceil_div(rows, size), ck_ceil_div(p.c, size), classes}, threads_of(size),
                          (void *[]){(void *)&c.t[0], (void *)&c.t[1], (void *)&c.t[2], &p});
}

// The pixels are summed in parts, so that there are blocks enough; a part is at least PARTIAL_DEPTH pixels.
static int is_by_four(const conv2d *p) { return p->c % 4 == 0 && p->k % 4 == 0; }

struct split {
    int64_t size, parts;
    int32_t share;
};

static struct split split_of(const conv2d *p) {
    int64_t pixels = (int64_t)p->n * p->p * p->q, length = (int64_t)p->r * p->s * p->c;
    int64_t size = p->k >= LARGE && length >= LARGE && is_by_four(p) ? LARGE : SMALL;
    int64_t tiles = ck_ceil_div(p->k, size) * ck_ceil_div(length, size);
    int64_t wanted = ck_min64(ck_ceil_div(2 * ENOUGH_BLOCKS, tiles), ck_ceil_div(pixels, PARTIAL_DEPTH));
    int64_t share = ck_ceil_div(ck_ceil_div(pixels, wanted), 32) * 32;
    return (struct split){size, ck_ceil_div(pixels, share), (int32_t)share};
}

ck_status ck_cuda_conv2d_backward_weight(ck_cuda_call c) {
    conv2d p = c.p->conv2d;
    struct split split = split_of(&p);
    int64_t length = (int64_t)p.r * p.s * p.c, count = p.k * length;
    // A view that is not aligned takes the small tiles of any shape; its parts are as many.
    int by_four = is_by_four(&p) && is_aligned(c.t[1]) && is_aligned(c.t[2]);
    int32_t parts = (int32_t)split.parts;
    if (!by_four) split.size = SMALL;
    void *to = parts == 1 ? c.t[0] : c.workspace;
    CK_TRY(ck_cuda_launch(c.cuda, form(CK_LAUNCH_ck_conv2d_backward_weight_strict_any, &p, split.size, by_four),
                          (ck_grid){ck_ceil_div(p.k, split.size), ck_ceil_div(length, split.size), parts},
                          threads_of(split.size),
                          (void *[]){&to, (void *)&c.t[1], (void *)&c.t[2], &split.share, &p}));
    if (parts == 1) return CK_OK;
    return CK_LAUNCH(c.cuda, ck_conv2d_add_parts, ck_elements(count), 256, (void *)&c.t[0], &to, &parts, &count);
}

uint64_t ck_cuda_workspace_conv2d(const ck_operation *operation) {
    const conv2d *p = &operation->params.conv2d;
    if (operation->kind != CK_KIND_conv2d_backward_weight) return 0;
    struct split split = split_of(p);
    return split.parts == 1 ? 0 : sizeof(float) * (uint64_t)(split.parts * p->k * p->r * p->s * p->c);
}
