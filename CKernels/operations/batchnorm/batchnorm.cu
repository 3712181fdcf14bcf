// Batch normalization with the residual add and the ReLU behind it (CPU: batchnorm.c, where the formulas
// are). Sums: a block takes 32 channels and a share of the rows, 8 rows at a time; the blocks' parts are
// combined in order, in double precision.
#include "ck_device.cuh"

enum { LANES = 32, PARTS = 8 };

CK_DEVICE int64_t end_of(int64_t first, int64_t share, int64_t rows) {
    return first + share < rows ? first + share : rows;
}

// Goes over rows x `groups` values with the channel at hand, without a division for each.
struct walk {
    int64_t i;
    int c, groups, step;
    CK_MEMBER walk(int group_count) {
        groups = group_count;
        i = ck_first();
        c = (int)(i % groups);
        step = (int)(ck_stride() % groups);
    }
    CK_MEMBER void next() {
        i += ck_stride();
        c += step;
        c -= c >= groups ? groups : 0;
    }
};

// partial[block][0][c] = sum of x - s, [1][c] = sum of (x - s)^2, where s is the block's first value of the
// channel: that keeps the squares as exact as a second pass would.
CK_KERNEL(256) ck_batchnorm_moments(float *partial, const float *x, int64_t share, ck_batchnorm_params p) {
    CK_SHARED(float, shared, 2 * LANES * PARTS);
    int lane = threadIdx.x % LANES, part = threadIdx.x / LANES, c = blockIdx.y * LANES + lane;
    int64_t first = (int64_t)blockIdx.x * share, end = end_of(first, share, p.rows);
    float sum = 0, squares = 0;
    if (c < p.channels) {
        float shift = x[first * p.channels + c];
        for (int64_t row = first + part; row < end; row += PARTS) {
            float d = x[row * p.channels + c] - shift;
            sum += d;
            squares += d * d;
        }
    }
    shared[threadIdx.x] = sum;
    shared[LANES * PARTS + threadIdx.x] = squares;
    __syncthreads();
    if (part != 0 || c >= p.channels) return;
    for (int i = 1; i < PARTS; i++) {
        sum += shared[i * LANES + lane];
        squares += shared[LANES * PARTS + i * LANES + lane];
    }
    float *to = partial + (int64_t)blockIdx.x * 2 * p.channels + c;
    to[0] = sum;
    to[p.channels] = squares;
}

// One thread to a channel: Chan's combination of the blocks, the statistics, and y's scale and shift.
CK_KERNEL(64)
ck_batchnorm_statistics(float *mean, float *inverse_deviation, float *running_mean, float *running_variance,
                        float *scale, float *shift, const float *partial, const float *x, const float *gamma,
                        const float *beta, int64_t blocks, int64_t share, ck_batchnorm_params p) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= p.channels) return;
    double total = 0, m2 = 0, average = 0;
    for (int64_t b = 0; b < blocks; b++) {
        int64_t first = b * share;
        double count = (double)(end_of(first, share, p.rows) - first), all = total + count;
        double sum = partial[b * 2 * p.channels + c], squares = partial[(b * 2 + 1) * p.channels + c];
        double delta = (double)x[first * p.channels + c] + sum / count - average;
        average += delta * count / all;
        m2 += squares - sum * sum / count + delta * delta * total * count / all;
        total = all;
    }
    m2 = m2 > 0 ? m2 : 0;
    double variance = m2 / total, inverse = 1.0 / sqrt(variance + (double)p.epsilon);
    double unbiased = total > 1 ? m2 / (total - 1) : variance;
    mean[c] = (float)average;
    inverse_deviation[c] = (float)inverse;
    scale[c] = (float)(inverse * gamma[c]);
    shift[c] = (float)(beta[c] - average * inverse * gamma[c]);
    running_mean[c] += p.momentum * ((float)average - running_mean[c]);
    running_variance[c] += p.momentum * ((float)unbiased - running_variance[c]);
}

// y = x * scale + shift (+ residual), and the ReLU.
CK_KERNEL(256)
ck_batchnorm_normalize(float *y, const float *x, const float *residual, const float *scale,
                       const float *shift, ck_batchnorm_params p) {
    int64_t count = p.rows * p.channels;
    for (walk at(p.channels); at.i < count; at.next()) {
        float value = x[at.i] * scale[at.c] + shift[at.c];
        if (residual) value += residual[at.i];
        y[at.i] = p.relu && !(value > 0) ? 0 : value;
    }
}

// The same, four channels at a time; channels is a multiple of 4 and everything is aligned to 16 bytes.
CK_KERNEL(256)
ck_batchnorm_normalize4(float4 *y, const float4 *x, const float4 *residual, const float4 *scale,
                        const float4 *shift, ck_batchnorm_params p) {
    int64_t count = p.rows * p.channels / 4;
    for (walk at(p.channels / 4); at.i < count; at.next()) {
        float4 v = x[at.i], a = scale[at.c], b = shift[at.c];
        v.x = v.x * a.x + b.x, v.y = v.y * a.y + b.y, v.z = v.z * a.z + b.z, v.w = v.w * a.w + b.w;
        if (residual) {
            float4 r = residual[at.i];
            v.x += r.x, v.y += r.y, v.z += r.z, v.w += r.w;
        }
        if (p.relu)
            v.x = fmaxf(v.x, 0.0f), v.y = fmaxf(v.y, 0.0f), v.z = fmaxf(v.z, 0.0f), v.w = fmaxf(v.w, 0.0f);
        y[at.i] = v;
    }
}

// ---- Backward ---------------------------------------------------------------------------------------------

// partial[block][0][c] = sum of dy behind the ReLU, [1][c] = sum of dy * (x - mean).
CK_KERNEL(256)
ck_batchnorm_gradient_sums(float *partial, const float *dy, const float *x, const float *y, const float *mean,
                           int64_t share, ck_batchnorm_params p) {
    CK_SHARED(float, shared, 2 * LANES * PARTS);
    int lane = threadIdx.x % LANES, part = threadIdx.x / LANES, c = blockIdx.y * LANES + lane;
    int64_t first = (int64_t)blockIdx.x * share, end = end_of(first, share, p.rows);
    float s1 = 0, s2 = 0;
    if (c < p.channels) {
        float m = mean[c];
        for (int64_t row = first + part; row < end; row += PARTS) {
            int64_t at = row * p.channels + c;
            float g = !p.relu || y[at] > 0 ? dy[at] : 0;
            s1 += g;
            s2 += g * (x[at] - m);
        }
    }
    shared[threadIdx.x] = s1;
    shared[LANES * PARTS + threadIdx.x] = s2;
    __syncthreads();
    if (part != 0 || c >= p.channels) return;
    for (int i = 1; i < PARTS; i++) {
        s1 += shared[i * LANES + lane];
        s2 += shared[LANES * PARTS + i * LANES + lane];
    }
    float *to = partial + (int64_t)blockIdx.x * 2 * p.channels + c;
    to[0] = s1;
    to[p.channels] = s2;
}

CK_KERNEL(64)
ck_batchnorm_gradient_statistics(float *dgamma, float *dbeta, float *scale, float *mean_dy, float *slope,
                                 const float *partial, const float *inverse_deviation, const float *gamma,
                                 int64_t blocks, ck_batchnorm_params p) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= p.channels) return;
    double s1 = 0, s2 = 0;
    for (int64_t b = 0; b < blocks; b++) {
        s1 += partial[b * 2 * p.channels + c];
        s2 += partial[(b * 2 + 1) * p.channels + c];
    }
    s2 *= inverse_deviation[c];
    dbeta[c] = (float)s1;
    dgamma[c] = (float)s2;
    scale[c] = gamma[c] * inverse_deviation[c];
    mean_dy[c] = (float)(s1 / (double)p.rows);
    slope[c] = (float)(inverse_deviation[c] * s2 / (double)p.rows);
}

CK_DEVICE float gradient_of(float g, float x, float mean, float scale, float mean_dy, float slope) {
    return scale * (g - mean_dy - (x - mean) * slope);
}

CK_KERNEL(256)
ck_batchnorm_gradient(float *dx, float *dresidual, const float *dy, const float *x, const float *y,
                      const float *mean, const float *scale, const float *mean_dy, const float *slope,
                      ck_batchnorm_params p) {
    int64_t count = p.rows * p.channels;
    for (walk at(p.channels); at.i < count; at.next()) {
        int c = at.c;
        float g = !p.relu || y[at.i] > 0 ? dy[at.i] : 0;
        if (dresidual) dresidual[at.i] = g;
        dx[at.i] = gradient_of(g, x[at.i], mean[c], scale[c], mean_dy[c], slope[c]);
    }
}

// The same, four channels at a time.
CK_KERNEL(256)
ck_batchnorm_gradient4(float4 *dx, float4 *dresidual, const float4 *dy, const float4 *x, const float4 *y,
                       const float4 *mean, const float4 *scale, const float4 *mean_dy, const float4 *slope,
                       ck_batchnorm_params p) {
    int64_t count = p.rows * p.channels / 4;
    for (walk at(p.channels / 4); at.i < count; at.next()) {
        float4 g = dy[at.i], v = x[at.i], m = mean[at.c], s = scale[at.c], d = mean_dy[at.c], k = slope[at.c];
        if (p.relu) {
            float4 out = y[at.i];
            g.x = out.x > 0 ? g.x : 0, g.y = out.y > 0 ? g.y : 0, g.z = out.z > 0 ? g.z : 0,
            g.w = out.w > 0 ? g.w : 0;
        }
        if (dresidual) dresidual[at.i] = g;
        v.x = gradient_of(g.x, v.x, m.x, s.x, d.x, k.x), v.y = gradient_of(g.y, v.y, m.y, s.y, d.y, k.y);
        v.z = gradient_of(g.z, v.z, m.z, s.z, d.z, k.z), v.w = gradient_of(g.w, v.w, m.w, s.w, d.w, k.w);
        dx[at.i] = v;
    }
}

// ---- Inference --------------------------------------------------------------------------------------------

// `beta` and `mean` may be NULL where only the scale is wanted.
CK_KERNEL(64)
ck_batchnorm_inference_scale(float *scale, float *shift, const float *gamma, const float *beta,
                             const float *mean, const float *variance, ck_batchnorm_params p) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= p.channels) return;
    double inverse = 1.0 / sqrt((double)variance[c] + (double)p.epsilon);
    scale[c] = (float)(gamma[c] * inverse);
    if (shift) shift[c] = (float)(beta[c] - mean[c] * gamma[c] * inverse);
}

CK_KERNEL(256)
ck_batchnorm_inference_gradient(float *dx, float *dresidual, const float *dy, const float *y,
                                const float *scale, ck_batchnorm_params p) {
    int64_t count = p.rows * p.channels;
    for (walk at(p.channels); at.i < count; at.next()) {
        float g = !p.relu || y[at.i] > 0 ? dy[at.i] : 0;
        if (dresidual) dresidual[at.i] = g;
        dx[at.i] = scale[at.c] * g;
    }
}
