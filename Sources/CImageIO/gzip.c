#include "internal.h"
#include <stdlib.h>
#include <zlib.h>

static int is_zeros(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != 0) return 0;
    return 1;
}

int cim_gunzip(const uint8_t *bytes, size_t count, size_t limit, uint8_t **out, size_t *out_count,
               char message[CIM_MESSAGE]) {
    z_stream stream = {0};
    if (count > UINT32_MAX) return cim_fail(message, "the gzip file is too large");
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return cim_fail(message, "out of memory");
    // Deflate cannot shrink anything by more than a factor of 1032.
    size_t capacity = count < limit / 1040 ? 1040 * count + 64 : limit, size = 4 * count + 1024, done = 0;
    if (size > capacity) size = capacity;
    uint8_t *buffer = malloc(size ? size : 1);
    stream.next_in = (Bytef *)bytes;
    stream.avail_in = (uInt)count;
    int status = Z_OK, is_followed = 0;
    while (buffer) {
        size_t room = size - done;
        uInt some = room > UINT32_MAX ? UINT32_MAX : (uInt)room;
        stream.next_out = buffer + done;
        stream.avail_out = some;
        status = inflate(&stream, Z_NO_FLUSH);
        done += some - stream.avail_out;
        if (status == Z_STREAM_END) {
            // A file may be several, one after the other, with zeros to fill a block.
            if (is_zeros(stream.next_in, stream.avail_in)) break;
            is_followed = stream.next_in[0] != 0x1F || stream.avail_in < 2 || stream.next_in[1] != 0x8B;
            if (is_followed || inflateReset(&stream) != Z_OK) break;
            continue;
        }
        if (status != Z_OK && status != Z_BUF_ERROR) break;
        if (stream.avail_out > 0) break;  // no input left
        if (done < size) continue;
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
    *out_count = done;
    inflateEnd(&stream);
    if (!buffer) return cim_fail(message, "out of memory");
    if (status != Z_STREAM_END || is_followed) {
        int is_full = done >= limit;
        free(buffer);
        return cim_fail(message, is_followed              ? "the gzip data is followed by something else"
                                 : is_full                ? "it inflates to more than its format allows"
                                 : status == Z_DATA_ERROR ? "the gzip data is corrupt"
                                                          : "the gzip data is truncated");
    }
    *out = buffer;
    return 1;
}
