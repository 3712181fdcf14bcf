// Shared by the C sources of CKernels; not part of the public header.
#ifndef CK_INTERNAL_H
#define CK_INTERNAL_H

#include "CKernels.h"

// Records the text for ck_last_error() and returns `status`.
ck_status ck_fail(ck_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

// collectives.c: what collective operations do on host memory. `scratch` is of ck_collective_scratch(p)
// bytes.
uint64_t ck_collective_scratch(const ck_collective_params *p);
// Whether a plan is for the ranks that the device has joined; `c` is NULL where it has joined none.
ck_status ck_check_ranks(const ck_communicator *c, const ck_collective_params *p);
ck_status ck_all_gather(const ck_communicator *c, const ck_collective_params *p, float *all,
                        const float *mine);
ck_status ck_mean_over_ranks(const ck_communicator *c, const ck_collective_params *p, float *x,
                             float *scratch);

// Means that have been begun and are not finished, in the order in which they were begun.
typedef struct ck_begun_mean {
    float *x, *sent, *received;
    int64_t count;
    void *request;
    int is_summed;  // the request is that of the sums
} ck_begun_mean;
typedef struct ck_begun_means {
    ck_begun_mean *all;
    int32_t count, capacity;
} ck_begun_means;
// The same sums as ck_mean_over_ranks, in two: `parts` is two parts for each rank, and is not touched in
// between.
ck_status ck_begin_mean(const ck_communicator *c, ck_begun_means *begun, const ck_collective_params *p,
                        float *x, float *parts);
ck_status ck_finish_mean(const ck_communicator *c, ck_begun_means *begun, const ck_collective_params *p,
                         float *x);
// Takes what has been begun as far as it gets without waiting.
ck_status ck_advance_means(const ck_communicator *c, ck_begun_means *begun);

static inline int64_t ck_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t ck_max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ck_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

#endif
