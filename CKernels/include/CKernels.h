// The C boundary of occ-gpu: everything Swift calls. Functions return a status and hand results out through pointers;
// on failure `ck_last_error()` has the text for the calling thread. Nothing here prints, exits or aborts.
#ifndef CKERNELS_H
#define CKERNELS_H

#include "ck_color.h"
#include "ck_dihedral.h"
#include "ck_params.h"
#include "ck_random.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Status -----------------------------------------------------------------------------------------------------

typedef enum __attribute__((enum_extensibility(closed))) ck_status {
    CK_OK = 0,
    CK_INVALID_ARGUMENT = 1,
    CK_OUT_OF_MEMORY = 2,
    CK_DEVICE_UNAVAILABLE = 3,
    CK_NUMERICAL_ERROR = 4,
    CK_INTERNAL_ERROR = 5,
} ck_status;

// The text of the calling thread's last failure; valid until its next failing call.
const char *ck_last_error(void);

// ---- Threads ----------------------------------------------------------------------------------------------------

// A task: `index` in [0, count), `worker` in [0, ck_thread_count()), so that a worker can own scratch memory.
typedef void (*ck_task)(void *context, int64_t index, int worker);

// Sets the size of the process-wide pool (1...256; 0 = one per available core). Not to be called during a parallel_for.
ck_status ck_set_thread_count(int count);
int ck_thread_count(void);

// Runs task(context, 0...count-1) on the pool and returns when all are done. Which worker runs which index is not
// fixed: a task writes only what belongs to its index (or its worker's scratch). A call from inside a task runs serially.
void ck_parallel_for(int64_t count, ck_task task, void *context);

// ---- Devices, arenas, plans -------------------------------------------------------------------------------------

// Where plans run. Handles are one-field structs, so that the compiler tells them apart.
typedef struct ck_device {
    struct ck_device_impl *impl;
} ck_device;

// One block of device memory that every tensor of a program lives in.
typedef struct ck_arena {
    struct ck_arena_impl *impl;
} ck_arena;

// A linear list of operations bound to an arena.
typedef struct ck_plan {
    struct ck_plan_impl *impl;
} ck_plan;

// The CPU, always there.
ck_status ck_device_create_cpu(ck_device *device);
void ck_device_destroy(ck_device device);
// Bytes a new arena may take now.
ck_status ck_device_available_memory(ck_device device, uint64_t *bytes);

// `bytes` of zeroed memory, 64-byte aligned.
ck_status ck_arena_create(ck_device device, uint64_t bytes, ck_arena *arena);
void ck_arena_destroy(ck_arena arena);
ck_status ck_arena_write(ck_arena arena, uint64_t offset, const void *source, uint64_t bytes);
ck_status ck_arena_read(ck_arena arena, uint64_t offset, void *destination, uint64_t bytes);

// The scratch memory that the list needs on the device (with its present number of threads).
ck_status ck_plan_workspace(ck_device device, const ck_operation *operations, int32_t count, uint64_t *bytes);
// Checks every tensor against the arena, and binds the list to it. `workspace` is the scratch memory's offset.
ck_status ck_plan_create(ck_arena arena, const ck_operation *operations, int32_t count, uint64_t workspace,
                         uint64_t workspace_bytes, ck_plan *plan);
void ck_plan_destroy(ck_plan plan);
// Runs the list. On failure `failed` is the index of the operation, or -1.
ck_status ck_plan_run(ck_plan plan, int32_t *failed);
// Runs the list once and writes each operation's time.
ck_status ck_plan_profile(ck_plan plan, double *seconds, int32_t *failed);

const char *ck_kind_name(ck_kind kind);
int32_t ck_kind_tensor_count(ck_kind kind);

#ifdef __cplusplus
}
#endif
#endif
