// Shared by the CUDA backend: the device's state, how a kernel is launched, and one launcher for every
// operation.
#ifndef CK_CUDA_INTERNAL_H
#define CK_CUDA_INTERNAL_H

#include "ck_cuda.h"
#include "operands.h"

typedef enum ck_kernel {
#define OPERATION_KERNEL(source, name, threads) CK_LAUNCH_##name,
#define KERNEL(source, name, threads) CK_LAUNCH_##name,
#include "ck_kernels.h"
    CK_KERNEL_COUNT
} ck_kernel;

typedef enum ck_kernel_source {
#define CK_SOURCE_ID(name) CK_SOURCE_##name,
    CK_KERNEL_SOURCES(CK_SOURCE_ID)
#undef CK_SOURCE_ID
        CK_SOURCE_COUNT
} ck_kernel_source;

// What ck_kernels.h says of a kernel.
extern const struct ck_kernel_entry {
    ck_kernel_source source;
    const char *name;
    int threads;
} ck_kernel_entries[CK_KERNEL_COUNT];

// sources.c: the sources, and the headers that they include.
typedef struct ck_source_text {
    const char *name, *text;
} ck_source_text;
extern const ck_source_text ck_kernel_sources[CK_SOURCE_COUNT];
// The one architecture (90 for sm_90) that a source is for, or 0; its machine code has that architecture's
// own instructions (sm_90a).
static inline int ck_source_architecture(ck_kernel_source source) {
    return source == CK_SOURCE_conv2d_hopper || source == CK_SOURCE_conv2d_taps ? 90 : 0;
}
// The bytes of shared memory beyond what it declares that a kernel is launched with.
static inline unsigned ck_kernel_shared_bytes(ck_kernel kernel) {
    switch (kernel) {
    case CK_LAUNCH_ck_conv2d_hopper_windows_128x256:
    case CK_LAUNCH_ck_conv2d_hopper_gradient_128x256: return CK_HOPPER_SHARED(256, 128, 4);
    case CK_LAUNCH_ck_conv2d_hopper_windows_128x128:
    case CK_LAUNCH_ck_conv2d_hopper_gradient_128x128: return CK_HOPPER_SHARED(128, 128, 3);
    case CK_LAUNCH_ck_conv2d_hopper_windows_128x64:
    case CK_LAUNCH_ck_conv2d_hopper_gradient_64x128: return CK_HOPPER_SHARED(128, 64, 3);
    case CK_LAUNCH_ck_conv2d_taps_windows: return CK_TAPS_WINDOWS_SHARED;
    case CK_LAUNCH_ck_conv2d_taps_gradient: return CK_TAPS_GRADIENT_SHARED;
    default: return 0;
    }
}
enum { CK_HEADER_COUNT = 12 };
extern const char *const ck_kernel_header_names[CK_HEADER_COUNT],
    *const ck_kernel_header_texts[CK_HEADER_COUNT];

enum { CK_BLAS_WORKSPACE = 32 << 20 };  // bytes: what NVIDIA recommends for Hopper

typedef struct ck_cuda_state {
    const ck_cuda_driver *driver;
    ck_cuda_properties properties;
    ck_cu_device device;
    ck_cu_context context;
    ck_cu_stream stream;
    ck_lt_handle blas;
    ck_cu_pointer blas_workspace;
    const ck_communicator *communicator;  // the ranks that it has joined, or NULL
    ck_nccl_group nccl;                   // the same ranks' GPUs, where NCCL is there
    ck_cu_stream exchanges;               // with NCCL, for those that go on beside the kernels
    ck_cu_event forked, joined;           // where `exchanges` leaves the stream, and comes back to it
    ck_cu_module modules[CK_SOURCE_COUNT];
    ck_cu_function functions[CK_KERNEL_COUNT];
} ck_cuda_state;

// CK_OK, or the error with what was being done.
ck_status ck_cuda_check(const ck_cuda_driver *driver, ck_cu_result result, const char *what);

// compiler.c: the compiled source for an architecture (90 for sm_90), from the cache or from the compiler;
// free() it.
ck_status ck_cuda_compile(const ck_cuda_driver *driver, ck_kernel_source source, int architecture,
                          const char *folder, uint8_t **cubin, uint64_t *bytes);

typedef struct ck_grid {
    int64_t x, y, z;
} ck_grid;

// Puts a kernel on the stream; `arguments` are the addresses of its parameters.
ck_status ck_cuda_launch(ck_cuda_state *cuda, ck_kernel kernel, ck_grid grid, void **arguments);

// A kernel's parameters as a struct, and ck_launch_<kernel>, which takes it: of `kernel`, which is that one
// or another with the same parameters.
#define KERNEL(source, name, threads) typedef struct name##_arguments {
#define ARGUMENT(type, name) type name;
#define KERNEL_END(name)                                                                                     \
    }                                                                                                        \
    name##_arguments;
#include "ck_kernels.h"
#define KERNEL(source, name, threads)                                                                        \
    static inline ck_status ck_launch_##name(ck_cuda_state *cuda, ck_kernel kernel, ck_grid grid,            \
                                             name##_arguments a) {                                           \
        void *addresses[] = {
#define ARGUMENT(type, name) (void *)&a.name,
#define KERNEL_END(name)                                                                                     \
    }                                                                                                        \
    ;                                                                                                        \
    return ck_cuda_launch(cuda, kernel, grid, addresses);                                                    \
    }
#include "ck_kernels.h"

// CK_LAUNCH(cuda, ck_sum, ck_blocks(1), .y = t->loss, .partial = partial, .count = n, .factor = 1.0 / n)
#define CK_LAUNCH(cuda, kernel, grid, ...)                                                                   \
    ck_launch_##kernel(cuda, CK_LAUNCH_##kernel, grid, (kernel##_arguments){__VA_ARGS__})

// Blocks of 256 threads for `count` elements: kernels go on in strides where that is not enough.
static inline ck_grid ck_elements(int64_t count) {
    return (ck_grid){ck_max64(1, ck_min64(ck_ceil_div(count, 256), 4096)), 1, 1};
}
// The same for kernels that take 16 bytes a thread where they can: four elements, or eight in bf16.
static inline ck_grid ck_vectors(int64_t count) { return ck_elements(ck_ceil_div(count, 4)); }
static inline ck_grid ck_blocks(int64_t count) { return (ck_grid){count, 1, 1}; }

// Whether vectors of 16 bytes can be read there.
static inline int ck_is_aligned(const void *a) { return (uintptr_t)a % 16 == 0; }

// Sets memory of the GPU to zero.
ck_status ck_cuda_clear(ck_cuda_state *cuda, void *memory, uint64_t bytes);

// The multiprocessors that work is cut up for, whatever the GPU has (ck_cuda_cut_for).
int32_t ck_cuda_multiprocessors(void);

// c[m,n] = alpha a[m,k] b (+ c where accumulate) (+ bias[n]), where a is [k,m] and b is [n,k] when
// transposed: row-major.
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

// One launcher to an operation that is more than one kernel of its own, and where it needs scratch memory a
// function that says how many bytes.
#define LAUNCHER(name, params)                                                                               \
    ck_status ck_cuda_##name(ck_cuda_state *cuda, const ck_##name##_operands *t,                             \
                             const ck_##params##_params *p, void *workspace);
#define WORKSPACE(name, params) uint64_t ck_cuda_workspace_##name(const ck_##params##_params *p);
#include "ck_operations.h"

// elementwise/launch.c: the sum of (a - b)^2, or of a^2 where b is NULL, as ck_squares_parts(count) partial
// sums; and y = factor * the sum of partial sums.
int64_t ck_squares_parts(int64_t count);
ck_status ck_cuda_squares(ck_cuda_state *cuda, double *partial, const float *a, const float *b,
                          int64_t count);

// collective/launch.c: makes the GPU one of several ranks'.
ck_status ck_cuda_join(ck_cuda_state *cuda, const ck_communicator *communicator);
void ck_cuda_leave(ck_cuda_state *cuda);

#define CK_TRY(call)                                                                                         \
    do {                                                                                                     \
        ck_status ck_try_status = (call);                                                                    \
        if (ck_try_status != CK_OK) return ck_try_status;                                                    \
    } while (0)

#endif
