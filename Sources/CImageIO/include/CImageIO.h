// Image files in memory, their resampling, and gzip. The libraries' longjmp stays inside.
#ifndef CIMAGEIO_H
#define CIMAGEIO_H

#include <stddef.h>
#include <stdint.h>

enum { CIM_MESSAGE = 240 };

#define CIM_READABLE "PNG, JPEG, BMP, TIFF, WebP and PNM"

typedef struct cim_options {
    uint64_t max_pixels;  // more are refused
    uint32_t white;       // the sample of 16 bits that becomes 255, above which all do; 0 for 65535
    // A mask's values matter one by one: transparency is not laid on black but given beside the color, and a
    // file of 16 bits is scaled by its largest sample, or not at all when that is below 256.
    int mask;
} cim_options;

// 8-bit RGB, row-major, turned as the file's orientation says; gray is replicated, 16 bits are scaled and
// rounded to nearest, transparency is laid on black.
typedef struct cim_image {
    int32_t width, height;
    uint8_t *pixels;   // width * height * 3, to be freed with cim_free
    uint8_t *alpha;    // width * height, to be freed; only for a mask that has it, NULL otherwise
    uint32_t largest;  // the largest color sample of a file of 16 bits; 0 for 8 bits and fewer
} cim_image;

// 1 on success, 0 with a text in `message`. The format is recognized by the contents, whatever the file's
// name says; of several pages the first is read.
int cim_decode(const uint8_t *bytes, size_t count, const cim_options *options, cim_image *image,
               char message[CIM_MESSAGE]);

// A PNG of 1 or 3 channels, of 8 bits or 16 (native order) each.
int cim_encode_png(const void *pixels, int32_t width, int32_t height, int32_t channels, int32_t depth,
                   uint8_t **bytes, size_t *count, char message[CIM_MESSAGE]);

// A rectangle of 8-bit RGB pixels; `stride` is in bytes, from row to row.
typedef struct cim_rect {
    int32_t width, height;
    size_t stride;
} cim_rect;

// Stretches a rectangle to the size of another by a triangle filter whose support grows with the reduction,
// so that nothing aliases; enlarging is bilinear. The sums are of floats in one order, so the bits are the
// same on every processor; `portable` is 1 for the path of a processor without AVX2. 0 when memory is short.
int cim_resample(const uint8_t *from, cim_rect source, uint8_t *to, cim_rect target, int portable);

// Inflates a whole gzip file, checks its CRC, and refuses to grow beyond `limit` bytes. Several one after the
// other (as gzip, pigz and bgzip make) are one, zeros after the last are padding. Anything else there is an
// error: it may as well be a damaged part.
int cim_gunzip(const uint8_t *bytes, size_t count, size_t limit, uint8_t **out, size_t *out_count,
               char message[CIM_MESSAGE]);

void cim_free(void *memory);

enum { CIM_LIBRARY_COUNT = 6 };

typedef struct cim_library {
    const char *name;
    char version[32];  // of the library that is loaded, where it says; otherwise of its header
} cim_library;

// The libraries that files are read with; `index` is below CIM_LIBRARY_COUNT.
cim_library cim_library_at(int index);

#endif
