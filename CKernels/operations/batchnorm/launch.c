#include "cuda.h"

typedef ck_batchnorm_params batchnorm;

// Rows to a block's share: a function of the shape alone, so that sums are the same on every GPU.
static int64_t share_of(const batchnorm *p) { return ck_max64(64, ck_ceil_div(p->rows, 512)); }
static int64_t blocks_of(const batchnorm *p) { return ck_ceil_div(p->rows, share_of(p)); }

// scale, shift, slope [C], padded to 16 bytes, then the partial sums.
static int64_t padded(const batchnorm *p) { return ck_ceil_div(p->channels, 4) * 4; }

static uint64_t scratch(const batchnorm *p) {
    return sizeof(float) * (uint64_t)(3 * padded(p) + 2 * p->channels * blocks_of(p));
}

uint64_t ck_cuda_workspace_batchnorm_forward(const batchnorm *p) { return scratch(p); }
uint64_t ck_cuda_workspace_batchnorm_backward(const batchnorm *p) { return scratch(p); }
uint64_t ck_cuda_workspace_batchnorm_inference(const batchnorm *p) { return scratch(p); }
uint64_t ck_cuda_workspace_batchnorm_inference_backward(const batchnorm *p) { return scratch(p); }

// A block to 64 channels, and a block to a share of the rows and 32 channels.
static ck_grid by_channels(const batchnorm *p) { return ck_blocks(ck_ceil_div(p->channels, 64)); }
static ck_grid by_shares(const batchnorm *p) {
    return (ck_grid){blocks_of(p), ck_ceil_div(p->channels, 32), 1};
}

static ck_status normalize(ck_cuda_state *cuda, float *y, const float *x, const float *residual,
                           const float *scale, const float *shift, const batchnorm *p) {
    int64_t count = p->rows * p->channels;
    if (p->channels % 4 == 0 && ck_is_aligned(y) && ck_is_aligned(x) && ck_is_aligned(residual) &&
        ck_is_aligned(scale) && ck_is_aligned(shift))
        return CK_LAUNCH(cuda, ck_batchnorm_normalize4, ck_elements(count / 4), .y = (float4 *)y,
                         .x = (const float4 *)x, .residual = (const float4 *)residual,
                         .scale = (const float4 *)scale, .shift = (const float4 *)shift, .p = *p);
    return CK_LAUNCH(cuda, ck_batchnorm_normalize, ck_elements(count), .y = y, .x = x, .residual = residual,
                     .scale = scale, .shift = shift, .p = *p);
}

ck_status ck_cuda_batchnorm_forward(ck_cuda_state *cuda, const ck_batchnorm_forward_operands *t,
                                    const batchnorm *p, void *workspace) {
    float *scale = workspace, *shift = scale + padded(p), *partial = shift + 2 * padded(p);
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_moments, by_shares(p), .partial = partial, .x = t->x,
                     .share = share_of(p), .p = *p));
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_statistics, by_channels(p), .mean = t->mean,
                     .inverse_deviation = t->inverse_deviation, .running_mean = t->running_mean,
                     .running_variance = t->running_variance, .scale = scale, .shift = shift,
                     .partial = partial, .x = t->x, .gamma = t->gamma, .beta = t->beta,
                     .blocks = blocks_of(p), .share = share_of(p), .p = *p));
    return normalize(cuda, t->y, t->x, t->residual, scale, shift, p);
}

ck_status ck_cuda_batchnorm_backward(ck_cuda_state *cuda, const ck_batchnorm_backward_operands *t,
                                     const batchnorm *p, void *workspace) {
    float *scale = workspace, *mean_dy = scale + padded(p), *slope = mean_dy + padded(p),
          *partial = slope + padded(p);
    int64_t count = p->rows * p->channels;
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_gradient_sums, by_shares(p), .partial = partial, .dy = t->dy,
                     .x = t->x, .y = t->y, .mean = t->mean, .share = share_of(p), .p = *p));
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_gradient_statistics, by_channels(p), .dgamma = t->dgamma,
                     .dbeta = t->dbeta, .scale = scale, .mean_dy = mean_dy, .slope = slope,
                     .partial = partial, .inverse_deviation = t->inverse_deviation, .gamma = t->gamma,
                     .blocks = blocks_of(p), .p = *p));
    if (p->channels % 4 == 0 && ck_is_aligned(scale) && ck_is_aligned(t->dx) && ck_is_aligned(t->dresidual) &&
        ck_is_aligned(t->dy) && ck_is_aligned(t->x) && ck_is_aligned(t->y) && ck_is_aligned(t->mean))
        return CK_LAUNCH(cuda, ck_batchnorm_gradient4, ck_elements(count / 4), .dx = (float4 *)t->dx,
                         .dresidual = (float4 *)t->dresidual, .dy = (const float4 *)t->dy,
                         .x = (const float4 *)t->x, .y = (const float4 *)t->y,
                         .mean = (const float4 *)t->mean, .scale = (const float4 *)scale,
                         .mean_dy = (const float4 *)mean_dy, .slope = (const float4 *)slope, .p = *p);
    return CK_LAUNCH(cuda, ck_batchnorm_gradient, ck_elements(count), .dx = t->dx, .dresidual = t->dresidual,
                     .dy = t->dy, .x = t->x, .y = t->y, .mean = t->mean, .scale = scale, .mean_dy = mean_dy,
                     .slope = slope, .p = *p);
}

ck_status ck_cuda_batchnorm_inference(ck_cuda_state *cuda, const ck_batchnorm_inference_operands *t,
                                      const batchnorm *p, void *workspace) {
    float *scale = workspace, *shift = scale + padded(p);
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_inference_scale, by_channels(p), .scale = scale, .shift = shift,
                     .gamma = t->gamma, .beta = t->beta, .mean = t->running_mean,
                     .variance = t->running_variance, .p = *p));
    return normalize(cuda, t->y, t->x, t->residual, scale, shift, p);
}

ck_status ck_cuda_batchnorm_inference_backward(ck_cuda_state *cuda,
                                               const ck_batchnorm_inference_backward_operands *t,
                                               const batchnorm *p, void *workspace) {
    float *scale = workspace;
    CK_TRY(CK_LAUNCH(cuda, ck_batchnorm_inference_scale, by_channels(p), .scale = scale, .gamma = t->gamma,
                     .variance = t->running_variance, .p = *p));
    return CK_LAUNCH(cuda, ck_batchnorm_inference_gradient, ck_elements(p->rows * p->channels), .dx = t->dx,
                     .dresidual = t->dresidual, .dy = t->dy, .y = t->y, .scale = scale, .p = *p);
}
