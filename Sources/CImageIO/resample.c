// Resampling of RGB images: the rows first, then the columns, in floats. Lanes never mix and no product is
// fused with its sum, so every path gives the same bits.
#include "CImageIO.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wpsabi"

typedef float v4 __attribute__((vector_size(16), aligned(4)));
typedef float v8 __attribute__((vector_size(32), aligned(4)));
typedef int32_t i8 __attribute__((vector_size(32)));
typedef uint8_t u4 __attribute__((vector_size(4)));
typedef uint8_t u8 __attribute__((vector_size(8)));

#define INLINED static inline __attribute__((always_inline))

// For each output pixel the first input pixel that it takes in, how many, and the weights of these.
typedef struct taps {
    int32_t *first, *count;
    float *weights;  // `most` for each output pixel
    int32_t most;
} taps;

static void free_taps(taps *taps) {
    free(taps->first);
    free(taps->count);
    free(taps->weights);
}

static int make_taps(taps *taps, int32_t from, int32_t to) {
    double scale = (double)from / (double)to, support = scale > 1 ? scale : 1;
    taps->most = (int32_t)(2 * support) + 3;
    taps->first = malloc(sizeof(int32_t) * (size_t)to);
    taps->count = malloc(sizeof(int32_t) * (size_t)to);
    taps->weights = malloc(sizeof(float) * (size_t)to * (size_t)taps->most);
    double *row = malloc(sizeof(double) * (size_t)taps->most);
    int enough = taps->first && taps->count && taps->weights && row;
    for (int32_t i = 0; enough && i < to; i++) {
        double center = ((double)i + 0.5) * scale, sum = 0;
        double low_edge = floor(center - support + 0.5), high_edge = floor(center + support + 0.5);
        int32_t low = low_edge > 0 ? (int32_t)low_edge : 0,
                high = high_edge < from ? (int32_t)high_edge : from;
        int32_t count = high > low ? high - low : 1;
        for (int32_t k = 0; k < count; k++) {
            double weight = 1 - fabs(((double)(low + k) + 0.5 - center) / support);
            row[k] = weight > 0 ? weight : 0;
            sum += row[k];
        }
        if (!(sum > 0)) row[0] = sum = count = 1;
        float *weights = taps->weights + (size_t)i * (size_t)taps->most;
        for (int32_t k = 0; k < count; k++) weights[k] = (float)(row[k] / sum);
        taps->first[i] = low < from - 1 ? low : from - 1;
        taps->count[i] = count;
    }
    free(row);
    return enough;
}

typedef struct job {
    const uint8_t *from;
    uint8_t *to;
    cim_rect source, target;
    taps across, down;
    float *sums;      // of an output row
    float *wide;      // two input rows: for each column R, G, B, any of the one, then of the other
    float *ring;      // rows resampled across, 4 floats for each pixel
    int32_t in_ring;  // how many fit: an even number
} job;

// R, G, B and the byte after them.
INLINED v4 widen(const uint8_t *pixel) {
    u4 narrow;
    memcpy(&narrow, pixel, sizeof narrow);
    return __builtin_convertvector(narrow, v4);
}

// The last pixel of a row, after which there may be no byte.
INLINED v4 widen_last(const uint8_t *pixel) { return (v4){pixel[0], pixel[1], pixel[2], 0}; }

// Resamples rows `row` and `row` + 1 across, into their places in the ring; the last of an odd number twice.
INLINED void across_two_rows(const job *job, int32_t row) {
    size_t last = (size_t)job->source.width - 1, out = (size_t)job->target.width;
    const uint8_t *a = job->from + (size_t)row * job->source.stride;
    const uint8_t *b = row + 1 < job->source.height ? a + job->source.stride : a;
    float *restrict wide = job->wide;
    for (size_t x = 0; x < last; x++) {
        *(v4 *)(wide + 8 * x) = widen(a + 3 * x);
        *(v4 *)(wide + 8 * x + 4) = widen(b + 3 * x);
    }
    *(v4 *)(wide + 8 * last) = widen_last(a + 3 * last);
    *(v4 *)(wide + 8 * last + 4) = widen_last(b + 3 * last);

    const int32_t *restrict first = job->across.first, *restrict count = job->across.count;
    const float *restrict weights = job->across.weights;
    size_t most = (size_t)job->across.most;
    float *restrict one = job->ring + (size_t)(row % job->in_ring) * out * 4, *restrict two = one + out * 4;
    for (size_t x = 0; x < out; x++, weights += most) {
        const float *pixels = wide + 8 * (size_t)first[x];
        v8 sum = {0};
        for (int32_t k = 0; k < count[x]; k++) sum += weights[k] * *(const v8 *)(pixels + 8 * k);
        *(v4 *)(one + 4 * x) = __builtin_shufflevector(sum, sum, 0, 1, 2, 3);
        *(v4 *)(two + 4 * x) = __builtin_shufflevector(sum, sum, 4, 5, 6, 7);
    }
}

// One output row: the sums of its rows in the ring, eight floats of each at a time.
INLINED void down_one_row(const job *job, int32_t row) {
    const float *restrict weights = job->down.weights + (size_t)row * (size_t)job->down.most;
    int32_t count = job->down.count[row], first = job->down.first[row] % job->in_ring;
    size_t width = (size_t)job->target.width, line = width * 4;
    float *restrict sums = job->sums;
    for (size_t i = 0; i < line; i++) sums[i] = 0.5f;
    for (int32_t k = 0, place = first; k < count; k++) {
        const float *restrict from = job->ring + (size_t)place * line;
        float weight = weights[k];
        for (size_t i = 0; i < line; i++) sums[i] += weight * from[i];
        if (++place == job->in_ring) place = 0;
    }
    uint8_t *restrict to = job->to + (size_t)row * job->target.stride;
    for (size_t x = 0; x < width; x++)
        for (size_t c = 0; c < 3; c++) to[3 * x + c] = (uint8_t)(int32_t)sums[4 * x + c];
}

INLINED void resample(const job *job) {
    int32_t known = 0;
    for (int32_t row = 0; row < job->target.height; row++) {
        int32_t end = job->down.first[row] + job->down.count[row];
        for (; known < end; known += 2) across_two_rows(job, known);
        down_one_row(job, row);
    }
}

static void resample_plain(const job *job) { resample(job); }

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void resample_avx2(const job *job) { resample(job); }
#endif

int cim_resample(const uint8_t *from, cim_rect source, uint8_t *to, cim_rect target, int portable) {
    job job = {.from = from, .to = to, .source = source, .target = target};
    int enough = make_taps(&job.across, source.width, target.width) &
                 make_taps(&job.down, source.height, target.height);
    // A pair may begin up to one row before the first row that is needed, and end one after the last.
    job.in_ring = (job.down.most + 3) / 2 * 2;
    job.wide = malloc(sizeof(float) * 8 * (size_t)source.width);
    job.ring = malloc(sizeof(float) * (size_t)job.in_ring * (size_t)target.width * 4);
    job.sums = malloc(sizeof(float) * (size_t)target.width * 4);
    enough = enough && job.wide && job.ring && job.sums;
    if (enough) {
#if defined(__x86_64__)
        if (!portable && __builtin_cpu_supports("avx2"))
            resample_avx2(&job);
        else
#endif
            resample_plain(&job);
    }
    (void)portable;
    free_taps(&job.across);
    free_taps(&job.down);
    free(job.wide);
    free(job.ring);
    free(job.sums);
    return enough;
}
