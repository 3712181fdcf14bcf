// A convolution with batch normalization behind it, or before it on the way back. In bf16 the convolution
// takes the sums that batch normalization needs while its results are at hand; otherwise, and where a result
// is a sum of parts, one operation follows the other.
#include "../batchnorm/launch.h"
#include "launch_bf16.h"
#include "normalization.h"

typedef ck_conv2d_params conv2d;

// Scratch memory: the convolution's, the sums of its tiles, and batch normalization's.
static uint64_t padded(uint64_t bytes) { return (bytes + 255) / 256 * 256; }
static uint64_t sum_bytes(const conv2d *p, int backward) {
    int64_t channels = backward ? p->c : p->k;
    return sizeof(float) * 2 * (uint64_t)(channels * ck_conv2d_bf16_tiles(NULL, p, backward));
}

// ---- Forward ----------------------------------------------------------------------------------------------

uint64_t ck_cuda_workspace_conv2d_batchnorm_forward(const conv2d *p) {
    ck_batchnorm_params norm = ck_norm_of_result(p);
    uint64_t own = ck_cuda_workspace_conv2d_forward(p), apart = ck_cuda_workspace_batchnorm_forward(&norm);
    if (!ck_conv2d_bf16_tiles(NULL, p, 0)) return own > apart ? own : apart;
    uint64_t by_sums = ck_batchnorm_by_sums_workspace(&norm);
    return padded(own) + padded(sum_bytes(p, 0)) + (by_sums > apart ? by_sums : apart);
}

ck_status ck_cuda_conv2d_batchnorm_forward(ck_cuda_state *cuda, const ck_conv2d_batchnorm_forward_operands *t,
                                           const conv2d *p, void *workspace) {
    ck_batchnorm_params norm = ck_norm_of_result(p);
    ck_batchnorm_forward_operands operands = {.y = t->y,
                                              .mean = t->mean,
                                              .inverse_deviation = t->inverse_deviation,
                                              .running_mean = t->running_mean,
                                              .running_variance = t->running_variance,
                                              .x = t->z,
                                              .residual = t->residual,
                                              .gamma = t->gamma,
                                              .beta = t->beta};
    int64_t tiles = ck_conv2d_bf16_tiles(cuda, p, 0);
    if (!tiles || !ck_is_aligned(t->z) || !ck_is_aligned(t->running_mean)) {
        CK_TRY(ck_cuda_conv2d_forward(cuda, &(ck_conv2d_forward_operands){.y = t->z, .x = t->x, .w = t->w}, p,
                                      workspace));
        return ck_cuda_batchnorm_forward(cuda, &operands, &norm, workspace);
    }
    float *sums = (float *)((unsigned char *)workspace + padded(ck_cuda_workspace_conv2d_forward(p)));
    CK_TRY(ck_conv2d_bf16_forward(cuda, t->z, t->x, t->w, p,
                                  (ck_conv2d_epilogue){.partial = sums, .about = t->running_mean},
                                  workspace));
    return ck_batchnorm_forward_by_sums(cuda, &operands, sums, tiles, &norm,
                                        (unsigned char *)sums + padded(sum_bytes(p, 0)));
}

// ---- Backward ---------------------------------------------------------------------------------------------

uint64_t ck_cuda_workspace_conv2d_batchnorm_backward(const conv2d *p) {
    ck_batchnorm_params norm = ck_norm_of_input(p);
    uint64_t own = ck_cuda_workspace_conv2d_backward_data(p),
             apart = ck_cuda_workspace_batchnorm_backward(&norm);
    if (!ck_conv2d_bf16_tiles(NULL, p, 1)) return own > apart ? own : apart;
    uint64_t by_sums = ck_batchnorm_by_sums_workspace(&norm);
    return padded(own) + padded(sum_bytes(p, 1)) + (by_sums > apart ? by_sums : apart);
}

// The convolution's gradient with `added`, where batch normalization's dresidual will be.
static ck_status backward_data(ck_cuda_state *cuda, const ck_conv2d_batchnorm_backward_operands *t,
                               const conv2d *p, ck_conv2d_epilogue epilogue, void *workspace) {
    epilogue.residual = t->added;
    if (p->math == CK_MATH_BF16)
        return ck_conv2d_bf16_backward_data(cuda, t->dresidual, t->dy, t->w, p, epilogue, workspace);
    CK_TRY(ck_cuda_conv2d_backward_data(
        cuda, &(ck_conv2d_backward_data_operands){.dx = t->dresidual, .dy = t->dy, .w = t->w}, p, workspace));
    if (!t->added) return CK_OK;
    ck_elementwise_params all = {.count = (int64_t)p->n * p->h * p->w * p->c, .activations = CK_f32};
    float *sum = t->dresidual;
    const float *added = t->added;
    void *arguments[] = {&sum, &sum, &added, &all};
    return ck_cuda_launch(cuda, CK_LAUNCH_ck_add, ck_vectors(all.count), arguments);
}

ck_status ck_cuda_conv2d_batchnorm_backward(ck_cuda_state *cuda,
                                            const ck_conv2d_batchnorm_backward_operands *t, const conv2d *p,
                                            void *workspace) {
    ck_batchnorm_params norm = ck_norm_of_input(p);
    ck_batchnorm_backward_operands operands = {.dx = t->dx,
                                               .dgamma = t->dgamma,
                                               .dbeta = t->dbeta,
                                               .dresidual = t->dresidual,
                                               .dy = t->dresidual,
                                               .x = t->x,
                                               .y = t->y,
                                               .mean = t->mean,
                                               .inverse_deviation = t->inverse_deviation,
                                               .gamma = t->gamma};
    int64_t tiles = ck_conv2d_bf16_tiles(cuda, p, 1);
    if (!tiles || !ck_is_aligned(t->dresidual) || !ck_is_aligned(t->x) || !ck_is_aligned(t->y) ||
        !ck_is_aligned(t->mean)) {
        CK_TRY(backward_data(cuda, t, p, (ck_conv2d_epilogue){0}, workspace));
        return ck_cuda_batchnorm_backward(cuda, &operands, &norm, workspace);
    }
    float *sums = (float *)((unsigned char *)workspace + padded(ck_cuda_workspace_conv2d_backward_data(p)));
    CK_TRY(backward_data(
        cuda, t, p,
        (ck_conv2d_epilogue){.relu = p->relu, .partial = sums, .about = t->mean, .x = t->x, .y = t->y},
        workspace));
    return ck_batchnorm_backward_by_sums(cuda, &operands, sums, tiles, &norm,
                                         (unsigned char *)sums + padded(sum_bytes(p, 1)));
}
