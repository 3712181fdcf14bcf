// SGD with momentum and L2 weight decay, and LARS. The learning rate comes from the step-state block.
#include "cpu.h"

struct job {
    const ck_optimizer_params *p;
    float *w, *v;
    const float *dw;
    float rate;   // of the step, times LARS's local rate
    float decay;  // added to the gradient: weight_decay * w
};

// v = momentum * v + g, g = dw + decay * w;  w -= rate * (nesterov ? g + momentum * v : v)
CK_SIMD static void sgd_floats(float *restrict w, float *restrict v, const float *restrict dw, float rate, float momentum,
                               float decay, int nesterov, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float g = dw[i] + decay * w[i];
        float next = momentum * v[i] + g;
        v[i] = next;
        w[i] -= rate * (nesterov ? g + momentum * next : next);
    }
}

// LARS keeps the local rate inside the velocity: v = momentum * v + rate * g;  w -= v
CK_SIMD static void lars_floats(float *restrict w, float *restrict v, const float *restrict dw, float rate,
                                float momentum, float decay, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float next = momentum * v[i] + rate * (dw[i] + decay * w[i]);
        v[i] = next;
        w[i] -= next;
    }
}

static void sgd_block(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t first = index * CK_BLOCK, count = ck_min64(CK_BLOCK, j->p->count - first);
    sgd_floats(j->w + first, j->v + first, j->dw + first, j->rate, j->p->momentum, j->decay, j->p->nesterov, count);
}

static void lars_block(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t first = index * CK_BLOCK, count = ck_min64(CK_BLOCK, j->p->count - first);
    lars_floats(j->w + first, j->v + first, j->dw + first, j->rate, j->p->momentum, j->decay, count);
}

ck_status ck_cpu_sgd(ck_cpu_call call) {
    const ck_step_state *step = call.t[3];
    const ck_optimizer_params *p = &call.p->optimizer;
    struct job j = {p, call.t[0], call.t[1], call.t[2], step->learning_rate, p->weight_decay};
    ck_parallel_for(ck_block_count(p->count), sgd_block, &j);
    return CK_OK;
}

ck_status ck_cpu_lars(ck_cpu_call call) {
    const ck_step_state *step = call.t[3];
    const ck_optimizer_params *p = &call.p->optimizer;
    double *partial = (double *)call.workspace;
    double w = sqrt(ck_cpu_sum_of_squared_differences(call.t[0], NULL, p->count, partial));
    double g = sqrt(ck_cpu_sum_of_squared_differences(call.t[2], NULL, p->count, partial));
    double local = w > 0 && g > 0 ? p->trust * w / (g + p->weight_decay * w) : 1;
    struct job j = {p, call.t[0], call.t[1], call.t[2], (float)(step->learning_rate * local), p->weight_decay};
    ck_parallel_for(ck_block_count(p->count), lars_block, &j);
    return CK_OK;
}
