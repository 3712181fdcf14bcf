// Row-wise operations on N x C: L2 normalization, softmax, softmax cross-entropy (CPU: softmax.c). One block
// to a row.
#include "ck_device.cuh"

enum { THREADS = 128 };

CK_KERNEL(128) ck_l2_normalize_forward(float *y, float *norm, const float *x, ck_rows_params p) {
    CK_SHARED(double, shared, THREADS);
    int64_t row = blockIdx.x, at = row * p.c;
    double sum = 0;
    for (int i = threadIdx.x; i < p.c; i += THREADS) sum += (double)x[at + i] * x[at + i];
    float length = fmaxf((float)sqrt(ck_block_reduce<THREADS>(sum, shared, ck_plus())), p.epsilon);
    if (threadIdx.x == 0) norm[row] = length;
    for (int i = threadIdx.x; i < p.c; i += THREADS) y[at + i] = x[at + i] * (1.0f / length);
}

// dx = (dy - y (y . dy)) / ||x||; below epsilon the norm is a constant.
CK_KERNEL(128)
ck_l2_normalize_backward(float *dx, const float *dy, const float *y, const float *norm, ck_rows_params p) {
    CK_SHARED(double, shared, THREADS);
    int64_t row = blockIdx.x, at = row * p.c;
    double sum = 0;
    for (int i = threadIdx.x; i < p.c; i += THREADS) sum += (double)y[at + i] * dy[at + i];
    float along = (float)ck_block_reduce<THREADS>(sum, shared, ck_plus());
    if (!(norm[row] > p.epsilon)) along = 0;
    for (int i = threadIdx.x; i < p.c; i += THREADS)
        dx[at + i] = (dy[at + i] - y[at + i] * along) * (1.0f / norm[row]);
}

// Writes softmax(x) and returns log sum exp(x), to all threads.
CK_DEVICE double softmax_row(float *y, const float *x, int c, float *floats, double *doubles) {
    float largest = -CK_INFINITY;
    for (int i = threadIdx.x; i < c; i += THREADS) largest = fmaxf(largest, x[i]);
    largest = ck_block_reduce<THREADS>(largest, floats, ck_larger());
    double sum = 0;
    for (int i = threadIdx.x; i < c; i += THREADS) sum += expf(x[i] - largest);
    sum = ck_block_reduce<THREADS>(sum, doubles, ck_plus());
    float inverse = (float)(1 / sum);
    for (int i = threadIdx.x; i < c; i += THREADS) y[i] = expf(x[i] - largest) * inverse;
    return log(sum) + largest;
}

CK_KERNEL(128) ck_softmax(float *y, const float *x, ck_rows_params p) {
    CK_SHARED(float, floats, THREADS);
    CK_SHARED(double, doubles, THREADS);
    int64_t at = (int64_t)blockIdx.x * p.c;
    softmax_row(y + at, x + at, p.c, floats, doubles);
}

// dx = p (dp - p . dp)
CK_KERNEL(128) ck_softmax_backward(float *dx, const float *dy, const float *y, ck_rows_params p) {
    CK_SHARED(double, shared, THREADS);
    int64_t at = (int64_t)blockIdx.x * p.c;
    double sum = 0;
    for (int i = threadIdx.x; i < p.c; i += THREADS) sum += (double)y[at + i] * dy[at + i];
    float along = (float)ck_block_reduce<THREADS>(sum, shared, ck_plus());
    for (int i = threadIdx.x; i < p.c; i += THREADS) dx[at + i] = y[at + i] * (dy[at + i] - along);
}

// A row's part of the loss is a mean of the rows of its kind: those with a label, or outliers (-1).
CK_DEVICE float share(ck_cross_entropy_params p, int label) {
    return label >= 0 ? 1.0f / (float)(p.n - p.outliers) : p.outlier_weight / (float)p.outliers;
}

// A label outside -1 ..< C makes the loss NaN.
CK_KERNEL(128)
ck_softmax_cross_entropy_forward(double *partial, float *y, const float *x, const int32_t *labels,
                                 ck_cross_entropy_params p) {
    CK_SHARED(float, floats, THREADS);
    CK_SHARED(double, doubles, THREADS);
    int64_t row = blockIdx.x, at = row * p.c;
    int label = labels[row];
    double lse = softmax_row(y + at, x + at, p.c, floats, doubles), mean = 0;
    if (label < 0) {
        for (int i = threadIdx.x; i < p.c; i += THREADS) mean += (double)x[at + i];
        mean = ck_block_reduce<THREADS>(mean, doubles, ck_plus()) / p.c;
    }
    if (threadIdx.x == 0) {
        bool known = label >= -1 && label < p.c && (label >= 0 || p.outliers > 0);
        partial[row] =
            known ? share(p, label) * (lse - (label < 0 ? mean : (double)x[at + label])) : (double)CK_NAN;
    }
}

CK_KERNEL(256)
ck_softmax_cross_entropy_backward(float *dx, const float *y, const int32_t *labels,
                                  ck_cross_entropy_params p) {
    int64_t count = (int64_t)p.n * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int label = labels[i / p.c];
        float target = label < 0 ? 1.0f / (float)p.c : i % p.c == label ? 1.0f : 0.0f;
        dx[i] = (y[i] - target) * share(p, label);
    }
}
