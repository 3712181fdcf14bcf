// Every environment variable that is heeded.
#include "internal.h"
#include <stdlib.h>

static const char *const variables[] = {
    [CK_SETTING_DEVICE] = "OCC_DEVICE",        // the device where none is asked for: auto, cpu, cuda, cuda:1
    [CK_SETTING_CUDA_PATH] = "OCC_CUDA_PATH",  // folders with CUDA's libraries, separated by colons
    [CK_SETTING_KERNEL_CACHE] = "OCC_KERNEL_CACHE",  // the folder for compiled kernels
    [CK_SETTING_SYNC] = "OCC_SYNC",  // 1: wait after each operation, so that an error names its own
    // folders with ONNX Runtime's library, separated by colons; the kernels have no use for it
    [CK_SETTING_ONNXRUNTIME_PATH] = "OCC_ONNXRUNTIME_PATH",
    [CK_SETTING_SIMD] = "OCC_SIMD",  // the most that the CPU's convolutions use: avx512, avx2, plain
};

const char *ck_setting_variable(ck_setting_name name) { return variables[name]; }

const char *ck_setting(ck_setting_name name) {
    const char *value = getenv(variables[name]);
    return value && value[0] ? value : NULL;
}
