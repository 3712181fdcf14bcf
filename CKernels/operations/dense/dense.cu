// The gradient of a dense layer's bias; its matrix products are cuBLASLt's (CPU: dense.c).
#include "ck_device.cuh"

// db[k] = sum over rows of dy[row][k]: one block to 32 columns, 8 rows at a time, then the 8 sums in order.
CK_KERNEL(256) ck_dense_bias_gradient(float *db, const float *dy, ck_dense_params p) {
    CK_SHARED(double, shared, 256);
    int column = threadIdx.x % 32, part = threadIdx.x / 32, k = blockIdx.x * 32 + column;
    double sum = 0;
    if (k < p.k)
        for (int64_t row = part; row < p.n; row += 8) sum += dy[row * p.k + k];
    shared[threadIdx.x] = sum;
    __syncthreads();
    if (part != 0 || k >= p.k) return;
    for (int i = 1; i < 8; i++) sum += shared[i * 32 + column];
    db[k] = (float)sum;
}

// c[row][column] += bias[column].
CK_KERNEL(256)
ck_dense_add_bias(float *c, const float *bias, int64_t rows, int64_t columns, int64_t leading) {
    for (int64_t i = ck_first(); i < rows * columns; i += ck_stride()) {
        int64_t row = i / columns, column = i - row * columns;
        c[row * leading + column] += bias[column];
    }
}
