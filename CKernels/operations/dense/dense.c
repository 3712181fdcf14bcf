// Fully connected layer, y[N,K] = x[N,C] w[K,C]^T + b: matrix products cut into tasks along the larger output
// dimension.
#include "cpu.h"

enum { TILE = 64 };

struct job {
    const ck_dense_params *p;
    float *product, *db;
    const float *a, *b, *bias;  // the factors: x or dy, and w or x
};

static void forward_columns(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t n = j->p->n, c = j->p->c, k = j->p->k, first = index * TILE, count = ck_min64(TILE, k - first);
    if (j->bias)
        for (int64_t i = 0; i < n; i++)
            memcpy(j->product + i * k + first, j->bias + first, sizeof(float) * (size_t)count);
    ck_gemm(0, 1, n, count, c, j->a, c, j->b + first * c, c, j->bias != NULL, j->product + first, k);
}

ck_status ck_cpu_dense_forward(const ck_dense_forward_operands *t, const ck_dense_params *p, void *) {
    struct job j = {.p = p, .product = t->y, .a = t->x, .b = t->w, .bias = t->b};
    ck_parallel_for(ck_ceil_div(j.p->k, TILE), forward_columns, &j);
    return CK_OK;
}

static void data_columns(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t n = j->p->n, c = j->p->c, k = j->p->k, first = index * TILE, count = ck_min64(TILE, c - first);
    ck_gemm(0, 0, n, count, k, j->a, k, j->b + first, c, 0, j->product + first, c);
}

ck_status ck_cpu_dense_backward_data(const ck_dense_backward_data_operands *t, const ck_dense_params *p,
                                     void *) {
    struct job j = {.p = p, .product = t->dx, .a = t->dy, .b = t->w};
    ck_parallel_for(ck_ceil_div(j.p->c, TILE), data_columns, &j);
    return CK_OK;
}

static void weight_rows(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t n = j->p->n, c = j->p->c, k = j->p->k, first = index * TILE, count = ck_min64(TILE, k - first);
    ck_gemm(1, 0, count, c, n, j->a + first, k, j->b, c, 0, j->product + first * c, c);
    if (!j->db) return;
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int64_t row = 0; row < n; row++) sum += j->a[row * k + first + i];
        j->db[first + i] = (float)sum;
    }
}

ck_status ck_cpu_dense_backward_weight(const ck_dense_backward_weight_operands *t, const ck_dense_params *p,
                                       void *) {
    struct job j = {.p = p, .product = t->dw, .db = t->db, .a = t->dy, .b = t->x};
    ck_parallel_for(ck_ceil_div(j.p->k, TILE), weight_rows, &j);
    return CK_OK;
}
