// Convolution of bf16 values by mma.sync (conv2d_bf16.cuh says how it is cut up), and what comes before and
// after.
#include "conv2d_bf16.cuh"

// Four warps of two by two. A line of DEPTH values along the sum has four chunks of eight, a line along rows
// or columns of C eight or sixteen. The order of the chunks in a line is turned from line to line, so that
// the eight lines that one matrix is read from lie in different banks.
template <int TILE_ROWS, int TILE_COLUMNS> struct mma_product {
    static const int THREADS = 128, ROWS = TILE_ROWS, COLUMNS = TILE_COLUMNS, DEPTH = 32;
    static const int A_BYTES = ROWS * DEPTH * 2, STAGE_BYTES = A_BYTES + COLUMNS * DEPTH * 2;
    static const int SHARED_BYTES = 49152;
    static const int STAGES = SHARED_BYTES / STAGE_BYTES < 4 ? SHARED_BYTES / STAGE_BYTES : 4;
    static const int WARP_ROWS = ROWS / 2, WARP_COLUMNS = COLUMNS / 2;
    static const int DOWN = WARP_ROWS / 16, ACROSS = WARP_COLUMNS / 8;  // fragments of 16 x 8 to a warp

    float sums[DOWN][ACROSS][4];
    int row, column, lane;

    CK_MEMBER mma_product() : sums() {
        int warp = threadIdx.x / 32;
        lane = threadIdx.x % 32;
        row = warp % 2 * WARP_ROWS, column = warp / 2 * WARP_COLUMNS;
    }

    static CK_MEMBER int along(int line, int chunk) {
        return line * (2 * DEPTH) + ((chunk ^ (line >> 1 & 3)) << 4);
    }
    static CK_MEMBER int a_across(int line, int chunk) {
        return line * (2 * ROWS) + ((chunk ^ (line & 7)) << 4);
    }
    static CK_MEMBER int b_across(int line, int chunk) {
        return line * (2 * COLUMNS) + ((chunk ^ (line & 7)) << 4);
    }

    template <bool ALONG> CK_MEMBER void multiply(const unsigned char *a) {
        const unsigned char *b = a + A_BYTES;
#pragma unroll
        for (int k = 0; k < DEPTH; k += 16) {
            unsigned fa[DOWN][4], fb[ACROSS][2];
#pragma unroll
            for (int i = 0; i < DOWN; i++)  // matrices: rows 0-7, rows 8-15, and the same at k + 8
                if (ALONG)
                    ck_load_matrices(fa[i], a + along(row + 16 * i + lane % 16, k / 8 + lane / 16));
                else
                    ck_load_matrices_transposed(
                        fa[i], a + a_across(k + lane / 16 * 8 + lane % 8, (row + 16 * i) / 8 + lane / 8 % 2));
#pragma unroll
            for (int i = 0; i < ACROSS; i += 2) {  // columns 0-7 at k and k + 8, columns 8-15 at k and k + 8
                unsigned r[4];
                if (ALONG)
                    ck_load_matrices(
                        r, b + along(column + 8 * i + lane / 16 * 8 + lane % 8, k / 8 + lane / 8 % 2));
                else
                    ck_load_matrices_transposed(
                        r, b + b_across(k + lane / 8 % 2 * 8 + lane % 8, (column + 8 * i) / 8 + lane / 16));
                fb[i][0] = r[0], fb[i][1] = r[1], fb[i + 1][0] = r[2], fb[i + 1][1] = r[3];
            }
#pragma unroll
            for (int i = 0; i < DOWN; i++)
#pragma unroll
                for (int j = 0; j < ACROSS; j++) ck_mma_bf16(sums[i][j], fa[i], fb[j]);
        }
    }

    template <bool ALONG, class Load>
    CK_MEMBER void sum(int slices, unsigned char *shared, const Load &load) {
#pragma unroll
        for (int s = 0; s < STAGES - 1; s++) {
            if (s < slices) load(shared + s * STAGE_BYTES);
            ck_copy_commit();
        }
        int reading = 0, writing = STAGES - 1;
        for (int s = 0; s < slices; s++) {
            ck_copy_wait<STAGES - 2>();
            __syncthreads();  // the slice is there, and the stage that is written next has been read
            if (s + STAGES - 1 < slices) load(shared + writing * STAGE_BYTES);
            ck_copy_commit();
            multiply<ALONG>(shared + reading * STAGE_BYTES);
            reading = reading + 1 == STAGES ? 0 : reading + 1;
            writing = writing + 1 == STAGES ? 0 : writing + 1;
        }
        __syncthreads();
    }

    template <class Put> CK_MEMBER void each_pair(const Put &put) const {
#pragma unroll
        for (int i = 0; i < DOWN; i++)
#pragma unroll
            for (int e = 0; e < 4; e += 2)
#pragma unroll
                for (int j = 0; j < ACROSS; j++)
                    put(row + 16 * i + lane / 4 + e / 2 * 8, column + 8 * j + lane % 4 * 2, sums[i][j][e],
                        sums[i][j][e + 1]);
    }
};

#define SHARED CK_SHARED_ALIGNED(unsigned char, shared, (mma_product<128, 128>::SHARED_BYTES))
CK_WINDOWS(ck_conv2d_bf16, 128x128, 2, SHARED, mma_product<128, 128>)
CK_WINDOWS(ck_conv2d_bf16, 128x64, 2, SHARED, mma_product<128, 64>)
CK_GRADIENT(ck_conv2d_bf16, 128x128, 2, SHARED, mma_product<128, 128>)
CK_GRADIENT(ck_conv2d_bf16, 64x128, 2, SHARED, mma_product<64, 128>)
#undef SHARED

// ---- Before and after -------------------------------------------------------------------------------------

CK_DEVICE uint4 pack_eight(const float (&v)[8]) {
    uint4 packed;
    packed.x = ck_pack_bf16(v[0], v[1]), packed.y = ck_pack_bf16(v[2], v[3]);
    packed.z = ck_pack_bf16(v[4], v[5]), packed.w = ck_pack_bf16(v[6], v[7]);
    return packed;
}

CK_DEVICE float value_of(float x) { return x; }
CK_DEVICE float value_of(uint16_t bits) { return ck_bits_to_float((unsigned)bits << 16); }

// Rows of `channels` values in bf16, filled up with zeros to `depth`, a multiple of eight.
template <class Element>
CK_DEVICE void pack_rows(uint16_t *to, const Element *from, int64_t rows, int channels, int depth) {
    int chunks = depth / 8;
    int64_t count = rows * chunks;
    for (int64_t i = ck_first(); i < count; i += ck_stride()) {
        int64_t row = i / chunks;
        int channel = (int)(i - row * chunks) * 8;
        const Element *at = from + row * channels + channel;
        float v[8];
#pragma unroll
        for (int e = 0; e < 8; e++) v[e] = channel + e < channels ? value_of(at[e]) : 0;
        *(uint4 *)(to + 8 * i) = pack_eight(v);
    }
}
CK_KERNEL(256)
ck_conv2d_bf16_pack(uint16_t *to, const float *from, int64_t rows, int32_t channels, int32_t depth) {
    pack_rows(to, from, rows, channels, depth);
}
CK_KERNEL(256)
ck_conv2d_bf16_fill(uint16_t *to, const uint16_t *from, int64_t rows, int32_t channels, int32_t depth) {
    pack_rows(to, from, rows, channels, depth);
}

// The filters w[K][R][S][C] for the backward pass: those of each class [C][taps of the class][depth], depth
// >= K. A block turns 32 x 32 values of one tap.
CK_KERNEL(256) ck_conv2d_bf16_turn(uint16_t *to, const float *w, int32_t depth, ck_conv2d_params p) {
    CK_SHARED(float, square, 32 * 33);
    int column = threadIdx.x % 32, first_k = blockIdx.x * 32, first_c = blockIdx.y * 32;
    int r = blockIdx.z / p.s, s = blockIdx.z % p.s;
    for (int i = threadIdx.x / 32; i < 32; i += 8) {
        int k = first_k + i, c = first_c + column;
        square[i * 33 + column] = k < p.k && c < p.c ? w[((int64_t)k * p.r * p.s + blockIdx.z) * p.c + c] : 0;
    }
    __syncthreads();
    // The class whose taps this one is among: (class + pad) % stride is the tap's.
    int class_h = ((r - p.pad) % p.stride + p.stride) % p.stride,
        class_w = ((s - p.pad) % p.stride + p.stride) % p.stride;
    windows g;
    g.backward(p, depth, class_h * p.stride + class_w);
    int tap = r / p.stride * g.tap_columns + s / p.stride;
    for (int i = threadIdx.x / 32; i < 32; i += 8) {
        int k = first_k + column, c = first_c + i;
        if (k < depth && c < p.c)
            to[g.filters + (int64_t)c * g.length + tap * depth + k] =
                (uint16_t)ck_pack_bf16(square[column * 33 + i], 0);
    }
}

// The sum of `parts` copies, in order.
CK_DEVICE float sum_parts(const float *from, int parts, int64_t size) {
    float sum = 0;
    for (int part = 0; part < parts; part++) sum += from[part * size];
    return sum;
}

// What becomes of sum `i` of the result.
CK_DEVICE float finish(float sum, int64_t i, int is_bf16, int channels, const ck_conv2d_epilogue &epilogue) {
    int channel = (int)(i % channels);
    float residual = 0;
    if (epilogue.residual)
        residual = is_bf16 ? value_of(((const uint16_t *)epilogue.residual)[i])
                           : ((const float *)epilogue.residual)[i];
    if (!epilogue.scale) return sum + residual;
    return finished(sum, epilogue.scale[channel], epilogue.shift[channel], residual, epilogue.relu);
}

CK_KERNEL(256)
ck_conv2d_bf16_finish(void *to, const float *from, int32_t is_bf16, int32_t parts, int32_t channels,
                      int64_t size, ck_conv2d_epilogue epilogue) {
    for (int64_t i = ck_first(); i < (size + 1) / 2; i += ck_stride()) {
        bool both = 2 * i + 1 < size;
        float first = sum_parts(from + 2 * i, parts, size),
              second = both ? sum_parts(from + 2 * i + 1, parts, size) : 0;
        if (epilogue.scale || epilogue.residual) {
            first = finish(first, 2 * i, is_bf16, channels, epilogue);
            if (both) second = finish(second, 2 * i + 1, is_bf16, channels, epilogue);
        }
        if (!is_bf16)
            put_pair((float *)to + 2 * i, first, second, both, false);
        else if (both)
            ((unsigned *)to)[i] = ck_pack_bf16(first, second);
        else
            ((uint16_t *)to)[2 * i] = (uint16_t)ck_pack_bf16(first, 0);
    }
}

// dw[rows][channels] = the sum of the parts [rows][depth], in order.
CK_KERNEL(256)
ck_conv2d_bf16_finish_gradient(float *dw, const float *from, int32_t parts, int64_t rows, int32_t channels,
                               int32_t depth) {
    for (int64_t i = ck_first(); i < rows * channels; i += ck_stride()) {
        int64_t row = depth == channels ? 0 : i / channels;
        dw[i] = sum_parts(from + i + row * (depth - channels), parts, rows * depth);
    }
}
