// Convolution as implicit matrix products (CPU: conv2d.c): C[rows][columns] = sum over k of A[row][k]
// B[column][k], where A and B are read from the images and filters as they lie, a tile at a time, and nothing
// is unfolded in memory.
//
//   pass              rows             columns     k               A               B
//   forward           output pixels    K           (r, s, c)       windows of x    w
//   backward data     input pixels     C           (r, s, K)       windows of dy   w, rotated
//   backward weight   K                (r, s, c)   output pixels   dy              windows of x
//
// A block of THREADS computes a SIZE x SIZE tile of C. While the tensor cores (or, in strict mode, the plain
// units) work on one slice of k in shared memory, the next one is on its way from global memory to registers.
#include "ck_device.cuh"

enum { STRICT = CK_MATH_STRICT, TF32 = CK_MATH_FAST };  // conv2d_bf16.cuh has the third mode

// Divides numbers below 2^31 by multiplication (Granlund & Montgomery 1994): with 2^s >= 2^31 d and m =
// ceil(2^s / d), n / d is n m / 2^s, rounded down.
struct divider {
    uint32_t factor;
    int shift;
    CK_MEMBER divider(int divisor) {
        shift = 31;
        while ((1u << (shift - 31)) < (uint32_t)divisor) shift++;
        factor = (uint32_t)((((uint64_t)1 << shift) + (uint32_t)divisor - 1) / (uint32_t)divisor);
    }
    CK_MEMBER int operator()(int n) const { return (int)(((uint64_t)(uint32_t)n * factor) >> shift); }
};

// ---- Operands: a value at (line, place), where places lie next to each other in memory --------------------

// Windows of an image tensor [n][h][w][c]: line = the window (n, row, column), place = (tap, channel). Window
// (row, column) starts at pixel (row * step + start_h, column * step + start_w); taps go `sign` pixels at a
// time.
struct windows {
    const float *data;
    int h, w, c;
    int rows, columns, step, start_h, start_w;
    int tap_columns, sign;
    int lines, places;
    divider by_columns, by_rows, by_c, by_tap_columns;

    CK_MEMBER windows(const float *data, int h, int w, int c, int rows, int columns, int step, int start_h,
                      int start_w, int tap_columns, int sign, int lines, int places)
        : data(data), h(h), w(w), c(c), rows(rows), columns(columns), step(step), start_h(start_h),
          start_w(start_w), tap_columns(tap_columns), sign(sign), lines(lines), places(places),
          by_columns(columns), by_rows(rows), by_c(c), by_tap_columns(tap_columns) {}

    struct line_at {
        int64_t base;
        int row, column;
    };
    struct place_at {
        int row, column, offset;
    };
    CK_MEMBER line_at line(int i) const {
        int above = by_columns(i), n = by_rows(above);
        line_at at;
        at.row = (above - n * rows) * step + start_h;
        at.column = (i - above * columns) * step + start_w;
        at.base = (((int64_t)n * h + at.row) * w + at.column) * c;
        return at;
    }
    CK_MEMBER place_at place(int i) const {
        int tap = by_c(i), row = by_tap_columns(tap);
        place_at at;
        at.row = row * sign;
        at.column = (tap - row * tap_columns) * sign;
        at.offset = (at.row * w + at.column) * c + i - tap * c;
        return at;
    }
    // False outside the image, where there are zeros.
    CK_MEMBER bool has(const line_at &l, const place_at &p) const {
        return (unsigned)(l.row + p.row) < (unsigned)h && (unsigned)(l.column + p.column) < (unsigned)w;
    }
    CK_MEMBER const float *at(const line_at &l, const place_at &p) const { return data + l.base + p.offset; }
};

// A matrix [lines][places].
struct matrix {
    const float *data;
    int lines, places;
    typedef int64_t line_at;
    typedef int place_at;
    CK_MEMBER line_at line(int i) const { return (int64_t)i * places; }
    CK_MEMBER place_at place(int i) const { return i; }
    CK_MEMBER bool has(line_at, place_at) const { return true; }
    CK_MEMBER const float *at(line_at l, place_at p) const { return data + l + p; }
};

// The filters w[K][R][S][C] read by channel: line = (tap, k), place = c, where the taps are those of one
// class of pixels.
struct rotated_filters {
    const float *data;
    int k, r, s, c, first_r, first_s, step, tap_columns;
    int lines, places;
    divider by_k, by_tap_columns;
    typedef int64_t line_at;
    typedef int place_at;

    CK_MEMBER rotated_filters(const float *data, int k, int r, int s, int c, int first_r, int first_s,
                              int step, int tap_columns, int lines, int places)
        : data(data), k(k), r(r), s(s), c(c), first_r(first_r), first_s(first_s), step(step),
          tap_columns(tap_columns), lines(lines), places(places), by_k(k), by_tap_columns(tap_columns) {}

    CK_MEMBER line_at line(int i) const {
        int tap = by_k(i), tap_row = by_tap_columns(tap);
        int row = first_r + tap_row * step, column = first_s + (tap - tap_row * tap_columns) * step;
        return (((int64_t)(i - tap * k) * r + row) * s + column) * c;
    }
    CK_MEMBER place_at place(int i) const { return i; }
    CK_MEMBER bool has(line_at, place_at) const { return true; }
    CK_MEMBER const float *at(line_at l, place_at p) const { return data + l + p; }
};

// ---- Tiles ------------------------------------------------------------------------------------------------

template <int MODE, int SIZE> struct shape {
    static const int WARPS = SIZE == 128 ? 8 : 4, THREADS = 32 * WARPS;
    static const int DEPTH = 16;  // of a slice of k
    static const int WARP_ROWS = SIZE == 128 ? 64 : 32, WARP_COLUMNS = 32;
    static const int WARPS_DOWN = SIZE / WARP_ROWS;
    static const int WORD = 4;  // bytes of a value in shared memory
    static const int PAD = 4;   // values, so that a column's reads hit different banks
    static const int TILE_BYTES = SIZE * (DEPTH + PAD) * WORD;  // the larger of the two ways to store a tile
};

// How a slice of an operand (SIZE rows or columns of C, DEPTH of k) lies in shared memory. Places are
// contiguous in both memories, so the tile takes the operand's order: ALONG (places run along k) it is
// [SIZE][DEPTH + PAD], a line to a row or column of C; otherwise (places run along C) [DEPTH][SIZE + 2 PAD],
// a line to a k.
template <bool ALONG, int MODE, int SIZE> struct tile_layout {
    typedef shape<MODE, SIZE> S;
    static const int LINES = ALONG ? SIZE : S::DEPTH, PLACES = ALONG ? S::DEPTH : SIZE;
    static const int LEADING = PLACES + (ALONG ? S::PAD : 2 * S::PAD);

    // The index of the value of a row (or column) of C and a k.
    static CK_MEMBER int at(int row, int k) { return ALONG ? row * LEADING + k : k * LEADING + row; }

    // That value in a tile of 4-byte values.
    static CK_MEMBER unsigned word(const unsigned char *tile, int row, int k) {
        return ((const unsigned *)tile)[at(row, k)];
    }
};

// Moves slices of an operand from global memory to registers (`load`) and on to shared memory (`store`). A
// thread has one group of four places in COUNT lines, APART from each other. One of its two coordinates runs
// along k and is found anew for each slice, the other along C and is found once. FOUR: the four places are
// there or not together, next to each other and aligned to 16 bytes; only the first is found, and one read
// takes them.
template <class Source, bool ALONG, bool FOUR, int MODE, int SIZE>
struct loader : tile_layout<ALONG, MODE, SIZE> {
    typedef shape<MODE, SIZE> S;
    typedef tile_layout<ALONG, MODE, SIZE> T;
    static const int GROUPS = T::PLACES / 4, APART = S::THREADS / GROUPS, COUNT = T::LINES / APART;
    static const int FOUND = FOUR ? 1 : 4;

    const Source &source;
    int first;         // row or column of C of the tile
    int group, line0;  // the thread's group, and its first line in the tile
    typename Source::line_at lines[COUNT];
    typename Source::place_at places[FOUND];
    float values[COUNT][4];

    CK_MEMBER loader(const Source &s, int begin, int tid) : source(s) {
        first = begin;
        group = tid % GROUPS;
        line0 = tid / GROUPS;
        if (ALONG) {
#pragma unroll
            for (int i = 0; i < COUNT; i++) find_line(i, first, source.lines);
        } else {
            find_places(first, source.places);
        }
    }

    // The thread's i-th line and its first place, in a tile that starts at `start`.
    CK_MEMBER int line_of(int start, int i) const { return start + line0 + i * APART; }
    CK_MEMBER int place_of(int start) const { return start + 4 * group; }

    // What lies from `end` on is never read; the first one stands in for it.
    static CK_MEMBER int within(int i, int end) { return i < end ? i : 0; }

    CK_MEMBER void find_line(int i, int start, int end) {
        lines[i] = source.line(within(line_of(start, i), end));
    }
    CK_MEMBER void find_places(int start, int end) {
#pragma unroll
        for (int e = 0; e < FOUND; e++) places[e] = source.place(within(place_of(start) + e, end));
    }

    // Reads the slice k ..< k + DEPTH, as far as `end`; zeros beyond it, beyond C and outside of images.
    CK_MEMBER void load(int k, int end) {
        if (ALONG) find_places(k, end);
        int line_end = ALONG ? source.lines : end, place_end = ALONG ? end : source.places;
        int place = place_of(ALONG ? k : first);
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int line = line_of(ALONG ? first : k, i);
            if (!ALONG) find_line(i, k, end);
            if (FOUR) {
                float4 v = {0, 0, 0, 0};
                if (line < line_end && place < place_end && source.has(lines[i], places[0]))
                    v = *(const float4 *)source.at(lines[i], places[0]);
                values[i][0] = v.x, values[i][1] = v.y, values[i][2] = v.z, values[i][3] = v.w;
            } else {
#pragma unroll
                for (int e = 0; e < FOUND; e++) {
                    float v = 0;
                    if (line < line_end && place + e < place_end && source.has(lines[i], places[e]))
                        v = *source.at(lines[i], places[e]);
                    values[i][e] = v;
                }
            }
        }
    }

    // A value as the tensor cores take it; strict mode keeps its bits.
    static CK_MEMBER unsigned word_of(float value) {
        return MODE == TF32 ? ck_round_tf32(value) : ck_float_to_bits(value);
    }

    CK_MEMBER void store(unsigned char *tile) const {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int at = line_of(0, i) * T::LEADING + place_of(0);
            uint4 words;
            words.x = word_of(values[i][0]);
            words.y = word_of(values[i][1]);
            words.z = word_of(values[i][2]);
            words.w = word_of(values[i][3]);
            *(uint4 *)(tile + 4 * at) = words;
        }
    }
};

// ---- The product ------------------------------------------------------------------------------------------

// Adds one slice to the warp's part of the tile on the tensor cores. `sums` [down][across] are fragments of
// 16 x 8.
template <class A, class B, int MODE, int SIZE>
CK_DEVICE void multiply_slice(const unsigned char *a, const unsigned char *b, int row, int column, int lane,
                              float (&sums)[shape<MODE, SIZE>::WARP_ROWS / 16][4][4]) {
    typedef shape<MODE, SIZE> S;
    const int DOWN = S::WARP_ROWS / 16, ACROSS = S::WARP_COLUMNS / 8;
    int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int k = 0; k < S::DEPTH; k += 8) {
        unsigned fa[DOWN][4], fb[ACROSS][2];
#pragma unroll
        for (int i = 0; i < DOWN; i++) {
            int r = row + 16 * i + g;
            fa[i][0] = A::word(a, r, k + t), fa[i][1] = A::word(a, r + 8, k + t);
            fa[i][2] = A::word(a, r, k + t + 4), fa[i][3] = A::word(a, r + 8, k + t + 4);
        }
#pragma unroll
        for (int i = 0; i < ACROSS; i++) {
            fb[i][0] = B::word(b, column + 8 * i + g, k + t);
            fb[i][1] = B::word(b, column + 8 * i + g, k + t + 4);
        }
#pragma unroll
        for (int i = 0; i < DOWN; i++)
#pragma unroll
            for (int j = 0; j < ACROSS; j++) ck_mma_tf32(sums[i][j], fa[i], fb[j]);
    }
}

// The same in single precision: each lane computes the elements that its fragments would hold, one product at
// a time.
template <class A, class B, int SIZE>
CK_DEVICE void multiply_slice_strictly(const unsigned char *a, const unsigned char *b, int row, int column,
                                       int lane, float (&sums)[shape<STRICT, SIZE>::WARP_ROWS / 16][4][4]) {
    typedef shape<STRICT, SIZE> S;
    const int DOWN = S::WARP_ROWS / 16, ACROSS = S::WARP_COLUMNS / 8;
    int g = lane / 4, t = lane % 4;
#pragma unroll 4
    for (int k = 0; k < S::DEPTH; k++) {
        float va[DOWN][2], vb[ACROSS][2];
#pragma unroll
        for (int i = 0; i < DOWN; i++) {
            va[i][0] = ck_bits_to_float(A::word(a, row + 16 * i + g, k));
            va[i][1] = ck_bits_to_float(A::word(a, row + 16 * i + g + 8, k));
        }
#pragma unroll
        for (int i = 0; i < ACROSS; i++) {
            vb[i][0] = ck_bits_to_float(B::word(b, column + 8 * i + 2 * t, k));
            vb[i][1] = ck_bits_to_float(B::word(b, column + 8 * i + 2 * t + 1, k));
        }
#pragma unroll
        for (int i = 0; i < DOWN; i++)
#pragma unroll
            for (int j = 0; j < ACROSS; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sums[i][j][e] += va[i][e / 2] * vb[j][e % 2];
    }
}

template <int MODE, int SIZE> struct multiplier {
    template <class A, class B>
    static CK_MEMBER void run(const unsigned char *a, const unsigned char *b, int row, int column, int lane,
                              float (&sums)[shape<MODE, SIZE>::WARP_ROWS / 16][4][4]) {
        multiply_slice<A, B, MODE, SIZE>(a, b, row, column, lane, sums);
    }
};
template <int SIZE> struct multiplier<STRICT, SIZE> {
    template <class A, class B>
    static CK_MEMBER void run(const unsigned char *a, const unsigned char *b, int row, int column, int lane,
                              float (&sums)[shape<STRICT, SIZE>::WARP_ROWS / 16][4][4]) {
        multiply_slice_strictly<A, B, SIZE>(a, b, row, column, lane, sums);
    }
};

// The block's tile of C over k in begin ..< end; `put` takes each element (row, column, value).
template <int MODE, int SIZE, bool FOUR, bool A_ALONG, bool B_ALONG, class SourceA, class SourceB, class Put>
CK_DEVICE void product(const SourceA &source_a, const SourceB &source_b, int begin, int end,
                       unsigned char *shared, const Put &put) {
    typedef shape<MODE, SIZE> S;
    typedef loader<SourceA, A_ALONG, FOUR, MODE, SIZE> A;
    typedef loader<SourceB, B_ALONG, FOUR, MODE, SIZE> B;
    int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
    int row = warp % S::WARPS_DOWN * S::WARP_ROWS, column = warp / S::WARPS_DOWN * S::WARP_COLUMNS;
    int first_row = blockIdx.x * SIZE, first_column = blockIdx.y * SIZE;
    A a(source_a, first_row, tid);
    B b(source_b, first_column, tid);
    float sums[S::WARP_ROWS / 16][4][4] = {};
    a.load(begin, end);
    b.load(begin, end);
    a.store(shared);
    b.store(shared + S::TILE_BYTES);
    __syncthreads();
    int side = 0;
    for (int k = begin; k < end; k += S::DEPTH) {
        bool more = k + S::DEPTH < end;
        if (more) {
            a.load(k + S::DEPTH, end);
            b.load(k + S::DEPTH, end);
        }
        const unsigned char *tiles = shared + side * 2 * S::TILE_BYTES;
        multiplier<MODE, SIZE>::template run<A, B>(tiles, tiles + S::TILE_BYTES, row, column, lane, sums);
        side ^= 1;
        if (more) {
            unsigned char *next = shared + side * 2 * S::TILE_BYTES;
            a.store(next);
            b.store(next + S::TILE_BYTES);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < S::WARP_ROWS / 16; i++)
#pragma unroll
        for (int e = 0; e < 4; e += 2)
#pragma unroll
            for (int j = 0; j < 4; j++)
                put(first_row + row + 16 * i + lane / 4 + e / 2 * 8,
                    first_column + column + 8 * j + lane % 4 * 2, sums[i][j][e], sums[i][j][e + 1]);
}

// Writes pairs of neighbors to a matrix [rows][columns].
struct put_matrix {
    float *to;
    int rows, columns;
    CK_MEMBER void operator()(int row, int column, float first, float second) const {
        if (row >= rows || column >= columns) return;
        float *at = to + (int64_t)row * columns + column;
        if (columns % 2 == 0) {
            float2 both;
            both.x = first, both.y = second;
            *(float2 *)at = both;
        } else {
            at[0] = first;
            if (column + 1 < columns) at[1] = second;
        }
    }
};

// Writes the pixels of one class of dx[n][h][w][c]: those of which row % stride and column % stride are the
// class's.
struct put_pixels {
    float *to;
    int h, w, c, rows, columns, stride, class_h, class_w, lines;
    CK_MEMBER void operator()(int line, int channel, float first, float second) const {
        if (line >= lines || channel >= c) return;
        int column = line % columns, row = line / columns % rows, n = line / columns / rows;
        float *at =
            to + (((int64_t)n * h + row * stride + class_h) * w + column * stride + class_w) * c + channel;
        at[0] = first;
        if (channel + 1 < c) at[1] = second;
    }
};

// ---- Kernels ----------------------------------------------------------------------------------------------

template <int MODE, int SIZE, bool FOUR>
CK_DEVICE void forward(float *y, const float *x, const float *w, const ck_conv2d_params &p,
                       unsigned char *shared) {
    windows a(x, p.h, p.w, p.c, p.p, p.q, p.stride, -p.pad, -p.pad, p.s, 1, p.n * p.p * p.q, p.r * p.s * p.c);
    matrix b = {w, p.k, p.r * p.s * p.c};
    put_matrix put = {y, p.n * p.p * p.q, p.k};
    product<MODE, SIZE, FOUR, true, true>(a, b, 0, a.places, shared, put);
}

// One class of input pixels a block: blockIdx.z = (row % stride, column % stride). Only the taps that meet an
// output pixel count: r = first_r, first_r + stride, ..., and the output row is (row + pad - r) / stride.
template <int MODE, int SIZE, bool FOUR>
CK_DEVICE void backward_data(float *dx, const float *dy, const float *w, const ck_conv2d_params &p,
                             unsigned char *shared) {
    int class_h = blockIdx.z / p.stride, class_w = blockIdx.z % p.stride;
    int rows = (p.h - class_h + p.stride - 1) / p.stride, columns = (p.w - class_w + p.stride - 1) / p.stride;
    int first_r = (class_h + p.pad) % p.stride, first_s = (class_w + p.pad) % p.stride;
    int taps_r = p.r > first_r ? (p.r - first_r + p.stride - 1) / p.stride : 0;
    int taps_s = p.s > first_s ? (p.s - first_s + p.stride - 1) / p.stride : 0;
    int lines = p.n * rows * columns, length = taps_r * taps_s * p.k;
    if ((int)blockIdx.x * SIZE >= lines) return;  // the grid is made for the largest class
    windows a(dy, p.p, p.q, p.k, rows, columns, 1, (class_h + p.pad - first_r) / p.stride,
              (class_w + p.pad - first_s) / p.stride, taps_s > 0 ? taps_s : 1, -1, lines, length);
    rotated_filters b(w, p.k, p.r, p.s, p.c, first_r, first_s, p.stride, taps_s > 0 ? taps_s : 1, length,
                      p.c);
    put_pixels put = {dx, p.h, p.w, p.c, rows, columns, p.stride, class_h, class_w, lines};
    product<MODE, SIZE, FOUR, true, false>(a, b, 0, length, shared, put);
}

// Part blockIdx.z of the output pixels, `share` of them, into its own copy of dw.
template <int MODE, int SIZE, bool FOUR>
CK_DEVICE void backward_weight(float *parts, const float *dy, const float *x, int share,
                               const ck_conv2d_params &p, unsigned char *shared) {
    int pixels = p.n * p.p * p.q, length = p.r * p.s * p.c, begin = blockIdx.z * share;
    int end = begin + share < pixels ? begin + share : pixels;
    matrix a = {dy, pixels, p.k};
    windows b(x, p.h, p.w, p.c, p.p, p.q, p.stride, -p.pad, -p.pad, p.s, 1, pixels, length);
    put_matrix put = {parts + (int64_t)blockIdx.z * p.k * length, p.k, length};
    product<MODE, SIZE, FOUR, false, false>(a, b, begin, end, shared, put);
}

#define DEFINE(name, form, MODE, SIZE, FOUR)                                                                 \
    CK_KERNEL((shape<MODE, SIZE>::THREADS))                                                                  \
    ck_conv2d_forward_##name##_##form(float *y, const float *x, const float *w, ck_conv2d_params p) {        \
        CK_SHARED_ALIGNED(unsigned char, shared, (4 * shape<MODE, SIZE>::TILE_BYTES));                       \
        forward<MODE, SIZE, FOUR>(y, x, w, p, shared);                                                       \
    }                                                                                                        \
    CK_KERNEL((shape<MODE, SIZE>::THREADS))                                                                  \
    ck_conv2d_backward_data_##name##_##form(float *dx, const float *dy, const float *w,                      \
                                            ck_conv2d_params p) {                                            \
        CK_SHARED_ALIGNED(unsigned char, shared, (4 * shape<MODE, SIZE>::TILE_BYTES));                       \
        backward_data<MODE, SIZE, FOUR>(dx, dy, w, p, shared);                                               \
    }                                                                                                        \
    CK_KERNEL((shape<MODE, SIZE>::THREADS))                                                                  \
    ck_conv2d_backward_weight_##name##_##form(float *parts, const float *dy, const float *x, int share,      \
                                              ck_conv2d_params p) {                                          \
        CK_SHARED_ALIGNED(unsigned char, shared, (4 * shape<MODE, SIZE>::TILE_BYTES));                       \
        backward_weight<MODE, SIZE, FOUR>(parts, dy, x, share, p, shared);                                   \
    }
// Three forms: any shape; channels that are multiples of four; the same in large tiles.
#define DEFINE_MODE(name, MODE)                                                                              \
    DEFINE(name, any, MODE, 64, false)                                                                       \
    DEFINE(name, small, MODE, 64, true) DEFINE(name, large, MODE, 128, true)
DEFINE_MODE(strict, STRICT)
DEFINE_MODE(tf32, TF32)

// dw = the sum of the parts, in order.
CK_KERNEL(256) ck_conv2d_add_parts(float *dw, const float *parts, int count, int64_t size) {
    for (int64_t i = ck_first(); i < size; i += ck_stride()) {
        float sum = 0;
        for (int part = 0; part < count; part++) sum += parts[part * size + i];
        dw[i] = sum;
    }
}
