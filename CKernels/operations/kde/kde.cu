// log sum exp of products (CPU: kde.c); cuBLASLt computes the tiles.
#include "log_sum.cuh"

CK_KERNEL(128)
ck_products_tile(float *largest, double *sums, const float *tile, int first, int columns, int64_t leading,
                 int is_first, float scale) {
    CK_SHARED(float, floats, 128);
    CK_SHARED(double, doubles, 128);
    int64_t row = first + blockIdx.x;
    ck_take_tile_row(largest + row, sums + row, tile + blockIdx.x * leading, columns, -1, scale, is_first,
                     floats, doubles);
}

CK_KERNEL(256) ck_products_finish(float *lse, const float *largest, const double *sums, int64_t count) {
    for (int64_t i = ck_first(); i < count; i += ck_stride()) lse[i] = (float)(log(sums[i]) + largest[i]);
}
