// NT-Xent on tiles of similarities that cuBLASLt computes (CPU: nt_xent.c, where the loss is written out). A
// tile holds z_i . z_j for rows i in first ..< first + rows and columns j in column ..< column + columns; the
// 2B x 2B matrix never exists.
#include "log_sum.cuh"

// One block to a row of z, which is row own + blockIdx.x of those computed: its running largest value, sum
// and positive, over tile after tile.
CK_KERNEL(128)
ck_nt_xent_tile_forward(float *largest, double *sums, float *positive, const float *tile, int own, int first,
                        int column, int columns, int64_t leading, int is_first, ck_nt_xent_params p) {
    CK_SHARED(float, floats, 128);
    CK_SHARED(double, doubles, 128);
    int at = own + blockIdx.x, row = first + blockIdx.x, pair = (row + p.b) % (2 * p.b) - column;
    const float *s = tile + blockIdx.x * leading;
    float scale = 1.0f / p.temperature;
    ck_take_tile_row(largest + at, sums + at, s, columns, row - column, scale, is_first, floats, doubles);
    if (threadIdx.x == 0 && pair >= 0 && pair < columns) positive[at] = s[pair] * scale;
}

// lse and each anchor's loss.
CK_KERNEL(256)
ck_nt_xent_finish(float *lse, double *partial, const float *largest, const double *sums,
                  const float *positive, int64_t anchors) {
    for (int64_t i = ck_first(); i < anchors; i += ck_stride()) {
        double value = log(sums[i]) + largest[i];
        lse[i] = (float)value;
        partial[i] = value - positive[i];
    }
}

// Converts a tile of similarities to one of the loss's derivatives by them, both ways: row i as an anchor
// with its own lse, and as a candidate with the other's.
CK_KERNEL(256)
ck_nt_xent_tile_backward(float *tile, const float *lse, int first, int rows, int column, int columns,
                         int64_t leading, ck_nt_xent_params p) {
    int b = p.b;
    float scale = 1.0f / p.temperature, share = scale / (float)(p.symmetric ? 2 * p.pairs : p.pairs);
    int64_t count = (int64_t)rows * columns;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int row = first + (int)(i / columns), other = column + (int)(i % columns), pair = (row + b) % (2 * b);
        float *at = tile + i / columns * leading + i % columns, s = *at * scale, g = 0;
        if (p.symmetric) {
            if (other != row) g = expf(s - lse[row]) + expf(s - lse[other]);
            if (other == pair) g -= 2;
        } else if (row < b && other >= b) {
            g = expf(s - lse[row]) - (other == pair ? 1.0f : 0.0f);
        } else if (row >= b && other < b) {
            g = expf(s - lse[other]) - (other == pair ? 1.0f : 0.0f);
        }
        *at = g * share;
    }
}
