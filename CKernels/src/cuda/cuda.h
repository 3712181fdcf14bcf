// Shared by the CUDA backend: the device's state, how a kernel is launched, and one launcher for every operation.
#ifndef CK_CUDA_INTERNAL_H
#define CK_CUDA_INTERNAL_H

#include "../../include/ck_cuda.h"
#include "../../kernels/ck_kernels.h"
#include "../internal.h"

typedef enum ck_kernel_source {
#define CK_SOURCE_ID(name) CK_SOURCE_##name,
    CK_KERNEL_SOURCES(CK_SOURCE_ID)
#undef CK_SOURCE_ID
    CK_SOURCE_COUNT
} ck_kernel_source;

typedef enum ck_kernel {
#define CK_KERNEL_ID(source, name) CK_LAUNCH_##name,
    CK_KERNELS(CK_KERNEL_ID)
#undef CK_KERNEL_ID
    CK_KERNEL_COUNT
} ck_kernel;

extern const struct ck_kernel_name {
    ck_kernel_source source;
    const char *name;
} ck_kernel_names[CK_KERNEL_COUNT];

enum { CK_BLAS_WORKSPACE = 32 << 20 };  // bytes: what NVIDIA recommends for Hopper

typedef struct ck_cuda_state {
    const ck_cuda_driver *driver;
    ck_cuda_properties properties;
    ck_cu_device device;
    ck_cu_context context;
    ck_cu_stream stream;
    ck_lt_handle blas;
    ck_cu_pointer blas_workspace;
    ck_cu_module modules[CK_SOURCE_COUNT];
    ck_cu_function functions[CK_KERNEL_COUNT];
} ck_cuda_state;

// CK_OK, or the error with what was being done.
ck_status ck_cuda_check(const ck_cuda_driver *driver, ck_cu_result result, const char *what);

// compiler.c: the compiled source for an architecture (90 for sm_90), from the cache or from the compiler; free() it.
ck_status ck_cuda_compile(const ck_cuda_driver *driver, ck_kernel_source source, int architecture, const char *folder,
                          uint8_t **cubin, uint64_t *bytes);

// One call of an operation.
typedef struct ck_cuda_call {
    ck_cuda_state *cuda;
    ck_kind kind;
    void *const *t;  // addresses on the device
    const ck_operation_params *p;
    uint8_t *workspace;
} ck_cuda_call;

typedef struct ck_grid {
    int64_t x, y, z;
} ck_grid;

// Puts a kernel on the stream; `arguments` are the addresses of its parameters.
ck_status ck_cuda_launch(ck_cuda_state *cuda, ck_kernel kernel, ck_grid grid, int threads, void **arguments);

// CK_LAUNCH(cuda, ck_add_tensors, grid, 256, &y, &a, &b, &count)
#define CK_LAUNCH(cuda, kernel, grid, threads, ...)                                                                    \
    ck_cuda_launch(cuda, CK_LAUNCH_##kernel, grid, threads, (void *[]){__VA_ARGS__})

// Blocks of 256 threads for `count` elements: kernels go on in strides where that is not enough.
static inline ck_grid ck_elements(int64_t count) {
    return (ck_grid){ck_max64(1, ck_min64(ck_ceil_div(count, 256), 4096)), 1, 1};
}

// c[m,n] = alpha a[m,k] b (+ c where accumulate) (+ bias[n]), where a is [k,m] and b is [n,k] when transposed: row-major.
typedef struct ck_product {
    int transpose_a, transpose_b;
    int64_t m, n, k;
    const void *a;
    int64_t lda;
    const void *b;
    int64_t ldb;
    int accumulate;
    void *c;
    int64_t ldc;
    const void *bias;  // or NULL
    int32_t math;      // CK_MATH_...
} ck_product;
ck_status ck_cuda_multiply(ck_cuda_state *cuda, const ck_product *product);

// One function to an operation, and one to a kind of scratch memory, which says how many bytes an operation needs.
#define CK_DECLARE_CUDA(name, tensors, workspace)                                                                       \
    ck_status ck_cuda_##name(ck_cuda_call call);                                                                         \
    uint64_t ck_cuda_workspace_##workspace(const ck_operation *operation);
CK_OPERATIONS(CK_DECLARE_CUDA)
#undef CK_DECLARE_CUDA

#define CK_TRY(call)                                                                                                   \
    do {                                                                                                               \
        ck_status ck_try_status = (call);                                                                              \
        if (ck_try_status != CK_OK) return ck_try_status;                                                              \
    } while (0)

#endif
