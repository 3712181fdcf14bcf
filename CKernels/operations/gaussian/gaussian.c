// The full-covariance Gaussian: mean, Cholesky factor, Mahalanobis distances; in double, through LAPACK.
#include "cpu.h"
#include "simd.h"
#include <stdlib.h>

extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);

enum { BLOCK = 64 };

struct covariance {
    const double *centered;
    double *result;
    int64_t n, d;
};

// BLOCK rows of (1/N) X'X.
static void covariance_rows(void *context, int64_t index, int worker) {
    (void)worker;
    struct covariance *j = context;
    int64_t first = index * BLOCK, rows = ck_min64(BLOCK, j->d - first);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)j->d, (int)j->n, 1.0 / (double)j->n,
                j->centered + first, (int)j->d, j->centered, (int)j->d, 0.0, j->result + first * j->d,
                (int)j->d);
}

// The share of the sphere in the covariance that minimizes the expected squared error (Ledoit & Wolf, "A
// well-conditioned estimator for large-dimensional covariance matrices", 2004): min(b, d) / d with d = |S - m
// I|^2 / D, m = tr(S) / D, and b = (sum_i |x_i|^4 / N - |S|^2) / (D N).
static double ledoit_wolf(const double *centered, const double *s, int64_t n, int64_t d) {
    double trace = 0, squares = 0, fourth = 0;
    for (int64_t c = 0; c < d; c++) trace += s[c * d + c];
    for (int64_t i = 0; i < d * d; i++) squares += s[i] * s[i];
    for (int64_t i = 0; i < n; i++) {
        double norm = 0;
        for (int64_t c = 0; c < d; c++) norm += centered[i * d + c] * centered[i * d + c];
        fourth += norm * norm;
    }
    double spread = (squares - trace * trace / (double)d) / (double)d;
    double noise = (fourth / (double)n - squares) / (double)d / (double)n;
    return spread > 0 ? fmin(1, fmax(0, noise / spread)) : 0;
}

ck_status ck_gaussian_fit(const float *x, int64_t n, int64_t d, double shrinkage, double ridge, double *mean,
                          double *cholesky) {
    double *centered = malloc(sizeof(double) * (size_t)(n * d));
    if (!centered)
        return ck_fail(CK_OUT_OF_MEMORY, "no memory for a covariance of %lld columns", (long long)d);
    for (int64_t c = 0; c < d; c++) mean[c] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++) mean[c] += (double)x[i * d + c];
    for (int64_t c = 0; c < d; c++) mean[c] /= (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++) centered[i * d + c] = (double)x[i * d + c] - mean[c];
    struct covariance j = {centered, cholesky, n, d};
    ck_parallel_for(ck_ceil_div(d, BLOCK), covariance_rows, &j);
    double share = shrinkage < 0 ? ledoit_wolf(centered, cholesky, n, d) : shrinkage, trace = 0;
    free(centered);
    for (int64_t c = 0; c < d; c++) trace += cholesky[c * d + c];
    if (share > 0)
        for (int64_t i = 0; i < d * d; i++) cholesky[i] *= 1 - share;
    for (int64_t c = 0; c < d; c++) cholesky[c * d + c] += share * trace / (double)d + ridge;
    int size = (int)d, info = 0;
    dpotrf_("U", &size, cholesky, &size, &info);  // column-major upper is row-major lower
    if (info != 0)
        return ck_fail(CK_NUMERICAL_ERROR, "the covariance is not positive definite (minor %d)", info);
    for (int64_t i = 0; i < d; i++)
        for (int64_t c = i + 1; c < d; c++) cholesky[i * d + c] = 0;
    return CK_OK;
}

// ---- Distances --------------------------------------------------------------------------------------------

// Rows are solved in the lanes of vectors, eight to a vector, so that what comes of a row does not depend on
// the rows around it: a library's triangular solve sums in an order that depends on where a row lies.
enum { LANES = 8, AHEAD = 4 };

typedef double lanes __attribute__((vector_size(64), aligned(8)));

// z = L^-1 (x - mean) of rows that lie across vectors of `vectors` x LANES, z[d][vectors x LANES], and their
// squared norms. Four unknowns are summed ahead at a time, each in the order of the columns.
CK_INLINED void solve_lanes(double *z, double *norms, const double *l, int64_t d, const int vectors) {
    int64_t room = vectors * LANES;
    lanes total[4];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) total[v] = (lanes){0};
    for (int64_t c = 0; c < d; c += AHEAD) {
        int64_t ahead = ck_min64(AHEAD, d - c);
        const double *row[AHEAD];  // past the end, the last row again
        lanes sum[AHEAD][4];
#pragma clang loop unroll(full)
        for (int i = 0; i < AHEAD; i++) {
            int64_t at = ck_min64(c + i, d - 1);
            row[i] = l + at * d;
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) sum[i][v] = *(const lanes *)(z + at * room + v * LANES);
        }
        for (int64_t k = 0; k < c; k++) {
            lanes known[4];
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) known[v] = *(const lanes *)(z + k * room + v * LANES);
#pragma clang loop unroll(full)
            for (int i = 0; i < AHEAD; i++)
#pragma clang loop unroll(full)
                for (int v = 0; v < vectors; v++) sum[i][v] -= row[i][k] * known[v];
        }
        for (int64_t i = 0; i < ahead; i++) {
            for (int v = 0; v < vectors; v++) {
                lanes own = sum[i][v];
                for (int64_t k = c; k < c + i; k++)
                    own -= row[i][k] * *(const lanes *)(z + k * room + v * LANES);
                own /= row[i][c + i];
                *(lanes *)(z + (c + i) * room + v * LANES) = own;
                total[v] += own * own;
            }
        }
    }
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) *(lanes *)(norms + v * LANES) = total[v];
}

CK_INLINED void solve_body(double *z, double *norms, const double *l, int64_t d, int wide, const int rows,
                           const int vectors) {
    (void)rows;
    // Where registers hold sixteen vectors of sums and more.
    if (vectors == 2 && wide)
        solve_lanes(z, norms, l, d, 4);
    else
        solve_lanes(z, norms, l, d, 1);
}
CK_VERSIONS(solve, (double *z, double *norms, const double *l, int64_t d, int wide), z, norms, l, d, wide)

struct distance {
    const float *x;
    const double *mean, *cholesky;
    double *result, *gradient, *scratch;
    float *whitened;
    int64_t n, d;
};

// Of `count` rows, at most LANES, or 4 x LANES where these are wide.
static void distance_group(const struct distance *j, int64_t first, int64_t count, int wide, double *z) {
    int64_t d = j->d, room = wide ? 4 * LANES : LANES;
    double norms[4 * LANES];
    for (int64_t c = 0; c < d; c++)
        for (int64_t i = 0; i < room; i++)
            z[c * room + i] = i < count ? (double)j->x[(first + i) * d + c] - j->mean[c] : 0;
    solve(z, norms, j->cholesky, d, wide);
    if (j->whitened)
        for (int64_t i = 0; i < count; i++)
            for (int64_t c = 0; c < d; c++) j->whitened[(first + i) * d + c] = (float)z[c * room + i];
    if (j->result) memcpy(j->result + first, norms, sizeof(double) * (size_t)count);
    if (!j->gradient) return;
    double *gradient = j->gradient + first * d;
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < d; c++) gradient[i * d + c] = z[c * room + i];
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)count, (int)d, 1.0,
                j->cholesky, (int)d, gradient, (int)d);
}

static void distance_rows(void *context, int64_t index, int worker) {
    struct distance *j = context;
    int64_t until = ck_min64(j->n, (index + 1) * BLOCK);
    double *z = j->scratch + (int64_t)worker * 4 * LANES * j->d;
    for (int64_t first = index * BLOCK; first < until;) {
        int64_t left = until - first;
        int wide = ck_simd_level() == 2 && left > LANES;
        int64_t count = ck_min64(wide ? 4 * LANES : LANES, left);
        distance_group(j, first, count, wide, z);
        first += count;
    }
}

static ck_status solve_rows(struct distance j) {
    j.scratch = malloc(sizeof(double) * 4 * LANES * (size_t)j.d * (size_t)ck_thread_count());
    if (!j.scratch) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_parallel_for(ck_ceil_div(j.n, BLOCK), distance_rows, &j);
    free(j.scratch);
    return CK_OK;
}

ck_status ck_gaussian_distance(const float *x, int64_t n, int64_t d, const double *mean,
                               const double *cholesky, double *distance, double *gradient) {
    return solve_rows((struct distance){.x = x,
                                        .mean = mean,
                                        .cholesky = cholesky,
                                        .result = distance,
                                        .gradient = gradient,
                                        .n = n,
                                        .d = d});
}

ck_status ck_gaussian_whiten(const float *x, int64_t n, int64_t d, const double *mean, const double *cholesky,
                             float *whitened) {
    return solve_rows(
        (struct distance){.x = x, .mean = mean, .cholesky = cholesky, .whitened = whitened, .n = n, .d = d});
}
