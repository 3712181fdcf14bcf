// Devices, arenas and plans: the part of the engine below Swift that is the same for every backend.
#include "backend.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void ck_device_destroy(ck_device device) {
    if (!device.impl) return;
    device.impl->backend->destroy(device.impl->state);
    free(device.impl);
}

ck_status ck_device_available_memory(ck_device device, uint64_t *bytes) {
    return device.impl->backend->available_memory(device.impl->state, bytes);
}

ck_status ck_device_synchronize(ck_device device) {
    return device.impl->backend->synchronize(device.impl->state);
}

ck_status ck_device_join(ck_device device, const ck_communicator *communicator) {
    if (communicator->ranks < 1 || communicator->rank < 0 || communicator->rank >= communicator->ranks)
        return ck_fail(CK_INVALID_ARGUMENT, "rank %d of %d", communicator->rank, communicator->ranks);
    return device.impl->backend->join(device.impl->state, communicator);
}

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
        return ck_fail(CK_INVALID_ARGUMENT, "bytes %llu..<%llu are outside the arena of %llu",
                       (unsigned long long)offset, (unsigned long long)(offset + bytes),
                       (unsigned long long)arena.impl->bytes);
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
    void *operands[CK_MAX_TENSORS];  // in the order of the declaration; NULL: absent
    ck_operation_params params;
};

struct ck_plan_impl {
    struct ck_device_impl *device;
    void *workspace;
    int threads;             // that the workspace was sized for
    int has_run;             // once, operation by operation: kernels are loaded then
    void *graph;             // of the whole list, where the backend has such
    char not_captured[256];  // why there is no graph, once making one has failed
    int32_t count;
    struct bound_operation operations[];
};

ck_status ck_plan_workspace(ck_device device, const ck_operation *operations, int32_t count,
                            uint64_t *bytes) {
    *bytes = 0;
    for (int32_t i = 0; i < count; i++) {
        if (!ck_declaration_of(operations[i].kind))
            return ck_fail(CK_INVALID_ARGUMENT, "operation %d is of no known kind", (int)i);
        uint64_t needed = device.impl->backend->workspace(device.impl->state, &operations[i]);
        if (needed > *bytes) *bytes = needed;
    }
    return CK_OK;
}

static uint64_t bytes_of(const ck_tensor *tensor) {
    static const uint64_t sizes[] = {
        [CK_f32] = 4, [CK_i32] = 4, [CK_u8] = 1, [CK_step] = sizeof(ck_step_state), [CK_bf16] = 2};
    uint64_t bytes = sizes[tensor->element];
    for (int32_t d = 0; d < tensor->rank; d++) bytes *= (uint64_t)tensor->shape[d];
    return bytes;
}

// The operation with its operands' addresses, or what is wrong with it.
static ck_status bind_operation(ck_arena arena, const ck_operation *operation, int32_t index,
                                struct bound_operation *to) {
    ck_status status = ck_operation_check(operation, NULL);
    if (status != CK_OK) return status;
    const ck_declaration *declaration = ck_declaration_of(operation->kind);
    to->kind = operation->kind;
    to->params = operation->params;
    for (int32_t i = 0; i < declaration->operand_count; i++) {
        const ck_tensor *tensor = &operation->tensors[i];
        if (tensor->offset == CK_NO_TENSOR) continue;
        if (tensor->offset % 4 != 0 || check_range(arena, tensor->offset, bytes_of(tensor)) != CK_OK)
            return ck_fail(
                CK_INVALID_ARGUMENT,
                "%s of operation %d (%s): bytes %llu..<%llu are not in the arena of %llu, or not aligned",
                declaration->operands[i].name, (int)index, declaration->name,
                (unsigned long long)tensor->offset, (unsigned long long)(tensor->offset + bytes_of(tensor)),
                (unsigned long long)arena.impl->bytes);
        to->operands[i] = arena.impl->memory + tensor->offset;
    }
    return CK_OK;
}

ck_status ck_plan_create(ck_arena arena, const ck_operation *operations, int32_t count, uint64_t workspace,
                         uint64_t workspace_bytes, ck_plan *plan) {
    ck_status status = check_range(arena, workspace, workspace_bytes);
    uint64_t needed = 0;
    if (status == CK_OK)
        status = ck_plan_workspace((ck_device){arena.impl->device}, operations, count, &needed);
    if (status != CK_OK) return status;
    if (needed > workspace_bytes)
        return ck_fail(CK_INVALID_ARGUMENT, "the plan needs %llu bytes of workspace and was given %llu",
                       (unsigned long long)needed, (unsigned long long)workspace_bytes);
    struct ck_plan_impl *impl = calloc(1, sizeof *impl + sizeof(struct bound_operation) * (size_t)count);
    if (!impl) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    impl->device = arena.impl->device;
    impl->workspace = arena.impl->memory + workspace;
    impl->count = count;
    impl->threads = ck_thread_count();
    for (int32_t i = 0; i < count && status == CK_OK; i++)
        status = bind_operation(arena, &operations[i], i, &impl->operations[i]);
    if (status != CK_OK) {
        free(impl);
        return status;
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

static ck_status run_operation(ck_plan plan, int32_t i, int32_t *failed) {
    const struct bound_operation *op = &plan.impl->operations[i];
    struct ck_device_impl *device = plan.impl->device;
    ck_status status =
        device->backend->run(device->state, op->kind, op->operands, &op->params, plan.impl->workspace);
    if (status != CK_OK) *failed = i;
    return status;
}

static ck_status run_operations(ck_plan plan, int32_t *failed) {
    ck_status status = CK_OK;
    for (int32_t i = 0; i < plan.impl->count && status == CK_OK; i++) status = run_operation(plan, i, failed);
    return status;
}

// Records the list as a graph. After a failure the recording is ended and thrown away.
static ck_status capture(ck_plan plan, int32_t *failed) {
    const ck_backend *backend = plan.impl->device->backend;
    void *state = plan.impl->device->state, *unfinished = NULL;
    ck_status status = backend->capture_begin(state);
    if (status != CK_OK) return status;
    status = run_operations(plan, failed);
    if (status == CK_OK) return backend->capture_end(state, &plan.impl->graph);
    char text[512];  // ending the recording may fail too, and that is not what matters
    strncpy(text, ck_last_error(), sizeof text - 1);
    text[sizeof text - 1] = 0;
    if (backend->capture_end(state, &unfinished) == CK_OK && unfinished)
        backend->release_graph(state, unfinished);
    return ck_fail(status, "%s", text);
}

static ck_status check_threads(ck_plan plan, int32_t *failed) {
    *failed = -1;
    if (ck_thread_count() > plan.impl->threads)
        return ck_fail(CK_INVALID_ARGUMENT, "the plan was made for %d threads and now there are %d",
                       plan.impl->threads, ck_thread_count());
    return CK_OK;
}

ck_status ck_plan_run(ck_plan plan, int32_t *failed) {
    const ck_backend *backend = plan.impl->device->backend;
    void *state = plan.impl->device->state;
    ck_status status = check_threads(plan, failed);
    if (status != CK_OK) return status;
    int may_capture = plan.impl->has_run && !plan.impl->not_captured[0];
    if (!plan.impl->graph && may_capture && backend->captures && backend->captures(state) &&
        capture(plan, failed) != CK_OK) {
        // What is wrong with the device itself fails again below.
        snprintf(plan.impl->not_captured, sizeof plan.impl->not_captured, "%s", ck_last_error());
        *failed = -1;
    }
    if (plan.impl->graph) return backend->replay(state, plan.impl->graph);
    status = run_operations(plan, failed);
    if (status == CK_OK) plan.impl->has_run = 1;
    return status;
}

const char *ck_plan_not_captured(ck_plan plan) {
    return plan.impl->not_captured[0] ? plan.impl->not_captured : NULL;
}

// The host's clock around each operation.
static ck_status time_by_clock(ck_plan plan, double *seconds, int32_t *failed) {
    struct ck_device_impl *device = plan.impl->device;
    for (int32_t i = 0; i < plan.impl->count; i++) {
        double start = now();
        ck_status status = run_operation(plan, i, failed);
        if (status == CK_OK) status = device->backend->synchronize(device->state);
        if (status != CK_OK) return status;
        seconds[i] = now() - start;
    }
    return CK_OK;
}

// The device's own times, while operations follow each other as in a run.
static ck_status time_by_marks(ck_plan plan, double *seconds, int32_t *failed) {
    struct ck_device_impl *device = plan.impl->device;
    const ck_backend *backend = device->backend;
    int32_t count = plan.impl->count;
    void **marks = calloc((size_t)count + 1, sizeof *marks);
    if (!marks) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_status status = backend->mark(device->state, marks, 0);
    for (int32_t i = 0; i < count && status == CK_OK; i++) {
        status = run_operation(plan, i, failed);
        if (status == CK_OK) status = backend->mark(device->state, marks, i + 1);
    }
    if (status == CK_OK) status = backend->elapsed(device->state, marks, count + 1, seconds);
    backend->release_marks(device->state, marks, count + 1);
    free(marks);
    return status;
}

ck_status ck_plan_profile(ck_plan plan, double *seconds, int32_t *failed) {
    const ck_backend *backend = plan.impl->device->backend;
    ck_status status = check_threads(plan, failed);
    if (status == CK_OK) status = backend->synchronize(plan.impl->device->state);
    if (status != CK_OK) return status;
    return backend->mark ? time_by_marks(plan, seconds, failed) : time_by_clock(plan, seconds, failed);
}
