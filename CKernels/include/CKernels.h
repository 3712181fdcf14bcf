// The C boundary of occ-gpu: everything Swift calls. Functions return a status and hand results out through
// pointers; on failure `ck_last_error()` has the text for the calling thread. Nothing here prints, exits or
// aborts.
#ifndef CKERNELS_H
#define CKERNELS_H

#include "ck_augment.h"
#include "ck_bf16.h"
#include "ck_params.h"
#include "ck_random.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Status -----------------------------------------------------------------------------------------------

typedef enum __attribute__((enum_extensibility(closed))) ck_status {
    CK_OK = 0,
    CK_INVALID_ARGUMENT = 1,
    CK_OUT_OF_MEMORY = 2,
    CK_DEVICE_UNAVAILABLE = 3,
    CK_NUMERICAL_ERROR = 4,
    CK_INTERNAL_ERROR = 5,
} ck_status;

// The text of the calling thread's last failure; valid until its next failing call.
const char *ck_last_error(void);

// ---- Settings ---------------------------------------------------------------------------------------------

typedef enum ck_setting_name {
    CK_SETTING_DEVICE,
    CK_SETTING_CUDA_PATH,
    CK_SETTING_KERNEL_CACHE,
    CK_SETTING_SYNC,
    CK_SETTING_SIMD,
    CK_SETTING_ONNXRUNTIME_PATH,
    CK_SETTING_COUNT,
} ck_setting_name;

// The environment variable of a setting.
const char *ck_setting_variable(ck_setting_name name);

// The value of an environment variable, or NULL where it is not set or empty.
const char *ck_setting(ck_setting_name name);

// The SHA-256 digest of bytes.
void ck_sha256(const void *bytes, uint64_t count, uint8_t digest[32]);

// ---- Threads ----------------------------------------------------------------------------------------------

// A task: `index` in [0, count), `worker` in [0, ck_thread_count()), so that a worker can own scratch memory.
typedef void (*ck_task)(void *context, int64_t index, int worker);

// Sets the size of the process-wide pool (1...256; 0 = one per available core). Not to be called while
// anything else of this library runs; plans made before refuse to run on more threads than there were.
ck_status ck_set_thread_count(int count);
int ck_thread_count(void);

// Runs task(context, 0...count-1) on the pool and returns when all are done. Which worker runs which index is
// not fixed: a task writes only what belongs to its index (or its worker's scratch). A call from inside a
// task runs serially, and so does one that comes while as many threads are in calls as the pool has.
void ck_parallel_for(int64_t count, ck_task task, void *context);

// ---- Devices, arenas, plans -------------------------------------------------------------------------------

// Where plans run. Handles are one-field structs, so that the compiler tells them apart.
typedef struct ck_device {
    struct ck_device_impl *impl;
} ck_device;

// One block of device memory that every tensor of a program lives in.
typedef struct ck_arena {
    struct ck_arena_impl *impl;
} ck_arena;

// A linear list of operations bound to an arena.
typedef struct ck_plan {
    struct ck_plan_impl *impl;
} ck_plan;

// The CPU, always there.
ck_status ck_device_create_cpu(ck_device *device);
void ck_device_destroy(ck_device device);
// The vector instructions that the CPU's convolutions use: avx512, avx2 or plain.
const char *ck_simd_name(void);
// The BLAS that the CPU's products go through, as it describes itself: name, version, build.
const char *ck_blas_name(void);
// The processor that it takes this one for.
const char *ck_blas_core(void);
// Bytes a new arena may take now.
ck_status ck_device_available_memory(ck_device device, uint64_t *bytes);
// Waits for everything that was begun on the device.
ck_status ck_device_synchronize(ck_device device);

// How several processes, the ranks, run one plan, each on its share of a batch. The functions are called by
// all ranks in the same order, and on host memory; each returns when this rank's part is done.
typedef struct ck_communicator {
    int32_t rank, ranks;
    void *context;
    // all[r] = rank r's `mine`, each of `bytes`.
    ck_status (*all_gather)(void *context, const void *mine, void *all, uint64_t bytes);
    // to_me[r] = rank r's mine[this rank], parts of `bytes`.
    ck_status (*all_to_all)(void *context, const void *mine, void *to_me, uint64_t bytes);
    // All get rank 0's `bytes`.
    ck_status (*broadcast)(void *context, void *data, uint64_t bytes);
    // The first two, begun: this returns at once, and until `finish` says that it is done nobody writes to
    // `mine`, and nobody writes to the other buffer or reads it. Ranks begin those of one kind in one order,
    // whatever they do between. All three are NULL where there is no such thing.
    ck_status (*begin_all_gather)(void *context, const void *mine, void *all, uint64_t bytes, void **request);
    ck_status (*begin_all_to_all)(void *context, const void *mine, void *to_me, uint64_t bytes,
                                  void **request);
    // Whether a request is done, or with `waits` returns when it is. What is done, or fails, is freed.
    ck_status (*finish)(void *context, void **request, int waits, int *is_done);
} ck_communicator;

// Keeps a text for ck_last_error() and returns `status`: for functions of a communicator that fail.
ck_status ck_failed(ck_status status, const char *text);

// Lets plans on the device exchange values with those of other ranks. The communicator stays the caller's and
// outlives the device.
ck_status ck_device_join(ck_device device, const ck_communicator *communicator);

// `bytes` of zeroed memory, 64-byte aligned.
ck_status ck_arena_create(ck_device device, uint64_t bytes, ck_arena *arena);
void ck_arena_destroy(ck_arena arena);
ck_status ck_arena_write(ck_arena arena, uint64_t offset, const void *source, uint64_t bytes);
ck_status ck_arena_read(ck_arena arena, uint64_t offset, void *destination, uint64_t bytes);

// The kinds of operation, one to each of ck_operations.h.
typedef enum CK_CLOSED ck_kind {
#define OPERATION(name, params, summary) CK_KIND_##name,
#include "ck_operations.h"
} ck_kind;

#define OPERATION(name, params, summary) +1
enum {
    CK_KIND_COUNT = 0
#include "ck_operations.h"
};

// The types of an operand's elements; CK_step is the step-state block. CK_act is in declarations only: f32 or
// bf16, as the parameters say; no tensor has it.
typedef enum CK_CLOSED ck_element { CK_f32, CK_i32, CK_u8, CK_step, CK_bf16, CK_act } ck_element;

typedef enum CK_CLOSED ck_direction { CK_OUT, CK_UPDATE, CK_IN } ck_direction;

// What ck_operations.h declares of an operand.
typedef struct ck_operand {
    const char *name;
    ck_direction direction;
    ck_element element;
    int32_t is_optional;
    const char *extents;  // as they are written there
} ck_operand;

// What it declares of an operation.
typedef struct ck_declaration {
    const char *name, *params, *summary;
    const ck_operand *operands;
    int32_t operand_count;
} ck_declaration;

// The declaration of a kind; NULL for a value that is no kind.
const ck_declaration *ck_declaration_of(ck_kind kind);

enum { CK_MAX_TENSORS = 12, CK_MAX_RANK = 4 };

// A tensor of an operation: where it is, and its shape, outermost extent first.
typedef struct ck_tensor {
    uint64_t offset;  // bytes into the arena; CK_NO_TENSOR for an optional operand that is absent
    ck_element element;
    int32_t rank;
    int64_t shape[CK_MAX_RANK];
} ck_tensor;
#define CK_NO_TENSOR UINT64_MAX

// One line of a plan; its tensors are in the order of its declaration.
typedef struct ck_operation {
    ck_kind kind;
    ck_tensor tensors[CK_MAX_TENSORS];
    ck_operation_params params;
} ck_operation;

// Why an operation does not fit its declaration.
typedef struct ck_misfit {
    int32_t operand;                // or -1: it is the parameters
    ck_element element;             // that is expected
    int32_t rank;                   // of what is expected
    int64_t expected[CK_MAX_RANK];  // extents; -1 for any
    const char *requirement;        // that the parameters do not meet
} ck_misfit;

// The extents that an operand has by the parameters: their number, and -1 for any.
int32_t ck_operand_extents(ck_kind kind, const ck_operation_params *params, int32_t operand,
                           int64_t extents[CK_MAX_RANK]);

// The type that an operand has by the parameters: that of its declaration, or for CK_act what they say.
ck_element ck_operand_element(ck_kind kind, const ck_operation_params *params, int32_t operand);

// Compares tensors and parameters with the declaration. CK_INVALID_ARGUMENT with the first misfit, which may
// be NULL.
ck_status ck_operation_check(const ck_operation *operation, ck_misfit *misfit);

// The scratch memory that the list needs on the device (with its present number of threads).
ck_status ck_plan_workspace(ck_device device, const ck_operation *operations, int32_t count, uint64_t *bytes);
// Checks every operation against its declaration and every tensor against the arena, and binds the list to
// it. `workspace` is the scratch memory's offset.
ck_status ck_plan_create(ck_arena arena, const ck_operation *operations, int32_t count, uint64_t workspace,
                         uint64_t workspace_bytes, ck_plan *plan);
void ck_plan_destroy(ck_plan plan);
// Runs the list. On failure `failed` is the index of the operation, or -1. A GPU may still be at it on
// return: reading from the arena waits, and so does ck_device_synchronize, and what failed meanwhile shows
// there.
ck_status ck_plan_run(ck_plan plan, int32_t *failed);
// Why the plan runs operation by operation where a GPU could have run it as one graph; NULL where it does
// not.
const char *ck_plan_not_captured(ck_plan plan);
// Runs the list once and writes each operation's time.
ck_status ck_plan_profile(ck_plan plan, double *seconds, int32_t *failed);

// ---- Detectors: pairwise products and factorizations, on host memory --------------------------------------
//
// Query rows x[N,D], support rows s[M,D]. The N x M products exist only as tiles.

// lse[i] = log sum_j exp(scale * x_i . s_j)
ck_status ck_log_sum_exp_products(const float *x, int64_t n, const float *s, int64_t m, int64_t d,
                                  double scale, double *lse);
// mean[N,D] = sum_j softmax_j(scale * x_i . s_j) s_j
ck_status ck_softmax_mean(const float *x, int64_t n, const float *s, int64_t m, int64_t d, double scale,
                          const double *lse, float *mean);
// The k largest x_i . s_j of each row, largest first: products[N,k], and their j in places[N,k]. k <= M.
ck_status ck_largest_products(const float *x, int64_t n, const float *s, int64_t m, int64_t d, int64_t k,
                              float *products, int64_t *places);

// sum[i] = sum_j weights[j] k(x_i, s_j) with k(a, b) = exp(-gamma |a - b|^2), or a . b where gamma is 0; in
// double. gradient[N,D], where not NULL: its derivative by x_i.
ck_status ck_kernel_sum(const float *x, int64_t n, const float *s, const double *weights, int64_t m,
                        int64_t d, double gamma, double *sum, double *gradient);

// What the solver of ck_solve_one_class found.
typedef struct ck_solver_report {
    int64_t iterations;
    double objective;  // 1/2 a'Ka
    double gap;        // the largest violation of the KKT conditions
    double rho;        // the multiplier of the sum constraint
} ck_solver_report;

// Minimizes 1/2 a'Ka over 0 <= a <= 1, sum a = total, K_ij = k(x_i, x_j), until the KKT gap is below
// `tolerance`: sequential minimal optimization with second-order working sets (Fan, Chen & Lin, JMLR 2005).
// `cache_bytes` bounds the memory for rows of K. CK_NUMERICAL_ERROR when `max_iterations` did not do; `alpha`
// and `report` are filled in then too.
ck_status ck_solve_one_class(const float *x, int64_t n, int64_t d, double gamma, double total,
                             double tolerance, int64_t max_iterations, uint64_t cache_bytes, double *alpha,
                             ck_solver_report *report);

// The mean and the lower Cholesky factor of the covariance (1 - a) S + a tr(S)/D I + ridge I, S = (1/N) sum
// (x - mean)(x - mean)'. `shrinkage` is a, or negative for Ledoit and Wolf's estimate of the best one (2004).
// CK_NUMERICAL_ERROR when the covariance is not positive definite.
ck_status ck_gaussian_fit(const float *x, int64_t n, int64_t d, double shrinkage, double ridge, double *mean,
                          double *cholesky);
// distance[i] = (x_i - mean)' S^-1 (x_i - mean); gradient[N,D], where not NULL: S^-1 (x_i - mean).
ck_status ck_gaussian_distance(const float *x, int64_t n, int64_t d, const double *mean,
                               const double *cholesky, double *distance, double *gradient);
// whitened[N,D] = L^-1 (x_i - mean) with S = L L': rows whose squared distances are Mahalanobis' (1936) by S.
ck_status ck_gaussian_whiten(const float *x, int64_t n, int64_t d, const double *mean, const double *cholesky,
                             float *whitened);

// A Gaussian at each place of maps x[images,places,D]: mean[places,D], and whitening[places,D (D + 1) / 2],
// the inverse of the lower Cholesky factor of the covariance 1 / (images - 1) sum (x - mean)(x - mean)' +
// ridge I; its columns lie one after the other, each from its diagonal on. CK_NUMERICAL_ERROR when a
// covariance is not positive definite.
ck_status ck_place_gaussians(const float *x, int64_t images, int64_t places, int64_t d, double ridge,
                             double *mean, float *whitening);
// distance[images,places] = (x - mean)' S^-1 (x - mean) at each place; gradient[images,places,D], where not
// NULL: S^-1 (x - mean).
ck_status ck_place_distances(const float *x, int64_t images, int64_t places, int64_t d, const double *mean,
                             const float *whitening, double *distance, float *gradient);

#ifdef __cplusplus
}
#endif

#include "ck_cuda.h"

#endif
