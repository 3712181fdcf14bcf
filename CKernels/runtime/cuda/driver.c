// Finds CUDA's libraries at run time and fills the table of their functions. What is missing leaves a reason
// behind.
#define _GNU_SOURCE
#include "cuda.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[CK_LIBRARY_COUNT] = {"libcuda", "libnvrtc", "libcublasLt", "libnccl"};

// Sonames, newest first; libcuda has one.
static const char *const sonames[CK_LIBRARY_COUNT][5] = {
    {"libcuda.so.1"},
    {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"},
    {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11", "libcublasLt.so"},
    {"libnccl.so.2", "libnccl.so"},
};

const char *ck_cuda_library_name(ck_cuda_library library) { return names[library]; }

const ck_cuda_library_state *ck_cuda_library_found(const ck_cuda_driver *driver, ck_cuda_library library) {
    return &driver->libraries[library];
}

// Opens the library from a folder, or from its lib64 or lib.
static void *open_in(const char *folder, size_t length, const char *soname) {
    static const char *const inside[] = {"", "/lib64", "/lib"};
    for (int i = 0; i < 3; i++) {
        char path[512];
        if (snprintf(path, sizeof path, "%.*s%s/%s", (int)length, folder, inside[i], soname) >=
            (int)sizeof path)
            continue;
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (handle) return handle;
    }
    return NULL;
}

int ck_cuda_sonames(ck_cuda_library library, int driver_version, const char *ordered[5]) {
    int count = 0;
    for (int newer = 0; newer < 2; newer++)
        for (int i = 0; i < 5 && sonames[library][i]; i++) {
            const char *number = strstr(sonames[library][i], ".so.");
            int major = number ? atoi(number + 4) : 0;
            int is_newer = library != CK_LIBRARY_cuda && library != CK_LIBRARY_nccl && driver_version > 0 &&
                           major > driver_version / 1000;
            if (is_newer == newer) ordered[count++] = sonames[library][i];
        }
    return count;
}

static void *open_library(ck_cuda_library library, int driver_version) {
    const char *folders[] = {ck_setting(CK_SETTING_CUDA_PATH), getenv("CUDA_HOME")}, *ordered[5];
    int count = ck_cuda_sonames(library, driver_version, ordered);
    void *handle = NULL;
    for (int f = 0; f < 2; f++)
        for (const char *at = folders[f]; at && *at;) {
            size_t length = strcspn(at, ":");
            for (int i = 0; i < count && length && !handle; i++) handle = open_in(at, length, ordered[i]);
            if (handle) return handle;
            at += length + (at[length] == ':');
        }
    for (int i = 0; i < count && !handle; i++) handle = dlopen(ordered[i], RTLD_NOW | RTLD_LOCAL);
    static const char usual[] = "/usr/local/cuda";
    for (int i = 0; i < count && !handle; i++) handle = open_in(usual, sizeof usual - 1, ordered[i]);
    return handle;
}

// 1000 * major + 10 * minor, as CUDA counts its own versions, of what cublasLtGetVersion returns,
// CUBLAS_VERSION of cublas_api.h: 1000 * major + 100 * minor + patch in the early releases of 11 (11605
// is 11.6.5), and 10000 * major + 100 * minor + patch in the later ones (110902 is 11.9.2), in 12 (120304)
// and in 13.
static int cublas_version(size_t number) {
    size_t major_unit = number >= 100000 ? 10000 : 1000;
    size_t major = number / major_unit, minor = number % major_unit / 100;
    return (int)(1000 * major + 10 * minor);
}

// NVRTC loads its built-in functions by name when it first compiles, and not every release looks beside
// itself: 13.0 out of a Python package does not. What is loaded already is found by its name.
static void load_builtins(const char *nvrtc, int major, int minor) {
    const char *slash = strrchr(nvrtc, '/');
    char path[600];
    if (slash && snprintf(path, sizeof path, "%.*s/libnvrtc-builtins.so.%d.%d", (int)(slash - nvrtc), nvrtc,
                          major, minor) < (int)sizeof path)
        dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static ck_cuda_driver system_driver;

static int driver_version(void *handle) {
    ck_cu_result (*function)(int *) = NULL;
    void *found = dlsym(handle, "cuDriverGetVersion");
    int version = 0;
    memcpy(&function, &found, sizeof found);
    return function && function(&version) == 0 ? version : 0;
}

static void find_libraries(void) {
    ck_cuda_driver *d = &system_driver;
    void *handles[CK_LIBRARY_COUNT];
    int version = 0;  // of the driver: a library of a later CUDA than it knows is taken last
    for (int i = 0; i < CK_LIBRARY_COUNT; i++) {
        handles[i] = open_library((ck_cuda_library)i, version);
        if (i == CK_LIBRARY_cuda && handles[i]) version = driver_version(handles[i]);
        if (!handles[i])
            snprintf(
                d->libraries[i].reason, sizeof d->libraries[i].reason, "%s was not found (%s)", sonames[i][0],
                i == CK_LIBRARY_cuda ? "it comes with NVIDIA's driver" : "set OCC_CUDA_PATH to its folder");
    }
#define FIND(library, field, symbol, parameters)                                                             \
    if (handles[CK_LIBRARY_##library]) {                                                                     \
        void *found = dlsym(handles[CK_LIBRARY_##library], symbol);                                          \
        memcpy(&d->field, &found, sizeof found);                                                             \
        Dl_info info;                                                                                        \
        if (!found)                                                                                          \
            snprintf(d->libraries[CK_LIBRARY_##library].reason, sizeof d->libraries[0].reason,               \
                     "%s has no function %s: it is too old", sonames[CK_LIBRARY_##library][0], symbol);      \
        else if (!d->libraries[CK_LIBRARY_##library].path[0] && dladdr(found, &info) && info.dli_fname)      \
            snprintf(d->libraries[CK_LIBRARY_##library].path, sizeof d->libraries[0].path, "%s",             \
                     info.dli_fname);                                                                        \
    }
    CK_CUDA_FUNCTIONS(FIND)
#undef FIND
    const char *sync = ck_setting(CK_SETTING_SYNC);
    d->cache_folder = ck_setting(CK_SETTING_KERNEL_CACHE);
    d->synchronous = sync && strcmp(sync, "0") != 0;
    int major = 0, minor = 0;
    if (!d->libraries[CK_LIBRARY_cuda].reason[0]) d->driver_version(&d->libraries[CK_LIBRARY_cuda].version);
    if (!d->libraries[CK_LIBRARY_nvrtc].reason[0] && d->nvrtc_version(&major, &minor) == 0) {
        d->libraries[CK_LIBRARY_nvrtc].version = 1000 * major + 10 * minor;
        load_builtins(d->libraries[CK_LIBRARY_nvrtc].path, major, minor);
    }
    if (!d->libraries[CK_LIBRARY_cublasLt].reason[0]) {
        size_t (*version)(void) = NULL;
        void *found = dlsym(handles[CK_LIBRARY_cublasLt], "cublasLtGetVersion");
        memcpy(&version, &found, sizeof found);
        d->libraries[CK_LIBRARY_cublasLt].version = version ? cublas_version(version()) : 0;
    }
    // 10000 * major + 100 * minor + patch since 2.9
    if (!d->libraries[CK_LIBRARY_nccl].reason[0] && d->nccl_version(&version) == 0)
        d->libraries[CK_LIBRARY_nccl].version = version / 10000 * 1000 + version / 100 % 100 * 10;
}

const ck_cuda_driver *ck_cuda_system_driver(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_libraries);
    return &system_driver;
}

ck_status ck_cuda_check(const ck_cuda_driver *driver, ck_cu_result result, const char *what) {
    if (result == 0) return CK_OK;
    const char *text = NULL;
    if (driver->error_string) driver->error_string(result, &text);
    return ck_fail(result == 2 ? CK_OUT_OF_MEMORY : CK_INTERNAL_ERROR, "CUDA: %s: %s (error %d)", what,
                   text ? text : "unknown error", result);
}

ck_status ck_cuda_count(const ck_cuda_driver *driver, int *count) {
    *count = 0;
    for (int i = 0; i < CK_LIBRARY_COUNT; i++)
        if (driver->libraries[i].reason[0] && !ck_cuda_library_is_optional((ck_cuda_library)i))
            return ck_fail(CK_DEVICE_UNAVAILABLE, "%s", driver->libraries[i].reason);
    ck_cu_result result = driver->init(0);
    if (result == 0) result = driver->device_count(count);
    if (result != 0) {
        ck_cuda_check(driver, result, "cuInit");
        return ck_fail(CK_DEVICE_UNAVAILABLE, "NVIDIA's driver does not start (error %d)", result);
    }
    if (*count == 0)
        return ck_fail(CK_DEVICE_UNAVAILABLE,
                       "NVIDIA's driver sees no GPU (CUDA_VISIBLE_DEVICES may hide it)");
    return CK_OK;
}

enum { ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76 };  // CUdevice_attribute

ck_status ck_cuda_describe(const ck_cuda_driver *driver, int ordinal, ck_cuda_properties *properties) {
    int count = 0;
    ck_status status = ck_cuda_count(driver, &count);
    if (status != CK_OK) return status;
    if (ordinal < 0 || ordinal >= count)
        return ck_fail(CK_DEVICE_UNAVAILABLE, "there is no GPU %d: there are %d, counted from 0", ordinal,
                       count);
    ck_cu_device device = 0;
    memset(properties, 0, sizeof *properties);
    ck_cu_result result = driver->device_get(&device, ordinal);
    if (result == 0) result = driver->device_name(properties->name, sizeof properties->name, device);
    if (result == 0) result = driver->device_attribute(&properties->major, ATTRIBUTE_MAJOR, device);
    if (result == 0) result = driver->device_attribute(&properties->minor, ATTRIBUTE_MINOR, device);
    return ck_cuda_check(driver, result, "asking for the GPU's properties");
}
