// A convolution and the batch normalization behind it, by the running statistics: tiles of y are normalized
// as soon as they are computed.
#include "epilogue.h"

// Scratch memory: scale and shift, then the convolution's.
static int64_t factor_floats(const ck_conv2d_params *p) { return ck_ceil_div(2 * (int64_t)p->k, 16) * 16; }

uint64_t ck_cpu_workspace_conv2d_inference(const ck_conv2d_params *p) {
    return sizeof(float) * (uint64_t)factor_floats(p) + ck_cpu_workspace_conv2d_forward(p);
}

ck_status ck_cpu_conv2d_inference(const ck_conv2d_inference_operands *t, const ck_conv2d_params *p,
                                  void *workspace) {
    float *scale = workspace, *shift = scale + p->k;
    for (int64_t k = 0; k < p->k; k++) {
        double inverse = 1.0 / sqrt((double)t->running_variance[k] + (double)p->epsilon);
        scale[k] = (float)(t->gamma[k] * inverse);
        shift[k] = (float)(t->beta[k] - t->running_mean[k] * t->gamma[k] * inverse);
    }
    ck_conv2d_epilogue epilogue = {scale, shift, t->residual, p->relu};
    ck_conv2d_convolve(t->y, t->x, t->w, p, &epilogue, scale + factor_floats(p));
    return CK_OK;
}
