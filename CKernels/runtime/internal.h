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

static inline int64_t ck_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t ck_max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ck_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

#endif
