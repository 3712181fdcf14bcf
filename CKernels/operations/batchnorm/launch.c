#include "launch.h"

typedef ck_batchnorm_params batchnorm;

// A kernel over the values has four forms (batchnorm.cu): bit 0 says vectors of 16 bytes, bit 1 bf16.
enum { WIDE = 1, BF16 = 2 };

static int form_of(const batchnorm *p, int are_aligned) {
    int bf16 = p->activations == CK_bf16;
    return (bf16 ? BF16 : 0) | (p->channels % (bf16 ? 8 : 4) == 0 && are_aligned ? WIDE : 0);
}
static int64_t width_of(int form) { return !(form & WIDE) ? 1 : form & BF16 ? 8 : 4; }

#define LAUNCH(form, name, grid, ...)                                                                        \
    ck_launch_##name(cuda,                                                                                   \
                     (const ck_kernel[]){CK_LAUNCH_##name, CK_LAUNCH_##name##_wide, CK_LAUNCH_##name##_bf16, \
                                         CK_LAUNCH_##name##_bf16_wide}[form],                                \
                     grid, (name##_arguments){__VA_ARGS__})

// How the rows are shared out for sums, by the shape and the form alone, so that sums are the same on every
// GPU. Large inputs make some six blocks to a multiprocessor of the largest GPUs; each of a block's threads
// takes eight rows at least.
enum { THREADS = 256, MOST_LANES = 32, MOST_BLOCKS = 768, LEAST_ROWS = 8 };

struct split {
    int32_t lanes;  // threads side by side
    int64_t share, parts;
    ck_grid grid;
};

static struct split split_of(const batchnorm *p, int64_t width) {
    int64_t groups = ck_ceil_div(p->channels, width);
    int32_t lanes = 1;
    while (lanes < MOST_LANES && lanes < groups) lanes *= 2;
    int64_t columns = ck_ceil_div(groups, lanes), most = ck_max64(1, MOST_BLOCKS / columns);
    int64_t parts = ck_min64(most, ck_ceil_div(p->rows, THREADS / lanes * LEAST_ROWS));
    int64_t share = ck_ceil_div(p->rows, parts);
    parts = ck_ceil_div(p->rows, share);
    return (struct split){lanes, share, parts, {parts, columns, 1}};
}

// Scratch memory: four rows of C, padded to 16 bytes, then the parts, for whichever form is taken.
enum { ROWS = 4 };
static int64_t padded(const batchnorm *p) { return ck_ceil_div(p->channels, 4) * 4; }

static uint64_t scratch(const batchnorm *p) {
    int64_t parts = ck_max64(split_of(p, 1).parts, split_of(p, p->activations == CK_bf16 ? 8 : 4).parts);
    return sizeof(float) * (uint64_t)(ROWS * padded(p) + 2 * p->channels * parts);
}

uint64_t ck_cuda_workspace_batchnorm_forward(const batchnorm *p) { return scratch(p); }
uint64_t ck_cuda_workspace_batchnorm_backward(const batchnorm *p) { return scratch(p); }
uint64_t ck_cuda_workspace_batchnorm_moments(const batchnorm *p) { return scratch(p); }
uint64_t ck_cuda_workspace_batchnorm_normalize(const batchnorm *p) {
    return sizeof(float) * (uint64_t)(2 * padded(p));
}
uint64_t ck_cuda_workspace_batchnorm_gradient_sums(const batchnorm *p) { return scratch(p); }
uint64_t ck_cuda_workspace_batchnorm_gradient(const batchnorm *p) {
    return sizeof(float) * (uint64_t)(3 * padded(p));
}
uint64_t ck_cuda_workspace_batchnorm_inference(const batchnorm *p) {
    return sizeof(float) * (uint64_t)(2 * padded(p));
}
uint64_t ck_cuda_workspace_batchnorm_inference_backward(const batchnorm *p) {
    return sizeof(float) * (uint64_t)padded(p);
}

// A block to four channels' parts; a block to 64 channels; blocks for all values.
static ck_grid by_channels(const batchnorm *p, int64_t channels) {
    return ck_blocks(ck_ceil_div(p->channels, channels));
}
static ck_grid by_values(const batchnorm *p, int form) {
    return ck_elements(p->rows * p->channels / width_of(form));
}

// The scratch memory as rows of C and the parts behind them.
struct rows {
    float *first, *second, *third, *parts;
};
static struct rows rows_of(void *workspace, const batchnorm *p) {
    float *first = workspace;
    return (struct rows){first, first + padded(p), first + 2 * padded(p), first + ROWS * padded(p)};
}

// The parts' moments about s.third.
static ck_status part_moments(ck_cuda_state *cuda, struct rows s, const void *x, int form, struct split split,
                              const batchnorm *p) {
    return LAUNCH(form, ck_batchnorm_moments, split.grid, .partial = s.parts, .origin = s.third, .x = x,
                  .share = split.share, .lanes = split.lanes, .p = *p);
}

// y by the scale s.first and the shift s.second.
static ck_status normalize(ck_cuda_state *cuda, struct rows s, void *y, const void *x, const void *residual,
                           int form, const batchnorm *p) {
    return LAUNCH(form, ck_batchnorm_normalize, by_values(p, form), .y = y, .x = x, .residual = residual,
                  .scale = s.first, .shift = s.second, .p = *p);
}

// The statistics from sums about `origin`, and y by them.
static ck_status forward_by_sums(ck_cuda_state *cuda, const ck_batchnorm_forward_operands *t, struct rows s,
                                 const float *sums, int64_t parts, const float *origin, const batchnorm *p) {
    int form = form_of(p, ck_is_aligned(s.first) && ck_is_aligned(t->y) && ck_is_aligned(t->x) &&
                              ck_is_aligned(t->residual));
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_statistics, by_channels(p, 4), .mean = t->mean,
                     .inverse_deviation = t->inverse_deviation, .running_mean = t->running_mean,
                     .running_variance = t->running_variance, .scale = s.first, .shift = s.second,
                     .partial = sums, .origin = origin, .gamma = t->gamma, .beta = t->beta,
                     .parts = (int32_t)parts, .p = *p));
    return normalize(cuda, s, t->y, t->x, t->residual, form, p);
}

ck_status ck_cuda_batchnorm_forward(ck_cuda_state *cuda, const ck_batchnorm_forward_operands *t,
                                    const batchnorm *p, void *workspace) {
    struct rows s = rows_of(workspace, p);
    int form = form_of(p, ck_is_aligned(workspace) && ck_is_aligned(t->x));
    struct split split = split_of(p, width_of(form));
    CK_TRY(part_moments(cuda, s, t->x, form, split, p));
    return forward_by_sums(cuda, t, s, s.parts, split.parts, s.third, p);
}

ck_status ck_cuda_batchnorm_moments(ck_cuda_state *cuda, const ck_batchnorm_moments_operands *t,
                                    const batchnorm *p, void *workspace) {
    struct rows s = rows_of(workspace, p);
    int form = form_of(p, ck_is_aligned(workspace) && ck_is_aligned(t->x));
    struct split split = split_of(p, width_of(form));
    CK_TRY(part_moments(cuda, s, t->x, form, split, p));
    return CK_LAUNCH(cuda, ck_batchnorm_own_moments, by_channels(p, 4), .moments = t->moments,
                     .partial = s.parts, .origin = s.third, .parts = (int32_t)split.parts, .p = *p);
}

ck_status ck_cuda_batchnorm_normalize(ck_cuda_state *cuda, const ck_batchnorm_normalize_operands *t,
                                      const batchnorm *p, void *workspace) {
    struct rows s = rows_of(workspace, p);
    int form = form_of(p, ck_is_aligned(workspace) && ck_is_aligned(t->y) && ck_is_aligned(t->x) &&
                              ck_is_aligned(t->residual));
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_merge, by_channels(p, 64), .mean = t->mean,
                     .inverse_deviation = t->inverse_deviation, .running_mean = t->running_mean,
                     .running_variance = t->running_variance, .scale = s.first, .shift = s.second,
                     .moments = t->moments, .gamma = t->gamma, .beta = t->beta, .p = *p));
    return normalize(cuda, s, t->y, t->x, t->residual, form, p);
}

// The statistics of the gradients from their sums, and dx by them.
static ck_status backward_by_sums(ck_cuda_state *cuda, const ck_batchnorm_backward_operands *t, struct rows s,
                                  int form, const float *sums, int64_t parts, const batchnorm *p) {
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_gradient_statistics, by_channels(p, 4), .dgamma = t->dgamma,
                     .dbeta = t->dbeta, .scale = s.first, .mean_dy = s.second, .slope = s.third,
                     .partial = sums, .inverse_deviation = t->inverse_deviation, .gamma = t->gamma,
                     .parts = (int32_t)parts, .p = *p));
    return LAUNCH(form, ck_batchnorm_gradient, by_values(p, form), .dx = t->dx, .dresidual = t->dresidual,
                  .dy = t->dy, .x = t->x, .y = t->y, .mean = t->mean, .scale = s.first, .mean_dy = s.second,
                  .slope = s.third, .p = *p);
}

ck_status ck_cuda_batchnorm_backward(ck_cuda_state *cuda, const ck_batchnorm_backward_operands *t,
                                     const batchnorm *p, void *workspace) {
    struct rows s = rows_of(workspace, p);
    int form = form_of(p, ck_is_aligned(workspace) && ck_is_aligned(t->dx) && ck_is_aligned(t->dresidual) &&
                              ck_is_aligned(t->dy) && ck_is_aligned(t->x) && ck_is_aligned(t->y) &&
                              ck_is_aligned(t->mean));
    struct split split = split_of(p, width_of(form));
    CK_TRY(LAUNCH(form, ck_batchnorm_gradient_sums, split.grid, .partial = s.parts, .dy = t->dy, .x = t->x,
                  .y = t->y, .mean = t->mean, .share = split.share, .lanes = split.lanes, .p = *p));
    return backward_by_sums(cuda, t, s, form, s.parts, split.parts, p);
}

// ---- By sums that a convolution has taken -----------------------------------------------------------------

// More parts than FOLDED are added up to as many before the statistics.
enum { FOLDED = 128 };

uint64_t ck_batchnorm_by_sums_workspace(const batchnorm *p) {
    return sizeof(float) * (uint64_t)(ROWS * padded(p) + 2 * p->channels * FOLDED);
}

static ck_status fold(ck_cuda_state *cuda, struct rows s, const float **sums, int64_t *parts,
                      const batchnorm *p) {
    if (*parts <= 2 * FOLDED) return CK_OK;
    int64_t columns = 2 * (int64_t)p->channels, share = ck_ceil_div(*parts, FOLDED);
    ck_grid grid = {ck_ceil_div(*parts, share), ck_ceil_div(columns, 64), 1};
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_fold, grid, .folded = s.parts, .partial = *sums,
                     .parts = (int32_t)*parts, .share = (int32_t)share, .columns = (int32_t)columns));
    *sums = s.parts, *parts = grid.x;
    return CK_OK;
}

ck_status ck_batchnorm_forward_by_sums(ck_cuda_state *cuda, const ck_batchnorm_forward_operands *t,
                                       const float *sums, int64_t parts, const batchnorm *p,
                                       void *workspace) {
    struct rows s = rows_of(workspace, p);
    CK_TRY(fold(cuda, s, &sums, &parts, p));
    return forward_by_sums(cuda, t, s, sums, parts, t->running_mean, p);
}

ck_status ck_batchnorm_backward_by_sums(ck_cuda_state *cuda, const ck_batchnorm_backward_operands *t,
                                        const float *sums, int64_t parts, const batchnorm *p,
                                        void *workspace) {
    struct rows s = rows_of(workspace, p);
    batchnorm behind_relu = *p;
    behind_relu.relu = 0;
    ck_batchnorm_backward_operands operands = *t;
    operands.y = NULL, operands.dresidual = NULL;
    int form = form_of(p, ck_is_aligned(workspace) && ck_is_aligned(t->dx) && ck_is_aligned(t->dy) &&
                              ck_is_aligned(t->x) && ck_is_aligned(t->mean));
    CK_TRY(fold(cuda, s, &sums, &parts, p));
    return backward_by_sums(cuda, &operands, s, form, sums, parts, &behind_relu);
}

// ---- For a batch of several ranks -------------------------------------------------------------------------

ck_status ck_cuda_batchnorm_gradient_sums(ck_cuda_state *cuda, const ck_batchnorm_gradient_sums_operands *t,
                                          const batchnorm *p, void *workspace) {
    struct rows s = rows_of(workspace, p);
    int form = form_of(p, ck_is_aligned(workspace) && ck_is_aligned(t->dy) && ck_is_aligned(t->x) &&
                              ck_is_aligned(t->y) && ck_is_aligned(t->mean));
    struct split split = split_of(p, width_of(form));
    CK_TRY(LAUNCH(form, ck_batchnorm_gradient_sums, split.grid, .partial = s.parts, .dy = t->dy, .x = t->x,
                  .y = t->y, .mean = t->mean, .share = split.share, .lanes = split.lanes, .p = *p));
    return CK_LAUNCH(cuda, ck_batchnorm_own_gradient_sums, by_channels(p, 4), .dgamma = t->dgamma,
                     .dbeta = t->dbeta, .sums = t->sums, .partial = s.parts,
                     .inverse_deviation = t->inverse_deviation, .parts = (int32_t)split.parts, .p = *p);
}

ck_status ck_cuda_batchnorm_gradient(ck_cuda_state *cuda, const ck_batchnorm_gradient_operands *t,
                                     const batchnorm *p, void *workspace) {
    struct rows s = rows_of(workspace, p);
    int form = form_of(p, ck_is_aligned(workspace) && ck_is_aligned(t->dx) && ck_is_aligned(t->dresidual) &&
                              ck_is_aligned(t->dy) && ck_is_aligned(t->x) && ck_is_aligned(t->y) &&
                              ck_is_aligned(t->mean));
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_merge_gradient_sums, by_channels(p, 64), .scale = s.first,
                     .mean_dy = s.second, .slope = s.third, .sums = t->sums,
                     .inverse_deviation = t->inverse_deviation, .gamma = t->gamma, .p = *p));
    return LAUNCH(form, ck_batchnorm_gradient, by_values(p, form), .dx = t->dx, .dresidual = t->dresidual,
                  .dy = t->dy, .x = t->x, .y = t->y, .mean = t->mean, .scale = s.first, .mean_dy = s.second,
                  .slope = s.third, .p = *p);
}

ck_status ck_cuda_batchnorm_inference(ck_cuda_state *cuda, const ck_batchnorm_inference_operands *t,
                                      const batchnorm *p, void *workspace) {
    struct rows s = rows_of(workspace, p);
    int form = form_of(p, ck_is_aligned(workspace) && ck_is_aligned(t->y) && ck_is_aligned(t->x) &&
                              ck_is_aligned(t->residual));
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_inference_scale, by_channels(p, 64), .scale = s.first,
                     .shift = s.second, .gamma = t->gamma, .beta = t->beta, .mean = t->running_mean,
                     .variance = t->running_variance, .p = *p));
    return normalize(cuda, s, t->y, t->x, t->residual, form, p);
}

ck_status ck_cuda_batchnorm_inference_backward(ck_cuda_state *cuda,
                                               const ck_batchnorm_inference_backward_operands *t,
                                               const batchnorm *p, void *workspace) {
    float *scale = workspace;
    int form = form_of(p, ck_is_aligned(workspace) && ck_is_aligned(t->dx) && ck_is_aligned(t->dresidual) &&
                              ck_is_aligned(t->dy) && ck_is_aligned(t->y));
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_inference_scale, by_channels(p, 64), .scale = scale,
                     .gamma = t->gamma, .variance = t->running_variance, .p = *p));
    return LAUNCH(form, ck_batchnorm_inference_gradient, by_values(p, form), .dx = t->dx,
                  .dresidual = t->dresidual, .dy = t->dy, .y = t->y, .scale = scale, .p = *p);
}
