#include "internal.h"
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct failure {
    struct jpeg_error_mgr manager;
    jmp_buf jump;
    char *message;
};

static void on_error(j_common_ptr info) {
    struct failure *failure = (struct failure *)info->err;
    char text[JMSG_LENGTH_MAX];
    failure->manager.format_message(info, text);
    snprintf(failure->message, CIM_MESSAGE, "%s", text);
    longjmp(failure->jump, 1);
}

// libjpeg warns of corrupt or truncated data and goes on with gray: here that is an error.
static void on_message(j_common_ptr info, int level) {
    if (level < 0) on_error(info);
}

int cim_decode_jpeg(const uint8_t *bytes, size_t count, uint64_t max_pixels, cim_image *image,
                    char message[CIM_MESSAGE]) {
    struct jpeg_decompress_struct info;
    struct failure failure = {.message = message};
    uint8_t *volatile pixels = NULL;
    memset(&info, 0, sizeof info);
    info.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = on_error;
    failure.manager.emit_message = on_message;
    if (setjmp(failure.jump)) {
        jpeg_destroy_decompress(&info);
        free(pixels);
        return 0;
    }
    jpeg_create_decompress(&info);
    info.mem->max_memory_to_use = 512L << 20;
    jpeg_mem_src(&info, bytes, count);
    jpeg_read_header(&info, TRUE);
    if ((uint64_t)info.image_width * info.image_height > max_pixels) {
        jpeg_destroy_decompress(&info);
        return cim_fail(message, "the image has too many pixels");
    }
    if (info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK) {
        jpeg_destroy_decompress(&info);
        return cim_fail(message, "CMYK JPEG is not supported; convert the file to RGB");
    }
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
    size_t line = (size_t)info.output_width * 3;
    pixels = malloc(line * info.output_height);
    if (!pixels) {
        jpeg_destroy_decompress(&info);
        return cim_fail(message, "out of memory");
    }
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = pixels + info.output_scanline * line;
        jpeg_read_scanlines(&info, &row, 1);
    }
    *image = (cim_image){(int32_t)info.output_width, (int32_t)info.output_height, pixels};
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
    return 1;
}
