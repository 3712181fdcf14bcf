// Devices, arenas and plans: the part of the engine below Swift that is the same for every backend.
#include "backend.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name;
    int32_t tensors;
} kinds[] = {
#define CK_DESCRIBE_KIND(name, tensors, workspace) [CK_KIND_##name] = {#name, tensors},
    CK_OPERATIONS(CK_DESCRIBE_KIND)
#undef CK_DESCRIBE_KIND
};

const char *ck_kind_name(ck_kind kind) { return (unsigned)kind < CK_KIND_COUNT ? kinds[kind].name : "unknown"; }
int32_t ck_kind_tensor_count(ck_kind kind) { return (unsigned)kind < CK_KIND_COUNT ? kinds[kind].tensors : 0; }

void ck_device_destroy(ck_device device) {
    if (!device.impl) return;
    device.impl->backend->destroy(device.impl->state);
    free(device.impl);
}

ck_status ck_device_available_memory(ck_device device, uint64_t *bytes) {
    return device.impl->backend->available_memory(device.impl->state, bytes);
}

ck_status ck_device_synchronize(ck_device device) { return device.impl->backend->synchronize(device.impl->state); }

ck_status ck_arena_create(ck_device device, uint64_t bytes, ck_arena *arena) {
    struct ck_arena_impl *impl = calloc(1, sizeof *impl);
    if (!impl) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    void *memory = NULL;
    ck_status status = device.impl->backend->allocate(device.impl->state, bytes, &memory);
    if (status != CK_OK) {
        free(impl);
        return status;
    }
    *impl = (struct ck_arena_impl){device.impl, memory, bytes};
    arena->impl = impl;
    return CK_OK;
}

void ck_arena_destroy(ck_arena arena) {
    if (!arena.impl) return;
    arena.impl->device->backend->release(arena.impl->device->state, arena.impl->memory);
    free(arena.impl);
}

static ck_status check_range(ck_arena arena, uint64_t offset, uint64_t bytes) {
    if (offset > arena.impl->bytes || bytes > arena.impl->bytes - offset)
        return ck_fail(CK_INVALID_ARGUMENT, "bytes %llu..<%llu are outside the arena of %llu", (unsigned long long)offset,
                       (unsigned long long)(offset + bytes), (unsigned long long)arena.impl->bytes);
    return CK_OK;
}

ck_status ck_arena_write(ck_arena arena, uint64_t offset, const void *source, uint64_t bytes) {
    ck_status status = check_range(arena, offset, bytes);
    if (status != CK_OK || bytes == 0) return status;
    struct ck_device_impl *device = arena.impl->device;
    return device->backend->write(device->state, arena.impl->memory + offset, source, bytes);
}

ck_status ck_arena_read(ck_arena arena, uint64_t offset, void *destination, uint64_t bytes) {
    ck_status status = check_range(arena, offset, bytes);
    if (status != CK_OK || bytes == 0) return status;
    struct ck_device_impl *device = arena.impl->device;
    return device->backend->read(device->state, destination, arena.impl->memory + offset, bytes);
}

struct bound_operation {
    ck_kind kind;
    void *tensors[CK_MAX_TENSORS];
    ck_operation_params params;
};

struct ck_plan_impl {
    struct ck_device_impl *device;
    void *workspace;
    int threads;  // that the workspace was sized for
    int has_run;  // once, operation by operation: kernels are loaded then
    void *graph;  // of the whole list, where the backend has such
    int32_t count;
    struct bound_operation operations[];
};

ck_status ck_plan_workspace(ck_device device, const ck_operation *operations, int32_t count, uint64_t *bytes) {
    *bytes = 0;
    for (int32_t i = 0; i < count; i++) {
        uint64_t needed = device.impl->backend->workspace(device.impl->state, &operations[i]);
        if (needed > *bytes) *bytes = needed;
    }
    return CK_OK;
}

ck_status ck_plan_create(ck_arena arena, const ck_operation *operations, int32_t count, uint64_t workspace,
                         uint64_t workspace_bytes, ck_plan *plan) {
    ck_status status = check_range(arena, workspace, workspace_bytes);
    if (status != CK_OK) return status;
    uint64_t needed = 0;
    ck_plan_workspace((ck_device){arena.impl->device}, operations, count, &needed);
    if (needed > workspace_bytes)
        return ck_fail(CK_INVALID_ARGUMENT, "the plan needs %llu bytes of workspace and was given %llu",
                       (unsigned long long)needed, (unsigned long long)workspace_bytes);
    struct ck_plan_impl *impl = calloc(1, sizeof *impl + sizeof(struct bound_operation) * (size_t)count);
    if (!impl) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    impl->device = arena.impl->device;
    impl->workspace = arena.impl->memory + workspace;
    impl->count = count;
    impl->threads = ck_thread_count();
    for (int32_t i = 0; i < count; i++) {
        struct bound_operation *to = &impl->operations[i];
        to->kind = operations[i].kind;
        to->params = operations[i].params;
        if ((unsigned)to->kind >= CK_KIND_COUNT) {
            free(impl);
            return ck_fail(CK_INVALID_ARGUMENT, "operation %d is of no known kind", (int)i);
        }
        for (int32_t t = 0; t < kinds[to->kind].tensors; t++) {
            uint64_t offset = operations[i].tensors[t];
            if (offset == CK_NO_TENSOR) continue;
            if (offset >= arena.impl->bytes || offset % 4 != 0) {
                free(impl);
                return ck_fail(CK_INVALID_ARGUMENT, "tensor %d of operation %d (%s) is outside the arena", (int)t, (int)i,
                               kinds[to->kind].name);
            }
            to->tensors[t] = arena.impl->memory + offset;
        }
    }
    plan->impl = impl;
    return CK_OK;
}

void ck_plan_destroy(ck_plan plan) {
    if (!plan.impl) return;
    struct ck_device_impl *device = plan.impl->device;
    if (plan.impl->graph) device->backend->release_graph(device->state, plan.impl->graph);
    free(plan.impl);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Runs operation by operation; with `seconds`, each one's time.
static ck_status run_operations(ck_plan plan, double *seconds, int32_t *failed) {
    const ck_backend *backend = plan.impl->device->backend;
    void *state = plan.impl->device->state;
    for (int32_t i = 0; i < plan.impl->count; i++) {
        const struct bound_operation *op = &plan.impl->operations[i];
        double start = seconds ? now() : 0;
        ck_status status = backend->run(state, op->kind, op->tensors, &op->params, plan.impl->workspace);
        if (status == CK_OK && seconds) status = backend->synchronize(state);
        if (status != CK_OK) {
            *failed = i;
            return status;
        }
        if (seconds) seconds[i] = now() - start;
    }
    return CK_OK;
}

// Records the list as a graph. After a failure the recording is ended and thrown away.
static ck_status capture(ck_plan plan, int32_t *failed) {
    const ck_backend *backend = plan.impl->device->backend;
    void *state = plan.impl->device->state, *unfinished = NULL;
    ck_status status = backend->capture_begin(state);
    if (status != CK_OK) return status;
    status = run_operations(plan, NULL, failed);
    if (status == CK_OK) return backend->capture_end(state, &plan.impl->graph);
    char text[512];  // ending the recording may fail too, and that is not what matters
    strncpy(text, ck_last_error(), sizeof text - 1);
    text[sizeof text - 1] = 0;
    if (backend->capture_end(state, &unfinished) == CK_OK && unfinished) backend->release_graph(state, unfinished);
    return ck_fail(status, "%s", text);
}

static ck_status check_threads(ck_plan plan, int32_t *failed) {
    *failed = -1;
    if (ck_thread_count() > plan.impl->threads)
        return ck_fail(CK_INVALID_ARGUMENT, "the plan was made for %d threads and now there are %d", plan.impl->threads,
                       ck_thread_count());
    return CK_OK;
}

ck_status ck_plan_run(ck_plan plan, int32_t *failed) {
    const ck_backend *backend = plan.impl->device->backend;
    void *state = plan.impl->device->state;
    ck_status status = check_threads(plan, failed);
    if (status != CK_OK) return status;
    if (!plan.impl->graph && plan.impl->has_run && backend->captures && backend->captures(state)) {
        status = capture(plan, failed);
        if (status != CK_OK) return status;
    }
    if (plan.impl->graph) return backend->replay(state, plan.impl->graph);
    status = run_operations(plan, NULL, failed);
    if (status == CK_OK) plan.impl->has_run = 1;
    return status;
}

ck_status ck_plan_profile(ck_plan plan, double *seconds, int32_t *failed) {
    const ck_backend *backend = plan.impl->device->backend;
    ck_status status = check_threads(plan, failed);
    if (status == CK_OK) status = backend->synchronize(plan.impl->device->state);
    return status == CK_OK ? run_operations(plan, seconds, failed) : status;
}
