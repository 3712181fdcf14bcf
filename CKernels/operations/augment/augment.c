// Augmentation: each image draws its own numbers from (seed, step, image, stream), so an image's view does
// not depend on the batch around it, the number of threads, or the backend. One task an image.
#include "jitter.h"

struct job {
    const ck_image_params *p;
    float *y;
    const float *x;
    const ck_step_state *step;
    const uint8_t *data;
    const int32_t *indices, *corners;
    float *scratch;
};

static int64_t image_size(const ck_image_params *p) { return (int64_t)p->h * p->w * p->c; }

static ck_random4 draw(const struct job *j, int64_t n) {
    return ck_philox(j->step->seed, j->step->step, ck_batch_row(j->p->share, j->step, n), j->p->stream);
}

static void copy_image(const struct job *j, int64_t n) {
    int64_t size = image_size(j->p);
    memcpy(j->y + n * size, j->x + n * size, sizeof(float) * (size_t)size);
}

// ---- Gather and symmetries --------------------------------------------------------------------------------

static void gather_row(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_image_params *p = j->p;
    int64_t n = index / p->h, row = index % p->h, line = (int64_t)p->w * p->c;
    int64_t stored = (int64_t)p->stored_w * p->c;
    const uint8_t *from = j->data + (j->indices[n] * (int64_t)p->stored_h + row) * stored;
    if (j->corners) from += j->corners[2 * n] * stored + (int64_t)j->corners[2 * n + 1] * p->c;
    float *to = j->y + index * line;
    for (int64_t i = 0; i < line; i++) to[i] = (float)from[i] * (1.0f / 255.0f);
}

ck_status ck_cpu_gather(const ck_gather_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .data = t->data, .indices = t->indices, .corners = t->corners};
    ck_parallel_for((int64_t)p->n * p->h, gather_row, &j);
    return CK_OK;
}

static void dihedral_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    int side = j->p->h, c = j->p->c, transform = j->indices[n];
    const float *x = j->x + n * image_size(j->p);
    float *y = j->y + n * image_size(j->p);
    for (int row = 0; row < side; row++)
        for (int column = 0; column < side; column++, y += c) {
            int from_row, from_column;
            ck_dihedral_source(transform, side, row, column, &from_row, &from_column);
            const float *from = x + ((int64_t)from_row * side + from_column) * c;
            for (int i = 0; i < c; i++) y[i] = from[i];
        }
}

ck_status ck_cpu_dihedral(const ck_dihedral_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .indices = t->transforms};
    ck_parallel_for(p->n, dihedral_image, &j);
    return CK_OK;
}

// ---- Translation ------------------------------------------------------------------------------------------

static void translate_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_image_params *p = j->p;
    int down = p->unit * j->indices[2 * n], right = p->unit * j->indices[2 * n + 1];
    const float *x = j->x + n * image_size(p);
    float *y = j->y + n * image_size(p);
    for (int row = 0; row < p->h; row++) {
        const float *line = x + (int64_t)ck_mirrored(row - down, p->h) * p->w * p->c;
        for (int column = 0; column < p->w; column++, y += p->c)
            memcpy(y, line + (int64_t)ck_mirrored(column - right, p->w) * p->c, sizeof(float) * (size_t)p->c);
    }
}

ck_status ck_cpu_translate(const ck_translate_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .indices = t->shifts};
    ck_parallel_for(p->n, translate_image, &j);
    return CK_OK;
}

// ---- Random crop ------------------------------------------------------------------------------------------

// A random square, resized back to H x W (bilinear).
static void crop_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_image_params *p = j->p;
    ck_crop crop = ck_draw_crop(p, draw(j, n));
    const float *x = j->x + n * image_size(p) + ((int64_t)crop.top * p->w + crop.left) * p->c;
    float *restrict y = j->y + n * image_size(p);
    for (int row = 0; row < p->h; row++) {
        ck_between r = ck_resized(row, crop.side, p->h);
        const float *a = x + (int64_t)r.first * p->w * p->c, *b = x + (int64_t)r.second * p->w * p->c;
        for (int column = 0; column < p->w; column++, y += p->c) {
            ck_between c = ck_resized(column, crop.side, p->w);
            for (int i = 0; i < p->c; i++) {
                float upper =
                    a[c.first * p->c + i] + c.share * (a[c.second * p->c + i] - a[c.first * p->c + i]);
                float lower =
                    b[c.first * p->c + i] + c.share * (b[c.second * p->c + i] - b[c.first * p->c + i]);
                y[i] = upper + r.share * (lower - upper);
            }
        }
    }
}

ck_status ck_cpu_random_crop(const ck_random_crop_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .step = t->step};
    ck_parallel_for(p->n, crop_image, &j);
    return CK_OK;
}

// ---- Random flip ------------------------------------------------------------------------------------------

static void flip_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_image_params *p = j->p;
    if (!(ck_uniform(draw(j, n).v[0]) < p->probability)) {
        copy_image(j, n);
        return;
    }
    const float *x = j->x + n * image_size(p);
    float *y = j->y + n * image_size(p);
    for (int64_t i = 0; i < (int64_t)p->h * p->w; i++)
        for (int64_t c = 0; c < p->c; c++)
            y[i * p->c + c] = x[(i / p->w * p->w + p->w - 1 - i % p->w) * p->c + c];
}

ck_status ck_cpu_random_flip(const ck_random_flip_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .step = t->step};
    ck_parallel_for(p->n, flip_image, &j);
    return CK_OK;
}

// ---- Color jitter -----------------------------------------------------------------------------------------

static void jitter_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    const ck_image_params *p = j->p;
    // A second block of numbers, for the order: the sample's counter with its top bit set.
    ck_random4 order =
        ck_philox(j->step->seed, j->step->step, ck_batch_row(p->share, j->step, n) | 0x80000000u, p->stream);
    ck_jitter jitter = {{p->brightness, p->contrast, p->saturation, p->hue}};
    copy_image(j, n);
    ck_jitter_pixels(j->y + n * image_size(p), (int64_t)p->h * p->w,
                     ck_draw_jitter(jitter, draw(j, n), order));
}

ck_status ck_cpu_color_jitter(const ck_color_jitter_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .step = t->step};
    ck_parallel_for(p->n, jitter_image, &j);
    return CK_OK;
}

// ---- Random gray ------------------------------------------------------------------------------------------

static void gray_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    copy_image(j, n);
    if (!(ck_uniform(draw(j, n).v[0]) < j->p->probability)) return;
    float *y = j->y + n * image_size(j->p);
    for (int64_t k = 0; k < (int64_t)j->p->h * j->p->w; k++)
        y[3 * k] = y[3 * k + 1] = y[3 * k + 2] = ck_luma(y[3 * k], y[3 * k + 1], y[3 * k + 2]);
}

ck_status ck_cpu_random_gray(const ck_random_gray_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .step = t->step};
    ck_parallel_for(p->n, gray_image, &j);
    return CK_OK;
}

// ---- Random solarization ----------------------------------------------------------------------------------

static void solarize_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    copy_image(j, n);
    if (!(ck_uniform(draw(j, n).v[0]) < j->p->probability)) return;
    float *y = j->y + n * image_size(j->p);
    for (int64_t i = 0; i < image_size(j->p); i++) y[i] = y[i] >= 0.5f ? 1.0f - y[i] : y[i];
}

ck_status ck_cpu_random_solarize(const ck_random_solarize_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .step = t->step};
    ck_parallel_for(p->n, solarize_image, &j);
    return CK_OK;
}

// ---- Random blur ------------------------------------------------------------------------------------------

static void blur_image(void *context, int64_t n, int worker) {
    struct job *j = context;
    const ck_image_params *p = j->p;
    float weights[CK_MAX_BLUR_TAPS];
    if (!ck_draw_blur(p, draw(j, n), weights)) {
        copy_image(j, n);
        return;
    }
    int reach = p->taps / 2;
    float *middle = j->scratch + (int64_t)worker * image_size(p);
    const float *x = j->x + n * image_size(p);
    float *y = j->y + n * image_size(p);
    int64_t line = (int64_t)p->w * p->c;
    for (int64_t row = 0; row < p->h; row++)
        for (int64_t column = 0; column < p->w; column++)
            for (int64_t c = 0; c < p->c; c++) {
                float value = 0;
                for (int64_t i = -reach; i <= reach; i++)
                    value += weights[i + reach] *
                             x[row * line + ck_min64(p->w - 1, ck_max64(0, column + i)) * p->c + c];
                middle[row * line + column * p->c + c] = value;
            }
    for (int64_t row = 0; row < p->h; row++) {
        for (int64_t i = 0; i < line; i++) y[row * line + i] = 0;
        for (int64_t i = -reach; i <= reach; i++) {
            const float *from = middle + ck_min64(p->h - 1, ck_max64(0, row + i)) * line;
            for (int64_t k = 0; k < line; k++) y[row * line + k] += weights[i + reach] * from[k];
        }
    }
}

ck_status ck_cpu_random_blur(const ck_random_blur_operands *t, const ck_image_params *p, void *workspace) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .step = t->step, .scratch = workspace};
    ck_parallel_for(p->n, blur_image, &j);
    return CK_OK;
}

uint64_t ck_cpu_workspace_random_blur(const ck_image_params *p) {
    return sizeof(float) * (uint64_t)(image_size(p) * ck_thread_count());
}

// ---- Gaussian noise ---------------------------------------------------------------------------------------

// Four normal numbers to a counter; the counter is the image's, the stream counts the quadruples.
static void noise_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t size = image_size(j->p);
    const float *x = j->x + n * size;
    float *y = j->y + n * size;
    for (int64_t i = 0; i < size; i += 4) {
        ck_random4 r = ck_philox(j->step->seed, j->step->step, ck_batch_row(j->p->share, j->step, n),
                                 j->p->stream + ((uint32_t)(i / 4 + 1) << 12));
        float normal[4];
        ck_normals(r, normal);
        for (int64_t k = 0; k < 4 && i + k < size; k++) y[i + k] = x[i + k] + j->p->maximum * normal[k];
    }
}

ck_status ck_cpu_gaussian_noise(const ck_gaussian_noise_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .step = t->step};
    ck_parallel_for(p->n, noise_image, &j);
    return CK_OK;
}

// ---- Dropout ----------------------------------------------------------------------------------------------

// Four uniform numbers to a counter, as for the noise; the gradient draws the same ones.
static void drop_image(void *context, int64_t n, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t size = image_size(j->p);
    const float *x = j->x + n * size;
    float *y = j->y + n * size, scale = 1 / (1 - j->p->probability);
    for (int64_t i = 0; i < size; i += 4) {
        ck_random4 r = ck_philox(j->step->seed, j->step->step, ck_batch_row(j->p->share, j->step, n),
                                 j->p->stream + ((uint32_t)(i / 4 + 1) << 12));
        for (int64_t k = i; k < ck_min64(i + 4, size); k++)
            y[k] = ck_uniform(r.v[k - i]) < j->p->probability ? 0 : x[k] * scale;
    }
}

ck_status ck_cpu_dropout(const ck_dropout_operands *t, const ck_image_params *p, void *) {
    struct job j = {.p = p, .y = t->y, .x = t->x, .step = t->step};
    ck_parallel_for(p->n, drop_image, &j);
    return CK_OK;
}
