// Adam with an L2 penalty (CPU: adam.c). The learning rate and the step's number come from the step-state
// block.
#include "ck_device.cuh"

CK_KERNEL(256)
ck_adam(float *w, float *m, float *v, const float *dw, const ck_step_state *step, ck_optimizer_params p) {
    double number = (double)step->step + 1;
    float rate = (float)(step->learning_rate / (1 - pow((double)p.momentum, number)));
    float correction = (float)(1 / sqrt(1 - pow((double)p.beta2, number)));
    for (int64_t i = ck_first(); i < p.count; i += ck_stride()) {
        float g = dw[i] + p.weight_decay * w[i];
        m[i] = p.momentum * m[i] + (1 - p.momentum) * g;
        v[i] = p.beta2 * v[i] + (1 - p.beta2) * g * g;
        w[i] -= rate * m[i] / (sqrtf(v[i]) * correction + 1e-8f);
    }
}
