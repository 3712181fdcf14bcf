// Max pooling, global average pooling, nearest-neighbor upsampling, cropping and the means of windows, NHWC;
// one task an image, or a row of windows.
#include "cpu.h"

struct job {
    const ck_pool_params *p;
    float *y, *dx;
    const float *x, *dy;
    uint8_t *argmax;        // forward
    const uint8_t *places;  // backward
    float *columns;         // window_means: a worker's sums of columns
};

static int64_t input_size(const ck_pool_params *p) { return (int64_t)p->h * p->w * p->c; }
static int64_t output_size(const ck_pool_params *p) { return (int64_t)p->p * p->q * p->c; }

// ---- Max --------------------------------------------------------------------------------------------------

// A row of an image's windows. argmax is the winner's place in the window, r * size + s; the first one wins a
// tie; outside the image nothing does.
CK_SIMD static void max_line(float *restrict y, uint8_t *restrict argmax, const float *restrict x,
                             const ck_pool_params *p, int64_t row) {
    int64_t channels = p->c, top = row * p->stride - p->pad;
    int64_t first = ck_max64(0, -top), until = ck_min64(p->r, p->h - top);
    for (int64_t q = 0; q < p->q; q++, y += channels, argmax += channels) {
        int64_t left = q * p->stride - p->pad;
        int64_t s0 = ck_max64(0, -left), s1 = ck_min64(p->r, p->w - left);
        const float *from = x + ((top + first) * p->w + left + s0) * channels;
        memcpy(y, from, sizeof(float) * (size_t)channels);
        memset(argmax, (int)(first * p->r + s0), (size_t)channels);
        for (int64_t r = first; r < until; r++)
            for (int64_t s = s0; s < s1; s++) {
                from = x + ((top + r) * p->w + left + s) * channels;
                uint8_t place = (uint8_t)(r * p->r + s);
                for (int64_t c = 0; c < channels; c++) {
                    int larger = from[c] > y[c];
                    y[c] = larger ? from[c] : y[c];
                    argmax[c] = larger ? place : argmax[c];
                }
            }
    }
}

static void max_row(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_pool_params *p = j->p;
    int64_t to = index * p->q * p->c;
    max_line(j->y + to, j->argmax + to, j->x + index / p->p * input_size(p), p, index % p->p);
}

static void max_image_backward(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_pool_params *p = j->p;
    float *dx = j->dx + n * input_size(p);
    memset(dx, 0, sizeof(float) * (size_t)input_size(p));
    for (int64_t i = 0; i < (int64_t)p->p * p->q; i++) {
        int64_t top = i / p->q * p->stride - p->pad, left = i % p->q * p->stride - p->pad;
        const float *dy = j->dy + n * output_size(p) + i * p->c;
        const uint8_t *argmax = j->places + n * output_size(p) + i * p->c;
        for (int64_t c = 0; c < p->c; c++)
            dx[((top + argmax[c] / p->r) * p->w + left + argmax[c] % p->r) * p->c + c] += dy[c];
    }
}

ck_status ck_cpu_max_pool_forward(const ck_max_pool_forward_operands *t, const ck_pool_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .argmax = t->argmax};
    ck_parallel_for((int64_t)p->n * p->p, max_row, &j);
    return CK_OK;
}

ck_status ck_cpu_max_pool_backward(const ck_max_pool_backward_operands *t, const ck_pool_params *p, void *) {
    struct job j = {.p = p, .dx = t->dx, .dy = t->dy, .places = t->argmax};
    ck_parallel_for(p->n, max_image_backward, &j);
    return CK_OK;
}

// ---- Global average ---------------------------------------------------------------------------------------

static void average_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t pixels = (int64_t)j->p->h * j->p->w, channels = j->p->c;
    const float *restrict x = j->x + n * pixels * channels;
    float *restrict y = j->y + n * channels;
    memset(y, 0, sizeof(float) * (size_t)channels);
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < channels; c++) y[c] += x[i * channels + c];
    float share = 1.0f / (float)pixels;
    for (int64_t c = 0; c < channels; c++) y[c] *= share;
}

static void average_image_backward(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t pixels = (int64_t)j->p->h * j->p->w, channels = j->p->c;
    const float *restrict dy = j->dy + n * channels;
    float *restrict dx = j->dx + n * pixels * channels;
    float share = 1.0f / (float)pixels;
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < channels; c++) dx[i * channels + c] = dy[c] * share;
}

ck_status ck_cpu_global_average_pool_forward(const ck_global_average_pool_forward_operands *t,
                                             const ck_pool_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x};
    ck_parallel_for(p->n, average_image, &j);
    return CK_OK;
}

ck_status ck_cpu_global_average_pool_backward(const ck_global_average_pool_backward_operands *t,
                                              const ck_pool_params *p, void *) {
    struct job j = {.p = p, .dx = t->dx, .dy = t->dy};
    ck_parallel_for(p->n, average_image_backward, &j);
    return CK_OK;
}

// ---- Upsampling by two ------------------------------------------------------------------------------------

static void upsample_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_pool_params *p = j->p;
    size_t pixel = sizeof(float) * (size_t)p->c;
    for (int64_t h = 0; h < 2 * p->h; h++)
        for (int64_t w = 0; w < 2 * p->w; w++)
            memcpy(j->y + ((n * 2 * p->h + h) * 2 * p->w + w) * p->c,
                   j->x + ((n * p->h + h / 2) * p->w + w / 2) * p->c, pixel);
}

static void upsample_image_backward(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_pool_params *p = j->p;
    int64_t line = 2 * (int64_t)p->w * p->c;
    for (int64_t h = 0; h < p->h; h++)
        for (int64_t w = 0; w < p->w; w++) {
            float *restrict dx = j->dx + ((n * p->h + h) * p->w + w) * p->c;
            const float *restrict dy = j->dy + (n * 2 * p->h + 2 * h) * line + 2 * w * p->c;
            for (int64_t c = 0; c < p->c; c++)
                dx[c] = dy[c] + dy[p->c + c] + dy[line + c] + dy[line + p->c + c];
        }
}

ck_status ck_cpu_upsample_forward(const ck_upsample_forward_operands *t, const ck_pool_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x};
    ck_parallel_for(p->n, upsample_image, &j);
    return CK_OK;
}

ck_status ck_cpu_upsample_backward(const ck_upsample_backward_operands *t, const ck_pool_params *p, void *) {
    struct job j = {.p = p, .dx = t->dx, .dy = t->dy};
    ck_parallel_for(p->n, upsample_image_backward, &j);
    return CK_OK;
}

// ---- Cropping ---------------------------------------------------------------------------------------------

static void crop_row(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_pool_params *p = j->p;
    int64_t n = index / p->p, row = index % p->p, line = (int64_t)p->q * p->c;
    memcpy(j->y + index * line, j->x + n * input_size(p) + ((row + p->pad) * p->w + p->pad) * p->c,
           sizeof(float) * (size_t)line);
}

static void crop_row_backward(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_pool_params *p = j->p;
    int64_t n = index / p->h, row = index % p->h - p->pad, border = (int64_t)p->pad * p->c;
    int64_t line = (int64_t)p->w * p->c, inner = (int64_t)p->q * p->c;
    float *dx = j->dx + index * line;
    memset(dx, 0, sizeof(float) * (size_t)line);
    if (row >= 0 && row < p->p)
        memcpy(dx + border, j->dy + n * output_size(p) + row * inner, sizeof(float) * (size_t)inner);
}

ck_status ck_cpu_crop_forward(const ck_crop_forward_operands *t, const ck_pool_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x};
    ck_parallel_for((int64_t)p->n * p->p, crop_row, &j);
    return CK_OK;
}

ck_status ck_cpu_crop_backward(const ck_crop_backward_operands *t, const ck_pool_params *p, void *) {
    struct job j = {.p = p, .dx = t->dx, .dy = t->dy};
    ck_parallel_for((int64_t)p->n * p->h, crop_row_backward, &j);
    return CK_OK;
}

// ---- Means of windows -------------------------------------------------------------------------------------

// Overlapping windows share the sums of their columns, each of which is in one order: a window's mean does
// not depend on where in the image it lies.
static void window_row(void *context, int64_t index, int worker) {
    struct job *j = context;
    const ck_pool_params *p = j->p;
    int64_t n = index / p->p, row = index % p->p, line = (int64_t)p->w * p->c, c = p->c;
    const float *from = j->x + n * input_size(p) + row * p->stride * line;
    float *restrict columns = j->columns + worker * line, *to = j->y + index * p->q * c;
    memcpy(columns, from, sizeof(float) * (size_t)line);
    for (int64_t r = 1; r < p->r; r++)
        for (int64_t i = 0; i < line; i++) columns[i] += from[r * line + i];
    float share = 1.0f / (float)(p->r * p->r);
    for (int64_t q = 0; q < p->q; q++, to += c) {
        const float *restrict sums = columns + q * p->stride * c;
        float *restrict y = to;
        for (int64_t i = 0; i < c; i++) y[i] = sums[i];
        for (int64_t s = 1; s < p->r; s++)
            for (int64_t i = 0; i < c; i++) y[i] += sums[s * c + i];
        for (int64_t i = 0; i < c; i++) y[i] *= share;
    }
}

ck_status ck_cpu_window_means(const ck_window_means_operands *t, const ck_pool_params *p, void *workspace) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .columns = workspace};
    ck_parallel_for((int64_t)p->n * p->p, window_row, &j);
    return CK_OK;
}

uint64_t ck_cpu_workspace_window_means(const ck_pool_params *p) {
    return sizeof(float) * (uint64_t)((int64_t)ck_thread_count() * p->w * p->c);
}
