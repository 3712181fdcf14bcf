// TIFF through libtiff: the first page, of gray, palette or RGB, in strips or tiles.
#include "internal.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

typedef struct memory {
    const uint8_t *bytes;
    uint64_t count, at;
    char *message;
    int reading;  // of pixels: what libtiff warns of then is damage
    int damaged;
} memory;

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t size) {
    memory *memory = handle;
    uint64_t left = memory->at < memory->count ? memory->count - memory->at : 0;
    uint64_t some = size < 0 ? 0 : (uint64_t)size < left ? (uint64_t)size : left;
    memcpy(to, memory->bytes + (left ? memory->at : 0), some);
    memory->at += some;
    return (tmsize_t)some;
}

static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t size) {
    (void)handle, (void)from, (void)size;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    memory *memory = handle;
    memory->at = offset + (whence == SEEK_CUR ? memory->at : whence == SEEK_END ? memory->count : 0);
    return memory->at;
}

static int close_file(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle) { return ((memory *)handle)->count; }

#if TIFFLIB_VERSION >= 20221213  // 4.5: texts and limits of one file
static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list values) {
    (void)tiff, (void)module;
    memory *memory = user;
    if (!memory->message[0]) vsnprintf(memory->message, CIM_MESSAGE, format, values);
    return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list values) {
    memory *memory = user;
    // Of an old way of LZW, which it reads.
    if (!memory->reading || strncmp(format, "Old-style", 9) == 0) return 1;
    memory->damaged = 1;
    return on_error(tiff, user, module, format, values);
}

static TIFF *open_tiff(memory *memory) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return NULL;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)512 << 20);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, memory);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, memory);
    TIFF *tiff = TIFFClientOpenExt("TIFF", "rm", memory, read_bytes, write_bytes, seek, close_file, size_of,
                                   NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}
#else
static TIFF *open_tiff(memory *memory) {
    TIFFSetErrorHandler(NULL);
    TIFFSetWarningHandler(NULL);
    return TIFFClientOpen("TIFF", "rm", memory, read_bytes, write_bytes, seek, close_file, size_of, NULL,
                          NULL);
}
#endif

typedef struct layout {
    uint32_t width, height;
    uint16_t bits, samples, photometric, planes;  // planes: 1, or one for each sample
    uint32_t color;                               // samples of color: 1 or 3
    int alpha;                                    // the sample after them is alpha
    uint16_t *map[3];                             // the palette
    int map_bits;                                 // of its values: 16, or 8 from writers that err
} layout;

// Reads and checks the tags; a text says what is not read.
static int read_layout(TIFF *tiff, layout *layout, cim_raster *raster, char *message) {
    uint16_t format, compression, extra = 0, *kinds = NULL, planar, orientation;
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &layout->width) ||
        !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &layout->height))
        return cim_fail(message, "the TIFF file states no size");
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &layout->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &layout->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extra, &kinds);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &layout->photometric)) {
        int is_fax = compression >= COMPRESSION_CCITTRLE && compression <= COMPRESSION_CCITTFAX4;
        layout->photometric = layout->samples >= 3 ? PHOTOMETRIC_RGB
                              : is_fax             ? PHOTOMETRIC_MINISWHITE
                                                   : PHOTOMETRIC_MINISBLACK;
    }
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
        return cim_fail(message, format == SAMPLEFORMAT_IEEEFP ? "TIFF of floating-point samples is not read"
                                 : format == SAMPLEFORMAT_INT  ? "TIFF of signed samples is not read"
                                                               : "TIFF of complex samples is not read");
    if (compression == COMPRESSION_OJPEG || !TIFFIsCODECConfigured(compression)) {
        snprintf(message, CIM_MESSAGE, "TIFF in compression %u is not read", compression);
        return 0;
    }
    layout->color = 1;
    switch (layout->photometric) {
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE: break;
    case PHOTOMETRIC_PALETTE:
        if (layout->bits > 8 ||
            !TIFFGetField(tiff, TIFFTAG_COLORMAP, &layout->map[0], &layout->map[1], &layout->map[2]))
            return cim_fail(message, "the TIFF file has no palette of up to 256 colors");
        layout->map_bits = 8;
        for (int c = 0; c < 3; c++)
            for (uint32_t i = 0; i < 1u << layout->bits; i++)
                if (layout->map[c][i] > 255) layout->map_bits = 16;
        break;
    case PHOTOMETRIC_YCBCR:
        if (compression != COMPRESSION_JPEG || planar != PLANARCONFIG_CONTIG)
            return cim_fail(message, "TIFF of YCbCr is read in JPEG compression only");
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        layout->color = 3;
        break;
    case PHOTOMETRIC_RGB: layout->color = 3; break;
    case PHOTOMETRIC_SEPARATED: return cim_fail(message, "CMYK TIFF is not read; convert it to RGB");
    case PHOTOMETRIC_CFA: return cim_fail(message, "a camera's raw image (DNG) is not read");
    default:
        snprintf(message, CIM_MESSAGE, "TIFF of photometric interpretation %u is not read",
                 layout->photometric);
        return 0;
    }
    int wide = layout->bits == 8 || layout->bits == 16;
    if (!wide && !(layout->color == 1 && (layout->bits == 1 || layout->bits == 2 || layout->bits == 4))) {
        snprintf(message, CIM_MESSAGE, "TIFF of %u bits a sample is not read", layout->bits);
        return 0;
    }
    if (layout->samples < layout->color || layout->samples > layout->color + 1) {
        snprintf(message, CIM_MESSAGE, "TIFF of %u channels is not read", layout->samples);
        return 0;
    }
    layout->planes = planar == PLANARCONFIG_SEPARATE ? layout->samples : 1;
    layout->alpha = wide && !layout->map[0] && layout->samples > layout->color && extra == 1 &&
                    (kinds[0] == EXTRASAMPLE_ASSOCALPHA || kinds[0] == EXTRASAMPLE_UNASSALPHA);
    raster->on_black = layout->alpha && kinds[0] == EXTRASAMPLE_ASSOCALPHA;
    raster->orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
    return 1;
}

static uint32_t sample_at(const layout *layout, const uint8_t *row, uint64_t index) {
    switch (layout->bits) {
    case 8: return row[index];
    case 16: {
        uint16_t value;
        memcpy(&value, row + 2 * index, 2);
        return value;
    }
    default: {
        uint64_t bit = index * layout->bits;
        return row[bit / 8] >> (8 - layout->bits - bit % 8) & ((1u << layout->bits) - 1);
    }
    }
}

// Takes one row's samples of one plane (or all) into the raster, from column x on.
static void take_row(const layout *layout, cim_raster *raster, const uint8_t *row, uint32_t plane, uint64_t y,
                     uint64_t x, uint64_t count) {
    uint32_t per_pixel = layout->planes == 1 ? layout->samples : 1;
    uint32_t wanted = layout->color + (layout->alpha ? 1 : 0), most = (1u << layout->bits) - 1;
    uint64_t channels = (uint64_t)raster->channels;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t to = (y * layout->width + x + i) * channels;
        for (uint32_t s = plane; s < wanted && s < plane + per_pixel; s++) {
            uint32_t value = sample_at(layout, row, i * per_pixel + s - plane);
            if (layout->map[0]) {
                for (uint32_t c = 0; c < 3; c++)
                    ((uint8_t *)raster->samples)[to + c] =
                        (uint8_t)(layout->map[c][value] >> (layout->map_bits - 8));
                continue;
            }
            if (layout->photometric == PHOTOMETRIC_MINISWHITE && s < layout->color) value = most - value;
            if (layout->bits == 16)
                ((uint16_t *)raster->samples)[to + s] = (uint16_t)value;
            else
                ((uint8_t *)raster->samples)[to + s] = (uint8_t)(value * 255 / most);
        }
    }
}

static int read_blocks(TIFF *tiff, const layout *layout, cim_raster *raster, memory *memory) {
    static const char wrong[] = "the TIFF file's strips or tiles are wrong";
    uint32_t width = layout->width, height = layout->height, rows = height, columns = width;
    int tiled = TIFFIsTiled(tiff);
    if (tiled) {
        if (!TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &columns) ||
            !TIFFGetField(tiff, TIFFTAG_TILELENGTH, &rows))
            return cim_fail(memory->message, wrong);
    } else {
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
        if (rows > height) rows = height;
    }
    uint64_t size = tiled ? TIFFTileSize64(tiff) : TIFFStripSize64(tiff);
    uint64_t per_pixel = layout->planes == 1 ? layout->samples : 1;
    uint64_t line = ((uint64_t)columns * per_pixel * layout->bits + 7) / 8;
    uint64_t image = (uint64_t)width * height * layout->samples * 2;
    if (rows == 0 || columns == 0 || size > image + (64u << 20) || line > size || line * rows > size)
        return cim_fail(memory->message, wrong);
    uint8_t *block = calloc(size, 1);
    if (!block) return cim_fail(memory->message, "out of memory");
    memory->reading = 1;
    int sound = 1;
    for (uint32_t plane = 0; plane < layout->planes && sound; plane++)
        for (uint64_t y = 0; y < height && sound; y += rows)
            for (uint64_t x = 0; x < width && sound; x += columns) {
                uint64_t some = height - y < rows ? height - y : rows;
                uint64_t across = width - x < columns ? width - x : columns;
                uint32_t at = (uint32_t)y, from = (uint32_t)x;
                tmsize_t got =
                    tiled ? TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, from, at, 0, (uint16_t)plane),
                                                block, (tmsize_t)size)
                          : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, at, (uint16_t)plane), block,
                                                 (tmsize_t)size);
                sound = got >= 0 && (uint64_t)got >= line * (tiled ? rows : some) && !memory->damaged;
                for (uint64_t row = 0; row < some && sound; row++)
                    take_row(layout, raster, block + row * line, plane, y + row, x, across);
            }
    free(block);
    return sound || memory->message[0] ? sound : cim_fail(memory->message, "the TIFF data is corrupt");
}

int cim_decode_tiff(const uint8_t *bytes, size_t count, const cim_options *options, cim_raster *raster,
                    char message[CIM_MESSAGE]) {
    memory memory = {.bytes = bytes, .count = count, .message = message};
    layout layout = {0};
    cim_raster tags = {0};
    message[0] = 0;
    TIFF *tiff = open_tiff(&memory);
    int sound = tiff && read_layout(tiff, &layout, &tags, message);
    if (sound) {
        int32_t channels = (layout.map[0] ? 3 : (int32_t)layout.color) + (layout.alpha ? 1 : 0);
        sound = cim_allocate(raster, layout.width, layout.height, channels, layout.bits == 16 ? 16 : 8,
                             options, message);
    }
    if (sound) {
        raster->on_black = tags.on_black;
        raster->orientation = tags.orientation;
        sound = read_blocks(tiff, &layout, raster, &memory);
        if (!sound) free(raster->samples);
    }
    if (tiff) TIFFClose(tiff);
    return sound || message[0] ? sound : cim_fail(message, "the TIFF header is wrong");
}
