// Products of query rows with support rows, tile by tile: one task to ROWS queries, COLUMNS support rows at a
// time. Used by kernel density (kde.c) and nearest neighbors (knn.c). A query's products do not depend on the
// queries around it (row_products.h).
#ifndef CK_PRODUCT_TILES_H
#define CK_PRODUCT_TILES_H

#include "cpu.h"
#include "row_products.h"
#include <stdlib.h>

enum { ROWS = 128, COLUMNS = 512 };

struct product_tiles {
    const float *x, *s;  // x[n][d], s[m][d]
    int64_t n, m, d;
    float *packed;  // s
    float *tiles;   // one of ROWS x COLUMNS for each worker
};

// tile[rows][COLUMNS] = x[row ...] . s[column ...]
static inline void ck_products(const struct product_tiles *p, float *tile, int64_t row, int64_t rows,
                               int64_t column, int64_t columns) {
    ck_row_products(tile, COLUMNS, p->x + row * p->d, rows, p->packed + column * p->d, columns, p->d);
}

// Runs `task`, whose context begins with `p`, over blocks of ROWS queries.
static inline ck_status ck_run_product_tiles(struct product_tiles *p, ck_task task) {
    size_t packed = (size_t)ck_packed_floats(p->m, p->d);
    p->packed = malloc(sizeof(float) * (packed + ROWS * COLUMNS * (size_t)ck_thread_count()));
    if (!p->packed) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    p->tiles = p->packed + packed;
    ck_pack_rows(p->packed, p->s, p->m, p->d);
    ck_parallel_for(ck_ceil_div(p->n, ROWS), task, p);
    free(p->packed);
    return CK_OK;
}

#endif
