// The full-covariance Gaussian: mean, Cholesky factor, Mahalanobis distances; in double, through LAPACK.
#include "cpu.h"
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

struct distance {
    const float *x;
    const double *mean, *cholesky;
    double *result, *gradient, *scratch;
    int64_t n, d;
};

static void distance_rows(void *context, int64_t index, int worker) {
    struct distance *j = context;
    int64_t first = index * BLOCK, rows = ck_min64(BLOCK, j->n - first), d = j->d;
    double *z = j->gradient ? j->gradient + first * d : j->scratch + (int64_t)worker * BLOCK * d;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < d; c++) z[i * d + c] = (double)j->x[(first + i) * d + c] - j->mean[c];
    // z L^-T, one row an image
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)rows, (int)d, 1.0,
                j->cholesky, (int)d, z, (int)d);
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t c = 0; c < d; c++) sum += z[i * d + c] * z[i * d + c];
        j->result[first + i] = sum;
    }
    if (j->gradient)
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)rows, (int)d, 1.0,
                    j->cholesky, (int)d, z, (int)d);
}

ck_status ck_gaussian_distance(const float *x, int64_t n, int64_t d, const double *mean,
                               const double *cholesky, double *distance, double *gradient) {
    struct distance j = {x, mean, cholesky, distance, gradient, NULL, n, d};
    j.scratch = malloc(sizeof(double) * BLOCK * (size_t)d * (size_t)ck_thread_count());
    if (!j.scratch) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_parallel_for(ck_ceil_div(n, BLOCK), distance_rows, &j);
    free(j.scratch);
    return CK_OK;
}
