// ONNX Runtime's C library, found at run time: no header or library of it is needed to build.
#ifndef ONNX_RUNTIME_H
#define ONNX_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The library, or why there is none.
typedef struct {
    const void *api;    // NULL where it was not found
    char path[512];     // of the file
    char version[32];   // such as 1.20.1
    char reason[1024];  // why there is none
} onr_library;

// Looks for libonnxruntime.so in `folders`, which are separated by colons, or NULL: in each of them, in its
// folder lib, and where pip puts it below a virtual environment; then where the system looks; then in the
// environment that is active and the user's own packages. It stays loaded.
void onr_find(const char *folders, onr_library *library);

// A model that is loaded.
typedef struct onr_session onr_session;

// The types of elements, as ONNX numbers them.
enum { ONR_FLOAT = 1, ONR_UINT8 = 2, ONR_BOOL = 9, ONR_DOUBLE = 11 };

// Loads an ONNX file; NULL with a reason in `reason`, which has room for `room` bytes.
onr_session *onr_open(const onr_library *library, const char *path, char *reason, size_t room);

// One output of a run: its name and type, and where its elements go.
typedef struct {
    const char *name;
    int32_t type;
    size_t count;  // of elements
    void *values;
} onr_output;

// Gives the model its input, uint8 of a shape of four extents, and copies `count` of its outputs. Returns 0,
// or another number with a reason: an output of another type or another number of elements is one.
int32_t onr_run(onr_session *session, const char *input, const uint8_t *values, const int64_t shape[4],
                const onr_output *outputs, size_t count, char *reason, size_t room);

// Frees a session; NULL is none.
void onr_close(onr_session *session);

#ifdef __cplusplus
}
#endif
#endif
