// Augmentation (CPU: augment.c). What an image draws is in ck_augment.h, which both share.
#include "ck_device.cuh"
#include "jitter.cuh"

CK_DEVICE ck_random4 draw(const ck_step_state *step, int64_t n, const ck_image_params &p,
                          uint32_t block = 0) {
    return ck_philox(step->seed, step->step, ck_batch_row(p.share, step, n), p.stream + (block << 12));
}

CK_DEVICE int64_t image_size(const ck_image_params &p) { return (int64_t)p.h * p.w * p.c; }

CK_KERNEL(256)
ck_gather(float *y, const uint8_t *data, const int32_t *indices, const int32_t *corners, ck_image_params p) {
    int64_t count = p.n * image_size(p);
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t n = i / image_size(p), row = i / p.c / p.w % p.h, column = i / p.c % p.w, c = i % p.c;
        if (corners) row += corners[2 * n], column += corners[2 * n + 1];
        y[i] = (float)data[((indices[n] * (int64_t)p.stored_h + row) * p.stored_w + column) * p.c + c] *
               (1.0f / 255.0f);
    }
}

CK_KERNEL(256) ck_dihedral(float *y, const float *x, const int32_t *transforms, ck_image_params p) {
    int64_t count = p.n * image_size(p);
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t n = i / image_size(p);
        int row, column;
        ck_dihedral_source(transforms[n], p.h, (int)(i / p.c / p.w % p.h), (int)(i / p.c % p.w), &row,
                           &column);
        y[i] = x[n * image_size(p) + ((int64_t)row * p.w + column) * p.c + i % p.c];
    }
}

CK_KERNEL(256) ck_translate(float *y, const float *x, const int32_t *shifts, ck_image_params p) {
    int64_t count = p.n * image_size(p);
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t n = i / image_size(p);
        int row = ck_mirrored((int)(i / p.c / p.w % p.h) - p.unit * shifts[2 * n], p.h);
        int column = ck_mirrored((int)(i / p.c % p.w) - p.unit * shifts[2 * n + 1], p.w);
        y[i] = x[n * image_size(p) + ((int64_t)row * p.w + column) * p.c + i % p.c];
    }
}

CK_KERNEL(256) ck_random_crop(float *y, const float *x, const ck_step_state *step, ck_image_params p) {
    int64_t pixels = (int64_t)p.n * p.h * p.w;
    for (int64_t i = ck_first(); i < pixels; i += ck_stride()) {
        int64_t n = i / p.w / p.h;
        ck_crop crop = ck_draw_crop(&p, draw(step, n, p));
        ck_between r = ck_resized((int)(i / p.w % p.h), crop.side, p.h),
                   c = ck_resized((int)(i % p.w), crop.side, p.w);
        const float *from = x + n * image_size(p) + ((int64_t)crop.top * p.w + crop.left) * p.c;
        const float *a = from + (int64_t)r.first * p.w * p.c, *b = from + (int64_t)r.second * p.w * p.c;
        for (int k = 0; k < p.c; k++) {
            float upper = a[c.first * p.c + k] + c.share * (a[c.second * p.c + k] - a[c.first * p.c + k]);
            float lower = b[c.first * p.c + k] + c.share * (b[c.second * p.c + k] - b[c.first * p.c + k]);
            y[i * p.c + k] = upper + r.share * (lower - upper);
        }
    }
}

CK_KERNEL(256) ck_random_flip(float *y, const float *x, const ck_step_state *step, ck_image_params p) {
    int64_t count = p.n * image_size(p);
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t pixel = i / p.c, column = pixel % p.w;
        int flip = ck_uniform(draw(step, i / image_size(p), p).v[0]) < p.probability;
        y[i] = x[flip ? (pixel + p.w - 1 - 2 * column) * p.c + i % p.c : i];
    }
}

// One block to an image: contrast needs the image's mean.
CK_KERNEL(256) ck_color_jitter(float *y, const float *x, const ck_step_state *step, ck_image_params p) {
    CK_SHARED(double, shared, 256);
    int64_t n = blockIdx.x, pixels = (int64_t)p.h * p.w;
    ck_jitter strengths = {{p.brightness, p.contrast, p.saturation, p.hue}};
    ck_drawn_jitter j = ck_draw_jitter(
        strengths, draw(step, n, p),
        ck_philox(step->seed, step->step, ck_batch_row(p.share, step, n) | 0x80000000u, p.stream));
    const float *from = x + n * image_size(p);
    float *to = y + n * image_size(p);
    for (int64_t i = threadIdx.x; i < pixels; i += 256)
        for (int c = 0; c < 3; c++) to[3 * i + c] = from[3 * i + c];
    ck_jitter_block(to, pixels, j, shared);
}

CK_KERNEL(256) ck_random_gray(float *y, const float *x, const ck_step_state *step, ck_image_params p) {
    int64_t pixels = (int64_t)p.n * p.h * p.w;
    for (int64_t i = ck_first(); i < pixels; i += ck_stride()) {
        const float *from = x + 3 * i;
        float gray = ck_luma(from[0], from[1], from[2]);
        int is_gray = ck_uniform(draw(step, i / p.w / p.h, p).v[0]) < p.probability;
        for (int c = 0; c < 3; c++) y[3 * i + c] = is_gray ? gray : from[c];
    }
}

CK_KERNEL(256) ck_random_solarize(float *y, const float *x, const ck_step_state *step, ck_image_params p) {
    int64_t count = p.n * image_size(p);
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int inverts = ck_uniform(draw(step, i / image_size(p), p).v[0]) < p.probability;
        y[i] = inverts && x[i] >= 0.5f ? 1.0f - x[i] : x[i];
    }
}

// One block to an image: across into `middle`, then down.
CK_KERNEL(256)
ck_random_blur(float *y, const float *x, const ck_step_state *step, float *middle, ck_image_params p) {
    CK_SHARED(float, weights, CK_MAX_BLUR_TAPS);
    CK_SHARED(int, blurs, 1);
    int64_t n = blockIdx.x, size = image_size(p), line = (int64_t)p.w * p.c;
    int reach = p.taps / 2;
    x += n * size, y += n * size, middle += n * size;
    if (threadIdx.x == 0) blurs[0] = ck_draw_blur(&p, draw(step, n, p), weights);
    __syncthreads();
    if (!blurs[0]) {
        for (int64_t i = threadIdx.x; i < size; i += 256) y[i] = x[i];
        return;
    }
    for (int64_t i = threadIdx.x; i < size; i += 256) {
        int64_t row = i / line, column = i / p.c % p.w, c = i % p.c;
        float value = 0;
        for (int k = -reach; k <= reach; k++) {
            int64_t at = column + k < 0 ? 0 : column + k > p.w - 1 ? p.w - 1 : column + k;
            value += weights[k + reach] * x[row * line + at * p.c + c];
        }
        middle[i] = value;
    }
    __syncthreads();
    for (int64_t i = threadIdx.x; i < size; i += 256) {
        int64_t row = i / line;
        float value = 0;
        for (int k = -reach; k <= reach; k++) {
            int64_t at = row + k < 0 ? 0 : row + k > p.h - 1 ? p.h - 1 : row + k;
            value += weights[k + reach] * middle[at * line + i % line];
        }
        y[i] = value;
    }
}

CK_KERNEL(256) ck_gaussian_noise(float *y, const float *x, const ck_step_state *step, ck_image_params p) {
    int64_t size = image_size(p), quads = (size + 3) / 4;
    for (int64_t i = ck_first(); i < p.n * quads; i += ck_stride()) {
        int64_t n = i / quads, quad = i % quads;
        float normal[4];
        ck_normals(draw(step, n, p, (uint32_t)(quad + 1)), normal);
        for (int k = 0; k < 4 && 4 * quad + k < size; k++) {
            int64_t at = n * size + 4 * quad + k;
            y[at] = x[at] + p.maximum * normal[k];
        }
    }
}

CK_KERNEL(256) ck_dropout(float *y, const float *x, const ck_step_state *step, ck_image_params p) {
    int64_t size = image_size(p), quads = (size + 3) / 4;
    float scale = 1 / (1 - p.probability);
    for (int64_t i = ck_first(); i < p.n * quads; i += ck_stride()) {
        int64_t n = i / quads, quad = i % quads;
        ck_random4 r = draw(step, n, p, (uint32_t)(quad + 1));
        for (int k = 0; k < 4 && 4 * quad + k < size; k++) {
            int64_t at = n * size + 4 * quad + k;
            y[at] = ck_uniform(r.v[k]) < p.probability ? 0 : x[at] * scale;
        }
    }
}
