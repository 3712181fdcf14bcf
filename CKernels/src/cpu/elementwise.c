// ReLU, add, mean squared error and sums: one pass over contiguous floats in fixed blocks.
#include "cpu.h"

struct job {
    int64_t count;
    float *y;
    const float *a, *b;
    double *partial;
    float factor;
};

#define BLOCK_TASK(name)                                                                                               \
    static void name##_task(void *context, int64_t index, int worker) {                                                \
        (void)worker;                                                                                                  \
        struct job *j = context;                                                                                       \
        int64_t first = index * CK_BLOCK;                                                                              \
        name(j, index, first, ck_min64(CK_BLOCK, j->count - first));                                                   \
    }

CK_SIMD static void add_floats(float *restrict y, const float *restrict a, const float *restrict b, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

CK_SIMD static void relu_floats(float *restrict y, const float *restrict x, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

CK_SIMD static void relu_gradient(float *restrict dx, const float *restrict dy, const float *restrict y, int64_t count) {
    for (int64_t i = 0; i < count; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

CK_SIMD static void scaled_difference(float *restrict y, const float *restrict a, const float *restrict b, float factor,
                                      int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] = factor * (a[i] - b[i]);
}

// Sixteen running sums, so that the loop vectorises without changing its order from machine to machine.
#define DEFINE_SQUARES(name, parameters, term)                                                                         \
    CK_SIMD static double name parameters {                                                                            \
        double sum[16] = {0}, total = 0;                                                                               \
        int64_t first = 0;                                                                                             \
        for (; first + 16 <= count; first += 16)                                                                       \
            for (int64_t l = 0; l < 16; l++) {                                                                         \
                int64_t i = first + l;                                                                                 \
                double d = term;                                                                                       \
                sum[l] += d * d;                                                                                       \
            }                                                                                                          \
        for (int64_t i = first; i < count; i++) {                                                                      \
            double d = term;                                                                                           \
            sum[i % 16] += d * d;                                                                                      \
        }                                                                                                              \
        for (int64_t l = 0; l < 16; l++) total += sum[l];                                                              \
        return total;                                                                                                  \
    }
DEFINE_SQUARES(squares, (const float *restrict a, int64_t count), (double)a[i])
DEFINE_SQUARES(squared_differences, (const float *restrict a, const float *restrict b, int64_t count),
               (double)a[i] - (double)b[i])

static void add_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    add_floats(j->y + first, j->a + first, j->b + first, count);
}
static void relu_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    relu_floats(j->y + first, j->a + first, count);
}
static void relu_gradient_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    relu_gradient(j->y + first, j->a + first, j->b + first, count);
}
static void difference_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    (void)index;
    scaled_difference(j->y + first, j->a + first, j->b + first, j->factor, count);
}
static void squares_block(struct job *j, int64_t index, int64_t first, int64_t count) {
    j->partial[index] = j->b ? squared_differences(j->a + first, j->b + first, count) : squares(j->a + first, count);
}

BLOCK_TASK(add_block)
BLOCK_TASK(relu_block)
BLOCK_TASK(relu_gradient_block)
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

ck_status ck_cpu_add(ck_cpu_call call) {
    struct job j = {.count = call.p->elementwise.count, .y = call.t[0], .a = call.t[1], .b = call.t[2]};
    ck_parallel_for(ck_block_count(j.count), add_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_relu_forward(ck_cpu_call call) {
    struct job j = {.count = call.p->elementwise.count, .y = call.t[0], .a = call.t[1]};
    ck_parallel_for(ck_block_count(j.count), relu_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_relu_backward(ck_cpu_call call) {
    struct job j = {.count = call.p->elementwise.count, .y = call.t[0], .a = call.t[1], .b = call.t[2]};
    ck_parallel_for(ck_block_count(j.count), relu_gradient_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_mean_squared_error_forward(ck_cpu_call call) {
    int64_t count = call.p->elementwise.count;
    double sum = ck_cpu_sum_of_squared_differences(call.t[1], call.t[2], count, (double *)call.workspace);
    *(float *)call.t[0] = (float)(sum / (double)count);
    return CK_OK;
}

ck_status ck_cpu_mean_squared_error_backward(ck_cpu_call call) {
    struct job j = {.count = call.p->elementwise.count, .y = call.t[0], .a = call.t[1], .b = call.t[2]};
    j.factor = 2.0f / (float)j.count;
    ck_parallel_for(ck_block_count(j.count), difference_block_task, &j);
    return CK_OK;
}

ck_status ck_cpu_sum_of_squares(ck_cpu_call call) {
    int64_t count = call.p->elementwise.count;
    double sum = ck_cpu_sum_of_squared_differences(call.t[1], NULL, count, (double *)call.workspace);
    *(float *)call.t[0] = (float)sum;
    return CK_OK;
}

uint64_t ck_cpu_workspace_reduce(const ck_operation *operation) {
    int64_t count = operation->kind == CK_KIND_lars ? operation->params.optimizer.count
                                                    : operation->params.elementwise.count;
    return sizeof(double) * (uint64_t)ck_block_count(count);
}
