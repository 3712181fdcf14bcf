// The CUDA backend: memory and a stream on one GPU, the table of launchers, and graphs of whole plans.
#include "backend.h"
#include "cuda.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ck_status enter(ck_cuda_state *s) {
    return ck_cuda_check(s->driver, s->driver->context_set(s->context), "making the GPU current");
}

static ck_status synchronize(void *state) {
    ck_cuda_state *s = state;
    CK_TRY(enter(s));
    return ck_cuda_check(s->driver, s->driver->stream_synchronize(s->stream),
                         s->driver->synchronous ? "waiting for the GPU"
                                                : "waiting for the GPU (OCC_SYNC=1 names the operation)");
}

static ck_status available_memory(void *state, uint64_t *bytes) {
    ck_cuda_state *s = state;
    size_t available = 0, total = 0;
    CK_TRY(enter(s));
    CK_TRY(ck_cuda_check(s->driver, s->driver->memory_info(&available, &total), "asking for free memory"));
    *bytes = available;
    return CK_OK;
}

ck_status ck_cuda_clear(ck_cuda_state *s, void *memory, uint64_t bytes) {
    ck_cu_pointer pointer = (ck_cu_pointer)(uintptr_t)memory;
    return ck_cuda_check(s->driver, s->driver->fill_bytes(pointer, 0, bytes, s->stream), "clearing memory");
}

static ck_status allocate(void *state, uint64_t bytes, void **memory) {
    ck_cuda_state *s = state;
    ck_cu_pointer pointer = 0;
    CK_TRY(enter(s));
    char what[64];
    snprintf(what, sizeof what, "allocating %llu bytes on the GPU", (unsigned long long)bytes);
    CK_TRY(ck_cuda_check(s->driver, s->driver->memory_allocate(&pointer, bytes ? bytes : 1), what));
    *memory = (void *)(uintptr_t)pointer;
    return ck_cuda_clear(s, *memory, bytes ? bytes : 1);
}

static void release(void *state, void *memory) {
    ck_cuda_state *s = state;
    if (enter(s) != CK_OK) return;
    s->driver->stream_synchronize(s->stream);
    s->driver->memory_free((ck_cu_pointer)(uintptr_t)memory);
}

// The copy is in order with everything on the stream; `from` may change as soon as this returns (it is
// pageable memory).
static ck_status write(void *state, void *to, const void *from, uint64_t bytes) {
    ck_cuda_state *s = state;
    CK_TRY(enter(s));
    return ck_cuda_check(s->driver,
                         s->driver->copy_to_device((ck_cu_pointer)(uintptr_t)to, from, bytes, s->stream),
                         "copying to the GPU");
}

static ck_status read(void *state, void *to, const void *from, uint64_t bytes) {
    ck_cuda_state *s = state;
    CK_TRY(enter(s));
    CK_TRY(ck_cuda_check(s->driver,
                         s->driver->copy_to_host(to, (ck_cu_pointer)(uintptr_t)from, bytes, s->stream),
                         "copying from the GPU"));
    return synchronize(state);
}

// ---- Operations -------------------------------------------------------------------------------------------

enum { USUAL_MULTIPROCESSORS = 132 };
static _Thread_local int32_t multiprocessors = USUAL_MULTIPROCESSORS;
int32_t ck_cuda_multiprocessors(void) { return multiprocessors; }
int32_t ck_cuda_cut_for(int32_t count) {
    int32_t before = multiprocessors;
    multiprocessors = count > 0 ? count : USUAL_MULTIPROCESSORS;
    return before;
}

// An operation's own kernel takes the operands and the parameters, in this order.
#define RUN_KERNEL(name, params, kernel, grid)                                                               \
    static ck_status run_##name(ck_cuda_state *cuda, void *const *operands, const ck_operation_params *all,  \
                                void *) {                                                                    \
        const ck_##params##_params *p = &all->params;                                                        \
        enum { COUNT = sizeof(ck_##name##_operands) / sizeof(void *) };                                      \
        void *addresses[COUNT + 1];                                                                          \
        for (int i = 0; i < COUNT; i++) addresses[i] = (void *)&operands[i];                                 \
        addresses[COUNT] = (void *)p;                                                                        \
        return ck_cuda_launch(cuda, kernel, grid, addresses);                                                \
    }
#define KERNEL_FOR(name, params, source, threads, grid) RUN_KERNEL(name, params, CK_LAUNCH_ck_##name, grid)
#define KERNEL_FOR_ACTIVATIONS(name, params, source, threads, grid)                                          \
    RUN_KERNEL(name, params, p->activations == CK_bf16 ? CK_LAUNCH_ck_##name##_bf16 : CK_LAUNCH_ck_##name,   \
               grid)
#define LAUNCHER(name, params)                                                                               \
    static ck_status run_##name(ck_cuda_state *cuda, void *const *operands, const ck_operation_params *all,  \
                                void *workspace) {                                                           \
        ck_##name##_operands t;                                                                              \
        memcpy(&t, operands, sizeof t);                                                                      \
        return ck_cuda_##name(cuda, &t, &all->params, workspace);                                            \
    }
#define WORKSPACE(name, params)                                                                              \
    static uint64_t workspace_##name(const ck_operation_params *p) {                                         \
        return ck_cuda_workspace_##name(&p->params);                                                         \
    }
#include "ck_operations.h"

static ck_status (*const runs[])(ck_cuda_state *, void *const *, const ck_operation_params *, void *) = {
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
    ck_cuda_state *s = state;
    CK_TRY(enter(s));
    CK_TRY(runs[kind](s, operands, params, scratch));
    return s->driver->synchronous ? synchronize(state) : CK_OK;
}

enum { FUNCTION_DYNAMIC_SHARED_BYTES = 8 };  // CUfunction_attribute

ck_status ck_cuda_launch(ck_cuda_state *s, ck_kernel kernel, ck_grid grid, void **arguments) {
    const ck_cuda_driver *d = s->driver;
    const struct ck_kernel_entry *entry = &ck_kernel_entries[kernel];
    unsigned shared = ck_kernel_shared_bytes(kernel);
    if (grid.x <= 0 || grid.y <= 0 || grid.z <= 0) return CK_OK;
    if (grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535)
        return ck_fail(CK_INVALID_ARGUMENT, "%s: a grid of %lld x %lld x %lld blocks is too large",
                       entry->name, (long long)grid.x, (long long)grid.y, (long long)grid.z);
    if (!s->functions[kernel]) {
        if (!s->modules[entry->source]) {
            uint8_t *cubin = NULL;
            uint64_t bytes = 0;
            CK_TRY(ck_cuda_compile(d, entry->source, 10 * s->properties.major + s->properties.minor, NULL,
                                   &cubin, &bytes));
            ck_status status =
                ck_cuda_check(d, d->module_load(&s->modules[entry->source], cubin), "loading kernels");
            free(cubin);
            CK_TRY(status);
        }
        CK_TRY(ck_cuda_check(
            d, d->module_function(&s->functions[kernel], s->modules[entry->source], entry->name),
            entry->name));
        if (shared > 0)
            CK_TRY(ck_cuda_check(
                d, d->function_set(s->functions[kernel], FUNCTION_DYNAMIC_SHARED_BYTES, (int)shared),
                entry->name));
    }
    return ck_cuda_check(d,
                         d->launch(s->functions[kernel], (unsigned)grid.x, (unsigned)grid.y, (unsigned)grid.z,
                                   (unsigned)entry->threads, 1, 1, shared, s->stream, arguments, NULL),
                         entry->name);
}

// ---- Graphs -----------------------------------------------------------------------------------------------

enum { CAPTURE_THREAD_LOCAL = 1 };  // CUstreamCaptureMode

static ck_status capture_begin(void *state) {
    ck_cuda_state *s = state;
    CK_TRY(enter(s));
    return ck_cuda_check(s->driver, s->driver->capture_begin(s->stream, CAPTURE_THREAD_LOCAL),
                         "beginning a graph");
}

static ck_status capture_end(void *state, void **executable) {
    ck_cuda_state *s = state;
    ck_cu_graph graph = NULL;
    *executable = NULL;
    CK_TRY(ck_cuda_check(s->driver, s->driver->capture_end(s->stream, &graph), "ending a graph"));
    ck_status status = ck_cuda_check(
        s->driver, s->driver->graph_instantiate((ck_cu_graph_exec *)executable, graph, 0), "making a graph");
    s->driver->graph_destroy(graph);
    return status;
}

static ck_status replay(void *state, void *executable) {
    ck_cuda_state *s = state;
    CK_TRY(enter(s));
    return ck_cuda_check(s->driver, s->driver->graph_launch(executable, s->stream), "running a graph");
}

static void release_graph(void *state, void *executable) {
    ck_cuda_state *s = state;
    if (enter(s) == CK_OK) s->driver->graph_exec_destroy(executable);
}

// What goes through the host between ranks cannot be in a graph.
static int captures(void *state) {
    ck_cuda_state *s = state;
    int uses_host = s->communicator && s->communicator->ranks > 1 && !s->nccl;
    return !s->driver->synchronous && !uses_host;
}

// ---- Times ------------------------------------------------------------------------------------------------

static ck_status mark(void *state, void **marks, int32_t index) {
    ck_cuda_state *s = state;
    CK_TRY(enter(s));
    CK_TRY(ck_cuda_check(s->driver, s->driver->event_create(&marks[index], 0), "making an event"));
    return ck_cuda_check(s->driver, s->driver->event_record(marks[index], s->stream), "recording an event");
}

static ck_status elapsed(void *state, void **marks, int32_t count, double *seconds) {
    ck_cuda_state *s = state;
    CK_TRY(synchronize(state));
    for (int32_t i = 0; i + 1 < count; i++) {
        float milliseconds = 0;
        CK_TRY(ck_cuda_check(s->driver, s->driver->event_elapsed(&milliseconds, marks[i], marks[i + 1]),
                             "reading an event"));
        seconds[i] = 1e-3 * (double)milliseconds;
    }
    return CK_OK;
}

static void release_marks(void *state, void **marks, int32_t count) {
    ck_cuda_state *s = state;
    for (int32_t i = 0; i < count; i++)
        if (marks[i]) s->driver->event_destroy(marks[i]);
}

// ---- Device -----------------------------------------------------------------------------------------------

static void destroy(void *state) {
    ck_cuda_state *s = state;
    const ck_cuda_driver *d = s->driver;
    if (s->context && d->context_set(s->context) == 0) {
        if (s->stream) d->stream_synchronize(s->stream);
        ck_cuda_leave(s);
        for (int i = 0; i < CK_SOURCE_COUNT; i++)
            if (s->modules[i]) d->module_unload(s->modules[i]);
        if (s->blas) d->lt_destroy(s->blas);
        if (s->blas_workspace) d->memory_free(s->blas_workspace);
        if (s->stream) d->stream_destroy(s->stream);
    }
    if (s->context) d->context_release(s->device);
    free(s);
}

static ck_status join(void *state, const ck_communicator *communicator) {
    CK_TRY(enter(state));
    return ck_cuda_join(state, communicator);
}

static const ck_backend cuda = {
    .name = "cuda",
    .available_memory = available_memory,
    .allocate = allocate,
    .release = release,
    .write = write,
    .read = read,
    .workspace = workspace,
    .run = run,
    .synchronize = synchronize,
    .destroy = destroy,
    .join = join,
    .captures = captures,
    .capture_begin = capture_begin,
    .capture_end = capture_end,
    .replay = replay,
    .release_graph = release_graph,
    .mark = mark,
    .elapsed = elapsed,
    .release_marks = release_marks,
};

ck_status ck_cuda_try_kernel(ck_device device) {
    ck_cuda_state *s = device.impl->state;
    void *memory = NULL;
    const float given = -1;
    float got = -1;
    CK_TRY(allocate(s, sizeof given, &memory));
    ck_status status = write(s, memory, &given, sizeof given);
    void *const operands[] = {memory, memory};
    ck_operation_params params = {.elementwise = {.count = 1}};
    if (status == CK_OK) status = run(s, CK_KIND_relu_forward, operands, &params, NULL);
    if (status == CK_OK) status = read(s, &got, memory, sizeof got);
    release(s, memory);
    if (status == CK_OK && got != 0)
        return ck_fail(CK_INTERNAL_ERROR, "%s computes wrongly: the ReLU of -1 is %g", s->properties.name,
                       got);
    return status;
}

static ck_status open_device(ck_cuda_state *s, int ordinal) {
    const ck_cuda_driver *d = s->driver;
    CK_TRY(ck_cuda_describe(d, ordinal, &s->properties));
    if (s->properties.major < 8)
        return ck_fail(CK_DEVICE_UNAVAILABLE,
                       "%s has compute capability %d.%d; the kernels need 8.0 (Ampere) or newer",
                       s->properties.name, s->properties.major, s->properties.minor);
    CK_TRY(ck_cuda_check(d, d->device_get(&s->device, ordinal), "opening the GPU"));
    CK_TRY(ck_cuda_check(d, d->context_retain(&s->context, s->device), "opening the GPU"));
    CK_TRY(enter(s));
    CK_TRY(ck_cuda_check(d, d->stream_create(&s->stream, 1 /* does not wait for the default stream */),
                         "making a stream"));
    if (d->lt_create(&s->blas) != 0) return ck_fail(CK_DEVICE_UNAVAILABLE, "cuBLASLt does not start");
    return ck_cuda_check(d, d->memory_allocate(&s->blas_workspace, CK_BLAS_WORKSPACE),
                         "allocating cuBLASLt's workspace");
}

ck_status ck_device_create_cuda(const ck_cuda_driver *driver, int ordinal, ck_device *device) {
    struct ck_device_impl *impl = calloc(1, sizeof *impl);
    ck_cuda_state *state = calloc(1, sizeof *state);
    if (!impl || !state) {
        free(impl);
        free(state);
        return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    }
    state->driver = driver;
    ck_status status = open_device(state, ordinal);
    if (status != CK_OK) {
        destroy(state);
        free(impl);
        return status;
    }
    impl->backend = &cuda;
    impl->state = state;
    device->impl = impl;
    return CK_OK;
}
