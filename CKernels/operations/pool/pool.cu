// Max pooling, global average pooling, upsampling, cropping and the means of windows, NHWC (CPU: pool.c).
// Gradients are gathered, not scattered, so that every sum has one thread and one order.
#include "ck_device.cuh"

CK_KERNEL(256) ck_max_pool_forward(float *y, uint8_t *argmax, const float *x, ck_pool_params p) {
    int64_t count = (int64_t)p.n * p.p * p.q * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int c = (int)(i % p.c), q = (int)(i / p.c % p.q), row = (int)(i / p.c / p.q % p.p);
        int64_t n = i / p.c / p.q / p.p;
        float best = 0;
        int place = -1;
        for (int r = 0; r < p.r; r++)
            for (int s = 0; s < p.r; s++) {
                int h = row * p.stride - p.pad + r, w = q * p.stride - p.pad + s;
                if (h < 0 || h >= p.h || w < 0 || w >= p.w) continue;
                float value = x[((n * p.h + h) * p.w + w) * p.c + c];
                if (place < 0 || value > best) best = value, place = r * p.r + s;
            }
        y[i] = best;
        argmax[i] = (uint8_t)place;
    }
}

CK_KERNEL(256) ck_max_pool_backward(float *dx, const float *dy, const uint8_t *argmax, ck_pool_params p) {
    int64_t count = (int64_t)p.n * p.h * p.w * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int c = (int)(i % p.c), w = (int)(i / p.c % p.w), h = (int)(i / p.c / p.w % p.h);
        int64_t n = i / p.c / p.w / p.h;
        float sum = 0;
        for (int r = p.r - 1; r >= 0; r--)  // the windows that hold the pixel, in the order of their places
            for (int s = p.r - 1; s >= 0; s--) {
                int top = h + p.pad - r, left = w + p.pad - s;
                if (top < 0 || left < 0 || top % p.stride || left % p.stride) continue;
                int row = top / p.stride, q = left / p.stride;
                if (row >= p.p || q >= p.q) continue;
                int64_t at = ((n * p.p + row) * p.q + q) * p.c + c;
                if (argmax[at] == r * p.r + s) sum += dy[at];
            }
        dx[i] = sum;
    }
}

CK_KERNEL(256) ck_global_average_pool_forward(float *y, const float *x, ck_pool_params p) {
    int64_t count = (int64_t)p.n * p.c, pixels = (int64_t)p.h * p.w;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        const float *from = x + i / p.c * pixels * p.c + i % p.c;
        float sum = 0;
        for (int64_t k = 0; k < pixels; k++) sum += from[k * p.c];
        y[i] = sum / (float)pixels;
    }
}

CK_KERNEL(256) ck_global_average_pool_backward(float *dx, const float *dy, ck_pool_params p) {
    int64_t pixels = (int64_t)p.h * p.w, count = p.n * pixels * p.c;
    float share = 1.0f / (float)pixels;
    for (int64_t i = ck_first(); i < count; i += ck_stride())
        dx[i] = dy[i / p.c / pixels * p.c + i % p.c] * share;
}

CK_KERNEL(256) ck_upsample_forward(float *y, const float *x, ck_pool_params p) {
    int64_t count = (int64_t)p.n * 4 * p.h * p.w * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t c = i % p.c, w = i / p.c % (2 * p.w), h = i / p.c / (2 * p.w) % (2 * p.h),
                n = i / p.c / (2 * p.w) / (2 * p.h);
        y[i] = x[((n * p.h + h / 2) * p.w + w / 2) * p.c + c];
    }
}

CK_KERNEL(256) ck_upsample_backward(float *dx, const float *dy, ck_pool_params p) {
    int64_t count = (int64_t)p.n * p.h * p.w * p.c, line = 2 * (int64_t)p.w * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t c = i % p.c, w = i / p.c % p.w, h = i / p.c / p.w % p.h, n = i / p.c / p.w / p.h;
        const float *from = dy + (n * 2 * p.h + 2 * h) * line + 2 * w * p.c + c;
        dx[i] = from[0] + from[p.c] + from[line] + from[line + p.c];
    }
}

CK_KERNEL(256) ck_crop_forward(float *y, const float *x, ck_pool_params p) {
    int64_t count = (int64_t)p.n * p.p * p.q * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t c = i % p.c, q = i / p.c % p.q, row = i / p.c / p.q % p.p, n = i / p.c / p.q / p.p;
        y[i] = x[((n * p.h + row + p.pad) * p.w + q + p.pad) * p.c + c];
    }
}

CK_KERNEL(256) ck_crop_backward(float *dx, const float *dy, ck_pool_params p) {
    int64_t count = (int64_t)p.n * p.h * p.w * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t c = i % p.c, w = i / p.c % p.w - p.pad, h = i / p.c / p.w % p.h - p.pad,
                n = i / p.c / p.w / p.h;
        bool inside = h >= 0 && h < p.p && w >= 0 && w < p.q;
        dx[i] = inside ? dy[((n * p.p + h) * p.q + w) * p.c + c] : 0.0f;
    }
}

CK_KERNEL(256) ck_window_means(float *y, const float *x, ck_pool_params p) {
    int64_t count = (int64_t)p.n * p.p * p.q * p.c, line = (int64_t)p.w * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t c = i % p.c, q = i / p.c % p.q, row = i / p.c / p.q % p.p, n = i / p.c / p.q / p.p;
        const float *from = x + (n * p.h + row * p.stride) * line + q * p.stride * p.c + c;
        float sum = 0;
        for (int s = 0; s < p.r; s++) {
            float column = 0;
            for (int r = 0; r < p.r; r++) column += from[r * line + s * p.c];
            sum += column;
        }
        y[i] = sum * (1.0f / (float)(p.r * p.r));
    }
}
