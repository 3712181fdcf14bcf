#ifndef CIM_INTERNAL_H
#define CIM_INTERNAL_H

#include "CImageIO.h"
#include <stdio.h>

static inline int cim_fail(char message[CIM_MESSAGE], const char *text) {
    snprintf(message, CIM_MESSAGE, "%s", text);
    return 0;
}

// What a decoder reads: samples as the file has them, row-major.
typedef struct cim_raster {
    int32_t width, height;
    int32_t channels;     // 1: gray, 2: gray and alpha, 3: RGB, 4: RGB and alpha
    int32_t bits;         // 8, or 16 in native order
    int32_t orientation;  // EXIF's, 1 (as it is) to 8
    int on_black;         // the color is multiplied by alpha already
    void *samples;
} cim_raster;

static inline uint32_t cim_le16(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8; }
static inline uint32_t cim_le32(const uint8_t *at) { return cim_le16(at) | cim_le16(at + 2) << 16; }

// Memory for the samples; fails for more pixels than the options allow. `samples` is freed by who allocates.
int cim_allocate(cim_raster *raster, uint64_t width, uint64_t height, int32_t channels, int32_t bits,
                 const cim_options *options, char message[CIM_MESSAGE]);

// Gives 1 and a raster, or 0, a message and no memory.
typedef int cim_decoder(const uint8_t *bytes, size_t count, const cim_options *options, cim_raster *raster,
                        char message[CIM_MESSAGE]);
cim_decoder cim_decode_png, cim_decode_jpeg, cim_decode_tiff, cim_decode_bmp, cim_decode_webp, cim_decode_pnm;

// The same for the common kinds of PNG, if the file is one and sound; 0 without a word otherwise.
int cim_decode_plain_png(const uint8_t *bytes, size_t count, const cim_options *options, cim_raster *raster);

// The decoder for these contents, or NULL and what they look like.
cim_decoder *cim_recognize(const uint8_t *bytes, size_t count, const char **looks_like);

// The orientation in EXIF data (a TIFF header and directory), 1 where there is none.
int32_t cim_exif_orientation(const uint8_t *bytes, size_t count);

#endif
