// A Gaussian at each place of maps: fits and Mahalanobis distances of many small Gaussians. What is kept of a
// covariance is the inverse of its Cholesky factor, whose product with a centered row has the distance for
// its length: no solve depends on the one before, and single precision halves what has to be read of memory,
// which is what bounds a single image. Sums are in double.
#include "cpu.h"
#include "simd.h"
#include <stdlib.h>

extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
extern void dtrtri_(const char *uplo, const char *diag, const int *n, double *a, const int *lda, int *info);

// Places to a part of the work.
enum { PLACES = 16 };

static int64_t packed_count(int64_t d) { return d * (d + 1) / 2; }

struct fit {
    const float *x;
    double *mean;
    float *whitening;
    double *scratch;  // of each worker: the centered rows, then the covariance
    int *failed;      // of each place: the minor that is not positive, or 0
    int64_t images, places, d;
    double ridge;
};

static void fit_place(const struct fit *j, int64_t place, double *centered, double *covariance) {
    int64_t n = j->images, d = j->d;
    double *mean = j->mean + place * d;
    for (int64_t c = 0; c < d; c++) mean[c] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++) mean[c] += (double)j->x[(i * j->places + place) * d + c];
    for (int64_t c = 0; c < d; c++) mean[c] /= (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++)
            centered[i * d + c] = (double)j->x[(i * j->places + place) * d + c] - mean[c];
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)d, (int)d, (int)n, 1.0 / (double)(n - 1),
                centered, (int)d, centered, (int)d, 0.0, covariance, (int)d);
    for (int64_t c = 0; c < d; c++) covariance[c * d + c] += j->ridge;
    int size = (int)d, info = 0;
    dpotrf_("U", &size, covariance, &size, &info);  // column-major upper is row-major lower
    if (info == 0) dtrtri_("U", "N", &size, covariance, &size, &info);
    j->failed[place] = info;
    if (info != 0) return;
    float *to = j->whitening + place * packed_count(d);
    for (int64_t c = 0; c < d; c++)
        for (int64_t r = c; r < d; r++) *to++ = (float)covariance[r * d + c];
}

static void fit_places(void *context, int64_t index, int worker) {
    struct fit *j = context;
    double *centered = j->scratch + (int64_t)worker * (j->images + j->d) * j->d;
    int64_t until = ck_min64(j->places, (index + 1) * PLACES);
    for (int64_t place = index * PLACES; place < until; place++)
        fit_place(j, place, centered, centered + j->images * j->d);
}

ck_status ck_place_gaussians(const float *x, int64_t images, int64_t places, int64_t d, double ridge,
                             double *mean, float *whitening) {
    if (images < 2)
        return ck_fail(CK_INVALID_ARGUMENT, "a covariance takes two images; there are %lld",
                       (long long)images);
    struct fit j = {x, mean, whitening, NULL, NULL, images, places, d, ridge};
    j.scratch = malloc(sizeof(double) * (size_t)((images + d) * d) * (size_t)ck_thread_count());
    j.failed = malloc(sizeof(int) * (size_t)places);
    ck_status status = CK_OK;
    if (!j.scratch || !j.failed)
        status = ck_fail(CK_OUT_OF_MEMORY, "no memory for covariances of %lld columns", (long long)d);
    else
        ck_parallel_for(ck_ceil_div(places, PLACES), fit_places, &j);
    for (int64_t place = 0; status == CK_OK && place < places; place++)
        if (j.failed[place] != 0)
            status = ck_fail(CK_NUMERICAL_ERROR,
                             "the covariance of place %lld is not positive definite (minor %d)",
                             (long long)place, j.failed[place]);
    free(j.scratch);
    free(j.failed);
    return status;
}

// ---- Distances --------------------------------------------------------------------------------------------

// y = U z of a lower triangular U whose columns lie one after the other, each from its diagonal on.
CK_INLINED void whiten_body(double *y, const float *u, const double *z, int64_t d, const int rows,
                            const int vectors) {
    (void)rows, (void)vectors;
    for (int64_t i = 0; i < d; i++) y[i] = 0;
    for (int64_t c = 0; c < d; u += d - c, c++) {
        double factor = z[c];
        for (int64_t i = 0; i < d - c; i++) y[c + i] += (double)u[i] * factor;
    }
}
CK_VERSIONS(whiten, (double *restrict y, const float *restrict u, const double *restrict z, int64_t d), y, u,
            z, d)

struct distance {
    const float *x;
    const double *mean;
    const float *whitening;
    double *result;
    float *gradient;
    double *scratch;  // of each worker: a centered row, and what it is whitened
    int64_t images, places, d;
};

static void distance_places(void *context, int64_t index, int worker) {
    struct distance *j = context;
    int64_t d = j->d, until = ck_min64(j->places, (index + 1) * PLACES);
    double *z = j->scratch + (int64_t)worker * 2 * d, *y = z + d;
    for (int64_t place = index * PLACES; place < until; place++) {
        const float *u = j->whitening + place * packed_count(d);
        for (int64_t image = 0; image < j->images; image++) {
            int64_t row = image * j->places + place;
            for (int64_t c = 0; c < d; c++) z[c] = (double)j->x[row * d + c] - j->mean[place * d + c];
            whiten(y, u, z, d);
            double sum = 0;
            for (int64_t c = 0; c < d; c++) sum += y[c] * y[c];
            j->result[row] = sum;
            if (!j->gradient) continue;
            const float *column = u;
            for (int64_t c = 0; c < d; column += d - c, c++) {
                double slope = 0;
                for (int64_t i = 0; i < d - c; i++) slope += (double)column[i] * y[c + i];
                j->gradient[row * d + c] = (float)slope;
            }
        }
    }
}

ck_status ck_place_distances(const float *x, int64_t images, int64_t places, int64_t d, const double *mean,
                             const float *whitening, double *distance, float *gradient) {
    struct distance j = {x, mean, whitening, distance, gradient, NULL, images, places, d};
    j.scratch = malloc(sizeof(double) * 2 * (size_t)d * (size_t)ck_thread_count());
    if (!j.scratch) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_parallel_for(ck_ceil_div(places, PLACES), distance_places, &j);
    free(j.scratch);
    return CK_OK;
}
