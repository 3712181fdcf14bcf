#include "internal.h"
#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[512] = "";

ck_status ck_failed(ck_status status, const char *text) { return ck_fail(status, "%s", text); }

const char *ck_last_error(void) { return last_error; }

ck_status ck_fail(ck_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}
