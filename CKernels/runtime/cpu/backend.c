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

// The state of a CPU device: the ranks that its plans exchange values with, and what is being exchanged.
struct cpu_state {
    const ck_communicator *communicator;
    ck_begun_means begun;
};

static _Thread_local struct cpu_state *running;  // whose operation this thread is at

const ck_communicator *ck_cpu_communicator(void) { return running->communicator; }
ck_begun_means *ck_cpu_begun_means(void) { return &running->begun; }

static ck_status join(void *state, const ck_communicator *communicator) {
    ((struct cpu_state *)state)->communicator = communicator;
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

// ---- Activations in bf16 ----------------------------------------------------------------------------------
//
// The kernels compute in single precision. Where the activations of an operation are bf16, they run on
// copies, which lie behind the operation's own scratch memory: a slow way, and the reference for what a GPU
// does.

static uint64_t aligned(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

static uint64_t own_workspace(ck_kind kind, const ck_operation_params *params) {
    return workspaces[kind] ? workspaces[kind](params) : 0;
}

// The elements of an operand that is copied, and 0 for the others.
static int64_t copied_count(ck_kind kind, const ck_operation_params *params, int32_t operand) {
    if (ck_declaration_of(kind)->operands[operand].element != CK_act ||
        ck_operand_element(kind, params, operand) != CK_bf16)
        return 0;
    int64_t extents[CK_MAX_RANK], count = 1;
    int32_t rank = ck_operand_extents(kind, params, operand, extents);
    for (int32_t d = 0; d < rank; d++) count *= extents[d];
    return count;
}

struct conversion {
    int64_t count;
    float *single;
    uint16_t *half;
};

static void widen(void *context, int64_t index, int worker) {
    (void)worker;
    struct conversion *j = context;
    int64_t end = ck_min64(j->count, (index + 1) * CK_BLOCK);
    for (int64_t i = index * CK_BLOCK; i < end; i++) j->single[i] = ck_float_of_bf16(j->half[i]);
}

static void narrow(void *context, int64_t index, int worker) {
    (void)worker;
    struct conversion *j = context;
    int64_t end = ck_min64(j->count, (index + 1) * CK_BLOCK);
    for (int64_t i = index * CK_BLOCK; i < end; i++) j->half[i] = ck_bf16_of(j->single[i]);
}

static uint64_t workspace(void *state, const ck_operation *operation) {
    (void)state;
    uint64_t own = own_workspace(operation->kind, &operation->params), copies = 0;
    int32_t operands = ck_declaration_of(operation->kind)->operand_count;
    for (int32_t i = 0; i < operands; i++)
        if (operation->tensors[i].offset != CK_NO_TENSOR)
            copies += aligned(sizeof(float) * (uint64_t)copied_count(operation->kind, &operation->params, i));
    return copies ? aligned(own) + copies : own;
}

static ck_status run(void *state, ck_kind kind, void *const *operands, const ck_operation_params *params,
                     void *scratch) {
    running = state;
    const ck_declaration *declaration = ck_declaration_of(kind);
    struct conversion copies[CK_MAX_TENSORS] = {0};
    void *given[CK_MAX_TENSORS];
    uint64_t at = aligned(own_workspace(kind, params));
    for (int32_t i = 0; i < declaration->operand_count; i++) {
        given[i] = operands[i];
        int64_t count = operands[i] ? copied_count(kind, params, i) : 0;
        if (count == 0) continue;
        copies[i] = (struct conversion){count, (float *)((uint8_t *)scratch + at), operands[i]};
        given[i] = copies[i].single;
        at += aligned(sizeof(float) * (uint64_t)count);
        if (declaration->operands[i].direction != CK_OUT)
            ck_parallel_for(ck_block_count(count), widen, &copies[i]);
    }
    ck_status status = runs[kind](given, params, scratch);
    // Exchanges go on between operations: many a library of ranks moves nothing unless it is called.
    if (status == CK_OK && running->begun.count > 0)
        status = ck_advance_means(running->communicator, &running->begun);
    for (int32_t i = 0; i < declaration->operand_count && status == CK_OK; i++)
        if (copies[i].count && declaration->operands[i].direction != CK_IN)
            ck_parallel_for(ck_block_count(copies[i].count), narrow, &copies[i]);
    return status;
}

static ck_status synchronize(void *state) {
    (void)state;
    return CK_OK;
}

static void destroy(void *state) {
    free(((struct cpu_state *)state)->begun.all);
    free(state);
}

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
    .join = join,
};

ck_status ck_device_create_cpu(ck_device *device) {
    struct ck_device_impl *impl = calloc(1, sizeof *impl);
    struct cpu_state *state = calloc(1, sizeof *state);
    if (!impl || !state) {
        free(impl);
        free(state);
        return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    }
    ck_thread_count();  // starts the pool
    impl->backend = &cpu;
    impl->state = state;
    device->impl = impl;
    return CK_OK;
}
