// Adam (Kingma & Ba, ICLR 2015) with an L2 penalty. The learning rate and the step's number come from the
// step-state block.
#include "cpu.h"

struct job {
    const ck_optimizer_params *p;
    float *w, *velocity, *squares;
    const float *dw;
    float rate;        // of the step, by the velocity's share that has come in so far
    float correction;  // of the squares' root, by theirs
};

static const float epsilon = 1e-8f;

// g = dw + decay * w;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
// w -= rate / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + epsilon)
CK_SIMD static void adam_floats(float *restrict w, float *restrict m, float *restrict v,
                                const float *restrict dw, float rate, float correction, float b1, float b2,
                                float decay, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float g = dw[i] + decay * w[i];
        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        w[i] -= rate * m[i] / (sqrtf(v[i]) * correction + epsilon);
    }
}

static void adam_block(void *context, int64_t index, int worker) {
    (void)worker;
    struct job *j = context;
    int64_t first = index * CK_BLOCK, count = ck_min64(CK_BLOCK, j->p->count - first);
    adam_floats(j->w + first, j->velocity + first, j->squares + first, j->dw + first, j->rate, j->correction,
                j->p->momentum, j->p->beta2, j->p->weight_decay, count);
}

ck_status ck_cpu_adam(const ck_adam_operands *t, const ck_optimizer_params *p, void *) {
    double number = (double)t->step->step + 1;
    struct job j = {.p = p,
                    .w = t->w,
                    .velocity = t->velocity,
                    .squares = t->squares,
                    .dw = t->dw,
                    .rate = (float)(t->step->learning_rate / (1 - pow(p->momentum, number))),
                    .correction = (float)(1 / sqrt(1 - pow(p->beta2, number)))};
    ck_parallel_for(ck_block_count(p->count), adam_block, &j);
    return CK_OK;
}
