#include "internal.h"
#include <stdlib.h>
#include <zlib.h>

int cim_gunzip(const uint8_t *bytes, size_t count, size_t limit, uint8_t **out, size_t *out_count,
               char message[CIM_MESSAGE]) {
    z_stream stream = {0};
    if (count > UINT32_MAX) return cim_fail(message, "the gzip file is too large");
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return cim_fail(message, "out of memory");
    // Deflate cannot shrink anything by more than a factor of 1032.
    size_t capacity = count < limit / 1040 ? 1040 * count + 64 : limit, size = 4 * count + 1024;
    if (size > capacity) size = capacity;
    uint8_t *buffer = malloc(size ? size : 1);
    stream.next_in = (Bytef *)bytes;
    stream.avail_in = (uInt)count;
    int status = Z_OK;
    while (buffer) {
        stream.next_out = buffer + stream.total_out;
        size_t room = size - stream.total_out;
        stream.avail_out = room > UINT32_MAX ? UINT32_MAX : (uInt)room;
        status = inflate(&stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_BUF_ERROR) break;
        if (stream.avail_out > 0) break;  // no input left
        if (stream.total_out < size) continue;
        if (size == capacity) break;
        size = size > capacity / 2 ? capacity : 2 * size;
        uint8_t *grown = realloc(buffer, size);
        if (!grown) {
            free(buffer);
            buffer = NULL;
        } else {
            buffer = grown;
        }
    }
    *out_count = stream.total_out;
    inflateEnd(&stream);
    if (!buffer) return cim_fail(message, "out of memory");
    if (status != Z_STREAM_END) {
        int full = *out_count >= limit;
        free(buffer);
        return cim_fail(message, full                     ? "it inflates to more than its format allows"
                                 : status == Z_DATA_ERROR ? "the gzip data is corrupt"
                                                          : "the gzip data is truncated");
    }
    *out = buffer;
    return 1;
}
