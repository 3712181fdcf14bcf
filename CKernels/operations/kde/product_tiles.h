// Products of query rows with support rows, tile by tile: one task to ROWS queries, COLUMNS support rows at a
// time. Used by kernel density (kde.c) and nearest neighbors (knn.c).
#ifndef CK_PRODUCT_TILES_H
#define CK_PRODUCT_TILES_H

#include "cpu.h"
#include <stdlib.h>

enum { ROWS = 128, COLUMNS = 512 };

struct product_tiles {
    const float *x, *s;  // x[n][d], s[m][d]
    int64_t n, m, d;
    float *tiles;  // one of ROWS x COLUMNS for each worker
};

// tile[rows][COLUMNS] = x[row ...] . s[column ...]
static inline void ck_products(const struct product_tiles *p, float *tile, int64_t row, int64_t rows,
                               int64_t column, int64_t columns) {
    ck_gemm(0, 1, rows, columns, p->d, p->x + row * p->d, p->d, p->s + column * p->d, p->d, 0, tile, COLUMNS);
}

// Runs `task`, whose context begins with `p`, over blocks of ROWS queries.
static inline ck_status ck_run_product_tiles(struct product_tiles *p, ck_task task) {
    p->tiles = malloc(sizeof(float) * ROWS * COLUMNS * (size_t)ck_thread_count());
    if (!p->tiles) return ck_fail(CK_OUT_OF_MEMORY, "out of memory");
    ck_parallel_for(ck_ceil_div(p->n, ROWS), task, p);
    free(p->tiles);
    return CK_OK;
}

#endif
