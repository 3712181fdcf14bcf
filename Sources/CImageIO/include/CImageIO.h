// Image files in memory, through libpng and libjpeg-turbo, and gzip through zlib. The libraries' longjmp
// stays inside.
#ifndef CIMAGEIO_H
#define CIMAGEIO_H

#include <stddef.h>
#include <stdint.h>

enum { CIM_MESSAGE = 200 };

// 8-bit RGB, row-major; gray is replicated, 16 bits are scaled, transparency is laid on black.
typedef struct cim_image {
    int32_t width, height;
    uint8_t *pixels;  // width * height * 3, to be freed with cim_free
} cim_image;

// 1 on success, 0 with a text in `message`. Recognizes PNG and JPEG by their first bytes; refuses more than
// `max_pixels`.
int cim_decode(const uint8_t *bytes, size_t count, uint64_t max_pixels, cim_image *image,
               char message[CIM_MESSAGE]);

// A PNG of 1 or 3 channels, of 8 bits or 16 (native order) each.
int cim_encode_png(const void *pixels, int32_t width, int32_t height, int32_t channels, int32_t depth,
                   uint8_t **bytes, size_t *count, char message[CIM_MESSAGE]);

// Inflates a whole gzip file, checks its CRC, and refuses to grow beyond `limit` bytes.
int cim_gunzip(const uint8_t *bytes, size_t count, size_t limit, uint8_t **out, size_t *out_count,
               char message[CIM_MESSAGE]);

void cim_free(void *memory);

#endif
