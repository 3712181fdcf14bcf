// The full-covariance Gaussian: mean, Cholesky factor, Mahalanobis distances; in double, through LAPACK.
#include "cpu.h"
#include <stdlib.h>

extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);

enum { BLOCK = 64 };

struct covariance {
    const double *centred;
    double *result;
    int64_t n, d;
};

// BLOCK rows of (1/N) X'X.
static void covariance_rows(void *context, int64_t index, int worker) {
    (void)worker;
    struct covariance *j = context;
    int64_t first = index * BLOCK, rows = ck_min64(BLOCK, j->d - first);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)j->d, (int)j->n, 1.0 / (double)j->n,
                j->centred + first, (int)j->d, j->centred, (int)j->d, 0.0, j->result + first * j->d, (int)j->d);
}

ck_status ck_gaussian_fit(const float *x, int64_t n, int64_t d, double ridge, double *mean, double *cholesky) {
    double *centred = malloc(sizeof(double) * (size_t)(n * d));
    if (!centred) return ck_fail(CK_OUT_OF_MEMORY, "no memory for a covariance of %lld columns", (long long)d);
    for (int64_t c = 0; c < d; c++) mean[c] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++) mean[c] += (double)x[i * d + c];
    for (int64_t c = 0; c < d; c++) mean[c] /= (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++) centred[i * d + c] = (double)x[i * d + c] - mean[c];
    struct covariance j = {centred, cholesky, n, d};
    ck_parallel_for(ck_ceil_div(d, BLOCK), covariance_rows, &j);
    free(centred);
    for (int64_t c = 0; c < d; c++) cholesky[c * d + c] += ridge;
    int size = (int)d, info = 0;
    dpotrf_("U", &size, cholesky, &size, &info);  // column-major upper is row-major lower
    if (info != 0) return ck_fail(CK_NUMERICAL_ERROR, "the covariance is not positive definite (minor %d)", info);
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
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)rows, (int)d, 1.0, j->cholesky,
                (int)d, z, (int)d);
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t c = 0; c < d; c++) sum += z[i * d + c] * z[i * d + c];
        j->result[first + i] = sum;
    }
    if (j->gradient)
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)rows, (int)d, 1.0,
                    j->cholesky, (int)d, z, (int)d);
}

ck_status ck_gaussian_distance(const float *x, int64_t n, int64_t d, const double *mean, const double *cholesky,
                               double *distance, double *gradient) {
    struct distance j = {x, mean, cholesky, distance, gradient, NULL, n, d};
    j.scratch = malloc(sizeof(double) * BLOCK * (size_t)d * (size_t)ck_thread_count());
    if (!j.scratch) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_parallel_for(ck_ceil_div(n, BLOCK), distance_rows, &j);
    free(j.scratch);
    return CK_OK;
}
