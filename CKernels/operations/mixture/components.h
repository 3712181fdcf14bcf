// A Gaussian of a mixture, ready to be evaluated, shared by the CPU kernels and the CUDA kernels.
#ifndef COMPONENTS_H
#define COMPONENTS_H

#include "ck_params.h"
#ifndef __CUDACC_RTC__
#include <math.h>
#endif

// A component of fewer members has the mean and the covariance of so many.
#define CK_LEAST_MEMBERS 1e-30

// What a GPU keeps of a component's covariance d x d for the gradients (ck_mixture_inverses).
#define CK_INVERSE_DOUBLES(d) ((d) * (d) + (d) + 1)

typedef struct ck_component {
    double mean[CK_MAX_MIXTURE];
    double factor[CK_MAX_MIXTURE * CK_MAX_MIXTURE];  // of the covariance: Cholesky's, lower
    double inverse[CK_MAX_MIXTURE];                  // of the factor's diagonal
    double constant;  // log of the share and of what the exponential is divided by
} ck_component;

// Factors a covariance d x d. One that is not positive definite makes NaNs of everything that follows.
CK_INLINE void ck_prepare_component(ck_component *to, float share, const float *mean, const float *covariance,
                                    int d) {
    double *l = to->factor, logarithm = 0;
    for (int i = 0; i < d; i++) {
        to->mean[i] = mean[i];
        for (int j = 0; j <= i; j++) {
            double sum = covariance[i * d + j];
            for (int k = 0; k < j; k++) sum -= l[i * d + k] * l[j * d + k];
            l[i * d + j] = i == j ? sqrt(sum) : sum * to->inverse[j];
        }
        to->inverse[i] = 1 / l[i * d + i];
        logarithm += log(l[i * d + i]);
    }
    to->constant = log((double)share) - logarithm - 0.5 * d * 1.8378770664093454836;  // log 2 pi
}

// solved = covariance^-1 q; returns q' covariance^-1 q.
CK_INLINE double ck_solve_component(const ck_component *c, const double *q, double *solved, int d) {
    double square = 0;
    for (int i = 0; i < d; i++) {
        double sum = q[i];
        for (int k = 0; k < i; k++) sum -= c->factor[i * d + k] * solved[k];
        solved[i] = sum * c->inverse[i];
        square += solved[i] * solved[i];
    }
    for (int i = d - 1; i >= 0; i--) {
        double sum = solved[i];
        for (int k = i + 1; k < d; k++) sum -= c->factor[k * d + i] * solved[k];
        solved[i] = sum * c->inverse[i];
    }
    return square;
}

// The log of the component's share times its density at z; solved = covariance^-1 (z - mean).
CK_INLINE double ck_component_density(const ck_component *c, const float *z, double *solved, int d) {
    double q[CK_MAX_MIXTURE];
    for (int i = 0; i < d; i++) q[i] = z[i] - c->mean[i];
    return c->constant - 0.5 * ck_solve_component(c, q, solved, d);
}

// -log of the mixture's density at z.
CK_INLINE double ck_mixture_energy(const ck_component *components, const float *z, int d, int k) {
    double logs[CK_MAX_MIXTURE], solved[CK_MAX_MIXTURE], largest = 0, sum = 0;
    for (int i = 0; i < k; i++) {
        logs[i] = ck_component_density(&components[i], z, solved, d);
        if (i == 0 || logs[i] > largest) largest = logs[i];
    }
    for (int i = 0; i < k; i++) sum += exp(logs[i] - largest);
    return -largest - log(sum);
}

// What the batch's row n has to do with each component, where its energy is known: parts[K][1 + D] are the
// component's share of the density there, and covariance^-1 (z - mean). dz is the energies' gradient.
CK_INLINE void ck_energy_row_gradient(const ck_mixture_params *p, const ck_component *components,
                                      const float *z, float energy, double *parts, float *dz) {
    double sum[CK_MAX_MIXTURE] = {0};
    for (int k = 0; k < p->k; k++) {
        double *part = parts + k * (p->d + 1);
        part[0] = exp(ck_component_density(&components[k], z, part + 1, p->d) + energy);
        for (int i = 0; i < p->d; i++) sum[i] += part[0] * part[1 + i];
    }
    for (int i = 0; i < p->d; i++) dz[i] = (float)(p->energy / (double)p->n * sum[i]);
}

// The penalty's gradient by a variance.
CK_INLINE double ck_penalty_gradient(const ck_mixture_params *p, double variance) {
    return -p->penalty / (variance * variance);
}

// The gradients of a mixture's parameters by row n and its memberships.
CK_INLINE void ck_fit_row_gradient(const ck_mixture_params *p, int64_t n, const float *z,
                                   const float *membership, const float *dshare, const float *dmean,
                                   const float *dcovariance, const float *share, const float *mean,
                                   const float *covariance, double *dz, float *dmembership) {
    int d = p->d;
    z += n * d;
    for (int i = 0; i < d; i++) dz[i] = 0;
    for (int64_t k = 0; k < p->k; k++) {
        const float *slope = dcovariance + k * d * d, *known = covariance + k * d * d;
        double members = share[k] * (double)p->n, sum = 0, weight = membership[n * p->k + k];
        if (members < CK_LEAST_MEMBERS) members = CK_LEAST_MEMBERS;
        for (int i = 0; i < d; i++) {
            double q = z[i] - (double)mean[k * d + i], by_z = dmean[k * d + i];
            sum += dmean[k * d + i] * q;
            for (int l = 0; l < d; l++) {
                double other = z[l] - (double)mean[k * d + l];
                double own = known[i * d + l] - (i == l ? (double)p->epsilon : 0.0);
                sum += slope[i * d + l] * (q * other - own);
                by_z += ((double)slope[i * d + l] + slope[l * d + i]) * other;
            }
            dz[i] += weight / members * by_z;
        }
        dmembership[n * p->k + k] = (float)(dshare[k] / (double)p->n + sum / members);
    }
}

#endif
