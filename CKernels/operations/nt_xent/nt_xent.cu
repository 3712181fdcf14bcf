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
// with its own lse, and as a candidate with the other's. One block to a row.
CK_KERNEL(256)
ck_nt_xent_tile_backward(float *tile, const float *lse, int first, int column, int columns, int64_t leading,
                         ck_nt_xent_params p) {
    int b = p.b, row = first + blockIdx.x, pair = (row < b ? row + b : row - b) - column;
    float *s = tile + blockIdx.x * leading;
    const float *others = lse + column;
    float scale = 1.0f / p.temperature, share = scale / (float)(p.symmetric ? 2 * p.pairs : p.pairs);
    if (p.symmetric) {
        float own = lse[row];
        for (int k = threadIdx.x; k < columns; k += 256) {
            float x = s[k] * scale, g = expf(x - own) + expf(x - others[k]) - (k == pair ? 2.0f : 0.0f);
            s[k] = k == row - column ? 0 : g * share;
        }
        return;
    }
    // The first view's rows are anchors, the second one's candidates.
    bool is_anchor = row < b;
    float own = is_anchor ? lse[row] : 0;
    for (int k = threadIdx.x; k < columns; k += 256) {
        float g = expf(s[k] * scale - (is_anchor ? own : others[k])) - (k == pair ? 1.0f : 0.0f);
        s[k] = is_anchor == (column + k >= b) ? g * share : 0;
    }
}
