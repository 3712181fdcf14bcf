// SGD with momentum (CPU: sgd.c). The learning rate comes from the step-state block.
#include "ck_device.cuh"

CK_KERNEL(256) ck_sgd(float *w, float *v, const float *dw, const ck_step_state *step, ck_optimizer_params p) {
    float rate = step->learning_rate;
    for (int64_t i = ck_first(); i < p.count; i += ck_stride()) {
        float g = dw[i] + p.weight_decay * w[i], next = p.momentum * v[i] + g;
        v[i] = next;
        w[i] -= rate * (p.nesterov ? g + p.momentum * next : next);
    }
}
