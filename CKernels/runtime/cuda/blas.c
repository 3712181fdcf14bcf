// Matrix products by cuBLASLt. It counts columns first; a row-major product is its product of the transposes.
#include "cuda.h"

enum {  // cublasComputeType_t, cudaDataType, cublasLt attributes
    COMPUTE_32F = 68,
    COMPUTE_32F_FAST_16BF = 75,
    COMPUTE_32F_FAST_TF32 = 77,
    TYPE_32F = 0,
    DESC_TRANSA = 3,
    DESC_TRANSB = 4,
    DESC_EPILOGUE = 7,
    DESC_BIAS_POINTER = 8,
    EPILOGUE_BIAS = 4,
    PREFERENCE_WORKSPACE = 1,
    PREFERENCE_ALIGNMENT_A = 5,
    PREFERENCE_ALIGNMENT_B = 6,
    PREFERENCE_ALIGNMENT_C = 7,
    PREFERENCE_ALIGNMENT_D = 8,
};

static uint32_t alignment(const void *a) {
    uintptr_t bits = (uintptr_t)a & -(uintptr_t)a;
    return bits == 0 || bits > 256 ? 256 : (uint32_t)bits;
}

// How many of the algorithms that the heuristic names are tried.
enum { ALGORITHMS = 4 };

// Multiplies, with the bias in the epilogue or without. `found` is how many algorithms there were.
static ck_cu_result multiply(ck_cuda_state *cuda, const ck_product *p, const void *bias, int *found) {
    const ck_cuda_driver *d = cuda->driver;
    ck_lt_desc desc = NULL;
    ck_lt_layout first = NULL, second = NULL, result = NULL;
    ck_lt_preference preference = NULL;
    ck_lt_heuristic algorithms[ALGORITHMS];
    int compute = p->math == CK_MATH_STRICT ? COMPUTE_32F
                  : p->math == CK_MATH_BF16 ? COMPUTE_32F_FAST_16BF
                                            : COMPUTE_32F_FAST_TF32;
    int32_t transpose_first = p->transpose_b, transpose_second = p->transpose_a, epilogue = EPILOGUE_BIAS;
    size_t workspace = CK_BLAS_WORKSPACE;
    uint32_t align_a = alignment(p->b), align_b = alignment(p->a), align_c = alignment(p->c);
    float alpha = 1, beta = p->accumulate ? 1 : 0;
    *found = 0;
    ck_cu_result error = d->lt_desc_create(&desc, compute, TYPE_32F);
    if (!error) error = d->lt_desc_set(desc, DESC_TRANSA, &transpose_first, sizeof transpose_first);
    if (!error) error = d->lt_desc_set(desc, DESC_TRANSB, &transpose_second, sizeof transpose_second);
    if (!error && bias) error = d->lt_desc_set(desc, DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (!error && bias) error = d->lt_desc_set(desc, DESC_BIAS_POINTER, &bias, sizeof bias);
    // A row-major [rows, columns] is a column-major [columns, rows].
    if (!error)
        error = d->lt_layout_create(&first, TYPE_32F, (uint64_t)(p->transpose_b ? p->k : p->n),
                                    (uint64_t)(p->transpose_b ? p->n : p->k), p->ldb);
    if (!error)
        error = d->lt_layout_create(&second, TYPE_32F, (uint64_t)(p->transpose_a ? p->m : p->k),
                                    (uint64_t)(p->transpose_a ? p->k : p->m), p->lda);
    if (!error) error = d->lt_layout_create(&result, TYPE_32F, (uint64_t)p->n, (uint64_t)p->m, p->ldc);
    if (!error) error = d->lt_preference_create(&preference);
    if (!error) error = d->lt_preference_set(preference, PREFERENCE_WORKSPACE, &workspace, sizeof workspace);
    if (!error) error = d->lt_preference_set(preference, PREFERENCE_ALIGNMENT_A, &align_a, sizeof align_a);
    if (!error) error = d->lt_preference_set(preference, PREFERENCE_ALIGNMENT_B, &align_b, sizeof align_b);
    if (!error) error = d->lt_preference_set(preference, PREFERENCE_ALIGNMENT_C, &align_c, sizeof align_c);
    if (!error) error = d->lt_preference_set(preference, PREFERENCE_ALIGNMENT_D, &align_c, sizeof align_c);
    if (!error)
        error = d->lt_heuristic(cuda->blas, desc, first, second, result, result, preference, ALGORITHMS,
                                algorithms, found);
    if (error) *found = 0;
    for (int i = 0; i < *found; i++) {
        error = d->lt_matmul(cuda->blas, desc, &alpha, p->b, first, p->a, second, &beta, p->c, result, p->c,
                             result, &algorithms[i].algorithm, (void *)(uintptr_t)cuda->blas_workspace,
                             workspace, cuda->stream);
        if (!error) break;
    }
    if (preference) d->lt_preference_destroy(preference);
    if (result) d->lt_layout_destroy(result);
    if (second) d->lt_layout_destroy(second);
    if (first) d->lt_layout_destroy(first);
    if (desc) d->lt_desc_destroy(desc);
    return error;
}

// Where cuBLASLt has no algorithm with the bias, as for odd shapes in single precision, a kernel adds it.
ck_status ck_cuda_multiply(ck_cuda_state *cuda, const ck_product *p) {
    int found = 0;
    ck_cu_result error = multiply(cuda, p, p->bias, &found);
    if (p->bias && (error || found == 0)) {
        error = multiply(cuda, p, NULL, &found);
        if (!error && found > 0)
            return CK_LAUNCH(cuda, ck_dense_add_bias, ck_elements(p->m * p->n), .c = p->c, .bias = p->bias,
                             .rows = p->m, .columns = p->n, .leading = p->ldc);
    }
    if (!error && found == 0)
        return ck_fail(CK_INTERNAL_ERROR, "cuBLASLt has no algorithm for a product of %lld x %lld x %lld",
                       (long long)p->m, (long long)p->n, (long long)p->k);
    return error ? ck_fail(CK_INTERNAL_ERROR, "cuBLASLt failed a product of %lld x %lld x %lld (status %d)",
                           (long long)p->m, (long long)p->n, (long long)p->k, error)
                 : CK_OK;
}
