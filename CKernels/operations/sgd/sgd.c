// Stochastic gradient descent with momentum and an L2 penalty. The learning rate comes from the step-state
// block.
#include "cpu.h"

struct job {
    const ck_optimizer_params *p;
    float *w, *velocity;
    const float *dw;
    float rate;
};

// v = momentum * v + g, g = dw + decay * w;  w -= rate * (nesterov ? g + momentum * v : v)
CK_SIMD static void sgd_floats(float *restrict w, float *restrict v, const float *restrict dw, float rate,
                               float momentum, float decay, int nesterov, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float g = dw[i] + decay * w[i];
        float next = momentum * v[i] + g;
        v[i] = next;
        w[i] -= rate * (nesterov ? g + momentum * next : next);
    }
}

static void sgd_block(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t first = index * CK_BLOCK, count = ck_min64(CK_BLOCK, j->p->count - first);
    sgd_floats(j->w + first, j->velocity + first, j->dw + first, j->rate, j->p->momentum, j->p->weight_decay,
               j->p->nesterov, count);
}

ck_status ck_cpu_sgd(const ck_sgd_operands *t, const ck_optimizer_params *p, void *) {
    struct job j = {.p = p, .w = t->w, .velocity = t->velocity, .dw = t->dw, .rate = t->step->learning_rate};
    ck_parallel_for(ck_block_count(p->count), sgd_block, &j);
    return CK_OK;
}
