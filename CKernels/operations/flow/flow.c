// Normalizing flows (Dinh et al., "Density estimation using Real NVP", ICLR 2017): dequantization, affine
// couplings, squeezing, the normal prior. One task an image or a row; sums over an image are in double.
#include "coupling.h"
#include "cpu.h"

// ---- Dequantization ---------------------------------------------------------------------------------------

struct dequantization {
    const ck_image_params *p;
    float *y, *log_likelihood, *dx;
    const float *x, *dy, *dlog_likelihood, *forward;
    const ck_step_state *step;
};

static int64_t size_of(const ck_image_params *p) { return (int64_t)p->h * p->w * p->c; }

static void dequantize_image(void *context, int64_t n, int worker) {
    (void)worker;
    const struct dequantization *j = context;
    const ck_image_params *p = j->p;
    int64_t size = size_of(p);
    float margin = p->minimum, scale = 1 - 2 * margin;
    double sum = (double)size * log((double)scale);
    for (int64_t i = 0; i < size; i += 4) {
        ck_random4 r = ck_philox(j->step->seed, j->step->step, ck_batch_row(p->share, j->step, n),
                                 p->stream + ((uint32_t)(i / 4 + 1) << 12));
        for (int64_t k = i; k < ck_min64(i + 4, size); k++) {
            float u = 0.5f + p->maximum * (ck_uniform(r.v[k - i]) - 0.5f);
            float share = margin + scale * ((255 * j->x[n * size + k] + u) * (1.0f / 256.0f));
            float first = logf(share), second = log1pf(-share);
            j->y[n * size + k] = first - second;
            sum -= (double)first + second;
        }
    }
    j->log_likelihood[n] = (float)sum;
}

// With s the logistic function of y: dy/dx = slope / (s (1 - s)), and the log of that has (2 s - 1) times it.
static void dequantize_image_backward(void *context, int64_t n, int worker) {
    (void)worker;
    const struct dequantization *j = context;
    int64_t size = size_of(j->p);
    float slope = (1 - 2 * j->p->minimum) * (255.0f / 256.0f);
    float dlog = j->dlog_likelihood ? j->dlog_likelihood[n] : 0;
    for (int64_t i = n * size; i < (n + 1) * size; i++) {
        float s = 1 / (1 + expf(-j->forward[i]));
        j->dx[i] = (j->dy[i] + dlog * (2 * s - 1)) * slope / (s * (1 - s));
    }
}

ck_status ck_cpu_dequantize_forward(const ck_dequantize_forward_operands *t, const ck_image_params *p,
                                    void *) {
    struct dequantization j = {
        .p = p, .y = t->y, .log_likelihood = t->log_likelihood, .x = t->x, .step = t->step};
    ck_parallel_for(p->n, dequantize_image, &j);
    return CK_OK;
}

ck_status ck_cpu_dequantize_backward(const ck_dequantize_backward_operands *t, const ck_image_params *p,
                                     void *) {
    struct dequantization j = {
        .p = p, .dx = t->dx, .dy = t->dy, .dlog_likelihood = t->dlog_likelihood, .forward = t->y};
    ck_parallel_for(p->n, dequantize_image_backward, &j);
    return CK_OK;
}

// ---- Couplings --------------------------------------------------------------------------------------------

struct coupling {
    const ck_coupling_params *p;
    float *y, *log_likelihood, *dx, *dnet;
    double *dfactor;  // an image's, beside each other
    const float *x, *net, *factor, *before, *dy, *dlog_likelihood;
};

static int64_t coupling_size(const ck_coupling_params *p) { return (int64_t)p->h * p->w * p->c; }

static void mask_image(void *context, int64_t n, int worker) {
    (void)worker;
    const struct coupling *j = context;
    int64_t size = coupling_size(j->p);
    const float *x = j->x + n * size;
    float *y = j->y + n * size;
    for (int64_t i = 0; i < size; i++) y[i] = ck_is_kept(j->p, i) ? x[i] : 0;
}

static void couple_image(void *context, int64_t n, int worker) {
    (void)worker;
    const struct coupling *j = context;
    int64_t size = coupling_size(j->p), c = j->p->c;
    const float *x = j->x + n * size, *net = j->net + 2 * n * size;
    float *y = j->y + n * size;
    double sum = j->before ? j->before[n] : 0;
    for (int64_t i = 0; i < size; i++) {
        y[i] = x[i];
        if (ck_is_kept(j->p, i)) continue;
        const float *own = net + i / c * 2 * c + i % c;
        float s = j->factor[i % c] * tanhf(own[0]);
        y[i] = x[i] * expf(s) + own[c];
        sum += s;
    }
    j->log_likelihood[n] = (float)sum;
}

static void couple_image_backward(void *context, int64_t n, int worker) {
    (void)worker;
    const struct coupling *j = context;
    int64_t size = coupling_size(j->p), c = j->p->c;
    const float *x = j->x + n * size, *net = j->net + 2 * n * size, *dy = j->dy + n * size;
    float *dx = j->dx + n * size, *dnet = j->dnet + 2 * n * size;
    double *dfactor = j->dfactor + n * c;
    float dlog = j->dlog_likelihood ? j->dlog_likelihood[n] : 0;
    for (int64_t i = 0; i < c; i++) dfactor[i] = 0;
    for (int64_t i = 0; i < size; i++) {
        int64_t at = i / c * 2 * c + i % c;
        dx[i] = dy[i], dnet[at] = dnet[at + c] = 0;
        if (ck_is_kept(j->p, i)) continue;
        float bent = tanhf(net[at]), scale = expf(j->factor[i % c] * bent);
        float ds = dy[i] * x[i] * scale + dlog;
        dx[i] = dy[i] * scale;
        dnet[at] = ds * j->factor[i % c] * (1 - bent * bent);
        dnet[at + c] = dy[i];
        dfactor[i % c] += (double)ds * bent;
    }
}

ck_status ck_cpu_coupling_mask(const ck_coupling_mask_operands *t, const ck_coupling_params *p, void *) {
    struct coupling j = {.p = p, .y = t->y, .x = t->x};
    ck_parallel_for(p->n, mask_image, &j);
    return CK_OK;
}

ck_status ck_cpu_coupling_forward(const ck_coupling_forward_operands *t, const ck_coupling_params *p,
                                  void *) {
    struct coupling j = {.p = p,
                         .y = t->y,
                         .log_likelihood = t->log_likelihood,
                         .x = t->x,
                         .net = t->net,
                         .factor = t->factor,
                         .before = t->before};
    ck_parallel_for(p->n, couple_image, &j);
    return CK_OK;
}

ck_status ck_cpu_coupling_backward(const ck_coupling_backward_operands *t, const ck_coupling_params *p,
                                   void *workspace) {
    struct coupling j = {.p = p,
                         .dx = t->dx,
                         .dnet = t->dnet,
                         .dfactor = workspace,
                         .x = t->x,
                         .net = t->net,
                         .factor = t->factor,
                         .dy = t->dy,
                         .dlog_likelihood = t->dlog_likelihood};
    ck_parallel_for(p->n, couple_image_backward, &j);
    for (int64_t c = 0; c < p->c; c++) {
        double sum = 0;
        for (int64_t n = 0; n < p->n; n++) sum += j.dfactor[n * p->c + c];
        t->dfactor[c] = (float)sum;
    }
    return CK_OK;
}

uint64_t ck_cpu_workspace_coupling_backward(const ck_coupling_params *p) {
    return sizeof(double) * (uint64_t)p->n * (uint64_t)p->c;
}

// ---- Squeezing --------------------------------------------------------------------------------------------

struct squeezing {
    const ck_pool_params *p;
    float *to;
    const float *from;
    int back;
};

// A row of squares: two rows of the image.
static void squeeze_row(void *context, int64_t index, int worker) {
    (void)worker;
    const struct squeezing *j = context;
    int64_t c = j->p->c, squares = j->p->w / 2;
    for (int64_t square = 0; square < squares; square++)
        for (int64_t row = 0; row < 2; row++) {
            int64_t whole = ((2 * index + row) * j->p->w + 2 * square) * c;
            int64_t squeezed = ((index * squares + square) * 2 + row) * 2 * c;
            memcpy(j->to + (j->back ? whole : squeezed), j->from + (j->back ? squeezed : whole),
                   sizeof(float) * 2 * (size_t)c);
        }
}

ck_status ck_cpu_squeeze_forward(const ck_squeeze_forward_operands *t, const ck_pool_params *p, void *) {
    struct squeezing j = {.p = p, .to = t->y, .from = t->x};
    ck_parallel_for((int64_t)p->n * p->h / 2, squeeze_row, &j);
    return CK_OK;
}

ck_status ck_cpu_squeeze_backward(const ck_squeeze_backward_operands *t, const ck_pool_params *p, void *) {
    struct squeezing j = {.p = p, .to = t->dx, .from = t->dy, .back = 1};
    ck_parallel_for((int64_t)p->n * p->h / 2, squeeze_row, &j);
    return CK_OK;
}

// ---- The prior, and bits per dimension --------------------------------------------------------------------

struct prior {
    const ck_rows_params *p;
    float *log_likelihood, *dz;
    const float *z, *before, *dlog_likelihood;
};

static void density_of_row(void *context, int64_t n, int worker) {
    (void)worker;
    const struct prior *j = context;
    int64_t c = j->p->c;
    double sum = 0;
    for (int64_t i = n * c; i < (n + 1) * c; i++) sum += (double)j->z[i] * j->z[i];
    double before = j->before ? j->before[n] : 0;
    j->log_likelihood[n] = (float)(before - 0.5 * (sum + (double)c * 1.8378770664093454836));  // log 2 pi
}

static void density_of_row_backward(void *context, int64_t n, int worker) {
    (void)worker;
    const struct prior *j = context;
    int64_t c = j->p->c;
    for (int64_t i = n * c; i < (n + 1) * c; i++) j->dz[i] = -j->dlog_likelihood[n] * j->z[i];
}

ck_status ck_cpu_normal_forward(const ck_normal_forward_operands *t, const ck_rows_params *p, void *) {
    struct prior j = {.p = p, .log_likelihood = t->log_likelihood, .z = t->z, .before = t->before};
    ck_parallel_for(p->n, density_of_row, &j);
    return CK_OK;
}

ck_status ck_cpu_normal_backward(const ck_normal_backward_operands *t, const ck_rows_params *p, void *) {
    struct prior j = {.p = p, .dz = t->dz, .z = t->z, .dlog_likelihood = t->dlog_likelihood};
    ck_parallel_for(p->n, density_of_row_backward, &j);
    return CK_OK;
}

ck_status ck_cpu_bits_per_dimension_forward(const ck_bits_per_dimension_forward_operands *t,
                                            const ck_likelihood_params *p, void *) {
    double sum = 0, factor = 1 / ((double)p->dimensions * log(2));
    for (int64_t n = 0; n < p->n; n++) {
        double bits = p->levels - t->log_likelihood[n] * factor;
        t->bits[n] = (float)bits;
        sum += bits;
    }
    *t->loss = (float)(sum / p->n);
    return CK_OK;
}

ck_status ck_cpu_bits_per_dimension_backward(const ck_bits_per_dimension_backward_operands *t,
                                             const ck_likelihood_params *p, void *) {
    float slope = (float)(-1 / ((double)p->n * (double)p->dimensions * log(2)));
    for (int64_t n = 0; n < p->n; n++) t->dlog_likelihood[n] = slope;
    return CK_OK;
}
