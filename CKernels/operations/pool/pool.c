// Max pooling, global average pooling and nearest-neighbor upsampling, NHWC; one task an image.
#include "cpu.h"

struct job {
    const ck_pool_params *p;
    float *y, *dx;
    const float *x, *dy;
    uint8_t *argmax;        // forward
    const uint8_t *places;  // backward
};

static int64_t input_size(const ck_pool_params *p) { return (int64_t)p->h * p->w * p->c; }
static int64_t output_size(const ck_pool_params *p) { return (int64_t)p->p * p->q * p->c; }

// ---- Max --------------------------------------------------------------------------------------------------

// argmax is the winner's place in the window, r * size + s; the first one wins a tie; outside the image
// nothing does.
static void max_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_pool_params *p = j->p;
    const float *x = j->x + n * input_size(p);
    for (int64_t i = 0; i < (int64_t)p->p * p->q; i++) {
        int64_t top = i / p->q * p->stride - p->pad, left = i % p->q * p->stride - p->pad;
        float *restrict y = j->y + n * output_size(p) + i * p->c;
        uint8_t *restrict argmax = j->argmax + n * output_size(p) + i * p->c;
        int started = 0;
        for (int64_t r = 0; r < p->r; r++)
            for (int64_t s = 0; s < p->r; s++) {
                if (top + r < 0 || top + r >= p->h || left + s < 0 || left + s >= p->w) continue;
                const float *from = x + ((top + r) * p->w + left + s) * p->c;
                uint8_t place = (uint8_t)(r * p->r + s);
                for (int64_t c = 0; c < p->c; c++)
                    if (!started || from[c] > y[c]) y[c] = from[c], argmax[c] = place;
                started = 1;
            }
    }
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
    ck_parallel_for(p->n, max_image, &j);
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
