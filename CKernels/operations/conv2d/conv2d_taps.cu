// Convolution of bf16 values by filters of 3 x 3 over 64 channels, at stride 1, by wgmma, on sm_90 alone. A
// pixel is a line of 128 bytes of shared memory, and goes there once for all taps: images lie there as in a
// plane that has their padding around them, so that a tap is a shift by some lines. What a row of pixels then
// has behind its end, a sum over padding, is computed and left out.
//
// The other shapes have conv2d_hopper.cu, where every tap is copied for itself.
#include "conv2d_bf16.cuh"

enum {
    TAPS = 9,
    PIXELS = 64,  // of a tile
    LINE = 128,
    GROUP = 8 * LINE,  // after which the order of the chunks of 16 bytes in a line is the same again
    TAP_BYTES = 64 * LINE,
    IMAGE_BYTES = CK_TAPS_LINES * LINE,
};

// The plane of an image, and the results that belong to its places: place (row, column) to pixel (row,
// column).
struct plane {
    int h, w, pad, columns;  // of what is read; columns of the plane
    int to_h, to_w, tiles;   // of the result; tiles to an image

    CK_MEMBER plane(const ck_conv2d_params &p, bool backward) {
        h = backward ? p.p : p.h, w = backward ? p.q : p.w, pad = backward ? 2 - p.pad : p.pad;
        columns = w + 2 * pad;
        to_h = backward ? p.h : p.p, to_w = backward ? p.w : p.q;
        tiles = (to_h * columns + PIXELS - 1) / PIXELS;
    }
    // How many lines the tap lies behind the place.
    CK_MEMBER int shift(int tap) const { return tap / 3 * columns + tap % 3; }
};

// The places that a thread goes over, `step` at a time.
struct places {
    int row, column, step;
    CK_MEMBER places(const plane &g, int first, int by) {
        row = first / g.columns, column = first - row * g.columns, step = by;
    }
    CK_MEMBER void next(const plane &g) {
        column += step;
        while (column >= g.columns) column -= g.columns, row++;
    }
};

CK_DEVICE int chunk_at(int line, int chunk) { return line * LINE + ((chunk ^ (line & 7)) << 4); }

// Begins to copy `lines` places of an h x w image from place `first` on; the image's first pixel is at place
// (pad, pad). `tid` of `threads` threads.
CK_DEVICE void copy_lines(unsigned char *to, const uint16_t *image, const plane &g, int h, int w, int pad,
                          int first, int lines, int tid, int threads) {
    int chunk = tid % 8;
    places at(g, first + tid / 8, threads / 8);
    for (int line = tid / 8; line < lines; line += threads / 8, at.next(g)) {
        int row = at.row - pad, column = at.column - pad;
        bool there = (unsigned)row < (unsigned)h && (unsigned)column < (unsigned)w;
        ck_copy_async(to + chunk_at(line, chunk), image + ((int64_t)row * w + column) * 64 + chunk * 8,
                      there);
    }
}

// ---- Forward, and backward to the data --------------------------------------------------------------------

// A warpgroup goes from tile to tile by itself: while it waits for its pixels or writes, others multiply. The
// filters stay in shared memory, and the sums over pixels (ck_conv2d_epilogue) in registers.
CK_KERNEL_RESIDENT(512, 1)
ck_conv2d_taps_windows(void *to, const uint16_t *from, const uint16_t *filters, int32_t backward,
                       int32_t depth, int32_t is_bf16, int32_t parts, int32_t share,
                       ck_conv2d_epilogue epilogue, ck_conv2d_params p) {
    CK_SHARED_DYNAMIC(shared, CK_TAPS_WINDOWS_SHARED);
    const plane g(p, backward != 0);
    int warpgroup = ck_warpgroup(), tid = threadIdx.x % 128, channels = backward ? p.c : p.k;
    unsigned char *own = shared + TAPS * TAP_BYTES + warpgroup * 2 * IMAGE_BYTES;
    for (int i = threadIdx.x; i < TAPS * 64 * 8; i += 512) {
        int chunk = i % 8, channel = i / 8 % 64, tap = i / (64 * 8);
        ck_copy_async(shared + tap * TAP_BYTES + chunk_at(channel, chunk),
                      filters + ((int64_t)channel * TAPS + tap) * 64 + chunk * 8, channel < channels);
    }
    int all = p.n * g.tiles, stride = gridDim.x * 4, tile = blockIdx.x * 4 + warpgroup;
    auto copy = [&](int buffer, int tile) {
        int n = tile / g.tiles;
        if (tile < all)
            copy_lines(own + buffer * IMAGE_BYTES, from + (int64_t)n * g.h * g.w * 64, g, g.h, g.w, g.pad,
                       (tile - n * g.tiles) * PIXELS, PIXELS + g.shift(TAPS - 1), tid, 128);
        ck_copy_commit();
    };
    copy(0, tile);
    ck_copy_wait<0>();
    ck_show_to_wgmma();
    __syncthreads();  // all of the filters are there

    // A thread writes eight channels of every sixteenth pixel.
    int channel = tid % 8 * 8;
    bool is_channel = channel < channels;
    pixel_sums sums;
    if (epilogue.partial && is_channel) sums.start(epilogue, channel);
    ck_matrix a = ck_matrix_at(own, 16, GROUP), b = ck_matrix_at(shared, 16, GROUP);
    int buffer = 0;
    for (; tile < all; tile += stride) {
        copy(buffer ^ 1, tile + stride);
        ck_copy_wait<1>();
        ck_show_to_wgmma();
        ck_warpgroup_barrier(warpgroup);
        float products[8][4] = {};
        ck_wgmma_begin();
#pragma unroll
        for (int tap = 0; tap < TAPS; tap++) {
            int further = buffer * IMAGE_BYTES + g.shift(backward ? TAPS - 1 - tap : tap) * LINE;
#pragma unroll
            for (int k = 0; k < 4; k++)
                ck_wgmma<false>(products, ck_matrix_after(a, further + k * 32),
                                ck_matrix_after(b, tap * TAP_BYTES + k * 32));
        }
        ck_wgmma_commit();
        ck_wgmma_wait(products);
        ck_warpgroup_barrier(warpgroup);

        // The tile is put together where its pixels were.
        const int LEADING = 68;
        float *out = (float *)(own + buffer * IMAGE_BYTES);
#pragma unroll
        for (int e = 0; e < 4; e += 2)
#pragma unroll
            for (int j = 0; j < 8; j++) {
                int row = tid / 32 * 16 + tid % 32 / 4 + e / 2 * 8;
                float2 pair;
                pair.x = products[j][e], pair.y = products[j][e + 1];
                *(float2 *)(out + row * LEADING + 8 * j + tid % 4 * 2) = pair;
            }
        ck_warpgroup_barrier(warpgroup);
        int n = tile / g.tiles, first = (tile - n * g.tiles) * PIXELS;
        places at(g, first + tid / 8, 16);
        int64_t pixels[4];
        for (int i = 0; i < 4; i++, at.next(g))
            pixels[i] = is_channel && at.row < g.to_h && at.column < g.to_w
                            ? (((int64_t)n * g.to_h + at.row) * g.to_w + at.column) * channels + channel
                            : -1;
        put_eight<4>((uint16_t *)to, pixels, epilogue, channel, sums,
                     [&](float(&v)[8], int i) { ck_load(v, out + (tid / 8 + 16 * i) * LEADING + channel); });
        ck_warpgroup_barrier(warpgroup);  // the tile has been read
        buffer ^= 1;
    }
    ck_copy_wait<0>();
    if (!epilogue.partial) return;

    float *column_sums = (float *)own;
    const int LEADING = 132;
    for (int k = 0; k < 8; k++) {
        column_sums[k * LEADING + tid] = sums.a[k];
        column_sums[(8 + k) * LEADING + tid] = sums.b[k];
    }
    ck_warpgroup_barrier(warpgroup);
    int which = tid / 64, column = tid % 64;
    if (column >= channels) return;
    float sum = 0;
    for (int i = 0; i < 16; i++) sum += column_sums[(which * 8 + column % 8) * LEADING + i * 8 + column / 8];
    epilogue.partial[((int64_t)(blockIdx.x * 4 + warpgroup) * 2 + which) * channels + column] = sum;
}

// ---- Backward to the filters ------------------------------------------------------------------------------

// Every gridDim.x-th tile of places into a copy of dw[64][tap][64]; a warpgroup has a row of taps: the
// columns of its product are 64 channels of each, which lie a line further on from tap to tap.
CK_KERNEL_RESIDENT(384, 1)
ck_conv2d_taps_gradient(float *parts, const uint16_t *dy, const uint16_t *x, int32_t depth, int32_t dy_depth,
                        int32_t share, ck_conv2d_params p) {
    CK_SHARED_DYNAMIC(shared, CK_TAPS_GRADIENT_SHARED);
    const int STAGES = CK_TAPS_STAGES, STAGE_BYTES = PIXELS * LINE + IMAGE_BYTES;
    const plane g(p, false);
    int warpgroup = ck_warpgroup(), tid = threadIdx.x, all = p.n * g.tiles;
    auto load = [&](int stage, int tile) {
        unsigned char *to = shared + stage * STAGE_BYTES;
        int n = tile / g.tiles, first = (tile - n * g.tiles) * PIXELS;
        if (tile < all) {
            copy_lines(to, dy + (int64_t)n * p.p * p.q * 64, g, p.p, p.q, 0, first, PIXELS, tid, 384);
            copy_lines(to + PIXELS * LINE, x + (int64_t)n * p.h * p.w * 64, g, p.h, p.w, p.pad, first,
                       PIXELS + g.shift(TAPS - 1), tid, 384);
        }
        ck_copy_commit();
    };
    int next = blockIdx.x;
    for (int s = 0; s < STAGES - 1; s++, next += gridDim.x) load(s, next);
    float sums[24][4] = {};
    ck_matrix a = ck_matrix_at(shared, PIXELS * LINE, GROUP),
              b = ck_matrix_at(shared + PIXELS * LINE + g.shift(3 * warpgroup) * LINE, LINE, GROUP);
    int reading = 0, writing = STAGES - 1;
    for (int tile = blockIdx.x; tile < all; tile += gridDim.x, next += gridDim.x) {
        ck_copy_wait<STAGES - 2>();
        ck_show_to_wgmma();
        ck_wgmma_wait(sums);
        __syncthreads();  // the tile is there, and the stage that is written next has been multiplied
        ck_wgmma_begin();
#pragma unroll
        for (int k = 0; k < PIXELS / 16; k++) {
            int further = reading * STAGE_BYTES + k * 2 * GROUP;
            ck_wgmma<true>(sums, ck_matrix_after(a, further), ck_matrix_after(b, further));
        }
        ck_wgmma_commit();
        load(writing, next);
        reading = reading + 1 == STAGES ? 0 : reading + 1;
        writing = writing + 1 == STAGES ? 0 : writing + 1;
    }
    ck_copy_wait<0>();
    ck_wgmma_wait(sums);
    float *to = parts + (int64_t)blockIdx.x * 64 * TAPS * 64;
    int filter = tid % 128 / 32 * 16 + tid % 32 / 4;
#pragma unroll
    for (int s = 0; s < 3; s++)
#pragma unroll
        for (int e = 0; e < 4; e += 2)
#pragma unroll
            for (int j = 0; j < 8; j++) {
                float2 pair;
                pair.x = sums[8 * s + j][e], pair.y = sums[8 * s + j][e + 1];
                *(float2 *)(to + ((filter + e / 2 * 8) * TAPS + 3 * warpgroup + s) * 64 + 8 * j +
                            tid % 4 * 2) = pair;
            }
}
