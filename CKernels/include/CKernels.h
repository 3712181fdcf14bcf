// The C boundary of occ-gpu: everything Swift calls. Functions return a status and hand results out through pointers;
// on failure `ck_last_error()` has the text for the calling thread. Nothing here prints, exits or aborts.
#ifndef CKERNELS_H
#define CKERNELS_H

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

#ifdef __cplusplus
}
#endif
#endif
