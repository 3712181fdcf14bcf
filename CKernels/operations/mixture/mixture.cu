// Reconstruction features and mixtures of Gaussians (CPU: mixture.c): one block to a row that is long, or to
// a component.
#include "ck_device.cuh"
#include "components.h"

enum { THREADS = 128 };

// |x|, |x~|, |x - x~| and x . x~ of a row.
struct lengths {
    double x, restored, between, product;
};

CK_DEVICE lengths measure(const float *x, const float *restored, const ck_rows_params &p, double *shared) {
    double sums[4] = {};
    for (int64_t i = threadIdx.x; i < p.c; i += THREADS) {
        double a = x[i], b = restored[i];
        sums[0] += a * a, sums[1] += b * b, sums[2] += (a - b) * (a - b), sums[3] += a * b;
    }
    for (int i = 0; i < 4; i++) sums[i] = ck_block_reduce<THREADS>(sums[i], shared, ck_plus());
    double least = p.epsilon;
    lengths own = {fmax(sqrt(sums[0]), least), fmax(sqrt(sums[1]), least), sqrt(sums[2]), sums[3]};
    return own;
}

CK_KERNEL(128)
ck_reconstruction_features_forward(float *y, const float *x, const float *restored, ck_rows_params p) {
    CK_SHARED(double, shared, THREADS);
    int64_t row = blockIdx.x;
    lengths own = measure(x + row * p.c, restored + row * p.c, p, shared);
    if (threadIdx.x != 0) return;
    y[2 * row] = (float)(own.between / own.x);
    y[2 * row + 1] = (float)(own.product / (own.x * own.restored));
}

CK_KERNEL(128)
ck_reconstruction_features_backward(float *drestored, float *dx, const float *dy, const float *x,
                                    const float *restored, ck_rows_params p) {
    CK_SHARED(double, shared, THREADS);
    int64_t row = blockIdx.x;
    lengths own = measure(x + row * p.c, restored + row * p.c, p, shared);
    // What the row's values are multiplied by: the distance's slope, the cosine's, and how much each side
    // shrinks.
    CK_SHARED(double, factors, 4);
    if (threadIdx.x == 0) {
        double least = p.epsilon, cosine = dy[2 * row + 1] / (own.x * own.restored);
        factors[0] = dy[2 * row] / (own.x * fmax(own.between, least));
        factors[1] = cosine;
        factors[2] = own.restored > least ? cosine * own.product / (own.restored * own.restored) : 0;
        factors[3] =
            own.x > least ? (cosine * own.product + dy[2 * row] * own.between / own.x) / (own.x * own.x) : 0;
    }
    __syncthreads();
    for (int64_t i = row * p.c + threadIdx.x; i < (row + 1) * p.c; i += THREADS) {
        double along = factors[0] * ((double)restored[i] - x[i]);
        drestored[i] = (float)(along + factors[1] * x[i] - factors[2] * restored[i]);
        if (dx) dx[i] = (float)(factors[1] * restored[i] - along - factors[3] * x[i]);
    }
}

CK_KERNEL(128)
ck_mixture_fit(float *share, float *mean, float *covariance, const float *z, const float *membership,
               ck_mixture_params p) {
    CK_SHARED(double, shared, THREADS);
    int k = blockIdx.x, d = p.d;
    double total = 0, means[CK_MAX_MIXTURE];
    for (int64_t n = threadIdx.x; n < p.n; n += THREADS) total += membership[n * p.k + k];
    total = ck_block_reduce<THREADS>(total, shared, ck_plus());
    if (threadIdx.x == 0) share[k] = (float)(total / p.n);
    total = fmax(total, CK_LEAST_MEMBERS);
    for (int i = 0; i < d; i++) {
        double sum = 0;
        for (int64_t n = threadIdx.x; n < p.n; n += THREADS)
            sum += (double)membership[n * p.k + k] * z[n * d + i];
        means[i] = ck_block_reduce<THREADS>(sum, shared, ck_plus()) / total;
        if (threadIdx.x == 0) mean[k * d + i] = (float)means[i];
    }
    for (int i = 0; i < d; i++)
        for (int l = 0; l <= i; l++) {
            double sum = 0;
            for (int64_t n = threadIdx.x; n < p.n; n += THREADS)
                sum += membership[n * p.k + k] * (z[n * d + i] - means[i]) * (z[n * d + l] - means[l]);
            sum =
                ck_block_reduce<THREADS>(sum, shared, ck_plus()) / total + (i == l ? (double)p.epsilon : 0.0);
            if (threadIdx.x == 0)
                covariance[(k * d + i) * d + l] = covariance[(k * d + l) * d + i] = (float)sum;
        }
}

CK_KERNEL(128)
ck_mixture_fit_backward(float *dz, float *dmembership, const float *dshare, const float *dmean,
                        const float *dcovariance, const float *z, const float *membership, const float *share,
                        const float *mean, const float *covariance, ck_mixture_params p) {
    for (int64_t n = ck_first(); n < p.n; n += ck_stride()) {
        double own[CK_MAX_MIXTURE];
        ck_fit_row_gradient(&p, n, z, membership, dshare, dmean, dcovariance, share, mean, covariance, own,
                            dmembership);
        for (int i = 0; i < p.d; i++) dz[n * p.d + i] = (float)own[i];
    }
}

// Each component by a thread, for all of the block.
CK_DEVICE void prepare(ck_component *components, const ck_mixture_params &p, const float *share,
                       const float *mean, const float *covariance) {
    int k = threadIdx.x;
    if (k < p.k)
        ck_prepare_component(&components[k], share[k], mean + k * p.d, covariance + k * p.d * p.d, p.d);
    __syncthreads();
}

CK_KERNEL(128)
ck_mixture_loss_forward(float *loss, float *energy, const float *z, const float *share, const float *mean,
                        const float *covariance, ck_mixture_params p) {
    CK_SHARED(ck_component, components, CK_MAX_MIXTURE);
    CK_SHARED(double, shared, THREADS);
    prepare(components, p, share, mean, covariance);
    double sum = 0, inverses = 0;
    for (int64_t n = threadIdx.x; n < p.n; n += THREADS) {
        double own = ck_mixture_energy(components, z + n * p.d, p.d, p.k);
        energy[n] = (float)own;
        sum += own;
    }
    for (int64_t i = threadIdx.x; i < (int64_t)p.k * p.d; i += THREADS)
        inverses += 1 / (double)covariance[i * p.d + i % p.d];
    sum = ck_block_reduce<THREADS>(sum, shared, ck_plus());
    inverses = ck_block_reduce<THREADS>(inverses, shared, ck_plus());
    if (threadIdx.x == 0) *loss = (float)(p.energy * sum / p.n + p.penalty * inverses);
}

CK_KERNEL(128)
ck_mixture_row_gradients(float *dz, double *parts, const float *z, const float *share, const float *mean,
                         const float *covariance, const float *energy, ck_mixture_params p) {
    CK_SHARED(ck_component, components, CK_MAX_MIXTURE);
    prepare(components, p, share, mean, covariance);
    for (int64_t n = ck_first(); n < p.n; n += ck_stride())
        ck_energy_row_gradient(&p, components, z + n * p.d, energy[n], parts + n * p.k * (p.d + 1),
                               dz + n * p.d);
}

// For each component, a block: its covariance's inverse [D,D], the penalty's gradients [D], and 1 / share, or
// 0.
CK_KERNEL(128)
ck_mixture_inverses(double *inverses, const float *share, const float *covariance, ck_mixture_params p) {
    CK_SHARED(ck_component, component, 1);
    CK_SHARED(double, unit, CK_MAX_MIXTURE *CK_MAX_MIXTURE);
    int k = blockIdx.x, d = p.d, i = threadIdx.x;
    const float *own = covariance + k * d * d;
    double *to = inverses + k * CK_INVERSE_DOUBLES(d);
    // The mean does not count here: any numbers do.
    if (i == 0) ck_prepare_component(component, share[k], own, own, d);
    __syncthreads();
    if (i < d) {
        for (int l = 0; l < d; l++) unit[i * d + l] = l == i;
        ck_solve_component(component, unit + i * d, to + i * d, d);
        to[d * d + i] = ck_penalty_gradient(&p, own[i * d + i]);
    }
    if (i == 0) to[d * d + d] = share[k] > 0 ? 1 / (double)share[k] : 0;
}

// A block to a component. `factor` is that of a row's energy in the loss.
CK_KERNEL(128)
ck_mixture_component_gradients(float *dshare, float *dmean, float *dcovariance, const double *parts,
                               const double *inverses, double factor, ck_mixture_params p) {
    CK_SHARED(double, shared, THREADS);
    int k = blockIdx.x, d = p.d, stride = d + 1;
    const double *inverse = inverses + k * CK_INVERSE_DOUBLES(d);
    double members = 0;
    for (int64_t n = threadIdx.x; n < p.n; n += THREADS) members += parts[(n * p.k + k) * stride];
    members = ck_block_reduce<THREADS>(members, shared, ck_plus());
    if (threadIdx.x == 0) dshare[k] = (float)(-factor * members * inverse[d * d + d]);
    // A thread to each number of the mean (l = D) and of the covariance.
    for (int at = threadIdx.x; at < d * (d + 1); at += THREADS) {
        int i = at % d, l = at / d;
        const double *part = parts + k * stride;
        double sum = 0;
        for (int64_t n = 0; n < p.n; n++, part += p.k * stride)
            sum += part[0] * part[1 + i] * (l < d ? part[1 + l] : 1.0);
        if (l == d)
            dmean[k * d + i] = (float)(-factor * sum);
        else
            dcovariance[(k * d + l) * d + i] = (float)(-0.5 * factor * (sum - members * inverse[l * d + i]) +
                                                       (i == l ? inverse[d * d + i] : 0.0));
    }
}
