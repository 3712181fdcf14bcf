// BMP of Windows and OS/2: up to 8 bits with a palette, plain or run-length encoded, and 16 to 32 bits.
#include "internal.h"
#include <stdlib.h>
#include <string.h>

enum { PLAIN = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3, ALPHA_BITFIELDS = 6 };

typedef struct bmp {
    const uint8_t *data, *end;  // the pixels
    uint64_t width, height;
    int top_down;
    uint32_t bits, compression, colors;
    uint32_t masks[4];  // of red, green, blue, alpha
    uint8_t palette[256][3];
} bmp;

static int read_header(bmp *bmp, const uint8_t *bytes, size_t count, char *message) {
    static const char truncated[] = "the BMP header is truncated", wrong[] = "the BMP header is wrong";
    if (count < 26) return cim_fail(message, truncated);
    uint32_t offset = cim_le32(bytes + 10), header = cim_le32(bytes + 14), planes;
    uint64_t palette = 14 + (uint64_t)header;
    if (header == 12) {
        bmp->width = cim_le16(bytes + 18);
        bmp->height = cim_le16(bytes + 20);
        planes = cim_le16(bytes + 22);
        bmp->bits = cim_le16(bytes + 24);
    } else {
        if (header < 16 || header > 124) return cim_fail(message, wrong);
        if (count < 14 + (size_t)header) return cim_fail(message, truncated);
        int64_t height = (int32_t)cim_le32(bytes + 22);
        bmp->width = cim_le32(bytes + 18);
        bmp->height = (uint64_t)(height < 0 ? -height : height);
        bmp->top_down = height < 0;
        planes = cim_le16(bytes + 26);
        bmp->bits = cim_le16(bytes + 28);
        if (header >= 20) bmp->compression = cim_le32(bytes + 30);
        if (header >= 36) bmp->colors = cim_le32(bytes + 46);
    }
    uint32_t bits = bmp->bits, compression = bmp->compression;
    if (planes != 1 || bmp->width == 0 || bmp->width > INT32_MAX || bmp->height == 0)
        return cim_fail(message, wrong);
    int has_masks = compression == BITFIELDS || compression == ALPHA_BITFIELDS;
    int known = compression == PLAIN || (compression == RLE8 && bits == 8) ||
                (compression == RLE4 && bits == 4) ||
                (has_masks && (bits == 16 || bits == 32) && (header == 40 || header >= 52) && header != 64);
    if (!known ||
        !(bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32)) {
        snprintf(message, CIM_MESSAGE, "BMP of %u bits in compression %u is not read", bits, compression);
        return 0;
    }
    uint32_t fields = !has_masks ? 0 : compression == ALPHA_BITFIELDS || header >= 56 ? 4 : 3;
    if (has_masks && header == 40) palette += 4 * fields;
    if (palette > offset || offset > count) return cim_fail(message, offset > count ? truncated : wrong);
    for (uint32_t i = 0; i < fields; i++) bmp->masks[i] = cim_le32(bytes + 54 + 4 * i);
    if (!has_masks && bits == 16) memcpy(bmp->masks, (uint32_t[]){0x7C00, 0x3E0, 0x1F, 0}, 16);
    if (!has_masks && bits == 32) memcpy(bmp->masks, (uint32_t[]){0xFF0000, 0xFF00, 0xFF, 0}, 16);
    if (bits <= 8) {
        uint32_t size = header == 12 ? 3 : 4, most = 1u << bits, there = (offset - (uint32_t)palette) / size;
        if (bmp->colors == 0 || bmp->colors > most) bmp->colors = most;
        if (bmp->colors > there) bmp->colors = there;
        for (uint32_t i = 0; i < bmp->colors; i++)
            for (int c = 0; c < 3; c++) bmp->palette[i][c] = bytes[palette + size * i + 2 - (uint32_t)c];
    }
    bmp->data = bytes + offset;
    bmp->end = bytes + count;
    return 1;
}

static uint8_t *row_of(const bmp *bmp, const cim_raster *raster, uint64_t y) {
    uint64_t row = bmp->top_down ? y : bmp->height - 1 - y;
    return (uint8_t *)raster->samples + row * bmp->width * (uint64_t)raster->channels;
}

// The bits that a mask selects, scaled to 255.
static uint8_t field(uint32_t pixel, uint32_t mask) {
    if (mask == 0) return 0;
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift, value = (pixel & mask) >> shift;
    return (uint8_t)((value * 255 + most / 2) / most);
}

static int read_colors(const bmp *bmp, cim_raster *raster, uint64_t stride) {
    size_t bytes = bmp->bits / 8, channels = (size_t)raster->channels;
    uint8_t opaque = 0;
    for (uint64_t y = 0; y < bmp->height; y++) {
        const uint8_t *from = bmp->data + y * stride;
        uint8_t *to = row_of(bmp, raster, y);
        for (uint64_t x = 0; x < bmp->width; x++, from += bytes, to += channels) {
            if (bytes == 3) {
                for (int c = 0; c < 3; c++) to[c] = from[2 - c];
                continue;
            }
            uint32_t pixel = bytes == 2 ? cim_le16(from) : cim_le32(from);
            for (size_t c = 0; c < channels; c++) to[c] = field(pixel, bmp->masks[c]);
            if (channels == 4) opaque |= to[3];
        }
    }
    // Many writers state a mask for alpha and leave the values 0.
    if (channels == 4 && !opaque) {
        uint8_t *samples = raster->samples;
        for (uint64_t i = 0; i < bmp->width * bmp->height; i++) samples[4 * i + 3] = 255;
    }
    return 1;
}

static int put(const bmp *bmp, uint8_t *to, uint32_t index) {
    if (index >= bmp->colors) return 0;
    memcpy(to, bmp->palette[index], 3);
    return 1;
}

static const char beyond_palette[] = "a pixel has a color that the palette lacks";

static int read_indices(const bmp *bmp, cim_raster *raster, uint64_t stride, char *message) {
    for (uint64_t y = 0; y < bmp->height; y++) {
        const uint8_t *from = bmp->data + y * stride;
        uint8_t *to = row_of(bmp, raster, y);
        for (uint64_t x = 0, bit = 0; x < bmp->width; x++, bit += bmp->bits) {
            uint32_t index = from[bit / 8] >> (8 - bmp->bits - bit % 8) & ((1u << bmp->bits) - 1);
            if (!put(bmp, to + 3 * x, index)) return cim_fail(message, beyond_palette);
        }
    }
    return 1;
}

static int read_runs(const bmp *bmp, cim_raster *raster, char *message) {
    static const char truncated[] = "the BMP data is truncated";
    int narrow = bmp->bits == 4;
    // Pixels that no run reaches have the first color.
    for (uint64_t i = 0; i < bmp->width * bmp->height; i++)
        if (!put(bmp, (uint8_t *)raster->samples + 3 * i, 0)) return cim_fail(message, beyond_palette);
    uint64_t x = 0, y = 0;
    for (const uint8_t *at = bmp->data; bmp->end - at >= 2;) {
        uint32_t count = at[0], value = at[1];
        int is_run = count > 0;
        at += 2;
        if (!is_run && value == 0) {
            x = 0;
            y++;
            continue;
        }
        if (!is_run && value == 1) return 1;
        if (!is_run && value == 2) {
            if (bmp->end - at < 2) return cim_fail(message, truncated);
            x += at[0];
            y += at[1];
            at += 2;
            continue;
        }
        if (!is_run) count = value;
        ptrdiff_t bytes = narrow ? (count + 1) / 2 : count;
        if (!is_run && bmp->end - at < bytes) return cim_fail(message, truncated);
        if (y >= bmp->height) return cim_fail(message, "the BMP data goes beyond the image");
        uint8_t *row = row_of(bmp, raster, y);
        for (uint32_t i = 0; i < count; i++, x++) {
            uint32_t byte = is_run ? value : at[narrow ? i / 2 : i];
            uint32_t index = !narrow ? byte : i % 2 ? byte & 15 : byte >> 4;
            if (x < bmp->width && !put(bmp, row + 3 * x, index)) return cim_fail(message, beyond_palette);
        }
        if (!is_run) at += bmp->end - at > bytes ? bytes + (bytes & 1) : bytes;
    }
    // Some writers leave the end's mark out.
    if (y + 1 > bmp->height || (y + 1 == bmp->height && x >= bmp->width)) return 1;
    return cim_fail(message, truncated);
}

int cim_decode_bmp(const uint8_t *bytes, size_t count, const cim_options *options, cim_raster *raster,
                   char message[CIM_MESSAGE]) {
    bmp bmp = {0};
    if (!read_header(&bmp, bytes, count, message)) return 0;
    uint64_t stride = (bmp.width * bmp.bits + 31) / 32 * 4, last = (bmp.width * bmp.bits + 7) / 8;
    uint64_t left = (uint64_t)(bmp.end - bmp.data), pixels = bmp.width * bmp.height;
    int runs = bmp.compression == RLE8 || bmp.compression == RLE4;
    // The fewest bytes that the pixels may take; runs skip at most 255 rows of 65536 pixels by 4 bytes.
    if (runs ? pixels / 65536 / 64 > left : stride * (bmp.height - 1) + last > left)
        return cim_fail(message, "the BMP data is truncated");
    for (int i = 0; i < 4; i++) {
        uint32_t mask = bmp.masks[i], run = mask ? mask >> __builtin_ctz(mask) : 0;
        if (run & (run + 1) || (bmp.bits == 16 && mask > 0xFFFF))
            return cim_fail(message, "the BMP header is wrong");
    }
    if (!cim_allocate(raster, bmp.width, bmp.height, bmp.masks[3] ? 4 : 3, 8, options, message)) return 0;
    int done = bmp.bits > 8 ? read_colors(&bmp, raster, stride)
               : runs       ? read_runs(&bmp, raster, message)
                            : read_indices(&bmp, raster, stride, message);
    if (!done) free(raster->samples);
    return done;
}
