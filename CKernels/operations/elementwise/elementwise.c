// ReLUs, tanh, add, scale, concatenation, mean squared error and sums: one pass over contiguous floats in
// fixed blocks.
#include "cpu.h"

struct job {
    int64_t count;
    float *result;
    const float *a, *b;
    double *partial;
    float factor;
};

#define BLOCK_TASK(name)                                                                                     \
    static void name##_task(void *context, int64_t index, int worker) {                                      \
        (void)worker;                                                                                        \
        struct job *j = context;                                                                             \
        int64_t first = index * CK_BLOCK;                                                                    \
        name(j, index, first, ck_min64(CK_BLOCK, j->count - first));                                         \
    }

CK_SIMD static void add_floats(float *restrict y, const float *restrict a, const float *restrict b,
                               int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

CK_SIMD static void relu_floats(float *restrict y, const float *restrict x, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

CK_SIMD static void relu_gradient(float *restrict dx, const float *restrict dy, const float *restrict y,
                                  int64_t count) {
    for (int64_t i = 0; i < count; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

CK_SIMD static void scaled_floats(float *restrict y, const float *restrict x, float factor, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = factor * x[i];
}

CK_SIMD static void leaky_floats(float *restrict y, const float *restrict x, float factor, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : factor * x[i];
}

CK_SIMD static void leaky_gradient(float *restrict dx, const float *restrict dy, const float *restrict y,
                                   float factor, int64_t count) {
    for (int64_t i = 0; i < count; i++) dx[i] = y[i] > 0 ? dy[i] : factor * dy[i];
}

static void tanh_floats(float *restrict y, const float *restrict x, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = tanhf(x[i]);
}

CK_SIMD static void tanh_gradient(float *restrict dx, const float *restrict dy, const float *restrict y,
                                  int64_t count) {
    for (int64_t i = 0; i < count; i++) dx[i] = dy[i] * (1 - y[i] * y[i]);
}

CK_SIMD static void scaled_difference(float *restrict y, const float *restrict a, const float *restrict b,
                                      float factor, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = factor * (a[i] - b[i]);
}

// Sixteen running sums, so that the loop vectorizes without changing its order from machine to machine.
#define DEFINE_SQUARES(name, parameters, term)                                                               \
    CK_SIMD static double name parameters {                                                                  \
        double sum[16] = {0}, total = 0;                                                                     \
        int64_t first = 0;                                                                                   \
        for (; first + 16 <= count; first += 16)                                                             \
            for (int64_t l = 0; l < 16; l++) {                                                               \
                int64_t i = first + l;                                                                       \
                double d = term;                                                                             \
                sum[l] += d * d;                                                                             \
            }                                                                                                \
        for (int64_t i = first; i < count; i++) {                                                            \
            double d = term;                                                                                 \
            sum[i % 16] += d * d;                                                                            \
        }                                                                                                    \
        for (int64_t l = 0; l < 16; l++) total += sum[l];                                                    \
        return total;                                                                                        \
    }
DEFINE_SQUARES(squares, (const float *restrict a, int64_t count), (double)a[i])
DEFINE_SQUARES(squared_differences, (const float *restrict a, const float *restrict b, int64_t count),
               (double)a[i] - (double)b[i])

static void add_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    add_floats(j->result + first, j->a + first, j->b + first, count);
}
static void relu_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    relu_floats(j->result + first, j->a + first, count);
}
static void relu_gradient_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    relu_gradient(j->result + first, j->a + first, j->b + first, count);
}
static void scale_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    scaled_floats(j->result + first, j->a + first, j->factor, count);
}
static void leaky_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    leaky_floats(j->result + first, j->a + first, j->factor, count);
}
static void leaky_gradient_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    leaky_gradient(j->result + first, j->a + first, j->b + first, j->factor, count);
}
static void tanh_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    tanh_floats(j->result + first, j->a + first, count);
}
static void tanh_gradient_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    tanh_gradient(j->result + first, j->a + first, j->b + first, count);
}
static void difference_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    scaled_difference(j->result + first, j->a + first, j->b + first, j->factor, count);
}
static void squares_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    j->partial[index] =
        j->b ? squared_differences(j->a + first, j->b + first, count) : squares(j->a + first, count);
}

BLOCK_TASK(add_block)
BLOCK_TASK(relu_block)
BLOCK_TASK(relu_gradient_block)
BLOCK_TASK(scale_block)
BLOCK_TASK(leaky_block)
BLOCK_TASK(leaky_gradient_block)
BLOCK_TASK(tanh_block)
BLOCK_TASK(tanh_gradient_block)
BLOCK_TASK(difference_block)
BLOCK_TASK(squares_block)

double ck_cpu_sum_of_squared_differences(const float *a, const float *b, int64_t count, double *partial) {
    struct job j = {.count = count, .a = a, .b = b, .partial = partial};
    ck_parallel_for(ck_block_count(count), squares_block_task, &j);
    double sum = 0;
    for (int64_t i = 0; i < ck_block_count(count); i++) sum += partial[i];
    return sum;
}

CK_SIMD void ck_cpu_add_parts(float *restrict sum, const float *restrict parts, int64_t stride, int64_t count,
                              int64_t from, int64_t until) {
    for (int64_t i = from; i < until; i++) sum[i] = parts[i];
    for (int64_t part = 1; part < count; part++)
        for (int64_t i = from; i < until; i++) sum[i] += parts[part * stride + i];
}

ck_status ck_cpu_add(const ck_add_operands *t, const ck_elementwise_params *p, void *) {
    struct job j = {.count = p->count, .result = t->y, .a = t->a, .b = t->b};
    ck_parallel_for(ck_block_count(j.count), add_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_relu_forward(const ck_relu_forward_operands *t, const ck_elementwise_params *p, void *) {
    struct job j = {.count = p->count, .result = t->y, .a = t->x};
    ck_parallel_for(ck_block_count(j.count), relu_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_relu_backward(const ck_relu_backward_operands *t, const ck_elementwise_params *p, void *) {
    struct job j = {.count = p->count, .result = t->dx, .a = t->dy, .b = t->y};
    ck_parallel_for(ck_block_count(j.count), relu_gradient_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_scale(const ck_scale_operands *t, const ck_scale_params *p, void *) {
    struct job j = {.count = p->count, .result = t->y, .a = t->x, .factor = p->factor};
    ck_parallel_for(ck_block_count(j.count), scale_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_leaky_relu_forward(const ck_leaky_relu_forward_operands *t, const ck_scale_params *p,
                                    void *) {
    struct job j = {.count = p->count, .result = t->y, .a = t->x, .factor = p->factor};
    ck_parallel_for(ck_block_count(j.count), leaky_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_leaky_relu_backward(const ck_leaky_relu_backward_operands *t, const ck_scale_params *p,
                                     void *) {
    struct job j = {.count = p->count, .result = t->dx, .a = t->dy, .b = t->y, .factor = p->factor};
    ck_parallel_for(ck_block_count(j.count), leaky_gradient_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_tanh_forward(const ck_tanh_forward_operands *t, const ck_elementwise_params *p, void *) {
    struct job j = {.count = p->count, .result = t->y, .a = t->x};
    ck_parallel_for(ck_block_count(j.count), tanh_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_tanh_backward(const ck_tanh_backward_operands *t, const ck_elementwise_params *p, void *) {
    struct job j = {.count = p->count, .result = t->dx, .a = t->dy, .b = t->y};
    ck_parallel_for(ck_block_count(j.count), tanh_gradient_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_mean_squared_error_forward(const ck_mean_squared_error_forward_operands *t,
                                            const ck_elementwise_params *p, void *workspace) {
    double sum = ck_cpu_sum_of_squared_differences(t->x, t->target, p->count, workspace);
    *t->loss = (float)(sum / (double)p->count);
    return CK_OK;
}

ck_status ck_cpu_mean_squared_error_backward(const ck_mean_squared_error_backward_operands *t,
                                             const ck_elementwise_params *p, void *) {
    struct job j = {
        .count = p->count, .result = t->dx, .a = t->x, .b = t->target, .factor = 2.0f / (float)p->count};
    ck_parallel_for(ck_block_count(j.count), difference_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_sum_of_squares(const ck_sum_of_squares_operands *t, const ck_elementwise_params *p,
                                void *workspace) {
    *t->y = (float)ck_cpu_sum_of_squared_differences(t->x, NULL, p->count, workspace);
    return CK_OK;
}

uint64_t ck_cpu_workspace_mean_squared_error_forward(const ck_elementwise_params *p) {
    return ck_cpu_partial_bytes(p->count);
}
uint64_t ck_cpu_workspace_sum_of_squares(const ck_elementwise_params *p) {
    return ck_cpu_partial_bytes(p->count);
}

// ---- Conversion -------------------------------------------------------------------------------------------

struct conversion {
    int64_t count;
    float *single;
    uint16_t *half;
    const float *from_single;
    const uint16_t *from_half;
};

static void round_block(void *context, int64_t index, int worker) {
    (void)worker;
    struct conversion *j = context;
    int64_t end = ck_min64(j->count, (index + 1) * CK_BLOCK);
    for (int64_t i = index * CK_BLOCK; i < end; i++) j->half[i] = ck_bf16_of(j->from_single[i]);
}

static void widen_block(void *context, int64_t index, int worker) {
    (void)worker;
    struct conversion *j = context;
    int64_t end = ck_min64(j->count, (index + 1) * CK_BLOCK);
    for (int64_t i = index * CK_BLOCK; i < end; i++) j->single[i] = ck_float_of_bf16(j->from_half[i]);
}

ck_status ck_cpu_to_bf16(const ck_to_bf16_operands *t, const ck_elementwise_params *p, void *) {
    struct conversion j = {.count = p->count, .half = t->y, .from_single = t->x};
    ck_parallel_for(ck_block_count(j.count), round_block, &j);
    return CK_OK;
}

ck_status ck_cpu_from_bf16(const ck_from_bf16_operands *t, const ck_elementwise_params *p, void *) {
    struct conversion j = {.count = p->count, .single = t->y, .from_half = t->x};
    ck_parallel_for(ck_block_count(j.count), widen_block, &j);
    return CK_OK;
}

// ---- Concatenation ----------------------------------------------------------------------------------------

// Rows of C and of K side by side in `both`, a block of rows to a task; `split` copies the other way.
struct concatenation {
    const ck_dense_params *p;
    const float *a, *b;
    float *both, *da, *db;
    const float *dboth;
};

enum { ROWS = 256 };

static void join_rows(void *context, int64_t index, int worker) {
    (void)worker;
    const struct concatenation *j = context;
    int64_t c = j->p->c, k = j->p->k, end = ck_min64(j->p->n, (index + 1) * ROWS);
    for (int64_t row = index * ROWS; row < end; row++) {
        float *to = j->both + row * (c + k);
        memcpy(to, j->a + row * c, sizeof(float) * (size_t)c);
        memcpy(to + c, j->b + row * k, sizeof(float) * (size_t)k);
    }
}

static void split_rows(void *context, int64_t index, int worker) {
    (void)worker;
    const struct concatenation *j = context;
    int64_t c = j->p->c, k = j->p->k, end = ck_min64(j->p->n, (index + 1) * ROWS);
    for (int64_t row = index * ROWS; row < end; row++) {
        const float *from = j->dboth + row * (c + k);
        memcpy(j->da + row * c, from, sizeof(float) * (size_t)c);
        memcpy(j->db + row * k, from + c, sizeof(float) * (size_t)k);
    }
}

ck_status ck_cpu_concatenate(const ck_concatenate_operands *t, const ck_dense_params *p, void *) {
    struct concatenation j = {.p = p, .a = t->a, .b = t->b, .both = t->y};
    ck_parallel_for(ck_ceil_div(p->n, ROWS), join_rows, &j);
    return CK_OK;
}

ck_status ck_cpu_concatenate_backward(const ck_concatenate_backward_operands *t, const ck_dense_params *p,
                                      void *) {
    struct concatenation j = {.p = p, .dboth = t->dy, .da = t->da, .db = t->db};
    ck_parallel_for(ck_ceil_div(p->n, ROWS), split_rows, &j);
    return CK_OK;
}
