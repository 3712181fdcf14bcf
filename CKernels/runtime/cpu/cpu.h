// Shared by the CPU kernels.
#ifndef CK_CPU_H
#define CK_CPU_H

#define CK_ACTIVATION float
#include "operands.h"
#include <cblas.h>
#include <math.h>
#include <string.h>

// One function to an operation, and where it needs scratch memory one that says how many bytes.
#define OPERATION(name, params, summary)                                                                     \
    ck_status ck_cpu_##name(const ck_##name##_operands *t, const ck_##params##_params *p, void *workspace);
#define WORKSPACE(name, params) uint64_t ck_cpu_workspace_##name(const ck_##params##_params *p);
#include "ck_operations.h"

// Compiles a loop for AVX-512, AVX2+FMA and the baseline, and picks at load time what the machine has.
#if defined(__x86_64__) && defined(__linux__)
#define CK_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CK_SIMD
#endif

// The ranks of the device whose operation the calling thread runs; NULL where it has not joined any.
const ck_communicator *ck_cpu_communicator(void);
// What has been begun with them.
ck_begun_means *ck_cpu_begun_means(void);

// Elementwise work is cut into blocks of this many elements: a fixed number, so that sums do not depend on
// threads.
enum { CK_BLOCK = 16384 };

static inline int64_t ck_block_count(int64_t count) { return ck_ceil_div(count, CK_BLOCK); }

// The sum of (a - b)^2, or of a^2 where b is NULL, in fixed blocks; `partial` is scratch memory of
// ck_cpu_partial_bytes(count).
double ck_cpu_sum_of_squared_differences(const float *a, const float *b, int64_t count, double *partial);
static inline uint64_t ck_cpu_partial_bytes(int64_t count) {
    return sizeof(double) * (uint64_t)ck_block_count(count);
}

// sum[i] = parts[i] + parts[stride + i] + ..., in this order, of `count` parts, for i in from ..< until.
void ck_cpu_add_parts(float *sum, const float *parts, int64_t stride, int64_t count, int64_t from,
                      int64_t until);

// c[m,n] (+)= a[m,k] b, where b is [k,n], or [n,k] when transposed; row-major with leading dimensions.
static inline void ck_gemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, const float *a,
                           int64_t lda, const float *b, int64_t ldb, int accumulate, float *c, int64_t ldc) {
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, a, (int)lda, b,
                (int)ldb, accumulate ? 1.0f : 0.0f, c, (int)ldc);
}

#endif
