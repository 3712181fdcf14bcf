// ReLU, add, concatenation, mean squared error and sums (CPU: elementwise.c).
#include "ck_device.cuh"

CK_KERNEL(256) ck_relu_forward(float *y, const float *x, ck_elementwise_params p) {
    for (int64_t i = ck_first(); i < p.count; i += ck_stride()) y[i] = x[i] > 0 ? x[i] : 0;
}

CK_KERNEL(256) ck_relu_backward(float *dx, const float *dy, const float *y, ck_elementwise_params p) {
    for (int64_t i = ck_first(); i < p.count; i += ck_stride()) dx[i] = y[i] > 0 ? dy[i] : 0;
}

CK_KERNEL(256) ck_add(float *y, const float *a, const float *b, ck_elementwise_params p) {
    for (int64_t i = ck_first(); i < p.count; i += ck_stride()) y[i] = a[i] + b[i];
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
