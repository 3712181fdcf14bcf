// log sum exp of products, over tiles that cuBLASLt computes (kde.cu). Memory is one tile.
#include "cuda.h"

enum { TILE_ROWS = 2048, TILE_COLUMNS = 8192 };

static int64_t tile_rows(const ck_products_params *p) { return ck_min64(TILE_ROWS, p->n); }
static int64_t tile_columns(const ck_products_params *p) { return ck_min64(TILE_COLUMNS, p->m); }

// Of each row the sum so far, and the largest value, padded to 16 bytes; then the tile.
static int64_t running_bytes(const ck_products_params *p) {
    return ck_ceil_div(p->n * (int64_t)(sizeof(double) + sizeof(float)), 16) * 16;
}

uint64_t ck_cuda_workspace_log_sum_exp_products(const ck_products_params *p) {
    return (uint64_t)(running_bytes(p) + tile_rows(p) * tile_columns(p) * (int64_t)sizeof(float));
}

ck_status ck_cuda_log_sum_exp_products(ck_cuda_state *cuda, const ck_log_sum_exp_products_operands *t,
                                       const ck_products_params *p, void *workspace) {
    int64_t leading = tile_columns(p), d = p->d;
    double *sums = workspace;
    float *largest = (float *)(sums + p->n), *tile = (float *)((uint8_t *)workspace + running_bytes(p));
    for (int32_t first = 0; first < p->n; first += (int32_t)tile_rows(p)) {
        int32_t rows = (int32_t)ck_min64(tile_rows(p), p->n - first);
        for (int32_t column = 0; column < p->m; column += (int32_t)leading) {
            int32_t columns = (int32_t)ck_min64(leading, p->m - column);
            CK_TRY(ck_cuda_multiply(cuda, &(ck_product){.transpose_b = 1,
                                                        .m = rows,
                                                        .n = columns,
                                                        .k = d,
                                                        .a = t->x + first * d,
                                                        .lda = d,
                                                        .b = t->s + column * d,
                                                        .ldb = d,
                                                        .c = tile,
                                                        .ldc = leading,
                                                        .math = p->math}));
            CK_TRY(CK_LAUNCH(cuda, ck_products_tile, ck_blocks(rows), .largest = largest, .sums = sums,
                             .tile = tile, .first = first, .columns = columns, .leading = leading,
                             .is_first = column == 0, .scale = p->scale));
        }
    }
    return CK_LAUNCH(cuda, ck_products_finish, ck_elements(p->n), .lse = t->lse, .largest = largest,
                     .sums = sums, .count = p->n);
}
