// Products of rows with rows, out[n][m] = x[n][d] . s[m][d], where a product's bits do not depend on the rows
// around it: each is one running sum over d, in order. A library's matrix product sums a row in another order
// where it lies elsewhere in the matrix, so that an image's score would depend on the images beside it.
#ifndef CK_ROW_PRODUCTS_H
#define CK_ROW_PRODUCTS_H

#include <stdint.h>

// Packed, the rows of s lie in panels of 16 (floats) or 8 (doubles), [panel][d][16]; the last one is filled
// up with zeros.
enum { CK_PANEL = 16, CK_WIDE_PANEL = 8 };

static inline int64_t ck_packed_floats(int64_t m, int64_t d) {
    return (m + CK_PANEL - 1) / CK_PANEL * CK_PANEL * d;
}
static inline int64_t ck_packed_doubles(int64_t m, int64_t d) {
    return (m + CK_WIDE_PANEL - 1) / CK_WIDE_PANEL * CK_WIDE_PANEL * d;
}

// Packs rows, on all threads.
void ck_pack_rows(float *packed, const float *s, int64_t m, int64_t d);
void ck_pack_rows_wide(double *packed, const double *s, int64_t m, int64_t d);

// out[n][m], with a row of `stride` numbers; on the calling thread.
void ck_row_products(float *out, int64_t stride, const float *x, int64_t n, const float *packed, int64_t m,
                     int64_t d);
void ck_row_products_wide(double *out, int64_t stride, const double *x, int64_t n, const double *packed,
                          int64_t m, int64_t d);

#endif
