// What a backend supplies: memory, and a function for every operation. `plan.c` knows nothing else about it.
#ifndef CK_BACKEND_H
#define CK_BACKEND_H

#include "internal.h"

typedef struct ck_backend {
    const char *name;
    ck_status (*available_memory)(void *state, uint64_t *bytes);
    ck_status (*allocate)(void *state, uint64_t bytes, void **memory);
    void (*release)(void *state, void *memory);
    ck_status (*write)(void *state, void *to, const void *from, uint64_t bytes);
    ck_status (*read)(void *state, void *to, const void *from, uint64_t bytes);
    // Scratch bytes of one operation.
    uint64_t (*workspace)(void *state, const ck_operation *operation);
    ck_status (*run)(void *state, ck_kind kind, void *const *operands, const ck_operation_params *params,
                     void *workspace);
    ck_status (*synchronize)(void *state);
    void (*destroy)(void *state);
    ck_status (*join)(void *state, const ck_communicator *communicator);
    // Graphs of whole plans: what runs between begin and end is recorded, not done, and replayed at once. All
    // NULL where there is nothing to gain; `captures` says whether the device wants it.
    int (*captures)(void *state);
    ck_status (*capture_begin)(void *state);
    ck_status (*capture_end)(void *state, void **graph);
    ck_status (*replay)(void *state, void *graph);
    void (*release_graph)(void *state, void *graph);
    // Times on the device itself, for `count` marks: `mark` puts one between operations, and `elapsed` waits
    // and gives the seconds from each to the next. NULL where the host's clock around an operation is as
    // good.
    ck_status (*mark)(void *state, void **marks, int32_t index);
    ck_status (*elapsed)(void *state, void **marks, int32_t count, double *seconds);
    void (*release_marks)(void *state, void **marks, int32_t count);
} ck_backend;

struct ck_device_impl {
    const ck_backend *backend;
    void *state;
};

struct ck_arena_impl {
    struct ck_device_impl *device;
    uint8_t *memory;
    uint64_t bytes;
};

#endif
