#include <stdlib.h>
#include <string.h>

#include "occ.h"
#include "occ_internal.h"

static _Thread_local char *text;

void occ_set_last_error(const char *message) {
    free(text);
    text = strdup(message);
}

const char *occ_last_error(void) { return text ? text : ""; }
