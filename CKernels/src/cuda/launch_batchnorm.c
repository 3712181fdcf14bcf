#include "cuda.h"

// Rows to a block's share: a function of the shape alone, so that sums are the same on every GPU.
static int64_t share_of(const ck_batchnorm_params *p) { return ck_max64(64, ck_ceil_div(p->rows, 512)); }
static int64_t blocks_of(const ck_batchnorm_params *p) { return ck_ceil_div(p->rows, share_of(p)); }

// scale, shift, slope [C], padded to 16 bytes, then the partial sums.
static int64_t padded(const ck_batchnorm_params *p) { return ck_ceil_div(p->channels, 4) * 4; }

uint64_t ck_cuda_workspace_batchnorm(const ck_operation *operation) {
    const ck_batchnorm_params *p = &operation->params.batchnorm;
    return sizeof(float) * (uint64_t)(3 * padded(p) + 2 * p->channels * blocks_of(p));
}

static ck_grid channels(const ck_batchnorm_params *p) { return (ck_grid){ck_ceil_div(p->channels, 64), 1, 1}; }

static int is_aligned(const void *a) { return (uintptr_t)a % 16 == 0; }

static ck_status normalize(ck_cuda_call c, void *y, void *x, void *residual, void *scale, void *shift) {
    ck_batchnorm_params p = c.p->batchnorm;
    int64_t count = p.rows * p.channels;
    if (p.channels % 4 == 0 && is_aligned(y) && is_aligned(x) && is_aligned(residual) && is_aligned(scale) && is_aligned(shift))
        return CK_LAUNCH(c.cuda, ck_batchnorm_normalize4, ck_elements(count / 4), 256, &y, &x, &residual, &scale, &shift, &p);
    return CK_LAUNCH(c.cuda, ck_batchnorm_normalize, ck_elements(count), 256, &y, &x, &residual, &scale, &shift, &p);
}

ck_status ck_cuda_batchnorm_forward(ck_cuda_call c) {
    ck_batchnorm_params p = c.p->batchnorm;
    int64_t share = share_of(&p), blocks = blocks_of(&p);
    float *scale = (float *)c.workspace, *shift = scale + padded(&p), *partial = shift + 2 * padded(&p);
    CK_TRY(CK_LAUNCH(c.cuda, ck_batchnorm_moments, ((ck_grid){blocks, ck_ceil_div(p.channels, 32), 1}), 256, &partial,
                     (void *)&c.t[5], &share, &p));
    CK_TRY(CK_LAUNCH(c.cuda, ck_batchnorm_statistics, channels(&p), 64, (void *)&c.t[1], (void *)&c.t[2], (void *)&c.t[3],
                     (void *)&c.t[4], &scale, &shift, &partial, (void *)&c.t[5], (void *)&c.t[7], (void *)&c.t[8], &blocks,
                     &share, &p));
    return normalize(c, c.t[0], c.t[5], c.t[6], scale, shift);
}

ck_status ck_cuda_batchnorm_backward(ck_cuda_call c) {
    ck_batchnorm_params p = c.p->batchnorm;
    int64_t share = share_of(&p), blocks = blocks_of(&p);
    float *scale = (float *)c.workspace, *mean_dy = scale + padded(&p), *slope = mean_dy + padded(&p);
    float *partial = slope + padded(&p);
    CK_TRY(CK_LAUNCH(c.cuda, ck_batchnorm_gradient_sums, ((ck_grid){blocks, ck_ceil_div(p.channels, 32), 1}), 256, &partial,
                     (void *)&c.t[4], (void *)&c.t[5], (void *)&c.t[6], (void *)&c.t[7], &share, &p));
    CK_TRY(CK_LAUNCH(c.cuda, ck_batchnorm_gradient_statistics, channels(&p), 64, (void *)&c.t[1], (void *)&c.t[2], &scale,
                     &mean_dy, &slope, &partial, (void *)&c.t[8], (void *)&c.t[9], &blocks, &p));
    int by_four = p.channels % 4 == 0 && is_aligned(scale);
    for (int i = 0; i < 8; i++) by_four = by_four && is_aligned(c.t[i]);  // absent ones are NULL
    if (by_four)
        return CK_LAUNCH(c.cuda, ck_batchnorm_gradient4, ck_elements(p.rows * p.channels / 4), 256, (void *)&c.t[0],
                         (void *)&c.t[3], (void *)&c.t[4], (void *)&c.t[5], (void *)&c.t[6], (void *)&c.t[7], &scale, &mean_dy,
                         &slope, &p);
    return CK_LAUNCH(c.cuda, ck_batchnorm_gradient, ck_elements(p.rows * p.channels), 256, (void *)&c.t[0], (void *)&c.t[3],
                     (void *)&c.t[4], (void *)&c.t[5], (void *)&c.t[6], (void *)&c.t[7], &scale, &mean_dy, &slope, &p);
}

ck_status ck_cuda_batchnorm_inference(ck_cuda_call c) {
    ck_batchnorm_params p = c.p->batchnorm;
    float *scale = (float *)c.workspace, *shift = scale + padded(&p);
    CK_TRY(CK_LAUNCH(c.cuda, ck_batchnorm_inference_scale, channels(&p), 64, &scale, &shift, (void *)&c.t[3], (void *)&c.t[4],
                     (void *)&c.t[5], (void *)&c.t[6], &p));
    return normalize(c, c.t[0], c.t[1], c.t[2], scale, shift);
}

ck_status ck_cuda_batchnorm_inference_backward(ck_cuda_call c) {
    ck_batchnorm_params p = c.p->batchnorm;
    float *scale = (float *)c.workspace, *none = NULL;
    CK_TRY(CK_LAUNCH(c.cuda, ck_batchnorm_inference_scale, channels(&p), 64, &scale, &none, (void *)&c.t[4], &none, &none,
                     (void *)&c.t[5], &p));
    return CK_LAUNCH(c.cuda, ck_batchnorm_inference_gradient, ck_elements(p.rows * p.channels), 256, (void *)&c.t[0],
                     (void *)&c.t[1], (void *)&c.t[2], (void *)&c.t[3], &scale, &p);
}
