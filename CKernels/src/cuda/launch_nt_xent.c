// NT-Xent over tiles of similarities (kernels/nt_xent.cu): cuBLASLt multiplies, our kernels reduce. Memory is one tile.
#include "cuda.h"

enum { TILE_ROWS = 2048, TILE_COLUMNS = 8192 };

static int64_t anchors_of(const ck_nt_xent_params *p) { return p->symmetric ? 2 * (int64_t)p->b : p->b; }
static int64_t tile_rows(const ck_nt_xent_params *p) { return ck_min64(TILE_ROWS, anchors_of(p)); }
static int64_t tile_columns(const ck_nt_xent_params *p) { return ck_min64(TILE_COLUMNS, anchors_of(p)); }

uint64_t ck_cuda_workspace_nt_xent(const ck_operation *operation) {
    const ck_nt_xent_params *p = &operation->params.nt_xent;
    return (uint64_t)(anchors_of(p) * (2 * (int64_t)sizeof(double) + 2 * (int64_t)sizeof(float)) +
                      tile_rows(p) * tile_columns(p) * (int64_t)sizeof(float)) + 16;
}

static float *tile_of(ck_cuda_call c) {
    uintptr_t after = (uintptr_t)c.workspace + (uintptr_t)anchors_of(&c.p->nt_xent) * (2 * sizeof(double) + 2 * sizeof(float));
    return (float *)((after + 15) / 16 * 16);
}

// tile[rows][columns] = z[first ...] . z[column ...]
static ck_status similarities(ck_cuda_call c, const float *z, int32_t first, int32_t rows, int32_t column, int32_t columns,
                              int64_t leading) {
    int64_t d = c.p->nt_xent.d;
    return ck_cuda_multiply(c.cuda, &(ck_product){.transpose_b = 1, .m = rows, .n = columns, .k = d, .a = z + first * d,
                                                  .lda = d, .b = z + column * d, .ldb = d, .c = tile_of(c), .ldc = leading,
                                                  .math = c.p->nt_xent.math});
}

ck_status ck_cuda_nt_xent_forward(ck_cuda_call c) {
    ck_nt_xent_params p = c.p->nt_xent;
    int64_t anchors = anchors_of(&p), leading = tile_columns(&p);
    double *sums = (double *)c.workspace, *partial = sums + anchors, factor = 1.0 / (double)anchors;
    float *largest = (float *)(partial + anchors), *positive = largest + anchors, *tile = tile_of(c);
    int32_t begin = p.symmetric ? 0 : p.b, end = 2 * p.b;
    for (int32_t first = 0; first < anchors; first += (int32_t)tile_rows(&p)) {
        int32_t rows = (int32_t)ck_min64(tile_rows(&p), anchors - first);
        for (int32_t column = begin; column < end; column += (int32_t)leading) {
            int32_t columns = (int32_t)ck_min64(leading, end - column), is_first = column == begin;
            CK_TRY(similarities(c, c.t[2], first, rows, column, columns, leading));
            CK_TRY(CK_LAUNCH(c.cuda, ck_nt_xent_tile_forward, ((ck_grid){rows, 1, 1}), 128, &largest, &sums, &positive, &tile,
                             &first, &column, &columns, &leading, &is_first, &p));
        }
    }
    CK_TRY(CK_LAUNCH(c.cuda, ck_nt_xent_finish, ck_elements(anchors), 256, (void *)&c.t[1], &partial, &largest, &sums,
                     &positive, &anchors));
    return CK_LAUNCH(c.cuda, ck_sum, ((ck_grid){1, 1, 1}), 256, (void *)&c.t[0], &partial, &anchors, &factor);
}

// The gradient of rows begin ..< end, which meet the columns from ..< to.
static ck_status gradient(ck_cuda_call c, int32_t begin, int32_t end, int32_t from, int32_t to) {
    ck_nt_xent_params p = c.p->nt_xent;
    int64_t leading = tile_columns(&p), d = p.d;
    float *dz = c.t[0], *tile = tile_of(c);
    const float *z = c.t[1], *lse = c.t[2];
    for (int32_t first = begin; first < end; first += (int32_t)tile_rows(&p)) {
        int32_t rows = (int32_t)ck_min64(tile_rows(&p), end - first);
        for (int32_t column = from; column < to; column += (int32_t)leading) {
            int32_t columns = (int32_t)ck_min64(leading, to - column);
            CK_TRY(similarities(c, z, first, rows, column, columns, leading));
            CK_TRY(CK_LAUNCH(c.cuda, ck_nt_xent_tile_backward, ck_elements((int64_t)rows * columns), 256, &tile, &lse, &first,
                             &rows, &column, &columns, &leading, &p));
            CK_TRY(ck_cuda_multiply(c.cuda, &(ck_product){.m = rows, .n = d, .k = columns, .a = tile, .lda = leading,
                                                          .b = z + column * d, .ldb = d, .accumulate = column > from,
                                                          .c = dz + first * d, .ldc = d, .math = p.math}));
        }
    }
    return CK_OK;
}

ck_status ck_cuda_nt_xent_backward(ck_cuda_call c) {
    int32_t b = c.p->nt_xent.b;
    if (c.p->nt_xent.symmetric) return gradient(c, 0, 2 * b, 0, 2 * b);
    CK_TRY(gradient(c, 0, b, b, 2 * b));
    return gradient(c, b, 2 * b, 0, b);
}
