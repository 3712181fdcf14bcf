// Max pooling, global average pooling, upsampling, cropping and the means of windows, NHWC (CPU: pool.c).
// Gradients are gathered, not scattered, so that every sum has one thread and one order. A thread takes N
// neighboring channels of a pixel: 16 bytes of them, or one where they do not come to whole vectors.
#include "ck_device.cuh"

// The place of a thread's channels: pixel (n, row, column) of images of `rows` x `columns`, first channel c.
struct place {
    int64_t n;
    int row, column, c;
};

template <int N> CK_DEVICE place place_of(int64_t i, int rows, int columns, int channels) {
    int groups = channels / N;
    int64_t pixel = i / groups, line = pixel / columns;
    return {line / rows, (int)(line % rows), (int)(pixel % columns), (int)(i % groups) * N};
}

// Calls f<N>(i) for every vector of `count` values; `wide` where vectors can be read.
#define FOR_EACH(T, wide, count, function, ...)                                                              \
    do {                                                                                                     \
        if (wide)                                                                                            \
            for (int64_t i = ck_first(); i < (count) / ck_vector<T>::WIDTH; i += ck_stride())                \
                function<T, ck_vector<T>::WIDTH>(i, __VA_ARGS__);                                            \
        else                                                                                                 \
            for (int64_t i = ck_first(); i < (count); i += ck_stride()) function<T, 1>(i, __VA_ARGS__);      \
    } while (0)

template <class T>
CK_DEVICE bool is_wide(const ck_pool_params &p, const void *a, const void *b, const void *c = nullptr) {
    return p.c % ck_vector<T>::WIDTH == 0 && ck_are_aligned(a, b, c);
}

CK_DEVICE int64_t outputs(const ck_pool_params &p) { return (int64_t)p.n * p.p * p.q * p.c; }
CK_DEVICE int64_t inputs(const ck_pool_params &p) { return (int64_t)p.n * p.h * p.w * p.c; }

// N places in windows: a byte each, in one piece where there are four or eight.
template <int N> CK_DEVICE void load_places(int (&to)[N], const uint8_t *from) {
    if constexpr (N % 4 == 0) {
        for (int k = 0; k < N; k += 4) {
            unsigned four = *(const unsigned *)(from + k);
            for (int i = 0; i < 4; i++) to[k + i] = (int)(four >> 8 * i & 0xFF);
        }
    } else {
        for (int k = 0; k < N; k++) to[k] = from[k];
    }
}
template <int N> CK_DEVICE void store_places(uint8_t *to, const int (&from)[N]) {
    if constexpr (N % 4 == 0) {
        for (int k = 0; k < N; k += 4) {
            unsigned four = 0;
            for (int i = 0; i < 4; i++) four |= (unsigned)(from[k + i] & 0xFF) << 8 * i;
            *(unsigned *)(to + k) = four;
        }
    } else {
        for (int k = 0; k < N; k++) to[k] = (uint8_t)from[k];
    }
}

// ---- Max --------------------------------------------------------------------------------------------------

template <class T, int N>
CK_DEVICE void max_pool(int64_t i, T *y, uint8_t *argmax, const T *x, const ck_pool_params &p) {
    place at = place_of<N>(i, p.p, p.q, p.c);
    float best[N] = {};
    int where[N];
    for (int k = 0; k < N; k++) where[k] = -1;
    for (int r = 0; r < p.r; r++)
        for (int s = 0; s < p.r; s++) {
            int h = at.row * p.stride - p.pad + r, w = at.column * p.stride - p.pad + s;
            if (h < 0 || h >= p.h || w < 0 || w >= p.w) continue;
            float v[N];
            ck_load(v, x + ((at.n * p.h + h) * p.w + w) * p.c + at.c);
            for (int k = 0; k < N; k++)
                if (where[k] < 0 || v[k] > best[k]) best[k] = v[k], where[k] = r * p.r + s;
        }
    ck_store(y + i * N, best);
    store_places(argmax + i * N, where);
}

template <class T>
CK_DEVICE void max_pool_forward(T *y, uint8_t *argmax, const T *x, const ck_pool_params &p) {
    FOR_EACH(T, is_wide<T>(p, y, x, argmax), outputs(p), max_pool, y, argmax, x, p);
}

template <class T, int N>
CK_DEVICE void max_pool_gradient(int64_t i, T *dx, const T *dy, const uint8_t *argmax,
                                 const ck_pool_params &p) {
    place to = place_of<N>(i, p.h, p.w, p.c);
    float sum[N] = {};
    for (int r = p.r - 1; r >= 0; r--)  // the windows that hold the pixel, in the order of their places
        for (int s = p.r - 1; s >= 0; s--) {
            int top = to.row + p.pad - r, left = to.column + p.pad - s;
            if (top < 0 || left < 0 || top % p.stride || left % p.stride) continue;
            int row = top / p.stride, q = left / p.stride;
            if (row >= p.p || q >= p.q) continue;
            int64_t at = ((to.n * p.p + row) * p.q + q) * p.c + to.c;
            float v[N];
            int where[N];
            ck_load(v, dy + at);
            load_places(where, argmax + at);
            for (int k = 0; k < N; k++) sum[k] += where[k] == r * p.r + s ? v[k] : 0;
        }
    ck_store(dx + i * N, sum);
}

template <class T>
CK_DEVICE void max_pool_backward(T *dx, const T *dy, const uint8_t *argmax, const ck_pool_params &p) {
    FOR_EACH(T, is_wide<T>(p, dx, dy, argmax), inputs(p), max_pool_gradient, dx, dy, argmax, p);
}

CK_KERNEL(256) ck_max_pool_forward(float *y, uint8_t *argmax, const float *x, ck_pool_params p) {
    max_pool_forward(y, argmax, x, p);
}
CK_KERNEL(256) ck_max_pool_forward_bf16(uint16_t *y, uint8_t *argmax, const uint16_t *x, ck_pool_params p) {
    max_pool_forward(y, argmax, x, p);
}
CK_KERNEL(256) ck_max_pool_backward(float *dx, const float *dy, const uint8_t *argmax, ck_pool_params p) {
    max_pool_backward(dx, dy, argmax, p);
}
CK_KERNEL(256)
ck_max_pool_backward_bf16(uint16_t *dx, const uint16_t *dy, const uint8_t *argmax, ck_pool_params p) {
    max_pool_backward(dx, dy, argmax, p);
}

// ---- Global average ---------------------------------------------------------------------------------------

template <class T, int N> CK_DEVICE void average(int64_t i, float *y, const T *x, const ck_pool_params &p) {
    int64_t pixels = (int64_t)p.h * p.w;
    place at = place_of<N>(i, 1, 1, p.c);
    const T *from = x + at.n * pixels * p.c + at.c;
    float sum[N] = {}, v[N];
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
        ck_load(v, from + pixel * p.c);
        for (int k = 0; k < N; k++) sum[k] += v[k];
    }
    for (int k = 0; k < N; k++) sum[k] /= (float)pixels;
    ck_store(y + i * N, sum);
}

template <class T> CK_DEVICE void average_forward(float *y, const T *x, const ck_pool_params &p) {
    FOR_EACH(T, is_wide<T>(p, y, x), (int64_t)p.n * p.c, average, y, x, p);
}

template <class T, int N>
CK_DEVICE void average_gradient(int64_t i, T *dx, const float *dy, const ck_pool_params &p) {
    place to = place_of<N>(i, p.h, p.w, p.c);
    float v[N], share = 1.0f / (float)((int64_t)p.h * p.w);
    ck_load(v, dy + to.n * p.c + to.c);
    for (int k = 0; k < N; k++) v[k] *= share;
    ck_store(dx + i * N, v);
}

template <class T> CK_DEVICE void average_backward(T *dx, const float *dy, const ck_pool_params &p) {
    FOR_EACH(T, is_wide<T>(p, dx, dy), inputs(p), average_gradient, dx, dy, p);
}

CK_KERNEL(256) ck_global_average_pool_forward(float *y, const float *x, ck_pool_params p) {
    average_forward(y, x, p);
}
CK_KERNEL(256) ck_global_average_pool_forward_bf16(float *y, const uint16_t *x, ck_pool_params p) {
    average_forward(y, x, p);
}
CK_KERNEL(256) ck_global_average_pool_backward(float *dx, const float *dy, ck_pool_params p) {
    average_backward(dx, dy, p);
}
CK_KERNEL(256) ck_global_average_pool_backward_bf16(uint16_t *dx, const float *dy, ck_pool_params p) {
    average_backward(dx, dy, p);
}

// ---- Upsampling by two ------------------------------------------------------------------------------------

template <class T, int N> CK_DEVICE void enlarge(int64_t i, T *y, const T *x, const ck_pool_params &p) {
    place at = place_of<N>(i, 2 * p.h, 2 * p.w, p.c);
    float v[N];
    ck_load(v, x + ((at.n * p.h + at.row / 2) * p.w + at.column / 2) * p.c + at.c);
    ck_store(y + i * N, v);
}

template <class T> CK_DEVICE void upsample_forward(T *y, const T *x, const ck_pool_params &p) {
    FOR_EACH(T, is_wide<T>(p, y, x), 4 * inputs(p), enlarge, y, x, p);
}

template <class T, int N>
CK_DEVICE void enlarge_gradient(int64_t i, T *dx, const T *dy, const ck_pool_params &p) {
    place to = place_of<N>(i, p.h, p.w, p.c);
    int64_t line = 2 * (int64_t)p.w * p.c;
    const T *from = dy + (to.n * 2 * p.h + 2 * to.row) * line + 2 * to.column * p.c + to.c;
    float a[N], b[N], c[N], d[N];
    ck_load(a, from), ck_load(b, from + p.c), ck_load(c, from + line), ck_load(d, from + line + p.c);
    for (int k = 0; k < N; k++) a[k] = a[k] + b[k] + c[k] + d[k];
    ck_store(dx + i * N, a);
}

template <class T> CK_DEVICE void upsample_backward(T *dx, const T *dy, const ck_pool_params &p) {
    FOR_EACH(T, is_wide<T>(p, dx, dy), inputs(p), enlarge_gradient, dx, dy, p);
}

CK_KERNEL(256) ck_upsample_forward(float *y, const float *x, ck_pool_params p) { upsample_forward(y, x, p); }
CK_KERNEL(256) ck_upsample_forward_bf16(uint16_t *y, const uint16_t *x, ck_pool_params p) {
    upsample_forward(y, x, p);
}
CK_KERNEL(256) ck_upsample_backward(float *dx, const float *dy, ck_pool_params p) {
    upsample_backward(dx, dy, p);
}
CK_KERNEL(256) ck_upsample_backward_bf16(uint16_t *dx, const uint16_t *dy, ck_pool_params p) {
    upsample_backward(dx, dy, p);
}

// ---- Cropping ---------------------------------------------------------------------------------------------

template <class T, int N> CK_DEVICE void inner(int64_t i, T *y, const T *x, const ck_pool_params &p) {
    place at = place_of<N>(i, p.p, p.q, p.c);
    float v[N];
    ck_load(v, x + ((at.n * p.h + at.row + p.pad) * p.w + at.column + p.pad) * p.c + at.c);
    ck_store(y + i * N, v);
}

template <class T> CK_DEVICE void crop_forward(T *y, const T *x, const ck_pool_params &p) {
    FOR_EACH(T, is_wide<T>(p, y, x), outputs(p), inner, y, x, p);
}

template <class T, int N>
CK_DEVICE void inner_gradient(int64_t i, T *dx, const T *dy, const ck_pool_params &p) {
    place to = place_of<N>(i, p.h, p.w, p.c);
    int h = to.row - p.pad, w = to.column - p.pad;
    float v[N] = {};
    if (h >= 0 && h < p.p && w >= 0 && w < p.q) ck_load(v, dy + ((to.n * p.p + h) * p.q + w) * p.c + to.c);
    ck_store(dx + i * N, v);
}

template <class T> CK_DEVICE void crop_backward(T *dx, const T *dy, const ck_pool_params &p) {
    FOR_EACH(T, is_wide<T>(p, dx, dy), inputs(p), inner_gradient, dx, dy, p);
}

CK_KERNEL(256) ck_crop_forward(float *y, const float *x, ck_pool_params p) { crop_forward(y, x, p); }
CK_KERNEL(256) ck_crop_forward_bf16(uint16_t *y, const uint16_t *x, ck_pool_params p) {
    crop_forward(y, x, p);
}
CK_KERNEL(256) ck_crop_backward(float *dx, const float *dy, ck_pool_params p) { crop_backward(dx, dy, p); }
CK_KERNEL(256) ck_crop_backward_bf16(uint16_t *dx, const uint16_t *dy, ck_pool_params p) {
    crop_backward(dx, dy, p);
}

// ---- Means of windows -------------------------------------------------------------------------------------

template <class T, int N> CK_DEVICE void window(int64_t i, float *y, const T *x, const ck_pool_params &p) {
    place at = place_of<N>(i, p.p, p.q, p.c);
    int64_t line = (int64_t)p.w * p.c;
    const T *from = x + (at.n * p.h + at.row * p.stride) * line + at.column * p.stride * p.c + at.c;
    float sum[N] = {}, v[N];
    for (int s = 0; s < p.r; s++) {
        float column[N] = {};
        for (int r = 0; r < p.r; r++) {
            ck_load(v, from + r * line + s * p.c);
            for (int k = 0; k < N; k++) column[k] += v[k];
        }
        for (int k = 0; k < N; k++) sum[k] += column[k];
    }
    for (int k = 0; k < N; k++) sum[k] *= 1.0f / (float)(p.r * p.r);
    ck_store(y + i * N, sum);
}

template <class T> CK_DEVICE void window_means(float *y, const T *x, const ck_pool_params &p) {
    FOR_EACH(T, is_wide<T>(p, y, x), outputs(p), window, y, x, p);
}

CK_KERNEL(256) ck_window_means(float *y, const float *x, ck_pool_params p) { window_means(y, x, p); }
CK_KERNEL(256) ck_window_means_bf16(float *y, const uint16_t *x, ck_pool_params p) { window_means(y, x, p); }
