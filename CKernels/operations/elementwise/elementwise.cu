// ReLUs, tanh, add, scale, conversion, concatenation, mean squared error and sums (CPU: elementwise.c).
#include "ck_device.cuh"

struct positive {
    CK_MEMBER float operator()(float x, float) const { return x > 0 ? x : 0; }
};
struct where_positive {  // dy, y
    CK_MEMBER float operator()(float dy, float y) const { return y > 0 ? dy : 0; }
};
struct bent {
    CK_MEMBER float operator()(float x, float) const { return tanhf(x); }
};
struct unbent {  // dy, y
    CK_MEMBER float operator()(float dy, float y) const { return dy * (1 - y * y); }
};
struct itself {
    CK_MEMBER float operator()(float x, float) const { return x; }
};

struct times {
    float factor;
    CK_MEMBER float operator()(float x, float) const { return factor * x; }
};
struct leaky {
    float factor;
    CK_MEMBER float operator()(float x, float) const { return x > 0 ? x : factor * x; }
};
struct leaky_where_negative {  // dy, y
    float factor;
    CK_MEMBER float operator()(float dy, float y) const { return y > 0 ? dy : factor * dy; }
};

// y = f(a, b), or f(a, 0) where b is NULL; N values at a time, from `first` to before `end`.
template <int N, class Y, class X, class F>
CK_DEVICE void apply(Y *y, const X *a, const X *b, int64_t first, int64_t end, F f) {
    for (int64_t i = first + ck_first() * N; i < end; i += ck_stride() * N) {
        float u[N], v[N] = {};
        ck_load(u, a + i);
        if (b) ck_load(v, b + i);
        for (int k = 0; k < N; k++) u[k] = f(u[k], v[k]);
        ck_store(y + i, u);
    }
}

// The same for all values: in vectors as far as they go.
template <class Y, class X, class F> CK_DEVICE void apply(Y *y, const X *a, const X *b, int64_t count, F f) {
    enum { N = ck_vector<X>::WIDTH < ck_vector<Y>::WIDTH ? ck_vector<Y>::WIDTH : ck_vector<X>::WIDTH };
    int64_t whole = ck_are_aligned(y, a, b) ? count / N * N : 0;
    apply<N>(y, a, b, 0, whole, f);
    apply<1>(y, a, b, whole, count, f);
}

CK_KERNEL(256) ck_relu_forward(float *y, const float *x, ck_elementwise_params p) {
    apply(y, x, (const float *)nullptr, p.count, positive());
}
CK_KERNEL(256) ck_relu_forward_bf16(uint16_t *y, const uint16_t *x, ck_elementwise_params p) {
    apply(y, x, (const uint16_t *)nullptr, p.count, positive());
}

CK_KERNEL(256) ck_relu_backward(float *dx, const float *dy, const float *y, ck_elementwise_params p) {
    apply(dx, dy, y, p.count, where_positive());
}
CK_KERNEL(256)
ck_relu_backward_bf16(uint16_t *dx, const uint16_t *dy, const uint16_t *y, ck_elementwise_params p) {
    apply(dx, dy, y, p.count, where_positive());
}

CK_KERNEL(256) ck_scale(float *y, const float *x, ck_scale_params p) {
    apply(y, x, (const float *)nullptr, p.count, times{p.factor});
}
CK_KERNEL(256) ck_scale_bf16(uint16_t *y, const uint16_t *x, ck_scale_params p) {
    apply(y, x, (const uint16_t *)nullptr, p.count, times{p.factor});
}

CK_KERNEL(256) ck_leaky_relu_forward(float *y, const float *x, ck_scale_params p) {
    apply(y, x, (const float *)nullptr, p.count, leaky{p.factor});
}
CK_KERNEL(256) ck_leaky_relu_forward_bf16(uint16_t *y, const uint16_t *x, ck_scale_params p) {
    apply(y, x, (const uint16_t *)nullptr, p.count, leaky{p.factor});
}

CK_KERNEL(256) ck_leaky_relu_backward(float *dx, const float *dy, const float *y, ck_scale_params p) {
    apply(dx, dy, y, p.count, leaky_where_negative{p.factor});
}
CK_KERNEL(256)
ck_leaky_relu_backward_bf16(uint16_t *dx, const uint16_t *dy, const uint16_t *y, ck_scale_params p) {
    apply(dx, dy, y, p.count, leaky_where_negative{p.factor});
}

CK_KERNEL(256) ck_tanh_forward(float *y, const float *x, ck_elementwise_params p) {
    apply(y, x, (const float *)nullptr, p.count, bent());
}
CK_KERNEL(256) ck_tanh_forward_bf16(uint16_t *y, const uint16_t *x, ck_elementwise_params p) {
    apply(y, x, (const uint16_t *)nullptr, p.count, bent());
}

CK_KERNEL(256) ck_tanh_backward(float *dx, const float *dy, const float *y, ck_elementwise_params p) {
    apply(dx, dy, y, p.count, unbent());
}
CK_KERNEL(256)
ck_tanh_backward_bf16(uint16_t *dx, const uint16_t *dy, const uint16_t *y, ck_elementwise_params p) {
    apply(dx, dy, y, p.count, unbent());
}

CK_KERNEL(256) ck_add(float *y, const float *a, const float *b, ck_elementwise_params p) {
    apply(y, a, b, p.count, ck_plus());
}
CK_KERNEL(256) ck_add_bf16(uint16_t *y, const uint16_t *a, const uint16_t *b, ck_elementwise_params p) {
    apply(y, a, b, p.count, ck_plus());
}

CK_KERNEL(256) ck_to_bf16(uint16_t *y, const float *x, ck_elementwise_params p) {
    apply(y, x, (const float *)nullptr, p.count, itself());
}
CK_KERNEL(256) ck_from_bf16(float *y, const uint16_t *x, ck_elementwise_params p) {
    apply(y, x, (const uint16_t *)nullptr, p.count, itself());
}

CK_KERNEL(256) ck_concatenate(float *y, const float *a, const float *b, ck_dense_params p) {
    int width = p.c + p.k;
    for (int64_t i = ck_first(); i < (int64_t)p.n * width; i += ck_stride()) {
        int64_t row = i / width, column = i % width;
        y[i] = column < p.c ? a[row * p.c + column] : b[row * p.k + column - p.c];
    }
}

CK_KERNEL(256) ck_concatenate_backward(float *da, float *db, const float *dy, ck_dense_params p) {
    int width = p.c + p.k;
    for (int64_t i = ck_first(); i < (int64_t)p.n * width; i += ck_stride()) {
        int64_t row = i / width, column = i % width;
        if (column < p.c)
            da[row * p.c + column] = dy[i];
        else
            db[row * p.k + column - p.c] = dy[i];
    }
}

CK_KERNEL(256)
ck_mean_squared_error_backward(float *dx, const float *x, const float *target, ck_elementwise_params p) {
    float factor = 2.0f / (float)p.count;
    for (int64_t i = ck_first(); i < p.count; i += ck_stride()) dx[i] = factor * (x[i] - target[i]);
}

// partial[block] = sum of (a - b)^2, or of a^2 where b is NULL, over the block's `share` elements.
CK_KERNEL(256) ck_squares(double *partial, const float *a, const float *b, int64_t count, int64_t share) {
    CK_SHARED(double, shared, 256);
    int64_t first = (int64_t)blockIdx.x * share, end = first + share < count ? first + share : count;
    double sum = 0;
    for (int64_t i = first + threadIdx.x; i < end; i += 256) {
        double d = b ? (double)a[i] - (double)b[i] : (double)a[i];
        sum += d * d;
    }
    sum = ck_block_reduce<256>(sum, shared, ck_plus());
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// y = factor * sum of the partial sums; one block.
CK_KERNEL(256) ck_sum(float *y, const double *partial, int64_t count, double factor) {
    CK_SHARED(double, shared, 256);
    double sum = 0;
    for (int64_t i = threadIdx.x; i < count; i += 256) sum += partial[i];
    sum = ck_block_reduce<256>(sum, shared, ck_plus());
    if (threadIdx.x == 0) *y = (float)(factor * sum);
}
