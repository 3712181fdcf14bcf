// Which libraries read the files.
#include "internal.h"
#include <jpeglib.h>
#include <libdeflate.h>
#include <png.h>
#include <tiffio.h>
#include <webp/decode.h>
#include <zlib.h>

#define QUOTED(text) #text
#define TEXT(macro) QUOTED(macro)

cim_library cim_library_at(int index) {
    static const char *const names[CIM_LIBRARY_COUNT] = {"libpng",  "libjpeg",    "libtiff",
                                                         "libwebp", "libdeflate", "zlib"};
    cim_library library = {.name = names[index]};
    int number;
    switch (index) {
    case 0: snprintf(library.version, sizeof library.version, "%s", png_get_libpng_ver(NULL)); break;
    case 1:
#ifdef LIBJPEG_TURBO_VERSION
        snprintf(library.version, sizeof library.version, "turbo %s", TEXT(LIBJPEG_TURBO_VERSION));
#else
        snprintf(library.version, sizeof library.version, "%s", TEXT(JPEG_LIB_VERSION));
#endif
        break;
    case 2:  // "LIBTIFF, Version 4.5.1" and lines on whose it is
        if (sscanf(TIFFGetVersion(), "LIBTIFF, Version %31[0-9.]", library.version) != 1)
            snprintf(library.version, sizeof library.version, "%s", TEXT(TIFFLIB_VERSION));
        break;
    case 3:
        number = WebPGetDecoderVersion();
        snprintf(library.version, sizeof library.version, "%d.%d.%d", number >> 16, number >> 8 & 255,
                 number & 255);
        break;
    case 4: snprintf(library.version, sizeof library.version, "%s", LIBDEFLATE_VERSION_STRING); break;
    default: snprintf(library.version, sizeof library.version, "%s", zlibVersion());
    }
    return library;
}
