// Batch normalization with the residual add and the ReLU behind it (CPU: batchnorm.c, where the formulas
// are). Each kernel over the values has four forms: activations in single precision or bf16, and N = 1 value
// at a time or the N values of 16 bytes, for which the channels come to whole vectors and all is aligned.
//
// Sums: in a block, `lanes` threads side by side take N channels each, and the others the rows below them; a
// block's share of the rows gives a part, and the parts are added in double precision. Every sum has one
// order, which follows from the shape.
#include "ck_device.cuh"

enum { THREADS = 256 };

// Goes over rows x `groups` vectors with the channels at hand, without a division for each. Where a step is
// a whole number of rows, a thread's channels stay.
struct walk {
    int64_t i;
    int group, groups, step;
    CK_MEMBER walk(int group_count) {
        groups = group_count;
        i = ck_first();
        group = (int)(i % groups);
        step = (int)(ck_stride() % groups);
    }
    CK_MEMBER void next() {
        i += ck_stride();
        group += step;
        group -= group >= groups ? groups : 0;
    }
};

// The rows of a block and the place of a thread in it.
struct part {
    int64_t row, end;
    int lane, rows, c;  // rows that the block takes at once; the first of the thread's channels
    template <int N> CK_MEMBER static part of(int64_t share, int lanes, int64_t rows) {
        part at;
        int64_t first = (int64_t)blockIdx.x * share;
        at.lane = threadIdx.x % lanes;
        at.rows = THREADS / lanes;
        at.row = first + threadIdx.x / lanes;
        at.end = first + share < rows ? first + share : rows;
        at.c = (int)(blockIdx.y * lanes + at.lane) * N;
        return at;
    }
};

// Adds up each of a block's `lanes` columns of threads, as a tree, and writes a part: [2][channels].
template <int N>
CK_DEVICE void add_part(float *partial, float (&a)[N], float (&b)[N], float *shared, int lanes, int c,
                        int channels) {
    int tid = threadIdx.x;
    for (int k = 0; k < N; k++) {
        shared[2 * k * THREADS + tid] = a[k];
        shared[(2 * k + 1) * THREADS + tid] = b[k];
    }
    __syncthreads();
    for (int half = THREADS / 2; half >= lanes; half /= 2) {
        if (tid < half)
            for (int k = 0; k < 2 * N; k++) shared[k * THREADS + tid] += shared[k * THREADS + tid + half];
        __syncthreads();
    }
    if (tid >= lanes || c >= channels) return;
    for (int k = 0; k < N; k++) {
        a[k] = shared[2 * k * THREADS + tid];
        b[k] = shared[(2 * k + 1) * THREADS + tid];
    }
    float *to = partial + (int64_t)blockIdx.x * 2 * channels + c;
    ck_store(to, a);
    ck_store(to + channels, b);
}

// A thread's sum of its channel's parts: 64 threads to a channel, four channels to a block, for which
// `shared` has 2 * THREADS doubles. The block's first four threads get all of it.
enum { CHANNELS = 4 };

CK_DEVICE void add_parts(double &a, double &b, const float *partial, double *shared, int parts,
                         int channels) {
    int tid = threadIdx.x, c = (int)blockIdx.x * CHANNELS + tid % CHANNELS;
    a = b = 0;
    if (c < channels) {
        enum { AHEAD = 4, STEP = THREADS / CHANNELS };
        const float *from = partial + c;
        int i = tid / CHANNELS;
        for (; i + (AHEAD - 1) * STEP < parts; i += AHEAD * STEP) {
            float u[AHEAD], v[AHEAD];
            for (int k = 0; k < AHEAD; k++) {
                const float *at = from + (int64_t)(i + k * STEP) * 2 * channels;
                u[k] = at[0], v[k] = at[channels];
            }
            for (int k = 0; k < AHEAD; k++) a += u[k], b += v[k];
        }
        for (; i < parts; i += STEP) {
            const float *at = from + (int64_t)i * 2 * channels;
            a += at[0], b += at[channels];
        }
    }
    shared[tid] = a, shared[THREADS + tid] = b;
    __syncthreads();
    for (int half = THREADS / 2; half >= CHANNELS; half /= 2) {
        if (tid < half)
            shared[tid] += shared[tid + half], shared[THREADS + tid] += shared[THREADS + tid + half];
        __syncthreads();
    }
    if (tid < CHANNELS) a = shared[tid], b = shared[THREADS + tid];
}

// Adds up every `share` of the parts in order, which may be many where a convolution has made them.
CK_KERNEL(256)
ck_batchnorm_fold(float *folded, const float *partial, int32_t parts, int32_t share, int32_t columns) {
    CK_SHARED(double, shared, THREADS);
    enum { WIDE = 64, DOWN = THREADS / WIDE, AHEAD = 8 };
    int tid = threadIdx.x, column = (int)blockIdx.y * WIDE + tid % WIDE;
    int first = (int)blockIdx.x * share, end = first + share < parts ? first + share : parts;
    double sum = 0;
    if (column < columns) {
        const float *from = partial + column;
        int i = first + tid / WIDE;
        for (; i + (AHEAD - 1) * DOWN < end; i += AHEAD * DOWN) {
            float v[AHEAD];
            for (int k = 0; k < AHEAD; k++) v[k] = from[(int64_t)(i + k * DOWN) * columns];
            for (int k = 0; k < AHEAD; k++) sum += v[k];
        }
        for (; i < end; i += DOWN) sum += from[(int64_t)i * columns];
    }
    shared[tid] = sum;
    __syncthreads();
    if (tid >= WIDE || column >= columns) return;
    for (int k = 1; k < DOWN; k++) sum += shared[tid + k * WIDE];
    folded[(int64_t)blockIdx.x * columns + column] = (float)sum;
}

// ---- Forward ----------------------------------------------------------------------------------------------

// partial[part][0][c] = sum of x - s, [1][c] = sum of (x - s)^2, where s, which goes to `origin`, is the
// channel's first value: that keeps the squares as exact as a second pass would.
template <class T, int N>
CK_DEVICE void moments(float *partial, float *origin, const void *values, int64_t share, int lanes,
                       const ck_batchnorm_params &p) {
    CK_SHARED(float, shared, 2 * N * THREADS);
    enum { AHEAD = 4 };
    part at = part::of<N>(share, lanes, p.rows);
    float sum[N] = {}, squares[N] = {}, s[N] = {};
    if (at.c < p.channels) {
        const T *x = (const T *)values + at.c;
        ck_load(s, x);
        if (blockIdx.x == 0 && threadIdx.x == at.lane) ck_store(origin + at.c, s);
        int64_t row = at.row;
        for (; row + (AHEAD - 1) * at.rows < at.end; row += AHEAD * at.rows) {
            float v[AHEAD][N];
            for (int i = 0; i < AHEAD; i++) ck_load(v[i], x + (row + i * at.rows) * p.channels);
            for (int i = 0; i < AHEAD; i++)
                for (int k = 0; k < N; k++) {
                    float d = v[i][k] - s[k];
                    sum[k] += d;
                    squares[k] += d * d;
                }
        }
        for (; row < at.end; row += at.rows) {
            float v[N];
            ck_load(v, x + row * p.channels);
            for (int k = 0; k < N; k++) {
                float d = v[k] - s[k];
                sum[k] += d;
                squares[k] += d * d;
            }
        }
    }
    add_part(partial, sum, squares, shared, lanes, at.c, p.channels);
}

// Rows that have been counted: their mean and their sum of squared deviations from it.
struct moment {
    double rows, mean, squares;
};

// The moments of all rows of the block's channel, c; false where the thread has none.
CK_DEVICE bool moment_of(moment &all, int &c, const float *partial, const float *origin, double *shared,
                         int parts, const ck_batchnorm_params &p) {
    double sum, squares;
    add_parts(sum, squares, partial, shared, parts, p.channels);
    c = (int)blockIdx.x * CHANNELS + (int)threadIdx.x;
    if (threadIdx.x >= CHANNELS || c >= p.channels) return false;
    all.rows = (double)p.rows;
    all.mean = origin[c] + sum / all.rows;
    all.squares = squares - sum * sum / all.rows;
    all.squares = all.squares > 0 ? all.squares : all.squares == all.squares ? 0 : all.squares;
    return true;
}

// A channel's statistics, and y's scale and shift.
CK_DEVICE void finish_channel(float *mean, float *inverse_deviation, float *running_mean,
                              float *running_variance, float *scale, float *shift, const float *gamma,
                              const float *beta, int c, const moment &all, const ck_batchnorm_params &p) {
    double variance = all.squares / all.rows, inverse = 1.0 / sqrt(variance + (double)p.epsilon);
    double unbiased = all.rows > 1 ? all.squares / (all.rows - 1) : variance;
    mean[c] = (float)all.mean;
    inverse_deviation[c] = (float)inverse;
    scale[c] = (float)(inverse * gamma[c]);
    shift[c] = (float)(beta[c] - all.mean * inverse * gamma[c]);
    running_mean[c] += p.momentum * ((float)all.mean - running_mean[c]);
    running_variance[c] += p.momentum * ((float)unbiased - running_variance[c]);
}

CK_KERNEL(256)
ck_batchnorm_statistics(float *mean, float *inverse_deviation, float *running_mean, float *running_variance,
                        float *scale, float *shift, const float *partial, const float *origin,
                        const float *gamma, const float *beta, int32_t parts, ck_batchnorm_params p) {
    CK_SHARED(double, shared, 2 * THREADS);
    moment all;
    int c;
    if (!moment_of(all, c, partial, origin, shared, parts, p)) return;
    finish_channel(mean, inverse_deviation, running_mean, running_variance, scale, shift, gamma, beta, c, all,
                   p);
}

// What a rank tells the others of its rows.
CK_KERNEL(256)
ck_batchnorm_own_moments(float *moments, const float *partial, const float *origin, int32_t parts,
                         ck_batchnorm_params p) {
    CK_SHARED(double, shared, 2 * THREADS);
    moment all;
    int c;
    if (!moment_of(all, c, partial, origin, shared, parts, p)) return;
    moments[c] = (float)all.mean;
    moments[p.channels + c] = (float)all.squares;
}

// The statistics from what all ranks have told, by Chan's combination in order of rank.
CK_KERNEL(64)
ck_batchnorm_merge(float *mean, float *inverse_deviation, float *running_mean, float *running_variance,
                   float *scale, float *shift, const float *moments, const float *gamma, const float *beta,
                   ck_batchnorm_params p) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= p.channels) return;
    moment all = {0, 0, 0};
    double rows = (double)p.rows;
    for (int r = 0; r < p.ranks; r++) {
        const float *from = moments + (int64_t)r * 2 * p.channels + c;
        double sum = all.rows + rows, delta = from[0] - all.mean;
        all.mean += delta * rows / sum;
        all.squares += from[p.channels] + delta * delta * all.rows * rows / sum;
        all.rows = sum;
    }
    finish_channel(mean, inverse_deviation, running_mean, running_variance, scale, shift, gamma, beta, c, all,
                   p);
}

// y = x * scale + shift (+ residual), and the ReLU.
template <class T, int N>
CK_DEVICE void normalize(void *results, const void *values, const void *added, const float *scale,
                         const float *shift, const ck_batchnorm_params &p) {
    T *y = (T *)results;
    const T *x = (const T *)values, *residual = (const T *)added;
    int64_t count = p.rows * (p.channels / N);
    walk at(p.channels / N);
    if (at.i >= count) return;
    float a[N], b[N];
    ck_load(a, scale + at.group * N), ck_load(b, shift + at.group * N);
    for (; at.i < count; at.next()) {
        if (at.step) ck_load(a, scale + at.group * N), ck_load(b, shift + at.group * N);
        float v[N], r[N];
        ck_load(v, x + at.i * N);
        if (residual) ck_load(r, residual + at.i * N);
        for (int k = 0; k < N; k++) {
            v[k] = v[k] * a[k] + b[k];
            if (residual) v[k] += r[k];
            if (p.relu) v[k] = v[k] > 0 ? v[k] : 0;
        }
        ck_store(y + at.i * N, v);
    }
}

// ---- Backward ---------------------------------------------------------------------------------------------

// Makes dy, which has been read, what it is behind the ReLU. Whoever reads more than dy does so before: what
// follows the branch would wait for it.
template <class T, int N> CK_DEVICE void pass_relu(float (&g)[N], const T *y) {
    float out[N];
    ck_load(out, y);
    for (int k = 0; k < N; k++) g[k] = out[k] > 0 ? g[k] : 0;
}

// partial[part][0][c] = sum of dy behind the ReLU, [1][c] = sum of dy * (x - mean).
template <class T, int N>
CK_DEVICE void gradient_sums(float *partial, const void *gradients, const void *values, const void *results,
                             const float *mean, int64_t share, int lanes, const ck_batchnorm_params &p) {
    CK_SHARED(float, shared, 2 * N * THREADS);
    enum { AHEAD = 2 };
    part at = part::of<N>(share, lanes, p.rows);
    float s1[N] = {}, s2[N] = {}, m[N];
    if (at.c < p.channels) {
        const T *dy = (const T *)gradients + at.c, *x = (const T *)values + at.c,
                *y = (const T *)results + at.c;
        ck_load(m, mean + at.c);
        int64_t row = at.row;
        for (; row + (AHEAD - 1) * at.rows < at.end; row += AHEAD * at.rows) {
            float g[AHEAD][N], v[AHEAD][N];
            for (int i = 0; i < AHEAD; i++) {
                int64_t from = (row + i * at.rows) * p.channels;
                ck_load(g[i], dy + from);
                ck_load(v[i], x + from);
            }
            if (p.relu)
                for (int i = 0; i < AHEAD; i++) pass_relu(g[i], y + (row + i * at.rows) * p.channels);
            for (int i = 0; i < AHEAD; i++)
                for (int k = 0; k < N; k++) {
                    s1[k] += g[i][k];
                    s2[k] += g[i][k] * (v[i][k] - m[k]);
                }
        }
        for (; row < at.end; row += at.rows) {
            float g[N], v[N];
            ck_load(g, dy + row * p.channels);
            ck_load(v, x + row * p.channels);
            if (p.relu) pass_relu(g, y + row * p.channels);
            for (int k = 0; k < N; k++) {
                s1[k] += g[k];
                s2[k] += g[k] * (v[k] - m[k]);
            }
        }
    }
    add_part(partial, s1, s2, shared, lanes, at.c, p.channels);
}

// dx's factors in rows that gave the sums s1 of dy and s2 of dy * xhat.
CK_DEVICE void gradient_factors(float *scale, float *mean_dy, float *slope, const float *inverse_deviation,
                                const float *gamma, int c, double s1, double s2, double rows) {
    scale[c] = gamma[c] * inverse_deviation[c];
    mean_dy[c] = (float)(s1 / rows);
    slope[c] = (float)(inverse_deviation[c] * s2 / rows);
}

CK_KERNEL(256)
ck_batchnorm_gradient_statistics(float *dgamma, float *dbeta, float *scale, float *mean_dy, float *slope,
                                 const float *partial, const float *inverse_deviation, const float *gamma,
                                 int32_t parts, ck_batchnorm_params p) {
    CK_SHARED(double, shared, 2 * THREADS);
    double s1, s2;
    add_parts(s1, s2, partial, shared, parts, p.channels);
    int c = (int)blockIdx.x * CHANNELS + (int)threadIdx.x;
    if (threadIdx.x >= CHANNELS || c >= p.channels) return;
    s2 *= inverse_deviation[c];
    dbeta[c] = (float)s1;
    dgamma[c] = (float)s2;
    gradient_factors(scale, mean_dy, slope, inverse_deviation, gamma, c, s1, s2, (double)p.rows);
}

// What a rank tells the others of its rows.
CK_KERNEL(256)
ck_batchnorm_own_gradient_sums(float *dgamma, float *dbeta, float *sums, const float *partial,
                               const float *inverse_deviation, int32_t parts, ck_batchnorm_params p) {
    CK_SHARED(double, shared, 2 * THREADS);
    double s1, s2;
    add_parts(s1, s2, partial, shared, parts, p.channels);
    int c = (int)blockIdx.x * CHANNELS + (int)threadIdx.x;
    if (threadIdx.x >= CHANNELS || c >= p.channels) return;
    sums[c] = dbeta[c] = (float)s1;
    sums[p.channels + c] = dgamma[c] = (float)(s2 * inverse_deviation[c]);
}

CK_KERNEL(64)
ck_batchnorm_merge_gradient_sums(float *scale, float *mean_dy, float *slope, const float *sums,
                                 const float *inverse_deviation, const float *gamma, ck_batchnorm_params p) {
    int c = blockIdx.x * 64 + threadIdx.x;
    if (c >= p.channels) return;
    double s1 = 0, s2 = 0;
    for (int r = 0; r < p.ranks; r++) {
        const float *from = sums + (int64_t)r * 2 * p.channels + c;
        s1 += from[0], s2 += from[p.channels];
    }
    gradient_factors(scale, mean_dy, slope, inverse_deviation, gamma, c, s1, s2, (double)p.rows * p.ranks);
}

// dx = scale * (dy behind the ReLU - mean_dy - (x - mean) * slope).
template <class T, int N>
CK_DEVICE void gradient(void *dx, void *dresidual, const void *gradients, const void *values,
                        const void *results, const float *mean, const float *scale, const float *mean_dy,
                        const float *slope, const ck_batchnorm_params &p) {
    const T *dy = (const T *)gradients, *x = (const T *)values, *y = (const T *)results;
    int64_t count = p.rows * (p.channels / N);
    walk at(p.channels / N);
    if (at.i >= count) return;
    float m[N], s[N], d[N], l[N];
    bool is_first = true;
    for (; at.i < count; at.next()) {
        if (is_first || at.step) {
            int c = at.group * N;
            ck_load(m, mean + c), ck_load(s, scale + c), ck_load(d, mean_dy + c), ck_load(l, slope + c);
            is_first = false;
        }
        float g[N], v[N];
        ck_load(g, dy + at.i * N);
        ck_load(v, x + at.i * N);
        if (p.relu) pass_relu(g, y + at.i * N);
        if (dresidual) ck_store((T *)dresidual + at.i * N, g);
        for (int k = 0; k < N; k++) v[k] = s[k] * (g[k] - d[k] - (v[k] - m[k]) * l[k]);
        ck_store((T *)dx + at.i * N, v);
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

template <class T, int N>
CK_DEVICE void inference_gradient(void *dx, void *dresidual, const void *gradients, const void *results,
                                  const float *scale, const ck_batchnorm_params &p) {
    const T *dy = (const T *)gradients, *y = (const T *)results;
    int64_t count = p.rows * (p.channels / N);
    walk at(p.channels / N);
    if (at.i >= count) return;
    float s[N];
    ck_load(s, scale + at.group * N);
    for (; at.i < count; at.next()) {
        if (at.step) ck_load(s, scale + at.group * N);
        float g[N];
        ck_load(g, dy + at.i * N);
        if (p.relu) pass_relu(g, y + at.i * N);
        if (dresidual) ck_store((T *)dresidual + at.i * N, g);
        for (int k = 0; k < N; k++) g[k] *= s[k];
        ck_store((T *)dx + at.i * N, g);
    }
}

// ---- The four forms ---------------------------------------------------------------------------------------

#define FORMS(name, parameters, arguments)                                                                   \
    CK_KERNEL(256) ck_batchnorm_##name parameters { name<float, 1> arguments; }                              \
    CK_KERNEL(256) ck_batchnorm_##name##_wide parameters { name<float, 4> arguments; }                       \
    CK_KERNEL(256) ck_batchnorm_##name##_bf16 parameters { name<uint16_t, 1> arguments; }                    \
    CK_KERNEL(256) ck_batchnorm_##name##_bf16_wide parameters { name<uint16_t, 8> arguments; }

FORMS(moments,
      (float *partial, float *origin, const void *x, int64_t share, int32_t lanes, ck_batchnorm_params p),
      (partial, origin, x, share, lanes, p))
FORMS(normalize,
      (void *y, const void *x, const void *residual, const float *scale, const float *shift,
       ck_batchnorm_params p),
      (y, x, residual, scale, shift, p))
FORMS(gradient_sums,
      (float *partial, const void *dy, const void *x, const void *y, const float *mean, int64_t share,
       int32_t lanes, ck_batchnorm_params p),
      (partial, dy, x, y, mean, share, lanes, p))
FORMS(gradient,
      (void *dx, void *dresidual, const void *dy, const void *x, const void *y, const float *mean,
       const float *scale, const float *mean_dy, const float *slope, ck_batchnorm_params p),
      (dx, dresidual, dy, x, y, mean, scale, mean_dy, slope, p))
FORMS(inference_gradient,
      (void *dx, void *dresidual, const void *dy, const void *y, const float *scale, ck_batchnorm_params p),
      (dx, dresidual, dy, y, scale, p))
