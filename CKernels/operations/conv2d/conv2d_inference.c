// A convolution and the batch normalization behind it, by the running statistics: tiles of y are normalized
// as soon as they are computed.
#include "forward.h"

CK_SIMD static void finish_pixels(float *restrict y, const float *restrict residual,
                                  const float *restrict scale, const float *restrict shift, int64_t pixels,
                                  int64_t channels, int relu) {
    for (int64_t i = 0; i < pixels; i++, y += channels) {
        if (residual) {
            const float *r = residual + i * channels;
            for (int64_t k = 0; k < channels; k++) y[k] = y[k] * scale[k] + shift[k] + r[k];
        } else {
            for (int64_t k = 0; k < channels; k++) y[k] = y[k] * scale[k] + shift[k];
        }
        if (relu)
            for (int64_t k = 0; k < channels; k++) y[k] = y[k] > 0 ? y[k] : 0;
    }
}

void ck_conv2d_finish(const ck_conv2d_epilogue *epilogue, float *y, int64_t channels, int64_t first,
                      int64_t rows, int64_t columns, int64_t apart) {
    const float *residual = epilogue->residual;
    for (int64_t row = 0; row < rows; row++) {
        int64_t at = (first + row * apart) * channels;
        finish_pixels(y + at, residual ? residual + at : NULL, epilogue->scale, epilogue->shift, columns,
                      channels, epilogue->relu);
    }
}

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
