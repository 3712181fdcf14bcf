/* What the library's own parts share. */
#ifndef OCC_INTERNAL_H
#define OCC_INTERNAL_H

/* Keeps the text of this thread's last error. */
void occ_set_last_error(const char *message);

#endif
