// Which decoder reads a file, and how its samples become an image.
#include "internal.h"
#include <stdlib.h>
#include <string.h>

void cim_free(void *memory) { free(memory); }

int cim_allocate(cim_raster *raster, uint64_t width, uint64_t height, int32_t channels, int32_t bits,
                 const cim_options *options, char message[CIM_MESSAGE]) {
    if (width == 0 || height == 0) return cim_fail(message, "the image has no pixels");
    if (width > INT32_MAX || height > INT32_MAX || width * height > options->max_pixels)
        return cim_fail(message, "the image has too many pixels");
    void *samples = malloc(width * height * (uint64_t)channels * (uint64_t)bits / 8);
    if (!samples) return cim_fail(message, "out of memory");
    *raster = (cim_raster){.width = (int32_t)width,
                           .height = (int32_t)height,
                           .channels = channels,
                           .bits = bits,
                           .orientation = 1,
                           .samples = samples};
    return 1;
}

// v * a / 255, rounded, and of 16 bits likewise.
static inline uint32_t times(uint32_t v, uint32_t a, int bits) {
    uint32_t product = v * a + (1u << (bits - 1));
    return (product + (product >> bits)) >> bits;
}

// Lays samples out as 8-bit RGB: the pixel in column x of row y goes to origin + x * dx + y * dy.
static inline __attribute__((always_inline)) void lay_out(const cim_raster *raster, cim_image *image,
                                                          const uint8_t *scaled, ptrdiff_t origin,
                                                          ptrdiff_t dx, ptrdiff_t dy, int channels,
                                                          int bits) {
    const uint8_t *narrow = raster->samples;
    const uint16_t *wide = raster->samples;
    for (int32_t y = 0; y < raster->height; y++) {
        ptrdiff_t to = origin + y * dy;
        for (int32_t x = 0; x < raster->width; x++, to += dx) {
            size_t from = ((size_t)y * (size_t)raster->width + (size_t)x) * (size_t)channels;
            uint32_t alpha = 0;
            if (channels % 2 == 0)
                alpha = bits == 8 ? narrow[from + (size_t)channels - 1] : wide[from + (size_t)channels - 1];
            for (size_t i = 0; i < 3; i++) {
                size_t at = from + (channels < 3 ? 0 : i);
                uint32_t v = bits == 8 ? narrow[at] : wide[at];
                if (channels % 2 == 0 && !image->alpha && !raster->on_black) v = times(v, alpha, bits);
                image->pixels[3 * to + (ptrdiff_t)i] = bits == 8 ? (uint8_t)v : scaled[v];
            }
            if (channels % 2 == 0 && image->alpha)
                image->alpha[to] = (uint8_t)(bits == 8 ? alpha : (alpha + 128) / 257);
        }
    }
}

// The largest sample that is not alpha's.
static uint32_t largest_sample(const cim_raster *raster) {
    const uint16_t *samples = raster->samples;
    size_t count = (size_t)raster->width * (size_t)raster->height, channels = (size_t)raster->channels;
    uint16_t largest = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < (channels - 1) / 2 * 2 + 1; c++)
            if (samples[i * channels + c] > largest) largest = samples[i * channels + c];
    return largest;
}

// What each sample of 16 bits becomes; NULL when memory is short.
static uint8_t *scaling(const cim_options *options, uint32_t largest) {
    uint8_t *scaled = malloc(65536);
    uint32_t white = options->white ? options->white : 65535;
    if (options->mask) white = largest > 255 ? largest : 255;
    for (uint32_t v = 0; scaled && v < 65536; v++)
        scaled[v] = v >= white ? 255 : (uint8_t)((v * 255 + white / 2) / white);
    return scaled;
}

// Makes the image of a raster, and frees that.
static int finish(cim_raster *raster, const cim_options *options, cim_image *image,
                  char message[CIM_MESSAGE]) {
    int32_t w = raster->width, h = raster->height, orientation = raster->orientation;
    int turned = orientation >= 5;
    *image = (cim_image){.width = turned ? h : w, .height = turned ? w : h};
    if (raster->channels == 3 && raster->bits == 8 && orientation == 1) {
        image->pixels = raster->samples;
        return 1;
    }
    size_t count = (size_t)w * (size_t)h;
    uint8_t *scaled = NULL;
    if (raster->bits == 16) {
        image->largest = largest_sample(raster);
        scaled = scaling(options, image->largest);
    }
    image->pixels = malloc(count * 3);
    if (options->mask && raster->channels % 2 == 0) image->alpha = malloc(count);
    int enough = image->pixels && (scaled || raster->bits == 8) &&
                 (image->alpha || !options->mask || raster->channels % 2 != 0);
    if (enough) {
        // Orientations 5 to 8 swap columns and rows; 2, 3, 7, 8 count columns from the right and 3, 4, 6, 7
        // rows from below, each as the file has them.
        static const uint8_t mirrored[9] = {0, 0, 1, 3, 2, 0, 2, 3, 1};
        ptrdiff_t dx = turned ? h : 1, dy = turned ? 1 : w, origin = 0;
        if (mirrored[orientation] & 1) {
            origin += (w - 1) * dx;
            dx = -dx;
        }
        if (mirrored[orientation] & 2) {
            origin += (h - 1) * dy;
            dy = -dy;
        }
        switch (raster->channels * 32 + raster->bits) {
        case 1 * 32 + 8: lay_out(raster, image, scaled, origin, dx, dy, 1, 8); break;
        case 2 * 32 + 8: lay_out(raster, image, scaled, origin, dx, dy, 2, 8); break;
        case 3 * 32 + 8: lay_out(raster, image, scaled, origin, dx, dy, 3, 8); break;
        case 4 * 32 + 8: lay_out(raster, image, scaled, origin, dx, dy, 4, 8); break;
        case 1 * 32 + 16: lay_out(raster, image, scaled, origin, dx, dy, 1, 16); break;
        case 2 * 32 + 16: lay_out(raster, image, scaled, origin, dx, dy, 2, 16); break;
        case 3 * 32 + 16: lay_out(raster, image, scaled, origin, dx, dy, 3, 16); break;
        default: lay_out(raster, image, scaled, origin, dx, dy, 4, 16); break;
        }
    } else {
        free(image->pixels);
        free(image->alpha);
        cim_fail(message, "out of memory");
    }
    free(scaled);
    free(raster->samples);
    return enough;
}

int cim_decode(const uint8_t *bytes, size_t count, const cim_options *options, cim_image *image,
               char message[CIM_MESSAGE]) {
    if (count == 0) return cim_fail(message, "the file is empty");
    const char *looks_like = NULL;
    cim_decoder *decode = cim_recognize(bytes, count, &looks_like);
    if (!decode) {
        snprintf(message, CIM_MESSAGE, "%s; readable are " CIM_READABLE, looks_like);
        return 0;
    }
    cim_raster raster = {0};
    return decode(bytes, count, options, &raster, message) && finish(&raster, options, image, message);
}

int32_t cim_exif_orientation(const uint8_t *bytes, size_t count) {
    if (count < 8) return 1;
    int big = bytes[0] == 'M';
    if (memcmp(bytes, big ? "MM\0*" : "II*\0", 4) != 0) return 1;
#define SHORT(at) (big ? bytes[at] << 8 | bytes[(at) + 1] : bytes[(at) + 1] << 8 | bytes[at])
    size_t at = big ? (size_t)SHORT(4) << 16 | (size_t)SHORT(6) : (size_t)SHORT(6) << 16 | (size_t)SHORT(4);
    if (at > count - 2) return 1;
    for (size_t entries = (size_t)SHORT(at), entry = at + 2; entries > 0 && entry + 12 <= count;
         entries--, entry += 12) {
        if (SHORT(entry) != 0x0112) continue;
        int value = SHORT(entry + 8);
        return SHORT(entry + 2) == 3 && value >= 1 && value <= 8 ? value : 1;
    }
#undef SHORT
    return 1;
}
