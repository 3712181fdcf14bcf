// Weighted sums of kernels between query and support rows, in double precision: what the support-vector
// detectors score by. A query's sum does not depend on the queries around it (row_products.h).
#include "cpu.h"
#include "row_products.h"
#include <stdlib.h>

enum { KERNEL_ROWS = 64, KERNEL_COLUMNS = 256 };

struct kernel_job {
    const double *x, *s, *packed, *weights, *x_norms, *s_norms;
    int64_t n, m, d;
    double gamma;
    double *sum, *gradient, *tiles;
};

// d/dx sum_j w_j exp(-gamma |x - s_j|^2) = 2 gamma sum_j w_j k_j (s_j - x); for the linear kernel sum_j w_j
// s_j.
static void kernel_rows(void *context, int64_t index, int worker) {
    struct kernel_job *j = context;
    int64_t row = index * KERNEL_ROWS, rows = ck_min64(KERNEL_ROWS, j->n - row), d = j->d;
    double *tile = j->tiles + (int64_t)worker * KERNEL_ROWS * KERNEL_COLUMNS, pull[KERNEL_ROWS] = {0};
    for (int64_t i = 0; i < rows; i++) j->sum[row + i] = 0;
    for (int64_t column = 0; column < j->m; column += KERNEL_COLUMNS) {
        int64_t columns = ck_min64(KERNEL_COLUMNS, j->m - column);
        ck_row_products_wide(tile, KERNEL_COLUMNS, j->x + row * d, rows, j->packed + column * d, columns, d);
        for (int64_t i = 0; i < rows; i++) {
            double *k = tile + i * KERNEL_COLUMNS;
            for (int64_t c = 0; c < columns; c++) {
                double value = k[c];
                if (j->gamma > 0) {
                    value =
                        exp(-j->gamma * fmax(0, j->x_norms[row + i] + j->s_norms[column + c] - 2 * value));
                    k[c] = 2 * j->gamma * j->weights[column + c] * value;
                    pull[i] += k[c];
                } else {
                    k[c] = j->weights[column + c];
                }
                j->sum[row + i] += j->weights[column + c] * value;
            }
        }
        if (j->gradient)
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)d, (int)columns, 1.0, tile,
                        KERNEL_COLUMNS, j->s + column * d, (int)d, column > 0 ? 1.0 : 0.0,
                        j->gradient + row * d, (int)d);
    }
    if (j->gradient && j->gamma > 0)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < d; c++)
                j->gradient[(row + i) * d + c] -= pull[i] * j->x[(row + i) * d + c];
}

// Copies rows to double and takes their squared norms.
static void widen(const float *x, int64_t n, int64_t d, double *wide, double *norms) {
    for (int64_t i = 0; i < n; i++) {
        norms[i] = 0;
        for (int64_t c = 0; c < d; c++) {
            double value = x[i * d + c];
            wide[i * d + c] = value;
            norms[i] += value * value;
        }
    }
}

ck_status ck_kernel_sum(const float *x, int64_t n, const float *s, const double *weights, int64_t m,
                        int64_t d, double gamma, double *sum, double *gradient) {
    size_t tiles = KERNEL_ROWS * KERNEL_COLUMNS * (size_t)ck_thread_count();
    size_t packed = (size_t)ck_packed_doubles(m, d);
    double *memory = malloc(sizeof(double) * ((size_t)(n + m) * (size_t)(d + 1) + packed + tiles));
    if (!memory)
        return ck_fail(CK_OUT_OF_MEMORY, "no memory for %lld x %lld kernel rows", (long long)n, (long long)m);
    double *wide_x = memory, *wide_s = wide_x + n * d, *x_norms = wide_s + m * d, *s_norms = x_norms + n;
    widen(x, n, d, wide_x, x_norms);
    widen(s, m, d, wide_s, s_norms);
    double *panels = s_norms + m;
    ck_pack_rows_wide(panels, wide_s, m, d);
    struct kernel_job j = {wide_x, wide_s, panels, weights, x_norms,  s_norms,        n,
                           m,      d,      gamma,  sum,     gradient, panels + packed};
    ck_parallel_for(ck_ceil_div(n, KERNEL_ROWS), kernel_rows, &j);
    free(memory);
    return CK_OK;
}
