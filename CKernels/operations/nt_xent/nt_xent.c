// NT-Xent, the normalized temperature-scaled cross-entropy of contrastive learning, on L2-normalized
// embeddings z[2B,D]; rows i and i + B are the two views of one image, s_ij = z_i . z_j / temperature.
//   cross-view (Sohn et al. 2021):  anchors 0..<B, candidates B..<2B:      loss = mean_i (lse_j s_ij -
//   s_i,i+B) symmetric (Chen et al. 2020):   anchors all 2B, candidates all but i:  loss = mean_i (lse_j s_ij
//   - s_i,pair(i))
// Several ranks each compute a part: the anchors of pairs first ..< first + pairs, whose mean is the rank's
// loss, and the gradient by these pairs' embeddings of the sum of all ranks' losses. z has everyone's.
// The similarities exist only as tiles of ROWS x COLUMNS; the backward pass computes them again.
#include "cpu.h"

enum { ROWS = 128, COLUMNS = 256 };

struct job {
    const ck_nt_xent_params *p;
    const float *z, *lse;
    float *lse_out, *dz;
    float *scratch;   // a tile for each worker
    double *partial;  // loss of each row
    int64_t anchors;  // that are computed: the pairs, or twice as many
};

static int64_t anchor_count(const ck_nt_xent_params *p) {
    return p->symmetric ? 2 * (int64_t)p->pairs : p->pairs;
}

// The row of z that is row `own` of those computed.
static int64_t row_of(const ck_nt_xent_params *p, int64_t own) {
    return own < p->pairs ? p->first + own : (int64_t)p->b + p->first + own - p->pairs;
}

// Of the rows own0 ..< own0 + rows of those computed; where the second view begins, z may have others
// between.
static void similarities(const struct job *j, float *tile, int64_t own0, int64_t rows, int64_t columns0,
                         int64_t columns) {
    int64_t d = j->p->d;
    for (int64_t at = 0; at < rows;) {
        int64_t own = own0 + at, row = row_of(j->p, own), end = rows;
        if (j->p->pairs < j->p->b && own < j->p->pairs) end = ck_min64(rows, j->p->pairs - own0);
        ck_gemm(0, 1, end - at, columns, d, j->z + row * d, d, j->z + columns0 * d, d, 0, tile + at * COLUMNS,
                COLUMNS);
        at = end;
    }
    float scale = 1.0f / j->p->temperature;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < columns; k++) tile[i * COLUMNS + k] *= scale;
}

static void forward_rows(void *context, int64_t index, int worker) {
    struct job *j = context;
    int64_t b = j->p->b, first = index * ROWS, rows = ck_min64(ROWS, j->anchors - first);
    int64_t begin = j->p->symmetric ? 0 : b, end = 2 * b;
    float *tile = j->scratch + (int64_t)worker * ROWS * COLUMNS;
    float largest[ROWS], positive[ROWS];
    double sum[ROWS];
    for (int64_t i = 0; i < rows; i++) largest[i] = -INFINITY, sum[i] = 0, positive[i] = 0;
    for (int64_t column = begin; column < end; column += COLUMNS) {
        int64_t columns = ck_min64(COLUMNS, end - column);
        similarities(j, tile, first, rows, column, columns);
        for (int64_t i = 0; i < rows; i++) {
            float *s = tile + i * COLUMNS, top = largest[i];
            int64_t row = row_of(j->p, first + i), self = row - column, pair = (row + b) % (2 * b) - column;
            if (pair >= 0 && pair < columns) positive[i] = s[pair];
            if (self >= 0 && self < columns) s[self] = -INFINITY;
            for (int64_t k = 0; k < columns; k++) top = s[k] > top ? s[k] : top;
            if (top == -INFINITY) continue;
            double part = 0;
            for (int64_t k = 0; k < columns; k++) part += expf(s[k] - top);
            sum[i] = sum[i] * exp((double)largest[i] - top) + part;
            largest[i] = top;
        }
    }
    for (int64_t i = 0; i < rows; i++) {
        double lse = log(sum[i]) + largest[i];
        j->lse_out[first + i] = (float)lse;
        j->partial[first + i] = lse - positive[i];
    }
}

static struct job make_job(const ck_nt_xent_params *p, const float *z, void *workspace) {
    struct job j = {.p = p, .z = z, .partial = workspace, .anchors = anchor_count(p)};
    j.scratch = (float *)(j.partial + j.anchors);
    return j;
}

ck_status ck_cpu_nt_xent_forward(const ck_nt_xent_forward_operands *t, const ck_nt_xent_params *p,
                                 void *workspace) {
    struct job j = make_job(p, t->z, workspace);
    j.lse_out = t->lse;
    ck_parallel_for(ck_ceil_div(j.anchors, ROWS), forward_rows, &j);
    double loss = 0;
    for (int64_t i = 0; i < j.anchors; i++) loss += j.partial[i];
    *t->loss = (float)(loss / (double)j.anchors);
    return CK_OK;
}

// d loss / d s_ij = (p_ij - [j = pair(i)]) / (a rank's anchors), and each s_ij touches both z_i and z_j. A
// block of rows gathers all that touches it: as an anchor with its own lse, and as a candidate with the
// other's.
static void backward_rows(void *context, int64_t index, int worker) {
    struct job *j = context;
    int64_t b = j->p->b, d = j->p->d, first = index * ROWS,
            rows = ck_min64(ROWS, 2 * (int64_t)j->p->pairs - first);
    float *tile = j->scratch + (int64_t)worker * ROWS * COLUMNS;
    float scale = 1.0f / (j->p->temperature * (float)j->anchors);
    for (int64_t column = 0; column < 2 * b; column += COLUMNS) {
        int64_t columns = ck_min64(COLUMNS, 2 * b - column);
        similarities(j, tile, first, rows, column, columns);
        for (int64_t i = 0; i < rows; i++) {
            float *s = tile + i * COLUMNS;
            int64_t row = row_of(j->p, first + i), pair = (row + b) % (2 * b);
            for (int64_t k = 0; k < columns; k++) {
                int64_t other = column + k;
                float g = 0;
                if (j->p->symmetric) {
                    if (other != row) g = expf(s[k] - j->lse[row]) + expf(s[k] - j->lse[other]);
                    if (other == pair) g -= 2;
                } else if (row < b && other >= b) {
                    g = expf(s[k] - j->lse[row]) - (other == pair ? 1.0f : 0.0f);
                } else if (row >= b && other < b) {
                    g = expf(s[k] - j->lse[other]) - (other == pair ? 1.0f : 0.0f);
                }
                s[k] = g * scale;
            }
        }
        ck_gemm(0, 0, rows, d, columns, tile, COLUMNS, j->z + column * d, d, column > 0, j->dz + first * d,
                d);
    }
}

ck_status ck_cpu_nt_xent_backward(const ck_nt_xent_backward_operands *t, const ck_nt_xent_params *p,
                                  void *workspace) {
    struct job j = make_job(p, t->z, workspace);
    j.lse = t->lse;
    j.dz = t->dz;
    ck_parallel_for(ck_ceil_div(2 * (int64_t)p->pairs, ROWS), backward_rows, &j);
    return CK_OK;
}

static uint64_t scratch(const ck_nt_xent_params *p) {
    return sizeof(double) * (uint64_t)anchor_count(p) +
           sizeof(float) * ROWS * COLUMNS * (uint64_t)ck_thread_count();
}

uint64_t ck_cpu_workspace_nt_xent_forward(const ck_nt_xent_params *p) { return scratch(p); }
uint64_t ck_cpu_workspace_nt_xent_backward(const ck_nt_xent_params *p) { return scratch(p); }
