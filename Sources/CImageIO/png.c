#include "internal.h"
#include <png.h>
#include <stdlib.h>
#include <string.h>

struct source {
    const uint8_t *bytes;
    size_t left;
};

struct sink {
    uint8_t *bytes;
    size_t count, capacity;
};

static void on_error(png_structp png, png_const_charp text) {
    snprintf(png_get_error_ptr(png), CIM_MESSAGE, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void read_bytes(png_structp png, png_bytep to, size_t count) {
    struct source *source = png_get_io_ptr(png);
    if (count > source->left) png_error(png, "the file is truncated");
    memcpy(to, source->bytes, count);
    source->bytes += count;
    source->left -= count;
}

// As EXIF has it, 1 where the file says nothing.
static int32_t orientation_of(png_structp png, png_infop info) {
    png_uint_32 count = 0;
    png_bytep exif = NULL;
    return png_get_eXIf_1(png, info, &count, &exif) ? cim_exif_orientation(exif, count) : 1;
}

int cim_decode_png(const uint8_t *bytes, size_t count, const cim_options *options, cim_raster *raster,
                   char message[CIM_MESSAGE]) {
    if (cim_decode_plain_png(bytes, count, options, raster)) return 1;
    struct source source = {bytes, count};
    png_bytep *volatile rows = NULL;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, message, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return cim_fail(message, "out of memory");
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        free(raster->samples);
        free(rows);
        return 0;
    }
    png_set_user_limits(png, 65535, 65535);
    png_set_read_fn(png, &source, read_bytes);
    png_read_info(png, info);
    png_uint_32 width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    int color = png_get_color_type(png, info);
    int transparent = (color & PNG_COLOR_MASK_ALPHA) || png_get_valid(png, info, PNG_INFO_tRNS);
    png_set_expand(png);
    if (transparent && !options->mask) {
        // libpng lays it on black: in light, where the file states a gamma.
        png_color_16 black = {0};
        if (!(color & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
        png_set_background(png, &black, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1.0);
    }
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) png_set_swap(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    int channels = png_get_channels(png, info), bits = png_get_bit_depth(png, info);
    if (!cim_allocate(raster, width, height, channels, bits, options, message)) longjmp(png_jmpbuf(png), 1);
    rows = malloc(sizeof(png_bytep) * height);
    if (!rows) png_error(png, "out of memory");
    size_t line = png_get_rowbytes(png, info);
    if (line != (size_t)width * (size_t)channels * (size_t)bits / 8)
        png_error(png, "the pixel format is not supported");
    for (png_uint_32 i = 0; i < height; i++) rows[i] = (uint8_t *)raster->samples + (size_t)i * line;
    png_read_image(png, rows);
    png_read_end(png, info);
    raster->orientation = orientation_of(png, info);
    png_destroy_read_struct(&png, &info, NULL);
    free(rows);
    return 1;
}

static void write_bytes(png_structp png, png_bytep from, size_t count) {
    struct sink *sink = png_get_io_ptr(png);
    if (sink->count + count > sink->capacity) {
        size_t capacity = 2 * (sink->count + count);
        uint8_t *grown = realloc(sink->bytes, capacity);
        if (!grown) png_error(png, "out of memory");
        sink->bytes = grown;
        sink->capacity = capacity;
    }
    memcpy(sink->bytes + sink->count, from, count);
    sink->count += count;
}

static void flush(png_structp png) { (void)png; }

int cim_encode_png(const void *pixels, int32_t width, int32_t height, int32_t channels, int32_t depth,
                   uint8_t **bytes, size_t *count, char message[CIM_MESSAGE]) {
    struct sink sink = {NULL, 0, 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, message, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return cim_fail(message, "out of memory");
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        free(sink.bytes);
        return 0;
    }
    png_set_write_fn(png, &sink, write_bytes, flush);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, depth,
                 channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    if (depth == 16 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) png_set_swap(png);
    size_t line = (size_t)width * (size_t)channels * (size_t)(depth / 8);
    for (int32_t i = 0; i < height; i++) png_write_row(png, (const uint8_t *)pixels + (size_t)i * line);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    *bytes = sink.bytes;
    *count = sink.count;
    return 1;
}
