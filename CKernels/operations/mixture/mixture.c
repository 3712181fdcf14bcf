// The parts of DAGMM (Zong et al., "Deep autoencoding Gaussian mixture model for unsupervised anomaly
// detection", ICLR 2018): reconstruction features, a mixture from a batch's memberships (equation 5), its
// energies and the loss of them (equations 6 and 7).
#include "components.h"
#include "cpu.h"

// ---- Reconstruction features ------------------------------------------------------------------------------

struct comparison {
    const ck_rows_params *p;
    float *y, *drestored, *dx;
    const float *x, *restored, *dy;
};

// |x|, |x~|, |x - x~| and x . x~ of a row.
struct lengths {
    double x, restored, between, product;
};

static struct lengths measure(const struct comparison *j, int64_t row) {
    const float *x = j->x + row * j->p->c, *restored = j->restored + row * j->p->c;
    struct lengths sum = {0};
    for (int64_t i = 0; i < j->p->c; i++) {
        double a = x[i], b = restored[i];
        sum.x += a * a, sum.restored += b * b, sum.between += (a - b) * (a - b), sum.product += a * b;
    }
    double least = j->p->epsilon;
    return (struct lengths){fmax(sqrt(sum.x), least), fmax(sqrt(sum.restored), least), sqrt(sum.between),
                            sum.product};
}

static void compare_row(void *context, int64_t row, int worker) {
    (void)worker;
    const struct comparison *j = context;
    struct lengths own = measure(j, row);
    j->y[2 * row] = (float)(own.between / own.x);
    j->y[2 * row + 1] = (float)(own.product / (own.x * own.restored));
}

// A norm that is cut at epsilon is a constant.
static void compare_row_backward(void *context, int64_t row, int worker) {
    (void)worker;
    const struct comparison *j = context;
    struct lengths own = measure(j, row);
    double least = j->p->epsilon, cosine = j->dy[2 * row + 1] / (own.x * own.restored);
    double distance = j->dy[2 * row] / (own.x * fmax(own.between, least));
    double shrink_restored = own.restored > least ? cosine * own.product / (own.restored * own.restored) : 0;
    double shrink_x =
        own.x > least ? (cosine * own.product + j->dy[2 * row] * own.between / own.x) / (own.x * own.x) : 0;
    for (int64_t i = row * j->p->c; i < (row + 1) * j->p->c; i++) {
        double x = j->x[i], restored = j->restored[i], along = distance * (restored - x);
        j->drestored[i] = (float)(along + cosine * x - shrink_restored * restored);
        if (j->dx) j->dx[i] = (float)(cosine * restored - along - shrink_x * x);
    }
}

ck_status ck_cpu_reconstruction_features_forward(const ck_reconstruction_features_forward_operands *t,
                                                 const ck_rows_params *p, void *) {
    struct comparison j = {.p = p, .y = t->y, .x = t->x, .restored = t->restored};
    ck_parallel_for(p->n, compare_row, &j);
    return CK_OK;
}

ck_status ck_cpu_reconstruction_features_backward(const ck_reconstruction_features_backward_operands *t,
                                                  const ck_rows_params *p, void *) {
    struct comparison j = {
        .p = p, .drestored = t->drestored, .dx = t->dx, .x = t->x, .restored = t->restored, .dy = t->dy};
    ck_parallel_for(p->n, compare_row_backward, &j);
    return CK_OK;
}

// ---- The mixture's parameters -----------------------------------------------------------------------------

struct fit {
    const ck_mixture_params *p;
    float *share, *mean, *covariance, *dz, *dmembership;
    const float *z, *membership, *dshare, *dmean, *dcovariance, *known_share, *known_mean, *known_covariance;
};

static void fit_component(void *context, int64_t k, int worker) {
    (void)worker;
    const struct fit *j = context;
    int d = j->p->d, components = j->p->k;
    double total = 0, mean[CK_MAX_MIXTURE] = {0}, covariance[CK_MAX_MIXTURE * CK_MAX_MIXTURE] = {0};
    for (int64_t n = 0; n < j->p->n; n++) {
        double weight = j->membership[n * components + k];
        total += weight;
        for (int i = 0; i < d; i++) mean[i] += weight * j->z[n * d + i];
    }
    j->share[k] = (float)(total / j->p->n);
    total = fmax(total, CK_LEAST_MEMBERS);
    for (int i = 0; i < d; i++) j->mean[k * d + i] = (float)(mean[i] /= total);
    for (int64_t n = 0; n < j->p->n; n++) {
        double weight = j->membership[n * components + k];
        for (int i = 0; i < d; i++)
            for (int l = 0; l <= i; l++)
                covariance[i * d + l] += weight * (j->z[n * d + i] - mean[i]) * (j->z[n * d + l] - mean[l]);
    }
    for (int i = 0; i < d; i++)
        for (int l = 0; l <= i; l++)
            j->covariance[(k * d + i) * d + l] = j->covariance[(k * d + l) * d + i] =
                (float)(covariance[i * d + l] / total + (i == l ? j->p->epsilon : 0));
}

static void fit_row_backward(void *context, int64_t n, int worker) {
    (void)worker;
    const struct fit *j = context;
    double dz[CK_MAX_MIXTURE];
    ck_fit_row_gradient(j->p, n, j->z, j->membership, j->dshare, j->dmean, j->dcovariance, j->known_share,
                        j->known_mean, j->known_covariance, dz, j->dmembership);
    for (int i = 0; i < j->p->d; i++) j->dz[n * j->p->d + i] = (float)dz[i];
}

ck_status ck_cpu_mixture_fit(const ck_mixture_fit_operands *t, const ck_mixture_params *p, void *) {
    struct fit j = {.p = p,
                    .share = t->share,
                    .mean = t->mean,
                    .covariance = t->covariance,
                    .z = t->z,
                    .membership = t->membership};
    ck_parallel_for(p->k, fit_component, &j);
    return CK_OK;
}

ck_status ck_cpu_mixture_fit_backward(const ck_mixture_fit_backward_operands *t, const ck_mixture_params *p,
                                      void *) {
    struct fit j = {.p = p,
                    .dz = t->dz,
                    .dmembership = t->dmembership,
                    .z = t->z,
                    .membership = t->membership,
                    .dshare = t->dshare,
                    .dmean = t->dmean,
                    .dcovariance = t->dcovariance,
                    .known_share = t->share,
                    .known_mean = t->mean,
                    .known_covariance = t->covariance};
    ck_parallel_for(p->n, fit_row_backward, &j);
    return CK_OK;
}

// ---- Energies and their loss ------------------------------------------------------------------------------

struct energies {
    const ck_mixture_params *p;
    const ck_component *components;
    float *energy, *dz, *dshare, *dmean, *dcovariance;
    const float *z, *share, *covariance, *known;
    double *parts;
};

static void prepare(ck_component *components, const ck_mixture_params *p, const float *share,
                    const float *mean, const float *covariance) {
    for (int k = 0; k < p->k; k++)
        ck_prepare_component(&components[k], share[k], mean + k * p->d, covariance + k * p->d * p->d, p->d);
}

static void row_energy(void *context, int64_t n, int worker) {
    (void)worker;
    const struct energies *j = context;
    j->energy[n] = (float)ck_mixture_energy(j->components, j->z + n * j->p->d, j->p->d, j->p->k);
}

static void row_gradient(void *context, int64_t n, int worker) {
    (void)worker;
    const struct energies *j = context;
    int d = j->p->d, k = j->p->k;
    ck_energy_row_gradient(j->p, j->components, j->z + n * d, j->known[n], j->parts + n * k * (d + 1),
                           j->dz + n * d);
}

static void component_gradient(void *context, int64_t k, int worker) {
    (void)worker;
    const struct energies *j = context;
    int d = j->p->d, stride = d + 1;
    double members = 0, mean[CK_MAX_MIXTURE] = {0}, squares[CK_MAX_MIXTURE * CK_MAX_MIXTURE] = {0};
    for (int64_t n = 0; n < j->p->n; n++) {
        const double *part = j->parts + (n * j->p->k + k) * stride, *solved = part + 1;
        members += part[0];
        for (int i = 0; i < d; i++) {
            mean[i] += part[0] * solved[i];
            for (int l = 0; l < d; l++) squares[i * d + l] += part[0] * solved[i] * solved[l];
        }
    }
    double factor = j->p->energy / (double)j->p->n;
    j->dshare[k] = j->share[k] > 0 ? (float)(-factor * members / j->share[k]) : 0;
    for (int i = 0; i < d; i++) j->dmean[k * d + i] = (float)(-factor * mean[i]);
    for (int i = 0; i < d; i++) {
        double unit[CK_MAX_MIXTURE] = {0}, inverse[CK_MAX_MIXTURE];
        unit[i] = 1;
        ck_solve_component(&j->components[k], unit, inverse, d);
        for (int l = 0; l < d; l++) {
            double slope = -0.5 * factor * (squares[i * d + l] - members * inverse[l]);
            if (i == l) slope += ck_penalty_gradient(j->p, j->covariance[(k * d + i) * d + i]);
            j->dcovariance[(k * d + i) * d + l] = (float)slope;
        }
    }
}

ck_status ck_cpu_mixture_loss_forward(const ck_mixture_loss_forward_operands *t, const ck_mixture_params *p,
                                      void *) {
    ck_component components[CK_MAX_MIXTURE];
    prepare(components, p, t->share, t->mean, t->covariance);
    struct energies j = {.p = p, .components = components, .energy = t->energy, .z = t->z};
    ck_parallel_for(p->n, row_energy, &j);
    double sum = 0, inverses = 0;
    for (int64_t n = 0; n < p->n; n++) sum += t->energy[n];
    for (int64_t i = 0; i < (int64_t)p->k * p->d; i++)
        inverses += 1 / (double)t->covariance[i * p->d + i % p->d];
    *t->loss = (float)(p->energy * sum / p->n + p->penalty * inverses);
    return CK_OK;
}

ck_status ck_cpu_mixture_loss_backward(const ck_mixture_loss_backward_operands *t, const ck_mixture_params *p,
                                       void *workspace) {
    ck_component components[CK_MAX_MIXTURE];
    prepare(components, p, t->share, t->mean, t->covariance);
    struct energies j = {.p = p,
                         .components = components,
                         .dz = t->dz,
                         .dshare = t->dshare,
                         .dmean = t->dmean,
                         .dcovariance = t->dcovariance,
                         .z = t->z,
                         .share = t->share,
                         .covariance = t->covariance,
                         .known = t->energy,
                         .parts = workspace};
    ck_parallel_for(p->n, row_gradient, &j);
    ck_parallel_for(p->k, component_gradient, &j);
    return CK_OK;
}

uint64_t ck_cpu_workspace_mixture_loss_backward(const ck_mixture_params *p) {
    return sizeof(double) * (uint64_t)p->n * (uint64_t)p->k * (uint64_t)(p->d + 1);
}
