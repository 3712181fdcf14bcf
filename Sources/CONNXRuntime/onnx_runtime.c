#define _GNU_SOURCE
#include "onnx_runtime.h"
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The table of functions that the library hands out by a version is stable: a later one only adds at its end.
// These are the places of those that are used, of the structure OrtApi in onnxruntime_c_api.h of
// version 1.12, the first that reads opset 17. A function that can fail returns a status, NULL for success.
enum {
    API_VERSION = 12,
    GetErrorMessage = 2,
    CreateEnv = 3,
    CreateSession = 7,
    Run = 9,
    CreateSessionOptions = 10,
    CreateTensorWithDataAsOrtValue = 49,
    GetTensorMutableData = 51,
    GetTensorElementType = 60,
    GetTensorShapeElementCount = 64,
    GetTensorTypeAndShape = 65,
    CreateCpuMemoryInfo = 69,
    ReleaseEnv = 92,
    ReleaseStatus = 93,
    ReleaseMemoryInfo = 94,
    ReleaseSession = 95,
    ReleaseValue = 96,
    ReleaseTensorTypeAndShapeInfo = 99,
    ReleaseSessionOptions = 100,
};

// OrtLoggingLevel's ORT_LOGGING_LEVEL_FATAL, OrtAllocatorType's OrtDeviceAllocator, OrtMemType's
// OrtMemTypeDefault.
enum { LOG_FATAL_ONLY = 4, DEVICE_ALLOCATOR = 0, DEFAULT_MEMORY = 0 };

typedef void *status;
typedef void function(void);
typedef struct {
    const void *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
} api_base;

// A function of the table, to be called by its own type.
#define CALL(api, place, ...) ((status(*)(__VA_ARGS__))((function *const *)(api))[place])
#define RELEASE(api, place, value) ((void (*)(void *))((function *const *)(api))[place])(value)

struct onr_session {
    const void *api;
    void *environment, *options, *session, *memory;
};

// ---- The library
// -------------------------------------------------------------------------------------------

// Opens a library; where there is a file that cannot be opened, the library's reason says why.
static void *open_file(const char *file, onr_library *library) {
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle && access(file, F_OK) == 0)
        snprintf(library->reason, sizeof library->reason, "cannot be loaded: %s", dlerror());
    return handle;
}

// Opens what matches a pattern below a folder: the first that can be opened.
static void *open_matching(const char *folder, size_t length, const char *below, onr_library *library) {
    char pattern[1200];
    size_t count = 0;
    for (size_t i = 0; i < length && count < sizeof pattern - 200; i++) {
        if (strchr("*?[]\\", folder[i])) pattern[count++] = '\\';
        pattern[count++] = folder[i];
    }
    snprintf(pattern + count, sizeof pattern - count, "/%slibonnxruntime.so*", below);
    glob_t found;
    void *handle = NULL;
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && !handle; i++) handle = open_file(found.gl_pathv[i], library);
    globfree(&found);
    return handle;
}

// Where the library may lie below a folder that somebody names: there, or where pip puts it.
static void *open_below(const char *folder, size_t length, onr_library *library) {
    static const char *const below[] = {"", "lib/", "onnxruntime/capi/",
                                        "lib/python3*/site-packages/onnxruntime/capi/"};
    void *handle = NULL;
    for (size_t i = 0; i < sizeof below / sizeof below[0] && length && !handle; i++)
        handle = open_matching(folder, length, below[i], library);
    return handle;
}

static void *open_library(const char *folders, onr_library *library) {
    void *handle = NULL;
    for (const char *at = folders; at && *at && !handle;) {
        size_t length = strcspn(at, ":");
        handle = open_below(at, length, library);
        at += length + (at[length] == ':');
    }
    static const char *const names[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
    for (int i = 0; i < 2 && !handle; i++) handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    const char *environment = getenv("VIRTUAL_ENV"), *home = getenv("HOME");
    if (!handle && environment) handle = open_below(environment, strlen(environment), library);
    if (!handle && home)
        handle =
            open_matching(home, strlen(home), ".local/lib/python3*/site-packages/onnxruntime/capi/", library);
    return handle;
}

void onr_find(const char *folders, onr_library *library) {
    memset(library, 0, sizeof *library);
    void *handle = open_library(folders, library);
    if (!handle) {
        if (library->reason[0]) return;
        snprintf(library->reason, sizeof library->reason, "libonnxruntime.so was not found%s%s",
                 folders && *folders ? " in " : "", folders ? folders : "");
        return;
    }
    library->reason[0] = 0;
    void *symbol = dlsym(handle, "OrtGetApiBase");
    const api_base *(*get_base)(void) = NULL;
    memcpy(&get_base, &symbol, sizeof symbol);
    Dl_info info;
    if (symbol && dladdr(symbol, &info) && info.dli_fname)
        snprintf(library->path, sizeof library->path, "%s", info.dli_fname);
    const api_base *base = get_base ? get_base() : NULL;
    if (base) snprintf(library->version, sizeof library->version, "%s", base->get_version());
    // An older library would print that it has no such version.
    int major = 0, minor = 0;
    if (base && sscanf(library->version, "%d.%d", &major, &minor) == 2 && (major > 1 || minor >= API_VERSION))
        library->api = base->get_api(API_VERSION);
    if (!library->api)
        snprintf(library->reason, sizeof library->reason, "%s %s is not ONNX Runtime 1.%d or later",
                 library->path, library->version, API_VERSION);
}

// ---- Sessions
// ----------------------------------------------------------------------------------------------

// Whether a call failed; keeps its message and frees its status.
static int failed(const void *api, status result, char *reason, size_t room) {
    if (!result) return 0;
    const char *(*message)(const void *) =
        (const char *(*)(const void *))((function *const *)api)[GetErrorMessage];
    snprintf(reason, room, "%s", message(result));
    RELEASE(api, ReleaseStatus, result);
    return 1;
}

onr_session *onr_open(const onr_library *library, const char *path, char *reason, size_t room) {
    const void *api = library->api;
    onr_session *s = calloc(1, sizeof *s);
    if (!s) {
        snprintf(reason, room, "out of memory");
        return NULL;
    }
    s->api = api;
    if (failed(api, CALL(api, CreateEnv, int, const char *, void **)(LOG_FATAL_ONLY, "occ", &s->environment),
               reason, room) ||
        failed(api, CALL(api, CreateSessionOptions, void **)(&s->options), reason, room) ||
        failed(api,
               CALL(api, CreateSession, void *, const char *, void *, void **)(s->environment, path,
                                                                               s->options, &s->session),
               reason, room) ||
        failed(
            api,
            CALL(api, CreateCpuMemoryInfo, int, int, void **)(DEVICE_ALLOCATOR, DEFAULT_MEMORY, &s->memory),
            reason, room)) {
        onr_close(s);
        return NULL;
    }
    return s;
}

// Copies an output, if it is what is expected.
static int32_t copy(const void *api, void *value, const onr_output *output, char *reason, size_t room) {
    void *shape = NULL, *data = NULL;
    int type = 0;
    size_t count = 0;
    if (failed(api, CALL(api, GetTensorTypeAndShape, void *, void **)(value, &shape), reason, room)) return 1;
    int bad =
        failed(api, CALL(api, GetTensorElementType, void *, int *)(shape, &type), reason, room) ||
        failed(api, CALL(api, GetTensorShapeElementCount, void *, size_t *)(shape, &count), reason, room);
    RELEASE(api, ReleaseTensorTypeAndShapeInfo, shape);
    if (bad) return 1;
    if (type != output->type || count != output->count) {
        snprintf(reason, room, "%s: %zu elements of type %d, where %zu of type %d are expected", output->name,
                 count, type, output->count, output->type);
        return 1;
    }
    if (failed(api, CALL(api, GetTensorMutableData, void *, void **)(value, &data), reason, room)) return 1;
    size_t size = type == ONR_DOUBLE ? 8 : type == ONR_FLOAT ? 4 : 1;
    memcpy(output->values, data, count * size);
    return 0;
}

enum { MOST_OUTPUTS = 8 };

int32_t onr_run(onr_session *session, const char *input, const uint8_t *values, const int64_t shape[4],
                const onr_output *outputs, size_t count, char *reason, size_t room) {
    const void *api = session->api;
    if (count > MOST_OUTPUTS) {
        snprintf(reason, room, "%zu outputs; %d at most", count, MOST_OUTPUTS);
        return 1;
    }
    size_t bytes = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    void *tensor = NULL, *found[MOST_OUTPUTS] = {NULL};
    const char *names[MOST_OUTPUTS];
    for (size_t i = 0; i < count; i++) names[i] = outputs[i].name;
    if (failed(api,
               CALL(api, CreateTensorWithDataAsOrtValue, void *, void *, size_t, const int64_t *, size_t, int,
                    void **)(session->memory, (void *)(uintptr_t)values, bytes, shape, 4, ONR_UINT8, &tensor),
               reason, room))
        return 1;
    int32_t result =
        failed(api,
               CALL(api, Run, void *, const void *, const char *const *, const void *const *, size_t,
                    const char *const *, size_t, void **)(
                   session->session, NULL, &input, (const void *const *)&tensor, 1, names, count, found),
               reason, room);
    for (size_t i = 0; i < count; i++) {
        if (!result) result = copy(api, found[i], &outputs[i], reason, room);
        RELEASE(api, ReleaseValue, found[i]);
    }
    RELEASE(api, ReleaseValue, tensor);
    return result;
}

void onr_close(onr_session *session) {
    if (!session) return;
    RELEASE(session->api, ReleaseMemoryInfo, session->memory);
    RELEASE(session->api, ReleaseSession, session->session);
    RELEASE(session->api, ReleaseSessionOptions, session->options);
    RELEASE(session->api, ReleaseEnv, session->environment);
    free(session);
}
