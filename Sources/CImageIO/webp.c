#include "internal.h"
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>

static int32_t orientation_of(const uint8_t *bytes, size_t count) {
    for (size_t at = 12; at + 8 <= count;) {
        size_t size = cim_le32(bytes + at + 4), left = count - at - 8;
        const uint8_t *chunk = bytes + at + 8;
        if (memcmp(bytes + at, "EXIF", 4) == 0) {
            if (size > left) size = left;
            size_t name = size >= 6 && memcmp(chunk, "Exif\0", 6) == 0 ? 6 : 0;
            return cim_exif_orientation(chunk + name, size - name);
        }
        at += 8 + size + (size & 1);
    }
    return 1;
}

int cim_decode_webp(const uint8_t *bytes, size_t count, const cim_options *options, cim_raster *raster,
                    char message[CIM_MESSAGE]) {
    WebPBitstreamFeatures features;
    VP8StatusCode status = WebPGetFeatures(bytes, count, &features);
    if (status != VP8_STATUS_OK)
        return cim_fail(message, status == VP8_STATUS_NOT_ENOUGH_DATA ? "the WebP data is truncated"
                                                                      : "the WebP data is corrupt");
    if (features.has_animation)
        return cim_fail(message, "an animated WebP is not read; save the picture that is meant");
    int channels = features.has_alpha ? 4 : 3;
    if (!cim_allocate(raster, (uint64_t)features.width, (uint64_t)features.height, channels, 8, options,
                      message))
        return 0;
    int line = features.width * channels;
    size_t size = (size_t)line * (size_t)features.height;
    uint8_t *done = features.has_alpha ? WebPDecodeRGBAInto(bytes, count, raster->samples, size, line)
                                       : WebPDecodeRGBInto(bytes, count, raster->samples, size, line);
    if (!done) {
        free(raster->samples);
        return cim_fail(message, "the WebP data is corrupt or truncated");
    }
    raster->orientation = orientation_of(bytes, count);
    return 1;
}
