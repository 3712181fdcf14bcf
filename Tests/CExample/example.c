/* Scores a PPM file (P6, 8 bits) by a model, and prints score, p-value and alarm, and of a model with maps
 * the highest value of the map, the threshold of its pixels, and how many are above it; then scores it from
 * two threads at once, and tries what must be refused.
 *
 *     example MODEL IMAGE.ppm */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "occ.h"

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, occ_last_error());
    return 1;
}

/* An image, and what a thread finds of it. */
typedef struct {
    occ_model *model;
    const uint8_t *pixels;
    int width, height;
    int64_t stride;
    occ_result expected;
    int first; /* the width of its first failing call: no other thread has the same */
    int differences;
} work;

/* Scores the image some times, and fails in between: the words of an error are of its thread. */
static void *thread(void *argument) {
    work *own = argument;
    for (int turn = 0; turn < 4; turn++) {
        occ_result found = {.size = sizeof found};
        char words[32];
        int width = own->first + turn;
        own->differences +=
            occ_score(own->model, own->pixels, own->width, own->height, own->stride, &found) != OCC_OK ||
            found.score != own->expected.score || found.alarm != own->expected.alarm;
        snprintf(words, sizeof words, "stride 0: a row of %d ", width);
        own->differences += occ_score(own->model, own->pixels, width, 1, 0, &found) != OCC_USAGE ||
                            !strstr(occ_last_error(), words);
    }
    return NULL;
}

/* Structures of a program that was compiled with a later header, and with the first; and wrong sizes. */
static int sizes_are_kept(const work *image, const occ_info *info) {
    struct {
        occ_info known;
        double later;
    } long_info = {{.size = sizeof long_info}, 42};
    struct {
        occ_result known;
        double later;
    } long_result = {{.size = sizeof long_result}, 42};
    /* Memory that ends with the first version's members. */
    size_t least = offsetof(occ_result, alarm) + sizeof(int32_t);
    occ_result *short_result = malloc(least);
    if (!short_result) return 0;
    memcpy(short_result, &least, sizeof least);
    occ_status statuses[] = {
        occ_model_info(image->model, &long_info.known),
        occ_score(image->model, image->pixels, image->width, image->height, image->stride,
                  &long_result.known),
        occ_score(image->model, image->pixels, image->width, image->height, image->stride, short_result),
    };
    int good = !statuses[0] && !statuses[1] && !statuses[2];
    good &= long_info.known.size == sizeof(occ_info) && long_info.known.side == info->side;
    good &= long_result.known.size == sizeof(occ_result);
    good &= long_result.known.score == image->expected.score;
    good &= long_info.later == 42 && long_result.later == 42;
    good &= !memcmp(short_result, &least, sizeof least);
    good &= !memcmp(&short_result->alarm, &image->expected.alarm, sizeof(int32_t));
    free(short_result);
    for (size_t wrong = 0; wrong < least; wrong += least - 1) {
        occ_result none = {.size = wrong, .score = 42};
        occ_info nothing = {.size = wrong};
        good &= occ_score(image->model, image->pixels, image->width, image->height, image->stride, &none) ==
                    OCC_USAGE &&
                none.score == 42 && strstr(occ_last_error(), "sizeof(occ_result)") != NULL;
        good &= occ_model_info(image->model, &nothing) == OCC_USAGE && nothing.side == 0 &&
                strstr(occ_last_error(), "sizeof(occ_info)") != NULL;
    }
    return good;
}

int main(int count, char **words) {
    if (count != 3) return fprintf(stderr, "usage: example MODEL IMAGE.ppm\n"), 64;
    FILE *file = fopen(words[2], "rb");
    int width, height;
    if (!file || fscanf(file, "P6 %d %d 255", &width, &height) != 2) return fprintf(stderr, "no PPM\n"), 65;
    fgetc(file);
    /* Rows lie 8 bytes farther apart than they must. */
    int64_t stride = 3 * (int64_t)width + 8;
    uint8_t *pixels = calloc((size_t)height, (size_t)stride);
    for (int row = 0; row < height; row++)
        if (fread(pixels + row * stride, 3, (size_t)width, file) != (size_t)width) return 65;
    fclose(file);

    if (occ_abi() != OCC_ABI) return fprintf(stderr, "libocc has ABI %d\n", (int)occ_abi()), 1;
    occ_model *model = NULL;
    if (occ_model_load(words[1], "cpu", &model) != OCC_OK) return fail("load");
    occ_info info = {.size = sizeof info};
    occ_result result = {.size = sizeof result};
    if (occ_model_info(model, &info) != OCC_OK) return fail("info");
    if (occ_score(model, pixels, width, height, stride, &result) != OCC_OK) return fail("score");
    printf("%.17g %.17g %d\n", result.score, result.p_value, result.alarm);
    if (info.size != sizeof info || result.size != sizeof result) return 1;
    if (!info.has_map && !isnan(info.map_threshold)) return 1;
    size_t places = (size_t)info.side * (size_t)info.side;
    float *map = malloc(places * sizeof *map);
    occ_status status = occ_localize(model, pixels, width, height, stride, map, places, &result);
    if ((status == OCC_OK) != (info.has_map == 1)) return fail("localize");
    if (info.has_map) {
        float highest = -INFINITY;
        size_t above = 0;
        for (size_t place = 0; place < places; place++) {
            highest = fmaxf(highest, map[place]);
            above += map[place] > info.map_threshold;
        }
        printf("%.9g %.17g %zu\n", highest, info.map_threshold, above);
        if (occ_localize(model, pixels, width, height, stride, map, places - 1, &result) != OCC_USAGE)
            return 1;
    }

    work works[2];
    pthread_t threads[2];
    for (int index = 0; index < 2; index++) {
        works[index] = (work){model, pixels, width, height, stride, result, 1 + 4 * index, 0};
        if (pthread_create(&threads[index], NULL, thread, &works[index])) return 1;
    }
    for (int index = 0; index < 2; index++) {
        if (pthread_join(threads[index], NULL) || works[index].differences)
            return fprintf(stderr, "threads differ\n"), 1;
    }

    if (!sizes_are_kept(&works[0], &info)) return fprintf(stderr, "sizes of structures are not kept\n"), 1;

    /* What is wrong is said, and nothing ends. */
    occ_model *none = model;
    if (occ_model_load("nowhere/model.safetensors", NULL, &none) != OCC_NO_INPUT || none) return 1;
    if (!strstr(occ_last_error(), "nowhere")) return 1;
    if (occ_score(NULL, pixels, width, height, stride, &result) != OCC_USAGE) return 1;
    if (occ_score(model, NULL, width, height, stride, &result) != OCC_USAGE) return 1;
    if (occ_score(model, pixels, 0, height, stride, &result) != OCC_USAGE) return 1;
    if (occ_score(model, pixels, width, height, 3 * width - 1, &result) != OCC_USAGE) return 1;
    if (occ_score(model, pixels, width, height, stride, NULL) != OCC_USAGE) return 1;
    occ_model_free(model);
    occ_model_free(NULL);
    free(map);
    free(pixels);
    return 0;
}
