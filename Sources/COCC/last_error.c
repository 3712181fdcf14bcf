#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "occ.h"
#include "occ_internal.h"

/* Each thread's own text, which goes with the thread. */
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int has_key;

static void make_key(void) { has_key = pthread_key_create(&key, free) == 0; }

void occ_set_last_error(const char *message) {
    pthread_once(&once, make_key);
    if (!has_key) return;
    char *text = strdup(message), *before = pthread_getspecific(key);
    free(pthread_setspecific(key, text) == 0 ? before : text);
}

const char *occ_last_error(void) {
    pthread_once(&once, make_key);
    const char *text = has_key ? pthread_getspecific(key) : NULL;
    return text ? text : "";
}
