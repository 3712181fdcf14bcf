// Nearest neighbors: the k largest products of each query row with the support rows, and their places.
#include "../kde/product_tiles.h"

struct job {
    struct product_tiles p;
    int64_t k;
    float *products;
    int64_t *places;
};

static void largest_rows(void *context, int64_t index, int worker) {
    struct job *j = context;
    int64_t row = index * ROWS, rows = ck_min64(ROWS, j->p.n - row), k = j->k;
    float *tile = j->p.tiles + (int64_t)worker * ROWS * COLUMNS;
    for (int64_t i = 0; i < rows * k; i++) j->products[row * k + i] = -INFINITY, j->places[row * k + i] = -1;
    for (int64_t column = 0; column < j->p.m; column += COLUMNS) {
        int64_t columns = ck_min64(COLUMNS, j->p.m - column);
        ck_products(&j->p, tile, row, rows, column, columns);
        for (int64_t i = 0; i < rows; i++) {
            float *best = j->products + (row + i) * k;
            int64_t *place = j->places + (row + i) * k;
            for (int64_t c = 0; c < columns; c++) {
                float value = tile[i * COLUMNS + c];
                if (!(value > best[k - 1])) continue;
                int64_t at = k - 1;
                for (; at > 0 && value > best[at - 1]; at--)
                    best[at] = best[at - 1], place[at] = place[at - 1];
                best[at] = value;
                place[at] = column + c;
            }
        }
    }
}

ck_status ck_largest_products(const float *x, int64_t n, const float *s, int64_t m, int64_t d, int64_t k,
                              float *products, int64_t *places) {
    if (k < 1 || k > m)
        return ck_fail(CK_INVALID_ARGUMENT, "%lld neighbors of %lld", (long long)k, (long long)m);
    struct job j = {
        .p = {.x = x, .s = s, .n = n, .m = m, .d = d}, .k = k, .products = products, .places = places};
    return ck_run_product_tiles(&j.p, largest_rows);
}
