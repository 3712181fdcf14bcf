// The CPU backend: host memory, and the table of CPU kernels.
#define _GNU_SOURCE
#include "backend.h"
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

// ---- Operations -------------------------------------------------------------------------------------------

#define OPERATION(name, params, summary)                                                                     \
    static ck_status run_##name(void *const *operands, const ck_operation_params *p, void *scratch) {        \
        ck_##name##_operands t;                                                                              \
        memcpy(&t, operands, sizeof t);                                                                      \
        return ck_cpu_##name(&t, &p->params, scratch);                                                       \
    }
#define WORKSPACE(name, params)                                                                              \
    static uint64_t workspace_##name(const ck_operation_params *p) {                                         \
        return ck_cpu_workspace_##name(&p->params);                                                          \
    }
#include "ck_operations.h"

static ck_status (*const runs[])(void *const *, const ck_operation_params *, void *) = {
#define OPERATION(name, params, summary) [CK_KIND_##name] = run_##name,
#include "ck_operations.h"
};

static uint64_t (*const workspaces[CK_KIND_COUNT])(const ck_operation_params *) = {
#define WORKSPACE(name, params) [CK_KIND_##name] = workspace_##name,
#include "ck_operations.h"
};

static uint64_t workspace(void *state, const ck_operation *operation) {
    (void)state;
    return workspaces[operation->kind] ? workspaces[operation->kind](&operation->params) : 0;
}

static ck_status run(void *state, ck_kind kind, void *const *operands, const ck_operation_params *params,
                     void *scratch) {
    (void)state;
    return runs[kind](operands, params, scratch);
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
