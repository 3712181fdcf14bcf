// Shared by the CPU kernels.
#ifndef CK_CPU_H
#define CK_CPU_H

#include "../internal.h"
#include <cblas.h>
#include <math.h>
#include <string.h>

// One call of an operation: its tensors in the order of CK_OPERATIONS, its parameters, and its scratch memory.
typedef struct ck_cpu_call {
    void *const *t;
    const ck_operation_params *p;
    uint8_t *workspace;
} ck_cpu_call;

// One function to an operation, and one to a kind of scratch memory, which says how many bytes an operation needs.
#define CK_DECLARE_CPU(name, tensors, workspace)                                                                       \
    ck_status ck_cpu_##name(ck_cpu_call call);                                                                         \
    uint64_t ck_cpu_workspace_##workspace(const ck_operation *operation);
CK_OPERATIONS(CK_DECLARE_CPU)
#undef CK_DECLARE_CPU

// Compiles a loop for AVX-512, AVX2+FMA and the baseline, and picks at load time what the machine has.
#if defined(__x86_64__) && defined(__linux__)
#define CK_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CK_SIMD
#endif

// Elementwise work is cut into blocks of this many elements: a fixed number, so that sums do not depend on threads.
enum { CK_BLOCK = 16384 };

static inline int64_t ck_block_count(int64_t count) { return ck_ceil_div(count, CK_BLOCK); }

// The sum of (a - b)^2, or of a^2 where b is NULL, in fixed blocks; `partial` holds ck_block_count(count) doubles.
double ck_cpu_sum_of_squared_differences(const float *a, const float *b, int64_t count, double *partial);

// sum[i] = parts[i] + parts[stride + i] + ..., in this order, of `count` parts, for i in from ..< until.
void ck_cpu_add_parts(float *sum, const float *parts, int64_t stride, int64_t count, int64_t from, int64_t until);

// c[m,n] (+)= a[m,k] b, where b is [k,n], or [n,k] when transposed; row-major with leading dimensions.
static inline void ck_gemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, const float *a,
                           int64_t lda, const float *b, int64_t ldb, int accumulate, float *c, int64_t ldc) {
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, (int)m,
                (int)n, (int)k, 1.0f, a, (int)lda, b, (int)ldb, accumulate ? 1.0f : 0.0f, c, (int)ldc);
}

#endif
