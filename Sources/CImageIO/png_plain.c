// The common PNG, 8-bit gray or RGB without interlacing or transparency, through libdeflate: about three
// times as fast as libpng. Its checksums are verified alike; whatever else there is to say about a file,
// libpng says.
#include "internal.h"
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#define INLINED static inline __attribute__((always_inline))

// Sixteen bits for each sample of a pixel, of which there are one or three.
typedef int16_t v4 __attribute__((vector_size(8)));
typedef uint8_t b4 __attribute__((vector_size(4)));
typedef uint8_t b16 __attribute__((vector_size(16)));

typedef struct png {
    uint32_t width, height, channels;
    const uint8_t *data;  // the compressed pixels, `gathered` where they are of several chunks
    size_t count;
    uint8_t *gathered;
} png;

static uint32_t big32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int is_type(const uint8_t *type) {
    for (int i = 0; i < 4; i++)
        if (!((type[i] >= 'A' && type[i] <= 'Z') || (type[i] >= 'a' && type[i] <= 'z'))) return 0;
    return 1;
}

// Finds the pixels; 0 where a file is anything but plain and sound.
static int read_chunks(png *png, const uint8_t *bytes, size_t count) {
    static const char start[] = "\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR";
    if (count < 33 || memcmp(bytes, start, 16) != 0) return 0;
    const uint8_t *header = bytes + 16;
    int is_rgb = header[9] == 2;
    if (header[8] != 8 || !(is_rgb || header[9] == 0) || header[10] || header[11] || header[12]) return 0;
    png->width = big32(header);
    png->height = big32(header + 4);
    png->channels = is_rgb ? 3 : 1;
    int have_ended = 0;  // the pixels
    for (size_t at = 8; count - at >= 12;) {
        size_t size = big32(bytes + at);
        const uint8_t *type = bytes + at + 4;
        if (size > count - at - 12 || libdeflate_crc32(0, type, size + 4) != big32(type + 4 + size)) return 0;
        if (memcmp(type, "IDAT", 4) == 0) {
            if (have_ended) return 0;
            if (png->data && !png->gathered) {
                png->gathered = malloc(count);
                if (!png->gathered) return 0;
                memcpy(png->gathered, png->data, png->count);
                png->data = png->gathered;
            }
            if (png->gathered)
                memcpy(png->gathered + png->count, type + 4, size);
            else
                png->data = type + 4;
            png->count += size;
        } else {
            have_ended = png->data != NULL;
            if (memcmp(type, "IEND", 4) == 0) return have_ended && size == 0;
            int is_critical = !(type[0] & 0x20) && at > 8;
            if (is_critical || !is_type(type) || memcmp(type, "tRNS", 4) == 0 || memcmp(type, "eXIf", 4) == 0)
                return 0;
        }
        at += size + 12;
    }
    return 0;
}

// A pixel; one of three samples has a byte behind it, in which the fourth lane is.
INLINED v4 load(const uint8_t *at, size_t step) {
    if (step == 1) return (v4){at[0], 0, 0, 0};
    b4 bytes;
    memcpy(&bytes, at, 4);
    return __builtin_convertvector(bytes, v4);
}

INLINED void store(uint8_t *to, v4 pixel, size_t step) {
    b4 bytes = __builtin_convertvector(pixel, b4);
    to[0] = bytes[0];
    if (step == 1) return;
    to[1] = bytes[1];
    to[2] = bytes[2];
}

INLINED v4 absolute(v4 v) { return __builtin_elementwise_max(v, -v); }

// The one of left, above and above left (the corner) that is nearest to left + above - corner.
INLINED v4 nearest(v4 left, v4 above, v4 corner) {
    v4 across = above - corner, down = left - corner;
    v4 from_left = absolute(across), from_above = absolute(down), from_corner = absolute(across + down);
    v4 least = __builtin_elementwise_min(__builtin_elementwise_min(from_left, from_above), from_corner);
    v4 is_left = least == from_left, is_above = least == from_above;
    return (is_left & left) | (~is_left & ((is_above & above) | (~is_above & corner)));
}

INLINED void add_above(uint8_t *to, const uint8_t *from, const uint8_t *above, size_t line) {
    size_t i = 0;
    for (; i + 16 <= line; i += 16) {
        b16 difference, over;
        memcpy(&difference, from + i, 16);
        memcpy(&over, above + i, 16);
        difference += over;
        memcpy(to + i, &difference, 16);
    }
    for (; i < line; i++) to[i] = (uint8_t)(from[i] + above[i]);
}

// Undoes the filters of all rows where they are: each row moves up over the byte that names its filter, so
// what is written lies before what is yet to be read. 0 for a filter that there is not.
INLINED int unfilter(uint8_t *pixels, const uint8_t *zeros, size_t line, size_t height, size_t step) {
    const uint8_t *above = zeros;
    for (size_t y = 0; y < height; y++) {
        uint8_t *to = pixels + y * line;
        const uint8_t *from = pixels + y * (line + 1) + 1;
        v4 left = {0}, corner = {0};
        switch (from[-1]) {
        case 0: memmove(to, from, line); break;
        case 1:
            for (size_t i = 0; i < line; i += step) {
                left = (load(from + i, step) + left) & 255;
                store(to + i, left, step);
            }
            break;
        case 2: add_above(to, from, above, line); break;
        case 3:
            for (size_t i = 0; i < line; i += step) {
                left = (load(from + i, step) + ((left + load(above + i, step)) >> 1)) & 255;
                store(to + i, left, step);
            }
            break;
        case 4:
            for (size_t i = 0; i < line; i += step) {
                v4 over = load(above + i, step);
                left = (load(from + i, step) + nearest(left, over, corner)) & 255;
                corner = over;
                store(to + i, left, step);
            }
            break;
        default: return 0;
        }
        above = to;
    }
    return 1;
}

INLINED int unfilter_any(uint8_t *pixels, const uint8_t *zeros, const png *png) {
    size_t line = (size_t)png->width * png->channels;
    return png->channels == 3 ? unfilter(pixels, zeros, line, png->height, 3)
                              : unfilter(pixels, zeros, line, png->height, 1);
}

static int unfilter_plain(uint8_t *pixels, const uint8_t *zeros, const png *png) {
    return unfilter_any(pixels, zeros, png);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static int unfilter_avx2(uint8_t *pixels, const uint8_t *zeros,
                                                         const png *png) {
    return unfilter_any(pixels, zeros, png);
}
#endif

static int unfilter_fast(uint8_t *pixels, const uint8_t *zeros, const png *png) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return unfilter_avx2(pixels, zeros, png);
#endif
    return unfilter_plain(pixels, zeros, png);
}

int cim_decode_plain_png(const uint8_t *bytes, size_t count, const cim_options *options, cim_raster *raster) {
    png png = {0};
    int sound = read_chunks(&png, bytes, count) && png.width > 0 && png.height > 0 && png.width <= 65535 &&
                png.height <= 65535 && (uint64_t)png.width * png.height <= options->max_pixels;
    uint8_t *pixels = NULL, *zeros = NULL;
    if (sound) {
        size_t line = (size_t)png.width * png.channels, size = (line + 1) * png.height;
        struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
        size_t used = 0;
        pixels = malloc(size + 1);  // one to load the last pixel
        zeros = calloc(line + 1, 1);
        sound = pixels && zeros && inflater &&
                libdeflate_zlib_decompress_ex(inflater, png.data, png.count, pixels, size, &used, NULL) ==
                    LIBDEFLATE_SUCCESS &&
                used == png.count && unfilter_fast(pixels, zeros, &png);
        libdeflate_free_decompressor(inflater);
    }
    free(zeros);
    free(png.gathered);
    if (sound)
        *raster = (cim_raster){.width = (int32_t)png.width,
                               .height = (int32_t)png.height,
                               .channels = (int32_t)png.channels,
                               .bits = 8,
                               .orientation = 1,
                               .samples = pixels};
    else
        free(pixels);
    return sound;
}
