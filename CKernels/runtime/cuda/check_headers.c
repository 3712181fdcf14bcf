// Compares our declarations with CUDA's own headers. Not part of any build: `clang -fsyntax-only -I <CUDA's
// include folder>` on this file says nothing when they agree.
#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>) && __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <cuda.h>
#include <nvrtc.h>
#undef CK_CLOSED
#include "ck_cuda.h"

// Same size, and each parameter of the same size: handles are pointers in both.
_Static_assert(sizeof(CUresult) == sizeof(ck_cu_result) && sizeof(nvrtcResult) == sizeof(ck_cu_result) &&
                   sizeof(cublasStatus_t) == sizeof(ck_cu_result),
               "results");
_Static_assert(sizeof(CUdevice) == sizeof(ck_cu_device) && sizeof(CUdeviceptr) == sizeof(ck_cu_pointer),
               "devices and pointers");
_Static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(ck_lt_algorithm), "algorithms");
_Static_assert(sizeof(cublasLtMatmulHeuristicResult_t) == sizeof(ck_lt_heuristic), "heuristics");
_Static_assert(CUBLAS_COMPUTE_32F == 68 && CUBLAS_COMPUTE_32F_FAST_16BF == 75 &&
                   CUBLAS_COMPUTE_32F_FAST_TF32 == 77 && CUDA_R_32F == 0,
               "compute types");
_Static_assert(CUBLASLT_MATMUL_DESC_TRANSA == 3 && CUBLASLT_MATMUL_DESC_TRANSB == 4 &&
                   CUBLASLT_MATMUL_DESC_EPILOGUE == 7 && CUBLASLT_MATMUL_DESC_BIAS_POINTER == 8 &&
                   CUBLASLT_EPILOGUE_BIAS == 4,
               "matmul attributes");
_Static_assert(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES == 1 &&
                   CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES == 5 &&
                   CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES == 8,
               "preferences");
_Static_assert(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR == 75 &&
                   CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR == 76,
               "device attributes");
_Static_assert(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES == 8, "function attributes");
_Static_assert(CU_STREAM_NON_BLOCKING == 1 && CU_STREAM_CAPTURE_MODE_THREAD_LOCAL == 1 &&
                   CUDA_ERROR_OUT_OF_MEMORY == 2,
               "flags");
#endif
