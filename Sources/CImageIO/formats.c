// What a file is, by its first bytes.
#include "internal.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

typedef struct signature {
    size_t at, count;
    const char *bytes;
    cim_decoder *decode;
    const char *looks_like;  // where it is not decoded
} signature;

#define READ(at, bytes, decode)                                                                              \
    { at, sizeof bytes - 1, bytes, decode, NULL }
#define NAMED(at, bytes, looks_like)                                                                         \
    { at, sizeof bytes - 1, bytes, NULL, looks_like }

static const signature signatures[] = {
    READ(0, "\x89PNG", cim_decode_png),
    READ(0, "\xFF\xD8\xFF", cim_decode_jpeg),
    READ(0, "II*\0", cim_decode_tiff),
    READ(0, "MM\0*", cim_decode_tiff),
    READ(0, "II+\0", cim_decode_tiff),
    READ(0, "MM\0+", cim_decode_tiff),
    READ(8, "WEBP", cim_decode_webp),
    READ(0, "BM", cim_decode_bmp),
    NAMED(0, "GIF8", "it is a GIF"),
    NAMED(4, "ftypavi", "it is an AVIF image"),
    NAMED(4, "ftyphe", "it is a HEIC image"),
    NAMED(4, "ftypmif1", "it is a HEIF image"),
    NAMED(4, "ftypmsf1", "it is a HEIF image"),
    NAMED(4, "ftyp", "it is a film"),
    NAMED(4, "jP  \r\n\x87\n", "it is a JPEG 2000 image"),
    NAMED(0, "\xFF\x4F\xFF\x51", "it is a JPEG 2000 image"),
    NAMED(0, "\xFF\x0A", "it is a JPEG XL image"),
    NAMED(4, "JXL \r\n\x87\n", "it is a JPEG XL image"),
    NAMED(0, "II\xBC", "it is a JPEG XR image"),
    NAMED(0, "IIRO", "it is a camera's raw image"),
    NAMED(0, "FUJIFILM", "it is a camera's raw image"),
    NAMED(128, "DICM", "it is a DICOM file"),
    NAMED(0, "\x93NUMPY", "it is a NumPy array"),
    NAMED(0, "\x89HDF", "it is an HDF5 file"),
    NAMED(0, "MATLAB 5.0", "it is a MATLAB file"),
    NAMED(0, "SIMPLE  =", "it is a FITS image"),
    NAMED(344, "n+1", "it is a NIfTI image"),
    NAMED(0, "\x76\x2F\x31\x01", "it is an OpenEXR image"),
    NAMED(0, "#?RADIANCE", "it is a Radiance HDR image"),
    NAMED(0, "#?RGBE", "it is a Radiance HDR image"),
    NAMED(0, "8BPS", "it is a Photoshop file"),
    NAMED(0, "gimp xcf", "it is a GIMP file"),
    NAMED(0, "qoif", "it is a QOI image"),
    NAMED(0, "DDS ", "it is a DDS texture"),
    NAMED(0, "P7\n", "it is a PAM image"),
    NAMED(0, "PF\n", "it is a PFM image"),
    NAMED(0, "Pf\n", "it is a PFM image"),
    NAMED(0, "\0\0\1\0", "it is an icon"),
    NAMED(0, "%PDF", "it is a PDF document"),
    NAMED(0, "%!PS", "it is a PostScript document"),
    NAMED(0, "PK\3\4", "it is a ZIP archive"),
    NAMED(0, "\x1F\x8B", "it is a gzip file"),
    NAMED(0, "7z\xBC\xAF", "it is a 7z archive"),
    NAMED(0, "Rar!", "it is a RAR archive"),
    NAMED(257, "ustar", "it is a tar archive"),
    NAMED(0, "version https://git-lfs", "it is a Git LFS pointer: the image itself is yet to be fetched"),
};

// A text is told by how it begins, whatever the case and the white space before it.
static const char *kind_of_text(const uint8_t *bytes, size_t count) {
    static const struct {
        const char *start, *looks_like;
    } texts[] = {{"<!doctype html", "it is an HTML page, not an image"},
                 {"<html", "it is an HTML page, not an image"},
                 {"<svg", "it is an SVG drawing"},
                 {"<?xml", "it is an XML document"},
                 {"{", "it is a text, perhaps JSON"}};
    if (count >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) bytes += 3, count -= 3;
    while (count > 0 && isspace(*bytes)) bytes++, count--;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t length = strlen(texts[i].start);
        if (count >= length && strncasecmp((const char *)bytes, texts[i].start, length) == 0)
            return texts[i].looks_like;
    }
    return NULL;
}

cim_decoder *cim_recognize(const uint8_t *bytes, size_t count, const char **looks_like) {
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const signature *s = signatures + i;
        if (count < s->at + s->count || memcmp(bytes + s->at, s->bytes, s->count) != 0) continue;
        *looks_like = s->looks_like;
        return s->decode;
    }
    if (count >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
        (isspace(bytes[2]) || bytes[2] == '#'))
        return cim_decode_pnm;
    *looks_like = kind_of_text(bytes, count);
    if (*looks_like) return NULL;
    size_t zeros = 0;
    while (zeros < count && bytes[zeros] == 0) zeros++;
    *looks_like = zeros == count ? "the file is zeros throughout" : "it is none of the formats that are read";
    return NULL;
}
