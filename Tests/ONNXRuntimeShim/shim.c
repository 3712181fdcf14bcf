// A libonnxruntime.so that knows nothing of ONNX: it has the functions that `onnx_runtime.c` calls, at their
// places, and gives the scores that SHIM_SCORES has, one an image, and maps of zeros. SHIM_VERSION is its
// version, and SHIM_REFUSES makes it refuse every file in these words. SHIM_LOG gets a line for each object
// that is released.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Whatever the library hands out.
typedef struct {
    const char *kind;
    int type;
    size_t count;
    double score;
    float *map;
} object;

static int alive;

static object *make(const char *kind) {
    object *made = calloc(1, sizeof *made);
    made->kind = kind;
    alive++;
    return made;
}

static void release(object *value) {
    if (!value) return;
    alive--;
    FILE *log = getenv("SHIM_LOG") ? fopen(getenv("SHIM_LOG"), "a") : NULL;
    if (log) fprintf(log, "%s, %d alive\n", value->kind, alive), fclose(log);
    free(value->map);
    free(value);
}

static const char *message(const object *status) { return status ? getenv("SHIM_REFUSES") : ""; }

static object *create_env(int level, const char *name, object **out) {
    (void)level, (void)name;
    return *out = make("environment"), NULL;
}

static object *create_session(object *env, const char *path, object *options, object **out) {
    (void)env, (void)path, (void)options;
    if (getenv("SHIM_REFUSES")) return make("status");
    return *out = make("session"), NULL;
}

static object *create_options(object **out) { return *out = make("options"), NULL; }

static object *create_memory(int allocator, int type, object **out) {
    (void)allocator, (void)type;
    return *out = make("memory"), NULL;
}

static object *create_tensor(object *memory, void *data, size_t bytes, const int64_t *shape, size_t rank,
                             int type, object **out) {
    (void)memory, (void)data;
    // The bytes of an image, uint8.
    if (rank != 4 || type != 2 || (int64_t)bytes != shape[0] * shape[1] * shape[2] * shape[3]) abort();
    return *out = make("tensor"), NULL;
}

static object *run(object *session, const void *options, const char *const *inputs,
                   const object *const *values, size_t count, const char *const *outputs, size_t output_count,
                   object **found) {
    (void)session, (void)options, (void)values;
    if (count != 1 || strcmp(inputs[0], "images")) abort();
    static const char *scores;
    if (!scores) scores = getenv("SHIM_SCORES");
    for (size_t i = 0; i < output_count; i++) {
        found[i] = make("output");
        if (!strcmp(outputs[i], "score")) {
            char *end;
            found[i]->type = 11, found[i]->count = 1, found[i]->score = strtod(scores, &end), scores = end;
        } else {
            found[i]->type = 1, found[i]->count = (size_t)atol(getenv("SHIM_PIXELS"));
            found[i]->map = calloc(found[i]->count, sizeof(float));
        }
    }
    return NULL;
}

static object *type_and_shape(object *value, object **out) {
    *out = make("shape");
    (*out)->type = value->type, (*out)->count = value->count;
    return NULL;
}

static object *element_type(object *shape, int *out) { return *out = shape->type, NULL; }
static object *element_count(object *shape, size_t *out) { return *out = shape->count, NULL; }

static object *data(object *value, void **out) {
    *out = value->map ? (void *)value->map : &value->score;
    return NULL;
}

static const void *table[101];

static const void *get_api(uint32_t version) {
    if (version != 12) return NULL;
    for (int i = 92; i <= 100; i++) table[i] = (const void *)release;
    table[2] = (const void *)message, table[3] = (const void *)create_env;
    table[7] = (const void *)create_session, table[9] = (const void *)run;
    table[10] = (const void *)create_options, table[49] = (const void *)create_tensor;
    table[51] = (const void *)data, table[60] = (const void *)element_type;
    table[64] = (const void *)element_count, table[65] = (const void *)type_and_shape;
    table[69] = (const void *)create_memory;
    return table;
}

static const char *get_version(void) { return getenv("SHIM_VERSION"); }

static const struct {
    const void *(*get_api)(uint32_t);
    const char *(*get_version)(void);
} base = {get_api, get_version};

const void *OrtGetApiBase(void) { return &base; }
