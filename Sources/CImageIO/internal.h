#ifndef CIM_INTERNAL_H
#define CIM_INTERNAL_H

#include "CImageIO.h"
#include <stdio.h>

static inline int cim_fail(char message[CIM_MESSAGE], const char *text) {
    snprintf(message, CIM_MESSAGE, "%s", text);
    return 0;
}

int cim_decode_png(const uint8_t *bytes, size_t count, uint64_t max_pixels, cim_image *image,
                   char message[CIM_MESSAGE]);
int cim_decode_jpeg(const uint8_t *bytes, size_t count, uint64_t max_pixels, cim_image *image,
                    char message[CIM_MESSAGE]);

#endif
