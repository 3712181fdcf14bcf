// Normalizing flows (CPU: flow.c): one block to an image or a row where something is summed over it.
#include "ck_device.cuh"
#include "coupling.h"

CK_KERNEL(256)
ck_dequantize_forward(float *y, float *log_likelihood, const float *x, const ck_step_state *step,
                      ck_image_params p) {
    CK_SHARED(double, shared, 256);
    int64_t n = blockIdx.x, size = (int64_t)p.h * p.w * p.c;
    float margin = p.minimum, scale = 1 - 2 * margin;
    double sum = 0;
    for (int64_t i = 4 * threadIdx.x; i < size; i += 4 * 256) {
        ck_random4 r = ck_philox(step->seed, step->step, ck_batch_row(p.share, step, n),
                                 p.stream + ((uint32_t)(i / 4 + 1) << 12));
        for (int64_t k = i; k < i + 4 && k < size; k++) {
            float u = 0.5f + p.maximum * (ck_uniform(r.v[k - i]) - 0.5f);
            float share = margin + scale * ((255 * x[n * size + k] + u) * (1.0f / 256.0f));
            float first = logf(share), second = log1pf(-share);
            y[n * size + k] = first - second;
            sum -= (double)first + second;
        }
    }
    sum = ck_block_reduce<256>(sum, shared, ck_plus());
    if (threadIdx.x == 0) log_likelihood[n] = (float)(sum + (double)size * log((double)scale));
}

CK_KERNEL(256)
ck_dequantize_backward(float *dx, const float *dy, const float *dlog_likelihood, const float *y,
                       ck_image_params p) {
    int64_t size = (int64_t)p.h * p.w * p.c;
    float slope = (1 - 2 * p.minimum) * (255.0f / 256.0f);
    for (int64_t i = ck_first(); i < p.n * size; i += ck_stride()) {
        float s = 1 / (1 + expf(-y[i])), dlog = dlog_likelihood ? dlog_likelihood[i / size] : 0;
        dx[i] = (dy[i] + dlog * (2 * s - 1)) * slope / (s * (1 - s));
    }
}

CK_DEVICE int64_t image_size(const ck_coupling_params &p) { return (int64_t)p.h * p.w * p.c; }

CK_KERNEL(256) ck_coupling_mask(float *y, const float *x, ck_coupling_params p) {
    int64_t size = image_size(p);
    for (int64_t i = ck_first(); i < p.n * size; i += ck_stride()) y[i] = ck_is_kept(&p, i % size) ? x[i] : 0;
}

CK_KERNEL(256)
ck_coupling_forward(float *y, float *log_likelihood, const float *x, const float *net, const float *factor,
                    const float *before, ck_coupling_params p) {
    CK_SHARED(double, shared, 256);
    int64_t n = blockIdx.x, size = image_size(p);
    x += n * size, y += n * size, net += 2 * n * size;
    double sum = 0;
    for (int64_t i = threadIdx.x; i < size; i += 256) {
        float value = x[i];
        if (!ck_is_kept(&p, i)) {
            const float *own = net + i / p.c * 2 * p.c + i % p.c;
            float s = factor[i % p.c] * tanhf(own[0]);
            value = value * expf(s) + own[p.c];
            sum += s;
        }
        y[i] = value;
    }
    sum = ck_block_reduce<256>(sum, shared, ck_plus());
    if (threadIdx.x == 0) log_likelihood[n] = (float)(sum + (before ? (double)before[n] : 0.0));
}

// The gradient by s of a value that is not kept: of y = x exp(s) + t and of the log-likelihood.
CK_DEVICE float scale_gradient(float dy, float x, float scale, const float *dlog_likelihood, int64_t n) {
    return dy * x * scale + (dlog_likelihood ? dlog_likelihood[n] : 0);
}

CK_KERNEL(256)
ck_coupling_gradient(float *dx, float *dnet, const float *dy, const float *dlog_likelihood, const float *x,
                     const float *net, const float *factor, ck_coupling_params p) {
    int64_t size = image_size(p);
    for (int64_t i = ck_first(); i < p.n * size; i += ck_stride()) {
        int64_t at = i / p.c * 2 * p.c + i % p.c;
        float slope = dy[i], by_net = 0, by_shift = 0;
        if (!ck_is_kept(&p, i % size)) {
            float bent = tanhf(net[at]), scale = expf(factor[i % p.c] * bent);
            by_net = scale_gradient(dy[i], x[i], scale, dlog_likelihood, i / size) * factor[i % p.c] *
                     (1 - bent * bent);
            by_shift = slope;
            slope *= scale;
        }
        dx[i] = slope, dnet[at] = by_net, dnet[at + p.c] = by_shift;
    }
}

// One block to a channel.
CK_KERNEL(256)
ck_coupling_factor_gradient(float *dfactor, const float *dy, const float *dlog_likelihood, const float *x,
                            const float *net, const float *factor, ck_coupling_params p) {
    CK_SHARED(double, shared, 256);
    int64_t c = blockIdx.x, pixels = (int64_t)p.h * p.w;
    double sum = 0;
    for (int64_t pixel = threadIdx.x; pixel < p.n * pixels; pixel += 256) {
        int64_t i = pixel * p.c + c;
        if (ck_is_kept(&p, pixel % pixels * p.c + c)) continue;
        float bent = tanhf(net[2 * pixel * p.c + c]), scale = expf(factor[c] * bent);
        sum += (double)scale_gradient(dy[i], x[i], scale, dlog_likelihood, pixel / pixels) * bent;
    }
    sum = ck_block_reduce<256>(sum, shared, ck_plus());
    if (threadIdx.x == 0) dfactor[c] = (float)sum;
}

// The place in the image of value i of the squeezed one.
CK_DEVICE int64_t unsqueezed(int64_t i, const ck_pool_params &p) {
    int64_t c = i % p.c, part = i / p.c % 4, square = i / p.c / 4, squares = p.w / 2;
    int64_t row = 2 * (square / squares) + part / 2, column = 2 * (square % squares) + part % 2;
    return (row * p.w + column) * p.c + c;
}

CK_KERNEL(256) ck_squeeze_forward(float *y, const float *x, ck_pool_params p) {
    int64_t count = (int64_t)p.n * p.h * p.w * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) y[i] = x[unsqueezed(i, p)];
}

CK_KERNEL(256) ck_squeeze_backward(float *dx, const float *dy, ck_pool_params p) {
    int64_t count = (int64_t)p.n * p.h * p.w * p.c;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) dx[unsqueezed(i, p)] = dy[i];
}

CK_KERNEL(256)
ck_normal_forward(float *log_likelihood, const float *z, const float *before, ck_rows_params p) {
    CK_SHARED(double, shared, 256);
    int64_t n = blockIdx.x;
    double sum = 0;
    for (int64_t i = threadIdx.x; i < p.c; i += 256) sum += (double)z[n * p.c + i] * z[n * p.c + i];
    sum = ck_block_reduce<256>(sum, shared, ck_plus());
    if (threadIdx.x == 0)
        log_likelihood[n] = (float)((before ? (double)before[n] : 0.0) -
                                    0.5 * (sum + (double)p.c * 1.8378770664093454836));  // log 2 pi
}

CK_KERNEL(256)
ck_normal_backward(float *dz, const float *dlog_likelihood, const float *z, ck_rows_params p) {
    for (int64_t i = ck_first(); i < (int64_t)p.n * p.c; i += ck_stride())
        dz[i] = -dlog_likelihood[i / p.c] * z[i];
}

CK_KERNEL(256)
ck_bits_per_dimension_forward(float *loss, float *bits, const float *log_likelihood, ck_likelihood_params p) {
    CK_SHARED(double, shared, 256);
    double sum = 0, factor = 1 / ((double)p.dimensions * log(2.0));
    for (int64_t n = threadIdx.x; n < p.n; n += 256) {
        double own = p.levels - log_likelihood[n] * factor;
        bits[n] = (float)own;
        sum += own;
    }
    sum = ck_block_reduce<256>(sum, shared, ck_plus());
    if (threadIdx.x == 0) *loss = (float)(sum / p.n);
}

CK_KERNEL(256) ck_bits_per_dimension_backward(float *dlog_likelihood, ck_likelihood_params p) {
    float slope = (float)(-1 / ((double)p.n * (double)p.dimensions * log(2.0)));
    for (int64_t n = ck_first(); n < p.n; n += ck_stride()) dlog_likelihood[n] = slope;
}
