// log sum exp of products, over tiles that cuBLASLt computes (kernels/pairwise.cu). Memory is one tile.
#include "cuda.h"

enum { TILE_ROWS = 2048, TILE_COLUMNS = 8192 };

static int64_t tile_rows(const ck_products_params *p) { return ck_min64(TILE_ROWS, p->n); }
static int64_t tile_columns(const ck_products_params *p) { return ck_min64(TILE_COLUMNS, p->m); }

// Of each row the sum so far, and the largest value, padded to 16 bytes; then the tile.
static int64_t running_bytes(const ck_products_params *p) {
    return ck_ceil_div(p->n * (int64_t)(sizeof(double) + sizeof(float)), 16) * 16;
}

uint64_t ck_cuda_workspace_products(const ck_operation *operation) {
    const ck_products_params *p = &operation->params.products;
    return (uint64_t)(running_bytes(p) + tile_rows(p) * tile_columns(p) * (int64_t)sizeof(float));
}

ck_status ck_cuda_log_sum_exp_products(ck_cuda_call c) {
    ck_products_params p = c.p->products;
    int64_t leading = tile_columns(&p), d = p.d, count = p.n;
    double *sums = (double *)c.workspace;
    float *largest = (float *)(sums + p.n), *tile = (float *)(c.workspace + running_bytes(&p));
    const float *x = c.t[1], *s = c.t[2];
    for (int32_t first = 0; first < p.n; first += (int32_t)tile_rows(&p)) {
        int32_t rows = (int32_t)ck_min64(tile_rows(&p), p.n - first);
        for (int32_t column = 0; column < p.m; column += (int32_t)leading) {
            int32_t columns = (int32_t)ck_min64(leading, p.m - column), is_first = column == 0;
            CK_TRY(ck_cuda_multiply(c.cuda, &(ck_product){.transpose_b = 1, .m = rows, .n = columns, .k = d, .a = x + first * d,
                                                          .lda = d, .b = s + column * d, .ldb = d, .c = tile, .ldc = leading,
                                                          .math = p.math}));
            CK_TRY(CK_LAUNCH(c.cuda, ck_products_tile, ((ck_grid){rows, 1, 1}), 128, &largest, &sums, &tile, &first, &columns,
                             &leading, &is_first, &p.scale));
        }
    }
    return CK_LAUNCH(c.cuda, ck_products_finish, ck_elements(count), 256, (void *)&c.t[0], &largest, &sums, &count);
}
