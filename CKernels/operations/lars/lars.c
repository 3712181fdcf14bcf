// Layer-wise adaptive rate scaling (You et al. 2017): a parameter's rate is multiplied by trust * |w| / (|dw|
// + decay * |w|). The learning rate comes from the step-state block.
#include "cpu.h"

struct job {
    const ck_optimizer_params *p;
    float *w, *velocity;
    const float *dw;
    float rate;  // of the step, times the parameter's own
};

// The rate is inside the velocity: v = momentum * v + rate * (dw + decay * w);  w -= v
CK_SIMD static void lars_floats(float *restrict w, float *restrict v, const float *restrict dw, float rate,
                                float momentum, float decay, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float next = momentum * v[i] + rate * (dw[i] + decay * w[i]);
        v[i] = next;
        w[i] -= next;
    }
}

static void lars_block(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t first = index * CK_BLOCK, count = ck_min64(CK_BLOCK, j->p->count - first);
    lars_floats(j->w + first, j->velocity + first, j->dw + first, j->rate, j->p->momentum, j->p->weight_decay,
                count);
}

ck_status ck_cpu_lars(const ck_lars_operands *t, const ck_optimizer_params *p, void *workspace) {
    double w = sqrt(ck_cpu_sum_of_squared_differences(t->w, NULL, p->count, workspace));
    double g = sqrt(ck_cpu_sum_of_squared_differences(t->dw, NULL, p->count, workspace));
    double local = w > 0 && g > 0 ? p->trust * w / (g + p->weight_decay * w) : 1;
    struct job j = {.p = p,
                    .w = t->w,
                    .velocity = t->velocity,
                    .dw = t->dw,
                    .rate = (float)(t->step->learning_rate * local)};
    ck_parallel_for(ck_block_count(p->count), lars_block, &j);
    return CK_OK;
}

uint64_t ck_cpu_workspace_lars(const ck_optimizer_params *p) { return ck_cpu_partial_bytes(p->count); }
