// Kernel density: log sum exp of products of query rows with support rows, and its gradient's mean, reduced
// tile by tile.
#include "product_tiles.h"

struct job {
    struct product_tiles p;
    double scale;
    double *lse;
    const double *known_lse;
    float *mean;
};

// exp for arguments at most 0, vectorizable: 2^(x log2 e) by its whole part and a polynomial; 0 below -87.
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
    int64_t row = index * ROWS, rows = ck_min64(ROWS, j->p.n - row);
    float *tile = j->p.tiles + (int64_t)worker * ROWS * COLUMNS, scale = (float)j->scale, top[ROWS];
    double sum[ROWS];
    for (int64_t i = 0; i < rows; i++) top[i] = -INFINITY, sum[i] = 0;
    for (int64_t column = 0; column < j->p.m; column += COLUMNS) {
        int64_t columns = ck_min64(COLUMNS, j->p.m - column);
        ck_products(&j->p, tile, row, rows, column, columns);
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

ck_status ck_log_sum_exp_products(const float *x, int64_t n, const float *s, int64_t m, int64_t d,
                                  double scale, double *lse) {
    struct job j = {.p = {.x = x, .s = s, .n = n, .m = m, .d = d}, .scale = scale, .lse = lse};
    return ck_run_product_tiles(&j.p, log_sum_exp_rows);
}

ck_status ck_cpu_log_sum_exp_products(const ck_log_sum_exp_products_operands *t, const ck_products_params *p,
                                      void *workspace) {
    double *lse = workspace;
    ck_status status = ck_log_sum_exp_products(t->x, p->n, t->s, p->m, p->d, p->scale, lse);
    for (int64_t i = 0; status == CK_OK && i < p->n; i++) t->lse[i] = (float)lse[i];
    return status;
}

uint64_t ck_cpu_workspace_log_sum_exp_products(const ck_products_params *p) {
    return sizeof(double) * (uint64_t)p->n;
}

static void softmax_mean_rows(void *context, int64_t index, int worker) {
    struct job *j = context;
    int64_t row = index * ROWS, rows = ck_min64(ROWS, j->p.n - row);
    float *tile = j->p.tiles + (int64_t)worker * ROWS * COLUMNS;
    for (int64_t column = 0; column < j->p.m; column += COLUMNS) {
        int64_t columns = ck_min64(COLUMNS, j->p.m - column);
        ck_products(&j->p, tile, row, rows, column, columns);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < columns; k++)
                tile[i * COLUMNS + k] = (float)exp(j->scale * tile[i * COLUMNS + k] - j->known_lse[row + i]);
        ck_gemm(0, 0, rows, j->p.d, columns, tile, COLUMNS, j->p.s + column * j->p.d, j->p.d, column > 0,
                j->mean + row * j->p.d, j->p.d);
    }
}

ck_status ck_softmax_mean(const float *x, int64_t n, const float *s, int64_t m, int64_t d, double scale,
                          const double *lse, float *mean) {
    struct job j = {
        .p = {.x = x, .s = s, .n = n, .m = m, .d = d}, .scale = scale, .known_lse = lse, .mean = mean};
    return ck_run_product_tiles(&j.p, softmax_mean_rows);
}
