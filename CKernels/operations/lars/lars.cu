// LARS (CPU: lars.c). The learning rate comes from the step-state block.
#include "ck_device.cuh"

// partial[0 ..< blocks]: squares of w; partial[blocks ..< 2 blocks]: of dw. Every block adds them up for
// itself, in one order.
CK_KERNEL(256)
ck_lars(float *w, float *v, const float *dw, const ck_step_state *step, const double *partial, int64_t blocks,
        ck_optimizer_params p) {
    CK_SHARED(double, shared, 256);
    double sums[2];
    for (int which = 0; which < 2; which++) {
        double sum = 0;
        for (int64_t i = threadIdx.x; i < blocks; i += 256) sum += partial[which * blocks + i];
        sums[which] = sqrt(ck_block_reduce<256>(sum, shared, ck_plus()));
    }
    double local = sums[0] > 0 && sums[1] > 0 ? p.trust * sums[0] / (sums[1] + p.weight_decay * sums[0]) : 1;
    float rate = (float)(step->learning_rate * local);
    for (int64_t i = ck_first(); i < p.count; i += ck_stride()) {
        float next = p.momentum * v[i] + rate * (dw[i] + p.weight_decay * w[i]);
        v[i] = next;
        w[i] -= next;
    }
}
