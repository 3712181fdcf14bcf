// The CPU backend: host memory, and the table of CPU kernels.
#define _GNU_SOURCE
#include "../backend.h"
#include "cpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static ck_status available_memory(void *state, uint64_t *bytes) {
    (void)state;
    FILE *file = fopen("/proc/meminfo", "r");
    unsigned long long kib = 0;
    char line[128];
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (file) fclose(file);
    if (kib == 0) {  // not Linux: all of the physical memory is the best that is known
        long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
        if (pages > 0 && size > 0) kib = (unsigned long long)pages * (unsigned long long)size / 1024;
    }
    *bytes = kib * 1024;
    return CK_OK;
}

static ck_status allocate(void *state, uint64_t bytes, void **memory) {
    (void)state;
    enum { HUGE_PAGE = 1 << 21 };
    uint64_t rounded = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (rounded == 0) rounded = HUGE_PAGE;
    if (posix_memalign(memory, HUGE_PAGE, rounded) != 0)
        return ck_fail(CK_OUT_OF_MEMORY, "could not allocate %llu bytes", (unsigned long long)bytes);
#ifdef MADV_HUGEPAGE
    madvise(*memory, rounded, MADV_HUGEPAGE);
#endif
    memset(*memory, 0, rounded);
    return CK_OK;
}

static void release(void *state, void *memory) {
    (void)state;
    free(memory);
}

static ck_status copy(void *state, void *to, const void *from, uint64_t bytes) {
    (void)state;
    memcpy(to, from, bytes);
    return CK_OK;
}

uint64_t ck_cpu_workspace_none(const ck_operation *operation) {
    (void)operation;
    return 0;
}

static const struct {
    ck_status (*run)(ck_cpu_call);
    uint64_t (*workspace)(const ck_operation *);
} table[] = {
#define CK_CPU_ENTRY(name, tensors, workspace) [CK_KIND_##name] = {ck_cpu_##name, ck_cpu_workspace_##workspace},
    CK_OPERATIONS(CK_CPU_ENTRY)
#undef CK_CPU_ENTRY
};

static uint64_t workspace(void *state, const ck_operation *operation) {
    (void)state;
    return table[operation->kind].workspace(operation);
}

static ck_status run(void *state, ck_kind kind, void *const *tensors, const ck_operation_params *params, void *scratch) {
    (void)state;
    return table[kind].run((ck_cpu_call){tensors, params, scratch});
}

static ck_status synchronize(void *state) {
    (void)state;
    return CK_OK;
}

static void destroy(void *state) { (void)state; }

static const ck_backend cpu = {
    .name = "cpu",
    .available_memory = available_memory,
    .allocate = allocate,
    .release = release,
    .write = copy,
    .read = copy,
    .workspace = workspace,
    .run = run,
    .synchronize = synchronize,
    .destroy = destroy,
};

ck_status ck_device_create_cpu(ck_device *device) {
    struct ck_device_impl *impl = calloc(1, sizeof *impl);
    if (!impl) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_thread_count();  // starts the pool
    impl->backend = &cpu;
    device->impl = impl;
    return CK_OK;
}
