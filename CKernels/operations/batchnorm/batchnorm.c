// Batch normalization over rows x channels (Ioffe & Szegedy 2015), with the residual add and the ReLU that
// follow it in a residual network folded in: y = relu((x - mean) / sqrt(var + eps) * gamma + beta +
// residual). Sums run over fixed blocks of rows whose partial results are combined in order, in double
// precision.
#include "parts.h"
#include "simd.h"

typedef ck_batchnorm_params batchnorm;

static int64_t block_rows(const batchnorm *p) { return ck_max64(8, CK_BLOCK / p->channels); }
static int64_t block_count(const batchnorm *p) { return ck_ceil_div(p->rows, block_rows(p)); }

struct job {
    const batchnorm *p;
    float *y, *dx, *dresidual;
    const float *x, *dy, *residual;
    const float *relu_of;          // the forward result: where it is 0, the ReLU stopped the gradient
    float *partial;                // of each block: moments, or sums [2][C]
    const float *scale, *shift;    // [C]
    const float *mean;             // [C]
    const float *mean_dy, *slope;  // [C]
};

// The rows of a block.
struct rows {
    int64_t first, count;
};

static struct rows rows_of(const batchnorm *p, int64_t block) {
    int64_t size = block_rows(p), first = block * size;
    return (struct rows){first, ck_min64(size, p->rows - first)};
}

// What reads rows a second time begins with those that were read last, which the cache may still hold.
static int64_t from_the_end(const batchnorm *p, int64_t index) { return block_count(p) - 1 - index; }

CK_SIMD static void normalize_rows(float *restrict y, const float *restrict x, const float *restrict residual,
                                   const float *restrict scale, const float *restrict shift, int64_t rows,
                                   int64_t channels, int relu) {
    for (int64_t i = 0; i < rows; i++, y += channels, x += channels) {
        if (residual) {
            const float *r = residual + i * channels;
            for (int64_t c = 0; c < channels; c++) y[c] = x[c] * scale[c] + shift[c] + r[c];
        } else {
            for (int64_t c = 0; c < channels; c++) y[c] = x[c] * scale[c] + shift[c];
        }
        if (relu)
            for (int64_t c = 0; c < channels; c++) y[c] = y[c] > 0 ? y[c] : 0;
    }
}

static void normalize(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    struct rows rows = rows_of(j->p, from_the_end(j->p, index));
    int64_t channels = j->p->channels, at = rows.first * channels;
    normalize_rows(j->y + at, j->x + at, j->residual ? j->residual + at : NULL, j->scale, j->shift,
                   rows.count, channels, j->p->relu);
}

// ---- Moments ----------------------------------------------------------------------------------------------

// Rows that have been counted are added by Chan, Golub & LeVeque's combination (1983).
CK_INLINED void add_moments_body(float *moments, const float *x, const int64_t *places, int64_t count,
                                 int64_t channels, const int rows, const int vectors) {
    (void)rows, (void)vectors;
    float before = moments[2 * channels], all = before + (float)count;
    float share = (float)count / all, weight = before * share, each = 1 / (float)count;
    moments[2 * channels] = all;
    for (int64_t c = 0; c < channels; c += CK_LANES) {
        int64_t lanes = channels - c;
        ck_v16 row[CK_MOMENT_ROWS], sums[4] = {{0}}, squares[4] = {{0}};
        if (count == CK_MOMENT_ROWS && lanes >= CK_LANES) {
#pragma clang loop unroll(full)
            for (int i = 0; i < CK_MOMENT_ROWS; i++) sums[i % 4] += row[i] = ck_load16(x + places[i] + c);
        } else {
            for (int64_t i = 0; i < count; i++)
                sums[i % 4] += row[i] = ck_load_lanes(x + places[i] + c, lanes);
        }
        ck_v16 mean = ((sums[0] + sums[1]) + (sums[2] + sums[3])) * each;
        if (count == CK_MOMENT_ROWS) {
#pragma clang loop unroll(full)
            for (int i = 0; i < CK_MOMENT_ROWS; i++) squares[i % 4] += (row[i] - mean) * (row[i] - mean);
        } else {
            for (int64_t i = 0; i < count; i++) squares[i % 4] += (row[i] - mean) * (row[i] - mean);
        }
        ck_v16 old_mean = ck_load_lanes(moments + c, lanes), delta = mean - old_mean;
        ck_v16 old_squares = ck_load_lanes(moments + channels + c, lanes);
        ck_store_lanes(moments + c, old_mean + delta * share, lanes);
        ck_store_lanes(moments + channels + c,
                       old_squares + ((squares[0] + squares[1]) + (squares[2] + squares[3])) +
                           delta * delta * weight,
                       lanes);
    }
}
CK_VERSIONS(add_moments,
            (float *moments, const float *x, const int64_t *places, int64_t count, int64_t channels), moments,
            x, places, count, channels)

void ck_add_moments(float *moments, const float *x, const int64_t *places, int64_t count, int64_t channels) {
    add_moments(moments, x, places, count, channels);
}

static void moments(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    struct rows rows = rows_of(j->p, index);
    int64_t channels = j->p->channels, places[CK_MOMENT_ROWS];
    for (int64_t i = 0; i < CK_MOMENT_ROWS; i++) places[i] = i * channels;
    float *to = j->partial + index * ck_moments_floats(channels);
    memset(to, 0, sizeof(float) * (size_t)ck_moments_floats(channels));
    for (int64_t i = 0; i < rows.count; i += CK_MOMENT_ROWS)
        add_moments(to, j->x + (rows.first + i) * channels, places, ck_min64(CK_MOMENT_ROWS, rows.count - i),
                    channels);
}

// The moments of a channel.
struct moments {
    double count, mean, squares;
};

static void combine(struct moments *of, double count, double mean, double squares) {
    double all = of->count + count, delta = mean - of->mean;
    of->mean += delta * count / all;
    of->squares += squares + delta * delta * of->count * count / all;
    of->count = all;
}

static struct moments moments_of(const float *partial, int64_t parts, int64_t channels, int64_t c) {
    struct moments all = {0};
    for (int64_t part = 0; part < parts; part++, partial += ck_moments_floats(channels))
        combine(&all, partial[2 * channels], partial[c], partial[channels + c]);
    return all;
}

// Where a channel's statistics go.
struct statistics {
    const batchnorm *p;
    float *mean, *inverse_deviation, *running_mean, *running_variance, *scale, *shift;
    const float *gamma, *beta;
};

static void finish_channel(const struct statistics *t, int64_t c, const struct moments *of) {
    double variance = of->squares / of->count, inverse = 1.0 / sqrt(variance + (double)t->p->epsilon);
    t->mean[c] = (float)of->mean;
    t->inverse_deviation[c] = (float)inverse;
    t->scale[c] = (float)(inverse * t->gamma[c]);
    t->shift[c] = (float)(t->beta[c] - of->mean * inverse * t->gamma[c]);
    double unbiased = of->count > 1 ? of->squares / (of->count - 1) : variance;
    t->running_mean[c] += t->p->momentum * ((float)of->mean - t->running_mean[c]);
    t->running_variance[c] += t->p->momentum * ((float)unbiased - t->running_variance[c]);
}

#define STATISTICS(t, scale, shift)                                                                          \
    {                                                                                                        \
        p, (t)->mean, (t)->inverse_deviation, (t)->running_mean, (t)->running_variance, scale, shift,        \
            (t)->gamma, (t)->beta                                                                            \
    }

ck_status ck_cpu_batchnorm_forward_by_parts(const ck_batchnorm_forward_operands *t, const batchnorm *p,
                                            const float *partial, int64_t parts, float *scratch) {
    float *scale = scratch, *shift = scale + p->channels;
    struct job j = {.p = p, .y = t->y, .x = t->x, .residual = t->residual, .scale = scale, .shift = shift};
    struct statistics to = STATISTICS(t, scale, shift);
    for (int64_t c = 0; c < p->channels; c++) {
        struct moments all = moments_of(partial, parts, p->channels, c);
        finish_channel(&to, c, &all);
    }
    ck_parallel_for(block_count(p), normalize, &j);
    return CK_OK;
}

ck_status ck_cpu_batchnorm_forward(const ck_batchnorm_forward_operands *t, const batchnorm *p,
                                   void *workspace) {
    float *scratch = workspace, *partial = scratch + 2 * p->channels;
    struct job j = {.p = p, .x = t->x, .partial = partial};
    ck_parallel_for(block_count(p), moments, &j);
    return ck_cpu_batchnorm_forward_by_parts(t, p, partial, block_count(p), scratch);
}

ck_status ck_cpu_batchnorm_moments(const ck_batchnorm_moments_operands *t, const batchnorm *p,
                                   void *workspace) {
    struct job j = {.p = p, .x = t->x, .partial = workspace};
    ck_parallel_for(block_count(p), moments, &j);
    for (int64_t c = 0; c < p->channels; c++) {
        struct moments all = moments_of(j.partial, block_count(p), p->channels, c);
        t->moments[c] = (float)all.mean;
        t->moments[p->channels + c] = (float)all.squares;
    }
    return CK_OK;
}

ck_status ck_cpu_batchnorm_normalize(const ck_batchnorm_normalize_operands *t, const batchnorm *p,
                                     void *workspace) {
    float *scale = workspace, *shift = scale + p->channels;
    struct job j = {.p = p, .y = t->y, .x = t->x, .residual = t->residual, .scale = scale, .shift = shift};
    struct statistics to = STATISTICS(t, scale, shift);
    for (int64_t c = 0; c < p->channels; c++) {
        struct moments all = {0};
        for (int64_t r = 0; r < p->ranks; r++) {
            const float *rank = t->moments + r * 2 * p->channels + c;
            combine(&all, (double)p->rows, rank[0], rank[p->channels]);
        }
        finish_channel(&to, c, &all);
    }
    ck_parallel_for(block_count(p), normalize, &j);
    return CK_OK;
}

// ---- Backward ---------------------------------------------------------------------------------------------

// dy behind the ReLU is dy where y > 0; s1[c] = sum dy, s2[c] = sum dy * (x - mean) * inverse_deviation.
// `inverse_deviation` is left to the caller, once a channel.
CK_SIMD static void block_gradient_sums(float *restrict s1, float *restrict s2, const float *restrict dy,
                                        const float *restrict y, const float *restrict x,
                                        const float *restrict mean, int64_t rows, int64_t channels,
                                        int relu) {
    for (int64_t c = 0; c < channels; c++) s1[c] = s2[c] = 0;
    for (int64_t i = 0; i < rows; i++, dy += channels, y += channels, x += channels) {
        if (relu)
            for (int64_t c = 0; c < channels; c++) {
                float g = y[c] > 0 ? dy[c] : 0;
                s1[c] += g;
                s2[c] += g * (x[c] - mean[c]);
            }
        else
            for (int64_t c = 0; c < channels; c++) {
                s1[c] += dy[c];
                s2[c] += dy[c] * (x[c] - mean[c]);
            }
    }
}

static void gradient_sums(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    struct rows rows = rows_of(j->p, index);
    int64_t channels = j->p->channels, at = rows.first * channels;
    float *partial = j->partial + index * 2 * channels;
    block_gradient_sums(partial, partial + channels, j->dy + at, j->relu_of + at, j->x + at, j->mean,
                        rows.count, channels, j->p->relu);
}

// dx = gamma * inverse_deviation * (dy - mean(dy) - xhat * mean(dy * xhat)), with xhat = (x - mean) *
// inverse_deviation; `slope` is inverse_deviation * mean(dy * xhat).
CK_SIMD static void gradient_rows(float *restrict dx, float *restrict dresidual, const float *restrict dy,
                                  const float *restrict y, const float *restrict x,
                                  const float *restrict mean, const float *restrict scale,
                                  const float *restrict mean_dy, const float *restrict slope, int64_t rows,
                                  int64_t channels, int relu) {
    for (int64_t i = 0; i < rows; i++, dx += channels, dy += channels, y += channels, x += channels) {
        if (dresidual) {
            float *to = dresidual + i * channels;
            for (int64_t c = 0; c < channels; c++) to[c] = !relu || y[c] > 0 ? dy[c] : 0;
        }
        if (relu)
            for (int64_t c = 0; c < channels; c++)
                dx[c] = scale[c] * ((y[c] > 0 ? dy[c] : 0) - mean_dy[c] - (x[c] - mean[c]) * slope[c]);
        else
            for (int64_t c = 0; c < channels; c++)
                dx[c] = scale[c] * (dy[c] - mean_dy[c] - (x[c] - mean[c]) * slope[c]);
    }
}

static void gradient(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    struct rows rows = rows_of(j->p, from_the_end(j->p, index));
    int64_t channels = j->p->channels, at = rows.first * channels;
    gradient_rows(j->dx + at, j->dresidual ? j->dresidual + at : NULL, j->dy + at, j->relu_of + at, j->x + at,
                  j->mean, j->scale, j->mean_dy, j->slope, rows.count, channels, j->p->relu);
}

// The parts' sums of a channel, with the factor that block_gradient_sums leaves.
static void add_gradient_sums(const float *partial, int64_t parts, int64_t channels,
                              const float *inverse_deviation, int64_t c, double *s1, double *s2) {
    *s1 = *s2 = 0;
    for (int64_t part = 0; part < parts; part++) {
        *s1 += partial[part * 2 * channels + c];
        *s2 += partial[(part * 2 + 1) * channels + c];
    }
    *s2 *= inverse_deviation[c];
}

// The factors of dx in the rows that gave the sums s1 and s2: scale, mean_dy and slope, in this order.
static void set_gradient_factors(float *factors, const batchnorm *p, const float *gamma,
                                 const float *inverse_deviation, int64_t c, double s1, double s2,
                                 double rows) {
    factors[c] = gamma[c] * inverse_deviation[c];
    factors[p->channels + c] = (float)(s1 / rows);
    factors[2 * p->channels + c] = (float)(inverse_deviation[c] * s2 / rows);
}

static void use_gradient_factors(struct job *j, const float *factors) {
    j->scale = factors;
    j->mean_dy = factors + j->p->channels;
    j->slope = j->mean_dy + j->p->channels;
}

ck_status ck_cpu_batchnorm_backward_by_parts(const ck_batchnorm_backward_operands *t, const batchnorm *p,
                                             const float *partial, int64_t parts, float *factors) {
    struct job j = {.p = p,
                    .dx = t->dx,
                    .dresidual = t->dresidual,
                    .dy = t->dy,
                    .x = t->x,
                    .relu_of = t->y,
                    .mean = t->mean};
    use_gradient_factors(&j, factors);
    for (int64_t c = 0; c < p->channels; c++) {
        double s1, s2;
        add_gradient_sums(partial, parts, p->channels, t->inverse_deviation, c, &s1, &s2);
        t->dbeta[c] = (float)s1;
        t->dgamma[c] = (float)s2;
        set_gradient_factors(factors, p, t->gamma, t->inverse_deviation, c, s1, s2, (double)p->rows);
    }
    ck_parallel_for(block_count(p), gradient, &j);
    return CK_OK;
}

ck_status ck_cpu_batchnorm_backward(const ck_batchnorm_backward_operands *t, const batchnorm *p,
                                    void *workspace) {
    float *factors = workspace, *partial = factors + 3 * p->channels;
    struct job j = {.p = p, .dy = t->dy, .x = t->x, .relu_of = t->y, .mean = t->mean, .partial = partial};
    ck_parallel_for(block_count(p), gradient_sums, &j);
    return ck_cpu_batchnorm_backward_by_parts(t, p, partial, block_count(p), factors);
}

ck_status ck_cpu_batchnorm_gradient_sums(const ck_batchnorm_gradient_sums_operands *t, const batchnorm *p,
                                         void *workspace) {
    struct job j = {.p = p, .dy = t->dy, .x = t->x, .relu_of = t->y, .mean = t->mean, .partial = workspace};
    ck_parallel_for(block_count(p), gradient_sums, &j);
    for (int64_t c = 0; c < p->channels; c++) {
        double s1, s2;
        add_gradient_sums(j.partial, block_count(p), p->channels, t->inverse_deviation, c, &s1, &s2);
        t->sums[c] = t->dbeta[c] = (float)s1;
        t->sums[p->channels + c] = t->dgamma[c] = (float)s2;
    }
    return CK_OK;
}

ck_status ck_cpu_batchnorm_gradient(const ck_batchnorm_gradient_operands *t, const batchnorm *p,
                                    void *workspace) {
    float *factors = workspace;
    struct job j = {.p = p,
                    .dx = t->dx,
                    .dresidual = t->dresidual,
                    .dy = t->dy,
                    .x = t->x,
                    .relu_of = t->y,
                    .mean = t->mean};
    use_gradient_factors(&j, factors);
    for (int64_t c = 0; c < p->channels; c++) {
        double s1 = 0, s2 = 0;
        for (int64_t r = 0; r < p->ranks; r++) {
            s1 += t->sums[r * 2 * p->channels + c];
            s2 += t->sums[(r * 2 + 1) * p->channels + c];
        }
        set_gradient_factors(factors, p, t->gamma, t->inverse_deviation, c, s1, s2,
                             (double)p->rows * p->ranks);
    }
    ck_parallel_for(block_count(p), gradient, &j);
    return CK_OK;
}

// ---- Inference --------------------------------------------------------------------------------------------

ck_status ck_cpu_batchnorm_inference(const ck_batchnorm_inference_operands *t, const batchnorm *p,
                                     void *workspace) {
    float *scale = workspace, *shift = scale + p->channels;
    for (int64_t c = 0; c < p->channels; c++) {
        double inverse = 1.0 / sqrt((double)t->running_variance[c] + (double)p->epsilon);
        scale[c] = (float)(t->gamma[c] * inverse);
        shift[c] = (float)(t->beta[c] - t->running_mean[c] * t->gamma[c] * inverse);
    }
    struct job j = {.p = p, .y = t->y, .x = t->x, .residual = t->residual, .scale = scale, .shift = shift};
    ck_parallel_for(block_count(p), normalize, &j);
    return CK_OK;
}

CK_SIMD static void inference_gradient_rows(float *restrict dx, float *restrict dresidual,
                                            const float *restrict dy, const float *restrict y,
                                            const float *restrict scale, int64_t rows, int64_t channels,
                                            int relu) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++) {
            int64_t at = i * channels + c;
            float g = !relu || y[at] > 0 ? dy[at] : 0;
            if (dresidual) dresidual[at] = g;
            dx[at] = scale[c] * g;
        }
}

static void inference_gradient(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    struct rows rows = rows_of(j->p, index);
    int64_t channels = j->p->channels, at = rows.first * channels;
    inference_gradient_rows(j->dx + at, j->dresidual ? j->dresidual + at : NULL, j->dy + at, j->relu_of + at,
                            j->scale, rows.count, channels, j->p->relu);
}

ck_status ck_cpu_batchnorm_inference_backward(const ck_batchnorm_inference_backward_operands *t,
                                              const batchnorm *p, void *workspace) {
    float *scale = workspace;
    for (int64_t c = 0; c < p->channels; c++)
        scale[c] = (float)(t->gamma[c] / sqrt((double)t->running_variance[c] + (double)p->epsilon));
    struct job j = {
        .p = p, .dx = t->dx, .dresidual = t->dresidual, .dy = t->dy, .relu_of = t->y, .scale = scale};
    ck_parallel_for(block_count(p), inference_gradient, &j);
    return CK_OK;
}

// At most three factors to a channel, and moments or two sums of each block.
static uint64_t scratch(const batchnorm *p) {
    return sizeof(float) * (uint64_t)(3 * p->channels + block_count(p) * ck_moments_floats(p->channels));
}

uint64_t ck_cpu_workspace_batchnorm_forward(const batchnorm *p) { return scratch(p); }
uint64_t ck_cpu_workspace_batchnorm_backward(const batchnorm *p) { return scratch(p); }
uint64_t ck_cpu_workspace_batchnorm_moments(const batchnorm *p) { return scratch(p); }
uint64_t ck_cpu_workspace_batchnorm_normalize(const batchnorm *p) { return scratch(p); }
uint64_t ck_cpu_workspace_batchnorm_gradient_sums(const batchnorm *p) { return scratch(p); }
uint64_t ck_cpu_workspace_batchnorm_gradient(const batchnorm *p) { return scratch(p); }
uint64_t ck_cpu_workspace_batchnorm_inference(const batchnorm *p) { return scratch(p); }
uint64_t ck_cpu_workspace_batchnorm_inference_backward(const batchnorm *p) { return scratch(p); }
