// Row-wise operations on N x C: L2 normalization, softmax, softmax cross-entropy.
#include "cpu.h"

enum { ROWS = 64 };  // rows to a task

struct job {
    const ck_rows_params *p;
    const ck_cross_entropy_params *targets;  // of a cross-entropy
    float *y, *dx, *norms;                   // results
    const float *x, *dy, *forward, *norm;    // `forward` is the forward result, `norm` its norms
    const int32_t *labels;
    double *partial;
};

#define ROW_TASK(name)                                                                                       \
    static void name##_task(void *context, int64_t index, int worker) {                                      \
        (void)worker;                                                                                        \
        struct job *j = context;                                                                             \
        int64_t end = ck_min64(j->p->n, (index + 1) * ROWS);                                                 \
        for (int64_t row = index * ROWS; row < end; row++) name(j, row);                                     \
    }

static void run_rows(struct job *j, ck_task task) { ck_parallel_for(ck_ceil_div(j->p->n, ROWS), task, j); }

static double dot(const float *a, const float *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
    return sum;
}

// y = x / max(||x||, epsilon)
static void normalize_row(struct job *j, int64_t row) {
    int64_t c = j->p->c;
    const float *x = j->x + row * c;
    float norm = fmaxf((float)sqrt(dot(x, x, c)), j->p->epsilon), inverse = 1.0f / norm;
    j->norms[row] = norm;
    for (int64_t i = 0; i < c; i++) j->y[row * c + i] = x[i] * inverse;
}
ROW_TASK(normalize_row)

// dx = (dy - y (y . dy)) / ||x||; below epsilon the norm is a constant.
static void normalize_row_backward(struct job *j, int64_t row) {
    int64_t c = j->p->c;
    const float *dy = j->dy + row * c, *y = j->forward + row * c;
    float inverse = 1.0f / j->norm[row];
    float along = j->norm[row] > j->p->epsilon ? (float)dot(y, dy, c) : 0;
    for (int64_t i = 0; i < c; i++) j->dx[row * c + i] = (dy[i] - y[i] * along) * inverse;
}
ROW_TASK(normalize_row_backward)

ck_status ck_cpu_l2_normalize_forward(const ck_l2_normalize_forward_operands *t, const ck_rows_params *p,
                                      void *) {
    struct job j = {.p = p, .y = t->y, .norms = t->norm, .x = t->x};
    run_rows(&j, normalize_row_task);
    return CK_OK;
}

ck_status ck_cpu_l2_normalize_backward(const ck_l2_normalize_backward_operands *t, const ck_rows_params *p,
                                       void *) {
    struct job j = {.p = p, .dx = t->dx, .dy = t->dy, .forward = t->y, .norm = t->norm};
    run_rows(&j, normalize_row_backward_task);
    return CK_OK;
}

// p = softmax(x); returns log sum exp(x).
static double softmax_row(float *p, const float *x, int64_t c) {
    float largest = x[0];
    for (int64_t i = 1; i < c; i++) largest = fmaxf(largest, x[i]);
    double sum = 0;
    for (int64_t i = 0; i < c; i++) sum += p[i] = expf(x[i] - largest);
    float inverse = (float)(1 / sum);
    for (int64_t i = 0; i < c; i++) p[i] *= inverse;
    return log(sum) + largest;
}

static void probabilities(struct job *j, int64_t row) {
    softmax_row(j->y + row * j->p->c, j->x + row * j->p->c, j->p->c);
}
ROW_TASK(probabilities)

// dx = p (dp - p . dp)
static void probabilities_backward(struct job *j, int64_t row) {
    int64_t c = j->p->c;
    const float *dy = j->dy + row * c, *y = j->forward + row * c;
    float along = (float)dot(y, dy, c);
    for (int64_t i = 0; i < c; i++) j->dx[row * c + i] = y[i] * (dy[i] - along);
}
ROW_TASK(probabilities_backward)

// A row's part of the loss is a mean of the rows of its kind: those with a label, or outliers.
static double share(const ck_cross_entropy_params *p, int32_t label) {
    return label >= 0 ? 1.0 / (p->n - p->outliers) : (double)p->outlier_weight / p->outliers;
}

// -sum target_k log softmax(x)_k, with the target 1 at the label or 1 / C everywhere
static void cross_entropy(struct job *j, int64_t row) {
    int64_t c = j->p->c;
    const float *x = j->x + row * c;
    int32_t label = j->labels[row];
    double lse = softmax_row(j->y + row * c, x, c), mean = 0;
    if (label < 0)
        for (int64_t i = 0; i < c; i++) mean += (double)x[i] / c;
    j->partial[row] = share(j->targets, label) * (lse - (label < 0 ? mean : (double)x[label]));
}
ROW_TASK(cross_entropy)

static void cross_entropy_backward(struct job *j, int64_t row) {
    int64_t c = j->p->c;
    int32_t label = j->labels[row];
    float part = (float)share(j->targets, label), uniform = 1.0f / (float)c;
    for (int64_t i = 0; i < c; i++) {
        float target = label < 0 ? uniform : i == label ? 1.0f : 0.0f;
        j->dx[row * c + i] = (j->forward[row * c + i] - target) * part;
    }
}
ROW_TASK(cross_entropy_backward)

ck_status ck_cpu_softmax(const ck_softmax_operands *t, const ck_rows_params *p, void *) {
    struct job j = {.p = p, .y = t->p, .x = t->logits};
    run_rows(&j, probabilities_task);
    return CK_OK;
}

ck_status ck_cpu_softmax_backward(const ck_softmax_backward_operands *t, const ck_rows_params *p, void *) {
    struct job j = {.p = p, .dx = t->dlogits, .dy = t->dp, .forward = t->p};
    run_rows(&j, probabilities_backward_task);
    return CK_OK;
}

ck_status ck_cpu_softmax_cross_entropy_forward(const ck_softmax_cross_entropy_forward_operands *t,
                                               const ck_cross_entropy_params *p, void *workspace) {
    int64_t outliers = 0;
    for (int64_t row = 0; row < p->n; row++) {
        int32_t label = t->labels[row];
        outliers += label == -1;
        if (label < -1 || label >= p->c || outliers > p->outliers)
            return ck_fail(CK_INVALID_ARGUMENT,
                           "label %d of row %lld: labels are 0..<%d, and -1 for %d outliers", (int)label,
                           (long long)row, (int)p->c, (int)p->outliers);
    }
    ck_rows_params rows = {.n = p->n, .c = p->c};
    struct job j = {
        .p = &rows, .targets = p, .y = t->p, .x = t->logits, .labels = t->labels, .partial = workspace};
    run_rows(&j, cross_entropy_task);
    double loss = 0;
    for (int64_t row = 0; row < p->n; row++) loss += j.partial[row];
    *t->loss = (float)loss;
    return CK_OK;
}

ck_status ck_cpu_softmax_cross_entropy_backward(const ck_softmax_cross_entropy_backward_operands *t,
                                                const ck_cross_entropy_params *p, void *) {
    ck_rows_params rows = {.n = p->n, .c = p->c};
    struct job j = {.p = &rows, .targets = p, .dx = t->dlogits, .forward = t->p, .labels = t->labels};
    run_rows(&j, cross_entropy_backward_task);
    return CK_OK;
}

uint64_t ck_cpu_workspace_softmax_cross_entropy_forward(const ck_cross_entropy_params *p) {
    return sizeof(double) * (uint64_t)p->n;
}
