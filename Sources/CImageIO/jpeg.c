#include "internal.h"
#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct failure {
    struct jpeg_error_mgr manager;
    jmp_buf jump;
    char *message;
    const uint8_t *bytes, *end;  // of the file
    int no_end;                  // it ends before its end marker
};

static void on_error(j_common_ptr info) {
    struct failure *failure = (struct failure *)info->err;
    char text[JMSG_LENGTH_MAX];
    failure->manager.format_message(info, text);
    snprintf(failure->message, CIM_MESSAGE, "%s", text);
    longjmp(failure->jump, 1);
}

// Whether the bytes that libjpeg skips before a marker are no part of the picture: any before the first scan;
// after that only zeros, for what is left over may as well be of a damaged scan.
static int is_padding(j_decompress_ptr info) {
    if (info->input_scan_number == 0) return 1;
    struct failure *failure = (struct failure *)info->err;
    const uint8_t *at = failure->no_end ? failure->end : info->src->next_input_byte;
    for (int left = info->err->msg_parm.i[0]; left > 0; left--)
        if (at == failure->bytes || *--at != 0) return 0;
    return 1;
}

// libjpeg warns of corrupt or truncated data and goes on with gray: here that is an error. It also warns of
// what leaves the pixels as they are.
static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    struct failure *failure = (struct failure *)info->err;
    switch (info->err->msg_code) {
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_NOT_SEQUENTIAL: return;
    case JWRN_JPEG_EOF: failure->no_end = 1; return;
    case JWRN_EXTRANEOUS_DATA:
        if (is_padding((j_decompress_ptr)info)) return;
        break;
    default: break;
    }
    on_error(info);
}

// Whether every coefficient has come. Of scans that a file ends in, the entropy decoder warns (but the
// arithmetic one); of scans that are missing as a whole, nobody does.
static int is_complete(const struct jpeg_decompress_struct *info, int no_end) {
    for (int i = 0; i < info->num_components; i++) {
        if (!info->comp_info[i].quant_table) return 0;
        if (!no_end || !info->progressive_mode) continue;
        for (int k = 0; k < DCTSIZE2; k++)
            if (info->coef_bits[i][k] != 0) return 0;
    }
    return !(no_end && info->arith_code);
}

static int32_t orientation_of(const struct jpeg_decompress_struct *info) {
    static const char name[6] = "Exif";
    for (jpeg_saved_marker_ptr marker = info->marker_list; marker; marker = marker->next)
        if (marker->data_length > sizeof name && memcmp(marker->data, name, sizeof name) == 0)
            return cim_exif_orientation(marker->data + sizeof name, marker->data_length - sizeof name);
    return 1;
}

// Four inks, as the paper's share that each leaves free (Adobe's way) or covers, to RGB.
static void mix_inks(const uint8_t *inks, uint8_t *rgb, size_t count, int inverted) {
    uint8_t flip = inverted ? 0 : 255;
    for (size_t i = 0; i < count; i++, inks += 4, rgb += 3) {
        uint32_t light = inks[3] ^ flip;
        for (int c = 0; c < 3; c++) {
            uint32_t covered = (255u - (inks[c] ^ flip)) * light + 128;
            rgb[c] = (uint8_t)(light - ((covered + (covered >> 8)) >> 8));
        }
    }
}

int cim_decode_jpeg(const uint8_t *bytes, size_t count, const cim_options *options, cim_raster *raster,
                    char message[CIM_MESSAGE]) {
    struct jpeg_decompress_struct info;
    struct failure failure = {.message = message, .bytes = bytes, .end = bytes + count};
    uint8_t *volatile inks = NULL;
    memset(&info, 0, sizeof info);
    info.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = on_error;
    failure.manager.emit_message = on_message;
    if (setjmp(failure.jump)) {
        jpeg_destroy_decompress(&info);
        free(raster->samples);
        free(inks);
        return 0;
    }
    jpeg_create_decompress(&info);
    info.mem->max_memory_to_use = 512L << 20;
    jpeg_mem_src(&info, bytes, count);
    jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&info, TRUE);
    if (!cim_allocate(raster, info.image_width, info.image_height, 3, 8, options, message))
        longjmp(failure.jump, 1);
    int has_inks = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
    info.out_color_space = has_inks ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&info);
    if (has_inks) inks = malloc((size_t)info.output_width * 4);
    if (has_inks && !inks) {
        cim_fail(message, "out of memory");
        longjmp(failure.jump, 1);
    }
    while (info.output_scanline < info.output_height) {
        uint8_t *pixels = (uint8_t *)raster->samples + (size_t)info.output_scanline * info.output_width * 3;
        JSAMPROW row = has_inks ? inks : pixels;
        jpeg_read_scanlines(&info, &row, 1);
        if (has_inks) mix_inks(inks, pixels, info.output_width, info.saw_Adobe_marker);
    }
    if (!is_complete(&info, failure.no_end)) {
        cim_fail(message, "the JPEG data ends early");
        longjmp(failure.jump, 1);
    }
    raster->orientation = orientation_of(&info);
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
    free(inks);
    return 1;
}
