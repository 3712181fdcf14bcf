// PBM, PGM and PPM, as text (P1, P2, P3) and as bytes (P4, P5, P6), of up to 16 bits.
#include "internal.h"
#include <ctype.h>
#include <stdlib.h>

typedef struct reader {
    const uint8_t *at, *end;
} reader;

static void skip_space(reader *reader) {
    int comment = 0;
    for (; reader->at < reader->end; reader->at++) {
        if (comment)
            comment = *reader->at != '\n' && *reader->at != '\r';
        else if (*reader->at == '#')
            comment = 1;
        else if (!isspace(*reader->at))
            return;
    }
}

// The next number, of at most nine digits.
static int read_number(reader *reader, uint32_t *value) {
    skip_space(reader);
    *value = 0;
    int digits = 0;
    for (; reader->at < reader->end && isdigit(*reader->at); reader->at++) {
        if (++digits > 9) return 0;
        *value = *value * 10 + (*reader->at - '0');
    }
    return digits > 0;
}

// The next sample of a text; bits need no space between them, and 1 is black.
static int read_text(reader *reader, int is_bit, uint32_t *value) {
    if (!is_bit) return read_number(reader, value);
    skip_space(reader);
    if (reader->at == reader->end || (*reader->at != '0' && *reader->at != '1')) return 0;
    *value = *reader->at++ == '0';
    return 1;
}

static uint32_t read_bytes(reader *reader, uint32_t most) {
    uint32_t value = *reader->at++;
    return most < 256 ? value : value << 8 | *reader->at++;
}

int cim_decode_pnm(const uint8_t *bytes, size_t count, const cim_options *options, cim_raster *raster,
                   char message[CIM_MESSAGE]) {
    int kind = bytes[1] - '0', is_text = kind <= 3, is_bit = kind == 1 || kind == 4;
    uint64_t channels = kind == 3 || kind == 6 ? 3 : 1;
    uint32_t width, height, most = 1;
    reader reader = {bytes + 2, bytes + count};
    if (!read_number(&reader, &width) || !read_number(&reader, &height) ||
        (!is_bit && !read_number(&reader, &most)) || most == 0 || most > 65535)
        return cim_fail(message, "the PNM header is wrong");
    if (!is_text && (reader.at == reader.end || !isspace(*reader.at++)))
        return cim_fail(message, "the PNM header is wrong");
    // What the samples take at least: a digit each, and a space between numbers.
    uint64_t samples = (uint64_t)width * height * channels;
    uint64_t least = is_text       ? samples * (is_bit ? 1 : 2)
                     : is_bit      ? ((uint64_t)width + 7) / 8 * height
                     : most >= 256 ? samples * 2
                                   : samples;
    if (least > (uint64_t)(reader.end - reader.at) + (is_text ? 1 : 0))
        return cim_fail(message, "the PNM data is truncated");
    int bits = most < 256 ? 8 : 16;
    if (!cim_allocate(raster, width, height, (int32_t)channels, bits, options, message)) return 0;
    uint32_t top = most < 256 ? 255 : 65535, bad = 0;
    for (uint64_t i = 0; i < samples && !bad; i++) {
        uint32_t value = 0;
        if (is_text)
            bad = !read_text(&reader, is_bit, &value);
        else if (is_bit)
            value = !(reader.at[i / width * ((width + 7) / 8) + i % width / 8] >> (7 - i % width % 8) & 1);
        else
            value = read_bytes(&reader, most);
        bad |= value > most;
        uint32_t scaled = (uint32_t)(((uint64_t)value * top + most / 2) / most);
        if (bits == 8)
            ((uint8_t *)raster->samples)[i] = (uint8_t)scaled;
        else
            ((uint16_t *)raster->samples)[i] = (uint16_t)scaled;
    }
    if (!bad) return 1;
    free(raster->samples);
    return cim_fail(message, "a PNM sample is missing, no number or larger than the header says");
}
