// Row-wise operations on N x C: L2 normalisation, softmax, softmax cross-entropy.
#include "cpu.h"

enum { ROWS = 64 };  // rows to a task

struct job {
    const ck_rows_params *p;
    float *y, *norm;
    const float *x, *dy;
    const float *y_in, *norm_in;
    const int32_t *labels;
    double *partial;
};

#define ROW_TASK(name)                                                                                                 \
    static void name##_task(void *context, int64_t index, int worker) {                                                \
        (void)worker;                                                                                                  \
        struct job *j = context;                                                                                       \
        int64_t end = ck_min64(j->p->n, (index + 1) * ROWS);                                                           \
        for (int64_t row = index * ROWS; row < end; row++) name(j, row);                                               \
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
    j->norm[row] = norm;
    for (int64_t i = 0; i < c; i++) j->y[row * c + i] = x[i] * inverse;
}
ROW_TASK(normalize_row)

// dx = (dy - y (y . dy)) / ||x||; below epsilon the norm is a constant.
static void normalize_row_backward(struct job *j, int64_t row) {
    int64_t c = j->p->c;
    const float *dy = j->dy + row * c, *y = j->y_in + row * c;
    float inverse = 1.0f / j->norm_in[row];
    float along = j->norm_in[row] > j->p->epsilon ? (float)dot(y, dy, c) : 0;
    for (int64_t i = 0; i < c; i++) j->y[row * c + i] = (dy[i] - y[i] * along) * inverse;
}
ROW_TASK(normalize_row_backward)

ck_status ck_cpu_l2_normalize_forward(ck_cpu_call call) {
    struct job j = {.p = &call.p->rows, .y = call.t[0], .norm = call.t[1], .x = call.t[2]};
    run_rows(&j, normalize_row_task);
    return CK_OK;
}

ck_status ck_cpu_l2_normalize_backward(ck_cpu_call call) {
    struct job j = {.p = &call.p->rows, .y = call.t[0], .dy = call.t[1], .y_in = call.t[2], .norm_in = call.t[3]};
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

static void cross_entropy(struct job *j, int64_t row) {
    const float *x = j->x + row * j->p->c;
    j->partial[row] = softmax_row(j->y + row * j->p->c, x, j->p->c) - (double)x[j->labels[row]];
}
ROW_TASK(cross_entropy)

static void cross_entropy_backward(struct job *j, int64_t row) {
    int64_t c = j->p->c;
    float share = 1.0f / (float)j->p->n;
    for (int64_t i = 0; i < c; i++)
        j->y[row * c + i] = (j->x[row * c + i] - (i == j->labels[row] ? 1.0f : 0.0f)) * share;
}
ROW_TASK(cross_entropy_backward)

ck_status ck_cpu_softmax(ck_cpu_call call) {
    struct job j = {.p = &call.p->rows, .y = call.t[0], .x = call.t[1]};
    run_rows(&j, probabilities_task);
    return CK_OK;
}

ck_status ck_cpu_softmax_cross_entropy_forward(ck_cpu_call call) {
    struct job j = {.p = &call.p->rows, .y = call.t[1], .x = call.t[2], .labels = call.t[3]};
    for (int64_t row = 0; row < j.p->n; row++)
        if (j.labels[row] < 0 || j.labels[row] >= j.p->c)
            return ck_fail(CK_INVALID_ARGUMENT, "label %d of row %lld is outside 0..<%d", (int)j.labels[row],
                           (long long)row, (int)j.p->c);
    j.partial = (double *)call.workspace;
    run_rows(&j, cross_entropy_task);
    double loss = 0;
    for (int64_t row = 0; row < j.p->n; row++) loss += j.partial[row];
    *(float *)call.t[0] = (float)(loss / j.p->n);
    return CK_OK;
}

ck_status ck_cpu_softmax_cross_entropy_backward(ck_cpu_call call) {
    struct job j = {.p = &call.p->rows, .y = call.t[0], .x = call.t[1], .labels = call.t[2]};
    run_rows(&j, cross_entropy_backward_task);
    return CK_OK;
}

uint64_t ck_cpu_workspace_rows(const ck_operation *operation) {
    return sizeof(double) * (uint64_t)operation->params.rows.n;
}
