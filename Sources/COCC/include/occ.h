/* occ: scores images by a model of occ-gpu, from C and whatever calls C.
 *
 * Every function can be called from any thread. Calls with one model wait for each other; load a model once
 * for each thread that is to score at the same time. No call ends the program: what is wrong is returned as a
 * status, and occ_last_error says it in words.
 *
 * How it grows: functions are added, and members at the end of a structure, behind what its sizeof was. A
 * structure that the library fills begins with its size, which the caller sets to its own sizeof before each
 * call, or once, as the library leaves it or makes it smaller:
 *
 *     occ_result result = {.size = sizeof result};
 *
 * Members beyond that size are not written: a program runs with a later library as it was compiled. Where the
 * size is smaller afterwards the library is an earlier one: the members behind it are not known to it, and
 * stay as they were. Any other change that would break a program raises OCC_ABI, which is in the shared
 * library's name (libocc.so.1), so that both can be installed side by side. */
#ifndef OCC_H
#define OCC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a program that was compiled with this header runs with. */
#define OCC_ABI 1

/* The library's OCC_ABI, for programs that open it themselves and are not linked with its name. */
int32_t occ_abi(void);

/* A model that is loaded. */
typedef struct occ_model occ_model;

/* What became of a call; the numbers are those that occ-gpu exits with. */
enum {
    OCC_OK = 0,
    OCC_FAILURE = 1,             /* what no other says */
    OCC_USAGE = 64,              /* an argument that cannot be */
    OCC_BAD_DATA = 65,           /* a file's contents are not what they should be */
    OCC_NO_INPUT = 66,           /* a file is missing or cannot be opened */
    OCC_DEVICE_UNAVAILABLE = 69, /* a device or its library is missing, or memory */
    OCC_INPUT_OUTPUT = 74        /* reading failed */
};
typedef int32_t occ_status;

/* What a model takes and gives. */
typedef struct {
    size_t size;           /* sizeof(occ_info), set by the caller; see above */
    int32_t side;          /* of the square that images become, and of maps, in pixels */
    int32_t has_map;       /* 1 for a model that occ_localize takes: of patches, for instance */
    int32_t has_threshold; /* 1 if scores have p-values and alarms */
    double threshold;      /* a score above it is an alarm; NaN without */
    double map_threshold; /* a pixel of a map above it is anomalous: by the highest pixels of held-out images'
                             maps, where `threshold` is by their scores; NaN without maps or threshold */
} occ_info;

/* What a model says of an image. */
typedef struct {
    size_t size;    /* sizeof(occ_result), set by the caller; see above */
    double score;   /* higher is more anomalous */
    double p_value; /* the share of held-out normal images that score as high; NaN without such */
    int32_t alarm;  /* 1 for a score above the threshold, 0 below; -1 without a threshold */
} occ_result;

/* Loads model.safetensors, or the one in the folder of a run. device is auto, cpu, cuda or cuda:N; NULL is
 * cpu. On any status but OCC_OK, *model is NULL. */
occ_status occ_model_load(const char *path, const char *device, occ_model **model);

/* Frees a model; NULL is no model, and nothing happens. No call with it may be under way. */
void occ_model_free(occ_model *model);

/* What the model takes and gives; info->size is set. */
occ_status occ_model_info(const occ_model *model, occ_info *info);

/* Scores an image: 8-bit RGB, rows from the top, stride bytes from one row to the next, at least 3 * width.
 * Images of any size become the model's as image files do. result->size is set. */
occ_status occ_score(occ_model *model, const uint8_t *pixels, int32_t width, int32_t height, int64_t stride,
                     occ_result *result);

/* Scores an image by a model that has maps, and writes the score of each of side * side pixels to map, which
 * has room for count floats. result->size is set. */
occ_status occ_localize(occ_model *model, const uint8_t *pixels, int32_t width, int32_t height,
                        int64_t stride, float *map, size_t count, occ_result *result);

/* What was wrong with the last call of this thread that did not return OCC_OK, and what to do about it; ""
 * before. Valid until the next such call of the thread. */
const char *occ_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
