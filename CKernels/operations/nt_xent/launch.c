// NT-Xent over tiles of similarities (nt_xent.cu): cuBLASLt multiplies, our kernels reduce. Memory is one
// tile.
#include "cuda.h"

// Rows and columns of a tile, to a multiprocessor: some 36 MB on a large GPU, which stay in its cache.
enum { TILE_ROWS = 8, TILE_COLUMNS = 64 };

// Anchors that are computed, and columns that they meet.
static int64_t anchors_of(const ck_nt_xent_params *p) {
    return p->symmetric ? 2 * (int64_t)p->pairs : p->pairs;
}
static int64_t columns_of(const ck_nt_xent_params *p) { return p->symmetric ? 2 * (int64_t)p->b : p->b; }
static int64_t tile_rows(const ck_nt_xent_params *p) {
    return ck_min64((int64_t)TILE_ROWS * ck_cuda_multiprocessors(), anchors_of(p));
}
static int64_t tile_columns(const ck_nt_xent_params *p) {
    return ck_min64((int64_t)TILE_COLUMNS * ck_cuda_multiprocessors(), columns_of(p));
}

// Rows that are computed and lie together in z: `own` counts those computed, `row` those of z.
typedef struct run {
    int32_t own, row, rows;
} run;

// The rows of one view, or of both where they lie together.
static run view_of(const ck_nt_xent_params *p, int view) {
    return (run){view * p->pairs, view * p->b + p->first, p->pairs};
}
static int is_whole(const ck_nt_xent_params *p) { return p->pairs == p->b; }

// The scratch memory: of each anchor two doubles and two floats; then, aligned to 16 bytes, the tile.
static uint64_t anchor_bytes(const ck_nt_xent_params *p) {
    return (uint64_t)anchors_of(p) * (2 * sizeof(double) + 2 * sizeof(float));
}

static uint64_t scratch(const ck_nt_xent_params *p) {
    return anchor_bytes(p) + sizeof(float) * (uint64_t)(tile_rows(p) * tile_columns(p)) + 16;
}

uint64_t ck_cuda_workspace_nt_xent_forward(const ck_nt_xent_params *p) { return scratch(p); }
uint64_t ck_cuda_workspace_nt_xent_backward(const ck_nt_xent_params *p) { return scratch(p); }

static float *tile_of(void *workspace, const ck_nt_xent_params *p) {
    return (float *)(((uintptr_t)workspace + anchor_bytes(p) + 15) / 16 * 16);
}

// tile[rows][columns] = z[first ...] . z[column ...]
static ck_status similarities(ck_cuda_state *cuda, float *tile, const float *z, const ck_nt_xent_params *p,
                              int32_t first, int32_t rows, int32_t column, int32_t columns) {
    int64_t d = p->d;
    return ck_cuda_multiply(cuda, &(ck_product){.transpose_b = 1,
                                                .m = rows,
                                                .n = columns,
                                                .k = d,
                                                .a = z + first * d,
                                                .lda = d,
                                                .b = z + column * d,
                                                .ldb = d,
                                                .c = tile,
                                                .ldc = tile_columns(p),
                                                .math = p->math});
}

ck_status ck_cuda_nt_xent_forward(ck_cuda_state *cuda, const ck_nt_xent_forward_operands *t,
                                  const ck_nt_xent_params *p, void *workspace) {
    int64_t anchors = anchors_of(p), leading = tile_columns(p);
    double *sums = workspace, *partial = sums + anchors;
    float *largest = (float *)(partial + anchors), *positive = largest + anchors,
          *tile = tile_of(workspace, p);
    int32_t begin = p->symmetric ? 0 : p->b, end = 2 * p->b;
    int views = p->symmetric && !is_whole(p) ? 2 : 1;
    for (int view = 0; view < views; view++) {
        run all = view_of(p, view);
        if (views == 1) all.rows = (int32_t)anchors;
        for (int32_t at = 0; at < all.rows; at += (int32_t)tile_rows(p)) {
            int32_t rows = (int32_t)ck_min64(tile_rows(p), all.rows - at);
            for (int32_t column = begin; column < end; column += (int32_t)leading) {
                int32_t columns = (int32_t)ck_min64(leading, end - column);
                CK_TRY(similarities(cuda, tile, t->z, p, all.row + at, rows, column, columns));
                CK_TRY(CK_LAUNCH(cuda, ck_nt_xent_tile_forward, ck_blocks(rows), .largest = largest,
                                 .sums = sums, .positive = positive, .tile = tile, .own = all.own + at,
                                 .first = all.row + at, .column = column, .columns = columns,
                                 .leading = leading, .is_first = column == begin, .p = *p));
            }
        }
    }
    CK_TRY(CK_LAUNCH(cuda, ck_nt_xent_finish, ck_elements(anchors), .lse = t->lse, .partial = partial,
                     .largest = largest, .sums = sums, .positive = positive, .anchors = anchors));
    return CK_LAUNCH(cuda, ck_sum, ck_blocks(1), .y = t->loss, .partial = partial, .count = anchors,
                     .factor = 1.0 / (double)anchors);
}

// The gradient of some rows, which meet the columns from ..< to; `is_both`: and that of the columns, which
// nobody else meets.
static ck_status gradient(ck_cuda_state *cuda, const ck_nt_xent_backward_operands *t,
                          const ck_nt_xent_params *p, void *workspace, run all, int32_t from, int32_t to,
                          int is_both) {
    int64_t leading = tile_columns(p), d = p->d;
    float *tile = tile_of(workspace, p);
    for (int32_t at = 0; at < all.rows; at += (int32_t)tile_rows(p)) {
        int32_t rows = (int32_t)ck_min64(tile_rows(p), all.rows - at), first = all.row + at;
        for (int32_t column = from; column < to; column += (int32_t)leading) {
            int32_t columns = (int32_t)ck_min64(leading, to - column);
            CK_TRY(similarities(cuda, tile, t->z, p, first, rows, column, columns));
            CK_TRY(CK_LAUNCH(cuda, ck_nt_xent_tile_backward, ck_blocks(rows), .tile = tile, .lse = t->lse,
                             .first = first, .column = column, .columns = columns, .leading = leading,
                             .p = *p));
            CK_TRY(ck_cuda_multiply(cuda, &(ck_product){.m = rows,
                                                        .n = d,
                                                        .k = columns,
                                                        .a = tile,
                                                        .lda = leading,
                                                        .b = t->z + column * d,
                                                        .ldb = d,
                                                        .accumulate = column > from,
                                                        .c = t->dz + (all.own + at) * d,
                                                        .ldc = d,
                                                        .math = p->math}));
            if (!is_both) continue;
            // The same derivatives by the candidates.
            CK_TRY(ck_cuda_multiply(cuda, &(ck_product){.transpose_a = 1,
                                                        .m = columns,
                                                        .n = d,
                                                        .k = rows,
                                                        .a = tile,
                                                        .lda = leading,
                                                        .b = t->z + first * d,
                                                        .ldb = d,
                                                        .accumulate = at > 0,
                                                        .c = t->dz + column * d,
                                                        .ldc = d,
                                                        .math = p->math}));
        }
    }
    return CK_OK;
}

ck_status ck_cuda_nt_xent_backward(ck_cuda_state *cuda, const ck_nt_xent_backward_operands *t,
                                   const ck_nt_xent_params *p, void *workspace) {
    int32_t b = p->b;
    if (p->symmetric && is_whole(p)) return gradient(cuda, t, p, workspace, (run){0, 0, 2 * b}, 0, 2 * b, 0);
    if (is_whole(p)) return gradient(cuda, t, p, workspace, (run){0, 0, b}, b, 2 * b, 1);
    for (int view = 0; view < 2; view++) {
        int32_t from = p->symmetric || view == 1 ? 0 : b, to = p->symmetric || view == 0 ? 2 * b : b;
        CK_TRY(gradient(cuda, t, p, workspace, view_of(p, view), from, to, 0));
    }
    return CK_OK;
}
