// Which form of the convolution kernels a shape takes. All choices follow from the shape alone, so that the
// same plan gives the same bits on every GPU of an architecture.
#include "launch_bf16.h"
#include "normalization.h"

enum { LARGE = 128, SMALL = 64, ENOUGH_BLOCKS = 128, PARTIAL_DEPTH = 512 };

typedef ck_conv2d_params conv2d;

// Large tiles read less; small ones give more blocks to go round. Odd numbers of channels have small ones
// only.
static int64_t tile_size(int64_t rows, int64_t columns, int64_t copies, int by_four) {
    int64_t large = ck_ceil_div(rows, LARGE) * ck_ceil_div(columns, LARGE) * copies;
    return by_four && columns > SMALL && large >= ENOUGH_BLOCKS ? LARGE : SMALL;
}

// A pass has a kernel for each math mode and each form: any number of channels, or multiples of four in small
// or large tiles.
typedef enum form { ANY, BY_FOUR_SMALL, BY_FOUR_LARGE } form;

#define FORMS(pass, mode)                                                                                    \
    {                                                                                                        \
        [ANY] = CK_LAUNCH_ck_conv2d_##pass##_##mode##_any,                                                   \
        [BY_FOUR_SMALL] = CK_LAUNCH_ck_conv2d_##pass##_##mode##_small,                                       \
        [BY_FOUR_LARGE] = CK_LAUNCH_ck_conv2d_##pass##_##mode##_large,                                       \
    }
#define KERNELS(pass)                                                                                        \
    static const ck_kernel pass##_kernels[][3] = {                                                           \
        [CK_MATH_FAST] = FORMS(pass, tf32),                                                                  \
        [CK_MATH_STRICT] = FORMS(pass, strict),                                                              \
    };
KERNELS(forward)
KERNELS(backward_data)
KERNELS(backward_weight)

static form form_of(int64_t size, int by_four) {
    return size == LARGE ? BY_FOUR_LARGE : by_four ? BY_FOUR_SMALL : ANY;
}

ck_status ck_cuda_conv2d_forward(ck_cuda_state *cuda, const ck_conv2d_forward_operands *t, const conv2d *p,
                                 void *workspace) {
    if (p->math == CK_MATH_BF16)
        return ck_conv2d_bf16_forward(cuda, t->y, t->x, t->w, p, (ck_conv2d_epilogue){0}, workspace);
    int by_four = p->c % 4 == 0 && ck_is_aligned(t->x) && ck_is_aligned(t->w);
    int64_t rows = (int64_t)p->n * p->p * p->q, size = tile_size(rows, p->k, 1, by_four);
    ck_grid grid = {ck_ceil_div(rows, size), ck_ceil_div(p->k, size), 1};
    return ck_launch_ck_conv2d_forward_strict_any(
        cuda, forward_kernels[p->math][form_of(size, by_four)], grid,
        (ck_conv2d_forward_strict_any_arguments){.y = t->y, .x = t->x, .w = t->w, .p = *p});
}

// ---- Inference --------------------------------------------------------------------------------------------

// In bf16, scale and shift lie before the convolution's scratch memory, each as long as the tiles are wide.
static int64_t factor_count(const conv2d *p) { return ck_ceil_div(p->k, LARGE) * LARGE; }
static uint64_t factor_bytes(const conv2d *p) { return 2 * sizeof(float) * (uint64_t)factor_count(p); }

uint64_t ck_cuda_workspace_conv2d_inference(const conv2d *p) {
    if (p->math == CK_MATH_BF16) return factor_bytes(p) + ck_conv2d_bf16_forward_workspace(p);
    ck_batchnorm_params norm = ck_norm_of_result(p);
    return ck_cuda_workspace_batchnorm_inference(&norm);
}

// In bf16 the kernel that convolves normalizes what it has summed; in the other modes y is gone over again.
ck_status ck_cuda_conv2d_inference(ck_cuda_state *cuda, const ck_conv2d_inference_operands *t,
                                   const conv2d *p, void *workspace) {
    ck_batchnorm_params norm = ck_norm_of_result(p);
    if (p->math == CK_MATH_BF16) {
        float *scale = workspace, *shift = scale + factor_count(p);
        CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_inference_scale, ck_blocks(ck_ceil_div(p->k, 64)), .scale = scale,
                         .shift = shift, .gamma = t->gamma, .beta = t->beta, .mean = t->running_mean,
                         .variance = t->running_variance, .p = norm));
        return ck_conv2d_bf16_forward(cuda, t->y, t->x, t->w, p,
                                      (ck_conv2d_epilogue){scale, shift, t->residual, p->relu},
                                      (unsigned char *)workspace + factor_bytes(p));
    }
    CK_TRY(ck_cuda_conv2d_forward(cuda, &(ck_conv2d_forward_operands){.y = t->y, .x = t->x, .w = t->w}, p,
                                  workspace));
    ck_batchnorm_inference_operands operands = {.y = t->y,
                                                .x = t->y,
                                                .residual = t->residual,
                                                .gamma = t->gamma,
                                                .beta = t->beta,
                                                .running_mean = t->running_mean,
                                                .running_variance = t->running_variance};
    return ck_cuda_batchnorm_inference(cuda, &operands, &norm, workspace);
}

// ---- Backward ---------------------------------------------------------------------------------------------

ck_status ck_cuda_conv2d_backward_data(ck_cuda_state *cuda, const ck_conv2d_backward_data_operands *t,
                                       const conv2d *p, void *workspace) {
    if (p->math == CK_MATH_BF16)
        return ck_conv2d_bf16_backward_data(cuda, t->dx, t->dy, t->w, p, (ck_conv2d_epilogue){0}, workspace);
    int64_t classes = (int64_t)p->stride * p->stride;
    int by_four = p->c % 4 == 0 && p->k % 4 == 0 && ck_is_aligned(t->dy) && ck_is_aligned(t->w);
    int64_t rows = p->n * ck_ceil_div(p->h, p->stride) * ck_ceil_div(p->w, p->stride);
    int64_t size = tile_size(rows, p->c, classes, by_four);
    ck_grid grid = {ck_ceil_div(rows, size), ck_ceil_div(p->c, size), classes};
    return ck_launch_ck_conv2d_backward_data_strict_any(
        cuda, backward_data_kernels[p->math][form_of(size, by_four)], grid,
        (ck_conv2d_backward_data_strict_any_arguments){.dx = t->dx, .dy = t->dy, .w = t->w, .p = *p});
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

ck_status ck_cuda_conv2d_backward_weight(ck_cuda_state *cuda, const ck_conv2d_backward_weight_operands *t,
                                         const conv2d *p, void *workspace) {
    if (p->math == CK_MATH_BF16)
        return ck_conv2d_bf16_backward_weight(cuda, t->dw, t->dy, t->x, p, workspace);
    struct split split = split_of(p);
    int64_t length = (int64_t)p->r * p->s * p->c, count = p->k * length;
    // A view that is not aligned takes the small tiles of any shape; its parts are as many.
    int by_four = is_by_four(p) && ck_is_aligned(t->dy) && ck_is_aligned(t->x);
    if (!by_four) split.size = SMALL;
    float *parts = split.parts == 1 ? t->dw : workspace;
    ck_grid grid = {ck_ceil_div(p->k, split.size), ck_ceil_div(length, split.size), split.parts};
    CK_TRY(ck_launch_ck_conv2d_backward_weight_strict_any(
        cuda, backward_weight_kernels[p->math][form_of(split.size, by_four)], grid,
        (ck_conv2d_backward_weight_strict_any_arguments){
            .parts = parts, .dy = t->dy, .x = t->x, .share = split.share, .p = *p}));
    if (split.parts == 1) return CK_OK;
    return CK_LAUNCH(cuda, ck_conv2d_add_parts, ck_elements(count), .dw = t->dw, .parts = parts,
                     .count = (int32_t)split.parts, .size = count);
}

uint64_t ck_cuda_workspace_conv2d_forward(const conv2d *p) {
    return p->math == CK_MATH_BF16 ? ck_conv2d_bf16_forward_workspace(p) : 0;
}
uint64_t ck_cuda_workspace_conv2d_backward_data(const conv2d *p) {
    return p->math == CK_MATH_BF16 ? ck_conv2d_bf16_backward_data_workspace(p) : 0;
}
uint64_t ck_cuda_workspace_conv2d_backward_weight(const conv2d *p) {
    if (p->math == CK_MATH_BF16) return ck_conv2d_bf16_backward_weight_workspace(p);
    struct split split = split_of(p);
    return split.parts == 1 ? 0 : sizeof(float) * (uint64_t)(split.parts * p->k * p->r * p->s * p->c);
}
