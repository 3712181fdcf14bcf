// Sequential minimal optimization of the one-class quadratic programs (OC-SVM: Schoelkopf et al. 2001; SVDD:
// Tax & Duin 2004): two variables at a time, chosen by second-order information (Fan, Chen & Lin 2005), rows
// of K cached.
#include "cpu.h"
#include <stdlib.h>

// The most recently used rows of K, as floats; computed in double.
struct cache {
    const double *x, *norms;
    double *product;  // n
    int64_t n, d, slots, clock;
    double gamma;
    float *rows;
    int64_t *slot_of, *row_in, *used;
};

static void compute_row(struct cache *c, int64_t i, float *row) {
    cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)c->n, (int)c->d, 1.0, c->x, (int)c->d, c->x + i * c->d, 1,
                0.0, c->product, 1);
    for (int64_t k = 0; k < c->n; k++) {
        double value = c->product[k];
        if (c->gamma > 0) value = exp(-c->gamma * fmax(0, c->norms[i] + c->norms[k] - 2 * value));
        row[k] = (float)value;
    }
}

// Row i of K; valid until two more rows have been asked for.
static const float *row_of(struct cache *c, int64_t i) {
    int64_t slot = c->slot_of[i];
    if (slot < 0) {
        slot = 0;
        for (int64_t s = 1; s < c->slots; s++)
            if (c->used[s] < c->used[slot]) slot = s;
        if (c->row_in[slot] >= 0) c->slot_of[c->row_in[slot]] = -1;
        c->row_in[slot] = i;
        c->slot_of[i] = slot;
        compute_row(c, i, c->rows + slot * c->n);
    }
    c->used[slot] = ++c->clock;
    return c->rows + slot * c->n;
}

// When all of K fits it is filled at once, on all threads.
struct fill {
    struct cache *c;
    double *products;
};

enum { FILL_ROWS = 64 };

static void fill_rows(void *context, int64_t index, int worker) {
    struct fill *f = context;
    struct cache *c = f->c;
    int64_t first = index * FILL_ROWS, rows = ck_min64(FILL_ROWS, c->n - first);
    double *product = f->products + (int64_t)worker * FILL_ROWS * c->n;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)c->n, (int)c->d, 1.0,
                c->x + first * c->d, (int)c->d, c->x, (int)c->d, 0.0, product, (int)c->n);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < c->n; k++) {
            double value = product[i * c->n + k];
            if (c->gamma > 0) value = exp(-c->gamma * fmax(0, c->norms[first + i] + c->norms[k] - 2 * value));
            c->rows[(first + i) * c->n + k] = (float)value;
        }
}

static ck_status fill_cache(struct cache *c) {
    struct fill f = {c, malloc(sizeof(double) * FILL_ROWS * (size_t)c->n * (size_t)ck_thread_count())};
    if (!f.products) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_parallel_for(ck_ceil_div(c->n, FILL_ROWS), fill_rows, &f);
    free(f.products);
    for (int64_t i = 0; i < c->n; i++) c->slot_of[i] = c->row_in[i] = i;
    return CK_OK;
}

CK_SIMD static void add_difference(double *restrict g, const float *restrict a, const float *restrict b,
                                   double step, int64_t n) {
    for (int64_t i = 0; i < n; i++) g[i] += step * ((double)a[i] - (double)b[i]);
}

static ck_status solve(struct cache *c, double total, double tolerance, int64_t max_iterations, double *alpha,
                       double *g, const double *diagonal, ck_solver_report *report) {
    int64_t n = c->n;
    // A feasible start: the first `total` variables at their bound.
    double left = total;
    for (int64_t i = 0; i < n; i++) {
        alpha[i] = fmin(1, fmax(0, left));
        left -= alpha[i];
        g[i] = 0;
    }
    for (int64_t i = 0; i < n; i++) {
        if (alpha[i] == 0) continue;
        const float *row = row_of(c, i);
        for (int64_t k = 0; k < n; k++) g[k] += alpha[i] * (double)row[k];
    }
    double gap = INFINITY;
    int64_t iteration = 0;
    for (;; iteration++) {
        int64_t up = -1, down = -1;
        double highest = -INFINITY, lowest = INFINITY, best = INFINITY;
        for (int64_t k = 0; k < n; k++)
            if (alpha[k] < 1 && -g[k] > highest) highest = -g[k], up = k;
        for (int64_t k = 0; k < n; k++)
            if (alpha[k] > 0 && -g[k] < lowest) lowest = -g[k];
        gap = highest - lowest;
        if (!(gap > tolerance) || iteration == max_iterations) break;
        const float *up_row = row_of(c, up);
        for (int64_t k = 0; k < n; k++) {
            double b = highest + g[k];
            if (!(alpha[k] > 0) || !(b > 0)) continue;
            double a = fmax(diagonal[up] + diagonal[k] - 2 * (double)up_row[k], 1e-12);
            if (-b * b / a < best) best = -b * b / a, down = k;
        }
        const float *down_row = row_of(c, down);
        double a = fmax(diagonal[up] + diagonal[down] - 2 * (double)up_row[down], 1e-12);
        double step = fmin((g[down] - g[up]) / a, fmin(1 - alpha[up], alpha[down]));
        // At a bound exactly, so that it counts as one.
        int fills = step >= 1 - alpha[up], empties = step >= alpha[down];
        alpha[up] = fills ? 1 : alpha[up] + step;
        alpha[down] = empties ? 0 : alpha[down] - step;
        add_difference(g, up_row, down_row, step, n);
    }
    double objective = 0, sum = 0, free_count = 0, highest = -INFINITY, lowest = INFINITY;
    for (int64_t k = 0; k < n; k++) {
        objective += 0.5 * alpha[k] * g[k];
        if (alpha[k] > 0 && alpha[k] < 1) sum += g[k], free_count++;
        if (alpha[k] < 1) lowest = fmin(lowest, g[k]);
        if (alpha[k] > 0) highest = fmax(highest, g[k]);
    }
    // Where all are at their upper bound there is nothing to move, and no upper end to the offset.
    if (isinf(lowest)) gap = 0, lowest = highest;
    double rho = free_count > 0 ? sum / free_count : (lowest + highest) / 2;
    *report = (ck_solver_report){iteration, objective, gap, rho};
    if (gap > tolerance)
        return ck_fail(CK_NUMERICAL_ERROR, "the solver's KKT gap is %g after %lld iterations, above %g", gap,
                       (long long)iteration, tolerance);
    return CK_OK;
}

ck_status ck_solve_one_class(const float *x, int64_t n, int64_t d, double gamma, double total,
                             double tolerance, int64_t max_iterations, uint64_t cache_bytes, double *alpha,
                             ck_solver_report *report) {
    if (n < 1 || !(total > 0) || total > (double)n)
        return ck_fail(CK_INVALID_ARGUMENT, "the multipliers of %lld rows cannot sum to %g", (long long)n,
                       total);
    int64_t fit = (int64_t)(cache_bytes / (sizeof(float) * (uint64_t)n));
    struct cache c = {.n = n, .d = d, .gamma = gamma};
    c.slots = ck_min64(n, ck_max64(3, fit));
    double *memory = malloc(sizeof(double) * (size_t)(n * d + 4 * n));
    c.rows = malloc(sizeof(float) * (size_t)(c.slots * n));
    int64_t *places = malloc(sizeof(int64_t) * (size_t)(n + 2 * c.slots));
    ck_status status = CK_OK;
    if (!memory || !c.rows || !places) {
        status = ck_fail(CK_OUT_OF_MEMORY, "no memory for the solver of %lld rows", (long long)n);
    } else {
        double *wide = memory, *norms = wide + n * d, *g = norms + n, *diagonal = g + n;
        c.product = diagonal + n;
        for (int64_t i = 0; i < n; i++) {
            norms[i] = 0;
            for (int64_t k = 0; k < d; k++) {
                wide[i * d + k] = x[i * d + k];
                norms[i] += wide[i * d + k] * wide[i * d + k];
            }
            diagonal[i] = gamma > 0 ? 1 : norms[i];
        }
        c.x = wide;
        c.norms = norms;
        c.slot_of = places;
        c.row_in = places + n;
        c.used = c.row_in + c.slots;
        for (int64_t i = 0; i < n; i++) c.slot_of[i] = -1;
        for (int64_t i = 0; i < c.slots; i++) c.row_in[i] = -1, c.used[i] = 0;
        if (c.slots == n) status = fill_cache(&c);
        if (status == CK_OK) status = solve(&c, total, tolerance, max_iterations, alpha, g, diagonal, report);
    }
    free(memory);
    free(c.rows);
    free(places);
    return status;
}
