// Products of query rows with support rows, reduced tile by tile: one task to ROWS queries, COLUMNS support rows at a time.
#include "cpu.h"
#include <stdlib.h>

enum { ROWS = 128, COLUMNS = 512 };

struct job {
    const float *x, *s;
    int64_t n, m, d, k;
    double scale;
    double *lse;
    const double *lse_in;
    float *out;
    int64_t *places;
    float *tiles;
};

static void products(const struct job *j, float *tile, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    ck_gemm(0, 1, rows, columns, j->d, j->x + row * j->d, j->d, j->s + column * j->d, j->d, 0, tile, COLUMNS);
}

// exp for arguments at most 0, vectorisable: 2^(x log2 e) by its whole part and a polynomial; 0 below -87.
static inline float exp_negative(float x) {
    float t = fmaxf(x, -87.0f) * 1.44269504f, whole = floorf(t + 0.5f);
    // x - whole * ln 2 in two parts keeps the remainder exact to the last bits.
    float r = fmaxf(x, -87.0f) - whole * 0.693359375f + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union {
        int32_t i;
        float f;
    } power = {((int32_t)whole + 127) << 23};
    return x < -87.0f ? 0.0f : p * power.f;
}

// Adds exp(scale * s - top) over a tile's row to `sum`, in sixteen running sums of a fixed order.
CK_SIMD static double sum_exp(const float *restrict s, int64_t count, float scale, float top) {
    float sums[16] = {0};
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (int64_t l = 0; l < 16; l++) sums[l] += exp_negative(scale * s[i + l] - top);
    for (; i < count; i++) sums[i % 16] += exp_negative(scale * s[i] - top);
    double total = 0;
    for (int64_t l = 0; l < 16; l++) total += sums[l];
    return total;
}

static void log_sum_exp_rows(void *context, int64_t index, int worker) {
    struct job *j = context;
    int64_t row = index * ROWS, rows = ck_min64(ROWS, j->n - row);
    float *tile = j->tiles + (int64_t)worker * ROWS * COLUMNS, scale = (float)j->scale, top[ROWS];
    double sum[ROWS];
    for (int64_t i = 0; i < rows; i++) top[i] = -INFINITY, sum[i] = 0;
    for (int64_t column = 0; column < j->m; column += COLUMNS) {
        int64_t columns = ck_min64(COLUMNS, j->m - column);
        products(j, tile, row, rows, column, columns);
        for (int64_t i = 0; i < rows; i++) {
            const float *s = tile + i * COLUMNS;
            float largest = s[0];
            for (int64_t k = 1; k < columns; k++) largest = s[k] > largest ? s[k] : largest;
            largest = fmaxf(top[i], scale * largest);
            sum[i] = sum[i] * exp((double)top[i] - largest) + sum_exp(s, columns, scale, largest);
            top[i] = largest;
        }
    }
    for (int64_t i = 0; i < rows; i++) j->lse[row + i] = log(sum[i]) + top[i];
}

// Runs `task` over blocks of ROWS queries with a tile for each worker; false when there is no memory for them.
static int run_tiles(struct job *j, ck_task task) {
    j->tiles = malloc(sizeof(float) * ROWS * COLUMNS * (size_t)ck_thread_count());
    if (!j->tiles) return 0;
    ck_parallel_for(ck_ceil_div(j->n, ROWS), task, j);
    free(j->tiles);
    return 1;
}

ck_status ck_log_sum_exp_products(const float *x, int64_t n, const float *s, int64_t m, int64_t d, double scale,
                                  double *lse) {
    struct job j = {.x = x, .s = s, .n = n, .m = m, .d = d, .scale = scale, .lse = lse};
    return run_tiles(&j, log_sum_exp_rows) ? CK_OK : ck_fail(CK_OUT_OF_MEMORY, "out of memory");
}

ck_status ck_cpu_log_sum_exp_products(ck_cpu_call call) {
    const ck_products_params *p = &call.p->products;
    double *lse = (double *)call.workspace;
    ck_status status = ck_log_sum_exp_products(call.t[1], p->n, call.t[2], p->m, p->d, p->scale, lse);
    for (int64_t i = 0; status == CK_OK && i < p->n; i++) ((float *)call.t[0])[i] = (float)lse[i];
    return status;
}

uint64_t ck_cpu_workspace_products(const ck_operation *operation) {
    return sizeof(double) * (uint64_t)operation->params.products.n;
}

static void softmax_mean_rows(void *context, int64_t index, int worker) {
    struct job *j = context;
    int64_t row = index * ROWS, rows = ck_min64(ROWS, j->n - row);
    float *tile = j->tiles + (int64_t)worker * ROWS * COLUMNS;
    for (int64_t column = 0; column < j->m; column += COLUMNS) {
        int64_t columns = ck_min64(COLUMNS, j->m - column);
        products(j, tile, row, rows, column, columns);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < columns; k++)
                tile[i * COLUMNS + k] = (float)exp(j->scale * tile[i * COLUMNS + k] - j->lse_in[row + i]);
        ck_gemm(0, 0, rows, j->d, columns, tile, COLUMNS, j->s + column * j->d, j->d, column > 0, j->out + row * j->d,
                j->d);
    }
}

ck_status ck_softmax_mean(const float *x, int64_t n, const float *s, int64_t m, int64_t d, double scale,
                          const double *lse, float *mean) {
    struct job j = {.x = x, .s = s, .n = n, .m = m, .d = d, .scale = scale, .lse_in = lse, .out = mean};
    return run_tiles(&j, softmax_mean_rows) ? CK_OK : ck_fail(CK_OUT_OF_MEMORY, "out of memory");
}

static void largest_rows(void *context, int64_t index, int worker) {
    struct job *j = context;
    int64_t row = index * ROWS, rows = ck_min64(ROWS, j->n - row), k = j->k;
    float *tile = j->tiles + (int64_t)worker * ROWS * COLUMNS;
    for (int64_t i = 0; i < rows * k; i++) j->out[row * k + i] = -INFINITY, j->places[row * k + i] = -1;
    for (int64_t column = 0; column < j->m; column += COLUMNS) {
        int64_t columns = ck_min64(COLUMNS, j->m - column);
        products(j, tile, row, rows, column, columns);
        for (int64_t i = 0; i < rows; i++) {
            float *best = j->out + (row + i) * k;
            int64_t *place = j->places + (row + i) * k;
            for (int64_t c = 0; c < columns; c++) {
                float value = tile[i * COLUMNS + c];
                if (!(value > best[k - 1])) continue;
                int64_t at = k - 1;
                for (; at > 0 && value > best[at - 1]; at--) best[at] = best[at - 1], place[at] = place[at - 1];
                best[at] = value;
                place[at] = column + c;
            }
        }
    }
}

ck_status ck_largest_products(const float *x, int64_t n, const float *s, int64_t m, int64_t d, int64_t k, float *products,
                              int64_t *places) {
    if (k < 1 || k > m) return ck_fail(CK_INVALID_ARGUMENT, "%lld neighbours of %lld", (long long)k, (long long)m);
    struct job j = {.x = x, .s = s, .n = n, .m = m, .d = d, .k = k, .out = products, .places = places};
    return run_tiles(&j, largest_rows) ? CK_OK : ck_fail(CK_OUT_OF_MEMORY, "out of memory");
}

// ---- Kernel sums, in double -------------------------------------------------------------------------------------

enum { KERNEL_ROWS = 64, KERNEL_COLUMNS = 256 };

struct kernel_job {
    const double *x, *s, *weights, *x_norms, *s_norms;
    int64_t n, m, d;
    double gamma;
    double *sum, *gradient, *tiles;
};

// d/dx sum_j w_j exp(-gamma |x - s_j|^2) = 2 gamma sum_j w_j k_j (s_j - x); for the linear kernel sum_j w_j s_j.
static void kernel_rows(void *context, int64_t index, int worker) {
    struct kernel_job *j = context;
    int64_t row = index * KERNEL_ROWS, rows = ck_min64(KERNEL_ROWS, j->n - row), d = j->d;
    double *tile = j->tiles + (int64_t)worker * KERNEL_ROWS * KERNEL_COLUMNS, pull[KERNEL_ROWS] = {0};
    for (int64_t i = 0; i < rows; i++) j->sum[row + i] = 0;
    for (int64_t column = 0; column < j->m; column += KERNEL_COLUMNS) {
        int64_t columns = ck_min64(KERNEL_COLUMNS, j->m - column);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)columns, (int)d, 1.0, j->x + row * d, (int)d,
                    j->s + column * d, (int)d, 0.0, tile, KERNEL_COLUMNS);
        for (int64_t i = 0; i < rows; i++) {
            double *k = tile + i * KERNEL_COLUMNS;
            for (int64_t c = 0; c < columns; c++) {
                double value = k[c];
                if (j->gamma > 0) {
                    value = exp(-j->gamma * fmax(0, j->x_norms[row + i] + j->s_norms[column + c] - 2 * value));
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
                        KERNEL_COLUMNS, j->s + column * d, (int)d, column > 0 ? 1.0 : 0.0, j->gradient + row * d, (int)d);
    }
    if (j->gradient && j->gamma > 0)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < d; c++) j->gradient[(row + i) * d + c] -= pull[i] * j->x[(row + i) * d + c];
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

ck_status ck_kernel_sum(const float *x, int64_t n, const float *s, const double *weights, int64_t m, int64_t d,
                        double gamma, double *sum, double *gradient) {
    size_t tiles = KERNEL_ROWS * KERNEL_COLUMNS * (size_t)ck_thread_count();
    double *memory = malloc(sizeof(double) * ((size_t)(n + m) * (size_t)(d + 1) + tiles));
    if (!memory) return ck_fail(CK_OUT_OF_MEMORY, "no memory for %lld x %lld kernel rows", (long long)n, (long long)m);
    double *wide_x = memory, *wide_s = wide_x + n * d, *x_norms = wide_s + m * d, *s_norms = x_norms + n;
    widen(x, n, d, wide_x, x_norms);
    widen(s, m, d, wide_s, s_norms);
    struct kernel_job j = {wide_x, wide_s, weights, x_norms, s_norms, n, m, d, gamma, sum, gradient, s_norms + m};
    ck_parallel_for(ck_ceil_div(n, KERNEL_ROWS), kernel_rows, &j);
    free(memory);
    return CK_OK;
}
