// CUDA as this project sees it: the functions of libcuda, libnvrtc, libcublasLt and libnccl that it calls, as
// a table that is filled at run time (driver.c) or by an emulation (the tests). So nothing links against
// CUDA, and nothing needs its headers: where they are installed, check_headers.c compares these declarations
// with theirs.
#ifndef CK_CUDA_H
#define CK_CUDA_H

#include "CKernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int ck_cu_result;  // CUresult, nvrtcResult, cublasStatus_t, ncclResult_t: 0 is success in all
typedef int ck_cu_device;
typedef unsigned long long ck_cu_pointer;
typedef void *ck_cu_context, *ck_cu_stream, *ck_cu_module, *ck_cu_function, *ck_cu_graph, *ck_cu_graph_exec;
typedef void *ck_cu_event;
typedef void *ck_nvrtc_program;
typedef void *ck_nccl_group;
typedef void *ck_lt_handle, *ck_lt_desc, *ck_lt_layout, *ck_lt_preference;

// What names a group of ranks (ncclUniqueId).
typedef struct ck_nccl_id {
    char bytes[128];
} ck_nccl_id;

// What cublasLtMatmulAlgoGetHeuristic returns.
typedef struct ck_lt_algorithm {
    uint64_t data[8];
} ck_lt_algorithm;
typedef struct ck_lt_heuristic {
    ck_lt_algorithm algorithm;
    size_t workspace;
    ck_cu_result state;
    float waves;
    int reserved[4];
} ck_lt_heuristic;

// X(library, field, symbol, parameters)
#define CK_CUDA_FUNCTIONS(X)                                                                                 \
    X(cuda, init, "cuInit", (unsigned flags))                                                                \
    X(cuda, driver_version, "cuDriverGetVersion", (int *version))                                            \
    X(cuda, device_count, "cuDeviceGetCount", (int *count))                                                  \
    X(cuda, device_get, "cuDeviceGet", (ck_cu_device * device, int ordinal))                                 \
    X(cuda, device_name, "cuDeviceGetName", (char *name, int length, ck_cu_device device))                   \
    X(cuda, device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, ck_cu_device device))      \
    X(cuda, context_retain, "cuDevicePrimaryCtxRetain", (ck_cu_context * context, ck_cu_device device))      \
    X(cuda, context_release, "cuDevicePrimaryCtxRelease_v2", (ck_cu_device device))                          \
    X(cuda, context_set, "cuCtxSetCurrent", (ck_cu_context context))                                         \
    X(cuda, memory_info, "cuMemGetInfo_v2", (size_t * free, size_t * total))                                 \
    X(cuda, memory_allocate, "cuMemAlloc_v2", (ck_cu_pointer * pointer, size_t bytes))                       \
    X(cuda, memory_free, "cuMemFree_v2", (ck_cu_pointer pointer))                                            \
    X(cuda, copy_to_device, "cuMemcpyHtoDAsync_v2",                                                          \
      (ck_cu_pointer to, const void *from, size_t bytes, ck_cu_stream stream))                               \
    X(cuda, copy_to_host, "cuMemcpyDtoHAsync_v2",                                                            \
      (void *to, ck_cu_pointer from, size_t bytes, ck_cu_stream stream))                                     \
    X(cuda, fill_bytes, "cuMemsetD8Async",                                                                   \
      (ck_cu_pointer to, unsigned char value, size_t bytes, ck_cu_stream stream))                            \
    X(cuda, stream_create, "cuStreamCreate", (ck_cu_stream * stream, unsigned flags))                        \
    X(cuda, stream_destroy, "cuStreamDestroy_v2", (ck_cu_stream stream))                                     \
    X(cuda, stream_synchronize, "cuStreamSynchronize", (ck_cu_stream stream))                                \
    X(cuda, stream_wait, "cuStreamWaitEvent", (ck_cu_stream stream, ck_cu_event event, unsigned flags))      \
    X(cuda, capture_begin, "cuStreamBeginCapture_v2", (ck_cu_stream stream, int mode))                       \
    X(cuda, capture_end, "cuStreamEndCapture", (ck_cu_stream stream, ck_cu_graph * graph))                   \
    X(cuda, graph_instantiate, "cuGraphInstantiateWithFlags",                                                \
      (ck_cu_graph_exec * exec, ck_cu_graph graph, unsigned long long flags))                                \
    X(cuda, graph_launch, "cuGraphLaunch", (ck_cu_graph_exec exec, ck_cu_stream stream))                     \
    X(cuda, graph_exec_destroy, "cuGraphExecDestroy", (ck_cu_graph_exec exec))                               \
    X(cuda, graph_destroy, "cuGraphDestroy", (ck_cu_graph graph))                                            \
    X(cuda, module_load, "cuModuleLoadData", (ck_cu_module * module, const void *image))                     \
    X(cuda, module_unload, "cuModuleUnload", (ck_cu_module module))                                          \
    X(cuda, module_function, "cuModuleGetFunction",                                                          \
      (ck_cu_function * function, ck_cu_module module, const char *name))                                    \
    X(cuda, function_set, "cuFuncSetAttribute", (ck_cu_function function, int attribute, int value))         \
    X(cuda, launch, "cuLaunchKernel",                                                                        \
      (ck_cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,         \
       unsigned block_y, unsigned block_z, unsigned shared_bytes, ck_cu_stream stream, void **arguments,     \
       void **extra))                                                                                        \
    X(cuda, event_create, "cuEventCreate", (ck_cu_event * event, unsigned flags))                            \
    X(cuda, event_record, "cuEventRecord", (ck_cu_event event, ck_cu_stream stream))                         \
    X(cuda, event_elapsed, "cuEventElapsedTime", (float *milliseconds, ck_cu_event start, ck_cu_event end))  \
    X(cuda, event_destroy, "cuEventDestroy_v2", (ck_cu_event event))                                         \
    X(cuda, error_string, "cuGetErrorString", (ck_cu_result error, const char **text))                       \
    X(nvrtc, nvrtc_version, "nvrtcVersion", (int *major, int *minor))                                        \
    X(nvrtc, program_create, "nvrtcCreateProgram",                                                           \
      (ck_nvrtc_program * program, const char *source, const char *name, int headers,                        \
       const char *const *header_sources, const char *const *header_names))                                  \
    X(nvrtc, program_compile, "nvrtcCompileProgram",                                                         \
      (ck_nvrtc_program program, int options, const char *const *option))                                    \
    X(nvrtc, program_log_size, "nvrtcGetProgramLogSize", (ck_nvrtc_program program, size_t * bytes))         \
    X(nvrtc, program_log, "nvrtcGetProgramLog", (ck_nvrtc_program program, char *log))                       \
    X(nvrtc, program_cubin_size, "nvrtcGetCUBINSize", (ck_nvrtc_program program, size_t * bytes))            \
    X(nvrtc, program_cubin, "nvrtcGetCUBIN", (ck_nvrtc_program program, char *cubin))                        \
    X(nvrtc, program_destroy, "nvrtcDestroyProgram", (ck_nvrtc_program * program))                           \
    X(cublasLt, lt_create, "cublasLtCreate", (ck_lt_handle * handle))                                        \
    X(cublasLt, lt_destroy, "cublasLtDestroy", (ck_lt_handle handle))                                        \
    X(cublasLt, lt_desc_create, "cublasLtMatmulDescCreate", (ck_lt_desc * desc, int compute, int scale))     \
    X(cublasLt, lt_desc_set, "cublasLtMatmulDescSetAttribute",                                               \
      (ck_lt_desc desc, int attribute, const void *value, size_t bytes))                                     \
    X(cublasLt, lt_desc_destroy, "cublasLtMatmulDescDestroy", (ck_lt_desc desc))                             \
    X(cublasLt, lt_layout_create, "cublasLtMatrixLayoutCreate",                                              \
      (ck_lt_layout * layout, int type, uint64_t rows, uint64_t columns, int64_t leading))                   \
    X(cublasLt, lt_layout_destroy, "cublasLtMatrixLayoutDestroy", (ck_lt_layout layout))                     \
    X(cublasLt, lt_preference_create, "cublasLtMatmulPreferenceCreate", (ck_lt_preference * preference))     \
    X(cublasLt, lt_preference_set, "cublasLtMatmulPreferenceSetAttribute",                                   \
      (ck_lt_preference preference, int attribute, const void *value, size_t bytes))                         \
    X(cublasLt, lt_preference_destroy, "cublasLtMatmulPreferenceDestroy", (ck_lt_preference preference))     \
    X(cublasLt, lt_heuristic, "cublasLtMatmulAlgoGetHeuristic",                                              \
      (ck_lt_handle handle, ck_lt_desc desc, ck_lt_layout a, ck_lt_layout b, ck_lt_layout c, ck_lt_layout d, \
       ck_lt_preference preference, int requested, ck_lt_heuristic *results, int *found))                    \
    X(cublasLt, lt_matmul, "cublasLtMatmul",                                                                 \
      (ck_lt_handle handle, ck_lt_desc desc, const void *alpha, const void *a, ck_lt_layout a_layout,        \
       const void *b, ck_lt_layout b_layout, const void *beta, const void *c, ck_lt_layout c_layout,         \
       void *d, ck_lt_layout d_layout, const ck_lt_algorithm *algorithm, void *workspace,                    \
       size_t workspace_bytes, ck_cu_stream stream))                                                         \
    X(nccl, nccl_version, "ncclGetVersion", (int *version))                                                  \
    X(nccl, nccl_unique_id, "ncclGetUniqueId", (ck_nccl_id * id))                                            \
    X(nccl, nccl_join, "ncclCommInitRank", (ck_nccl_group * group, int ranks, ck_nccl_id id, int rank))      \
    X(nccl, nccl_leave, "ncclCommDestroy", (ck_nccl_group group))                                            \
    X(nccl, nccl_all_gather, "ncclAllGather",                                                                \
      (const void *from, void *to, size_t count, int type, ck_nccl_group group, ck_cu_stream stream))        \
    X(nccl, nccl_all_reduce, "ncclAllReduce",                                                                \
      (const void *from, void *to, size_t count, int type, int operation, ck_nccl_group group,               \
       ck_cu_stream stream))

typedef enum ck_cuda_library {
    CK_LIBRARY_cuda,
    CK_LIBRARY_nvrtc,
    CK_LIBRARY_cublasLt,
    CK_LIBRARY_nccl,
    CK_LIBRARY_COUNT
} ck_cuda_library;

// Whether a device can be had without the library: NCCL is for runs of several ranks, which do without it
// through the host.
static inline int ck_cuda_library_is_optional(ck_cuda_library library) { return library == CK_LIBRARY_nccl; }

typedef struct ck_cuda_library_state {
    char path[512];    // of the library; empty when it is missing
    char reason[256];  // why it is missing; empty when it is there
    int version;       // 1000 * major + 10 * minor
} ck_cuda_library_state;

// The functions, and where they came from.
typedef struct ck_cuda_driver {
#define CK_CUDA_FIELD(library, field, symbol, parameters) ck_cu_result(*field) parameters;
    CK_CUDA_FUNCTIONS(CK_CUDA_FIELD)
#undef CK_CUDA_FIELD
    ck_cuda_library_state libraries[CK_LIBRARY_COUNT];
    const char *cache_folder;  // for compiled kernels; NULL: the user's; "": none
    int synchronous;           // wait after each operation, so that an error names its own
} ck_cuda_driver;

const char *ck_cuda_library_name(ck_cuda_library library);
const ck_cuda_library_state *ck_cuda_library_found(const ck_cuda_driver *driver, ck_cuda_library library);

// The names that a library may have, in the order in which they are tried: the newest first that a driver of
// this version (1000 * major + 10 * minor, 0 for unknown) can work with, then newer ones. Returns their
// number.
int ck_cuda_sonames(ck_cuda_library library, int driver_version, const char *ordered[5]);

// The process's table, filled at the first call from the libraries that are installed. What is missing has
// its reason.
const ck_cuda_driver *ck_cuda_system_driver(void);

// The driver's cache folder for compiled kernels, or the user's; 0 when there is none.
int ck_cuda_cache_folder(const ck_cuda_driver *driver, char *path, size_t size);

// The number of GPUs, or CK_DEVICE_UNAVAILABLE with the reason.
ck_status ck_cuda_count(const ck_cuda_driver *driver, int *count);

typedef struct ck_cuda_properties {
    char name[128];
    int major, minor;  // compute capability
} ck_cuda_properties;

ck_status ck_cuda_describe(const ck_cuda_driver *driver, int ordinal, ck_cuda_properties *properties);

// A device on GPU `ordinal`. `driver` stays the caller's and outlives the device.
ck_status ck_device_create_cuda(const ck_cuda_driver *driver, int ordinal, ck_device *device);

// Compiles and runs one small kernel on a CUDA device: what would fail at a run's first operation fails here.
ck_status ck_cuda_try_kernel(ck_device device);

// What the compiler said of a module: its kernels' registers and bytes of local memory (spills included).
typedef struct ck_cuda_kernel_report {
    const char *module, *kernel;
    int registers, spill_bytes, shared_bytes;  // -1: not reported
} ck_cuda_kernel_report;

// Compiles every kernel for `architecture` (90 for sm_90) into the cache folder `folder` (NULL: the
// driver's), GPU or no GPU, and checks that every kernel the launchers ask for is there. Calls `report` for
// each.
ck_status ck_cuda_build_kernels(const ck_cuda_driver *driver, int architecture, const char *folder,
                                void (*report)(void *context, const ck_cuda_kernel_report *kernel),
                                void *context);

// Has the calling thread's convolutions in bf16 and NT-Xent cut up for a GPU of `count` multiprocessors, or
// of the usual number where it is 0; gives the number before. For tests, whose small shapes meet every kernel
// so. A plan's scratch memory and its launches have to be of one number.
int32_t ck_cuda_cut_for(int32_t count);

#ifdef __cplusplus
}
#endif
#endif
