// Squared distances of rows, and the loss that holds a share of them within a sphere (CPU: distance.c).
#include "ck_device.cuh"

CK_DEVICE const float *target_of(const float *target, int64_t row, ck_distance_params p) {
    return target + (p.targets == 1 ? 0 : row * p.c);
}

CK_KERNEL(128) ck_row_distance_forward(float *d, const float *x, const float *target, ck_distance_params p) {
    CK_SHARED(double, shared, 128);
    int64_t row = blockIdx.x;
    const float *own = x + row * p.c, *from = target_of(target, row, p);
    double sum = 0;
    for (int i = threadIdx.x; i < p.c; i += 128) {
        double gap = (double)own[i] - from[i];
        sum += gap * gap;
    }
    sum = ck_block_reduce<128>(sum, shared, ck_plus());
    if (threadIdx.x == 0) d[row] = (float)(p.factor * sum);
}

CK_KERNEL(256)
ck_row_distance_backward(float *dx, float *dtarget, const float *dd, const float *x, const float *target,
                         ck_distance_params p) {
    for (int64_t i = ck_first(); i < (int64_t)p.n * p.c; i += ck_stride()) {
        int64_t row = i / p.c;
        float slope = 2 * p.factor * dd[row] * (x[i] - target_of(target, row, p)[i % p.c]);
        dx[i] = slope;
        if (dtarget) dtarget[i] = -slope;
    }
}

// One block.
CK_KERNEL(256)
ck_soft_boundary_forward(float *loss, const float *d, const float *radius, ck_boundary_params p) {
    CK_SHARED(double, shared, 256);
    double within = radius ? *radius : 0, sum = 0;
    for (int i = threadIdx.x; i < p.n; i += 256)
        if (!radius || !(d[i] <= within)) sum += d[i] - within;  // of NaN too
    sum = ck_block_reduce<256>(sum, shared, ck_plus());
    if (threadIdx.x == 0) *loss = (float)(within + sum / ((double)p.nu * p.n));
}

CK_KERNEL(256)
ck_soft_boundary_backward(float *dd, const float *d, const float *radius, ck_boundary_params p) {
    float slope = (float)(1 / ((double)p.nu * p.n));
    for (int64_t i = ck_first(); i < p.n; i += ck_stride()) dd[i] = radius && d[i] <= *radius ? 0 : slope;
}

// One block. The quantile of the distances' roots is between two of them, whose places follow from how many
// are lower.
CK_KERNEL(256)
ck_boundary_update(float *radius, const float *d, const ck_step_state *step, ck_boundary_params p) {
    CK_SHARED(double, found, 2);
    if (step->step < (uint64_t)p.after) return;
    double place = (1 - (double)p.nu) * (p.n - 1);
    int low = (int)place, high = low + 1 < p.n ? low + 1 : low;
    for (int i = threadIdx.x; i < p.n; i += 256) {
        int lower = 0;
        for (int k = 0; k < p.n; k++) lower += d[k] < d[i] || (d[k] == d[i] && k < i);
        if (lower == low) found[0] = sqrt((double)d[i]);
        if (lower == high) found[1] = sqrt((double)d[i]);
    }
    __syncthreads();
    if (threadIdx.x > 0) return;
    double quantile = found[0] + (place - low) * (found[1] - found[0]);
    *radius = (float)(quantile * quantile);
}
