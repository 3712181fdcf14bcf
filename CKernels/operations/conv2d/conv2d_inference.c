// A convolution and the batch normalization behind it, by the running statistics. The filters are multiplied
// by their channel's scale once, so that what is left for each value is an addition or two.
#include "cpu.h"

typedef ck_conv2d_params conv2d;

static int64_t filter_length(const conv2d *p) { return (int64_t)p->r * p->s * p->c; }
static int64_t rows_of(const conv2d *p) { return (int64_t)p->n * p->p * p->q; }
static int64_t block_rows(const conv2d *p) { return ck_max64(8, CK_BLOCK / p->k); }

struct job {
    const conv2d *p;
    const float *w, *scale, *shift, *residual;
    float *scaled, *y;
};

static void scale_filter(void *context, int64_t k, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t length = filter_length(j->p);
    for (int64_t i = k * length; i < (k + 1) * length; i++) j->scaled[i] = j->w[i] * j->scale[k];
}

CK_SIMD static void finish_rows(float *restrict y, const float *restrict residual,
                                const float *restrict shift, int64_t rows, int64_t channels, int relu) {
    for (int64_t i = 0; i < rows; i++, y += channels) {
        if (residual) {
            const float *r = residual + i * channels;
            for (int64_t k = 0; k < channels; k++) y[k] = y[k] + shift[k] + r[k];
        } else {
            for (int64_t k = 0; k < channels; k++) y[k] += shift[k];
        }
        if (relu)
            for (int64_t k = 0; k < channels; k++) y[k] = y[k] > 0 ? y[k] : 0;
    }
}

static void finish(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t channels = j->p->k, first = index * block_rows(j->p), at = first * channels;
    int64_t rows = ck_min64(block_rows(j->p), rows_of(j->p) - first);
    finish_rows(j->y + at, j->residual ? j->residual + at : NULL, j->shift, rows, channels, j->p->relu);
}

// Scratch memory: the scaled filters, scale and shift, and what the convolution needs.
static int64_t own_floats(const conv2d *p) { return ck_ceil_div(p->k * (filter_length(p) + 2), 16) * 16; }

ck_status ck_cpu_conv2d_inference(const ck_conv2d_inference_operands *t, const conv2d *p, void *workspace) {
    float *scaled = workspace, *scale = scaled + p->k * filter_length(p), *shift = scale + p->k;
    for (int64_t k = 0; k < p->k; k++) {
        double inverse = 1.0 / sqrt((double)t->running_variance[k] + (double)p->epsilon);
        scale[k] = (float)(t->gamma[k] * inverse);
        shift[k] = (float)(t->beta[k] - t->running_mean[k] * t->gamma[k] * inverse);
    }
    struct job j = {.p = p,
                    .w = t->w,
                    .scale = scale,
                    .shift = shift,
                    .residual = t->residual,
                    .scaled = scaled,
                    .y = t->y};
    ck_parallel_for(p->k, scale_filter, &j);
    ck_conv2d_forward_operands convolution = {.y = t->y, .x = t->x, .w = scaled};
    ck_status status = ck_cpu_conv2d_forward(&convolution, p, scaled + own_floats(p));
    if (status != CK_OK) return status;
    ck_parallel_for(ck_ceil_div(rows_of(p), block_rows(p)), finish, &j);
    return CK_OK;
}

uint64_t ck_cpu_workspace_conv2d_inference(const conv2d *p) {
    return sizeof(float) * (uint64_t)own_floats(p) + ck_cpu_workspace_conv2d_forward(p);
}
