// Squared distances of rows from their targets, or from one center, and the loss that holds a share of them
// within a sphere (Ruff et al., "Deep one-class classification", ICML 2018).
#include "cpu.h"

enum { ROWS = 64 };  // rows to a task

struct job {
    const ck_distance_params *p;
    float *d, *dx, *dtarget;  // results
    const float *x, *target, *dd;
};

static const float *target_of(const struct job *j, int64_t row) {
    return j->target + (j->p->targets == 1 ? 0 : row * j->p->c);
}

static void distances(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t c = j->p->c, end = ck_min64(j->p->n, (index + 1) * ROWS);
    for (int64_t row = index * ROWS; row < end; row++) {
        const float *x = j->x + row * c, *target = target_of(j, row);
        double sum = 0;
        for (int64_t i = 0; i < c; i++) {
            double gap = (double)x[i] - target[i];
            sum += gap * gap;
        }
        j->d[row] = (float)(j->p->factor * sum);
    }
}

static void gradients(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t c = j->p->c, end = ck_min64(j->p->n, (index + 1) * ROWS);
    for (int64_t row = index * ROWS; row < end; row++) {
        const float *x = j->x + row * c, *target = target_of(j, row);
        float factor = 2 * j->p->factor * j->dd[row];
        for (int64_t i = 0; i < c; i++) {
            float slope = factor * (x[i] - target[i]);
            j->dx[row * c + i] = slope;
            if (j->dtarget) j->dtarget[row * c + i] = -slope;
        }
    }
}

ck_status ck_cpu_row_distance_forward(const ck_row_distance_forward_operands *t, const ck_distance_params *p,
                                      void *) {
    struct job j = {.p = p, .d = t->d, .x = t->x, .target = t->target};
    ck_parallel_for(ck_ceil_div(p->n, ROWS), distances, &j);
    return CK_OK;
}

ck_status ck_cpu_row_distance_backward(const ck_row_distance_backward_operands *t,
                                       const ck_distance_params *p, void *) {
    struct job j = {.p = p, .dx = t->dx, .dtarget = t->dtarget, .x = t->x, .target = t->target, .dd = t->dd};
    ck_parallel_for(ck_ceil_div(p->n, ROWS), gradients, &j);
    return CK_OK;
}

ck_status ck_cpu_soft_boundary_forward(const ck_soft_boundary_forward_operands *t,
                                       const ck_boundary_params *p, void *) {
    double radius = t->radius ? *t->radius : 0, beyond = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (!t->radius || !(t->d[i] <= radius)) beyond += t->d[i] - radius;  // of NaN too
    *t->loss = (float)(radius + beyond / ((double)p->nu * p->n));
    return CK_OK;
}

ck_status ck_cpu_soft_boundary_backward(const ck_soft_boundary_backward_operands *t,
                                        const ck_boundary_params *p, void *) {
    float slope = (float)(1 / ((double)p->nu * p->n));
    for (int64_t i = 0; i < p->n; i++) t->dd[i] = t->radius && t->d[i] <= *t->radius ? 0 : slope;
    return CK_OK;
}

// The quantile of the distances' roots is between two of them, whose places follow from how many are lower.
ck_status ck_cpu_boundary_update(const ck_boundary_update_operands *t, const ck_boundary_params *p, void *) {
    if (t->step->step < (uint64_t)p->after) return CK_OK;
    double place = (1 - (double)p->nu) * (p->n - 1);
    int64_t low = (int64_t)place, high = low + 1 < p->n ? low + 1 : low;
    double below = 0, above = 0;
    for (int64_t i = 0; i < p->n; i++) {
        int64_t lower = 0;
        for (int64_t k = 0; k < p->n; k++) lower += t->d[k] < t->d[i] || (t->d[k] == t->d[i] && k < i);
        if (lower == low) below = sqrt((double)t->d[i]);
        if (lower == high) above = sqrt((double)t->d[i]);
    }
    double radius = below + (place - (double)low) * (above - below);
    *t->radius = (float)(radius * radius);
    return CK_OK;
}
