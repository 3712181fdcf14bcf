// Convolution of bf16 values in memory, as implicit matrix products (conv2d.cu has the other modes, conv2d.c
// the CPU's):
//
//   windows   C[pixel][channel] = sum over i of from[window of the pixel][i] filters[channel][i],
//             where i is (tap, depth). Forward, `from` is x and the filters are w; backward, `from`
//             is dy and the filters are w with its two channels exchanged. A stride s has s x s
//             classes of input pixels, each with taps of its own.
//   gradient  dw[k][i] = sum over output pixels of dy[pixel][k] x[window of the pixel][i]
//
// A block computes a tile of ROWS x COLUMNS. Slices of DEPTH along the sum go from global to shared memory by
// asynchronous copies of eight values, some of them ahead of the tensor cores. So every tensor that is read
// has a multiple of eight channels (launch_bf16.c packs those that have not), and zeros beyond the images and
// the sums cost nothing: a copy of no bytes fills with them.
//
// How a slice lies in shared memory and how it is multiplied is a Product: conv2d_bf16.cu has that of
// mma.sync, for every GPU, and conv2d_hopper.cu that of wgmma. A Product has
//
//   THREADS, ROWS, COLUMNS, DEPTH      of a block, a tile and a slice
//   A_BYTES, STAGE_BYTES               a stage is a slice of A, and after A_BYTES one of B
//   along(line, chunk)                 where eight values of a line along the sum lie, windows and filters
//   a_across, b_across(line, chunk)    the same of a line along rows or columns of C, for the gradient
//   sum<ALONG>(slices, shared, load)   sums slices, whose lines run along the sum or across it; load(stage)
//                                      begins to copy the next one
//   each_pair(put)                     put(row, column, first, second) for the thread's neighbors in a row
//                                      of C
//
// Filters of 3 x 3 over 64 channels have kernels of their own on Hopper (conv2d_taps.cu).
#ifndef CONV2D_BF16_CUH
#define CONV2D_BF16_CUH

#include "ck_device.cuh"

// ---- Reading windows --------------------------------------------------------------------------------------

// The geometry of the windows of one class of pixels.
struct windows {
    int h, w, c;                                // of the tensor that they are read from
    int rows, columns;                          // windows to an image
    int step, start_h, start_w;                 // window (row, column) is at (row * step + start_h, ...)
    int tap_columns, sign, length;              // taps go `sign` pixels at a time; length = taps * c
    int to_h, to_w, to_step, first_h, first_w;  // where the result of a window goes
    int64_t filters;                            // the class's first filter

    CK_MEMBER void forward(const ck_conv2d_params &p, int depth) {
        h = p.h, w = p.w, c = depth;
        rows = p.p, columns = p.q;
        step = p.stride, start_h = start_w = -p.pad;
        tap_columns = p.s, sign = 1, length = p.r * p.s * depth;
        to_h = p.p, to_w = p.q, to_step = 1, first_h = first_w = 0;
        filters = 0;
    }

    // The input pixels (row, column) with row % stride and column % stride the class's. Taps first_r, first_r
    // + stride, ... meet an output pixel: (row + pad - tap) / stride. The filters of the classes lie one
    // after the other, and every tap is in one class.
    CK_MEMBER void backward(const ck_conv2d_params &p, int depth, int index) {
        int class_h = index / p.stride, class_w = index % p.stride;
        int first_r = (class_h + p.pad) % p.stride, first_s = (class_w + p.pad) % p.stride;
        int taps_r = taps(p.r, first_r, p.stride), taps_s = taps(p.s, first_s, p.stride);
        h = p.p, w = p.q, c = depth;
        rows = (p.h - class_h + p.stride - 1) / p.stride, columns = (p.w - class_w + p.stride - 1) / p.stride;
        step = 1, start_h = (class_h + p.pad - first_r) / p.stride;
        start_w = (class_w + p.pad - first_s) / p.stride;
        tap_columns = taps_s, sign = -1, length = taps_r * taps_s * depth;
        to_h = p.h, to_w = p.w, to_step = p.stride, first_h = class_h, first_w = class_w;
        int before = 0;
        for (int i = 0; i < class_h; i++) before += taps(p.r, (i + p.pad) % p.stride, p.stride) * p.s;
        for (int i = 0; i < class_w; i++) before += taps_r * taps(p.s, (i + p.pad) % p.stride, p.stride);
        filters = (int64_t)before * depth * p.c;
    }
    static CK_MEMBER int taps(int all, int first, int stride) {
        return all > first ? (all - first + stride - 1) / stride : 0;
    }

    // The pixel of the result that window `line` belongs to.
    CK_MEMBER int64_t pixel(int line) const {
        if (to_step == 1) return line;
        int above = line / columns, column = line - above * columns, n = above / rows, row = above - n * rows;
        return ((int64_t)n * to_h + row * to_step + first_h) * to_w + column * to_step + first_w;
    }
};

// A thread's share of a slice of windows: one chunk of eight values along the sum, in COUNT lines APART from
// each other. Which of a window's rows and columns of taps are within the image is found once: a bit for
// each, rows below and columns above, so that filters have at most MOST_TAPS of either.
template <class Product> struct window_reader {
    static const int CHUNKS = Product::DEPTH / 8, APART = Product::THREADS / CHUNKS,
                     COUNT = Product::ROWS / APART;
    static const int MOST_TAPS = 16;
    int pixel[COUNT];  // the first one of each window, which may lie outside of the image
    unsigned within[COUNT];
    int place, channel, tap_row, tap_column;

    // A bit for each tap with 0 <= first + sign * tap < size.
    static CK_MEMBER unsigned bits_within(int first, int sign, int size) {
        int low = sign > 0 ? -first : first - size + 1, high = sign > 0 ? size - 1 - first : first;
        low = low > 0 ? low : 0, high = high < MOST_TAPS ? high : MOST_TAPS - 1;
        return high < low ? 0 : (2u << high) - (1u << low);
    }

    CK_MEMBER void start(const windows &g, int first_line, int line_count, int begin, int tid) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            unsigned line = (unsigned)(first_line + tid / CHUNKS + APART * i);
            bool there = (int)line < line_count;
            unsigned above = line / (unsigned)g.columns, n = above / (unsigned)g.rows;
            int row = (int)(above - n * (unsigned)g.rows) * g.step + g.start_h;
            int column = (int)(line - above * (unsigned)g.columns) * g.step + g.start_w;
            within[i] =
                there ? bits_within(row, g.sign, g.h) | bits_within(column, g.sign, g.w) << MOST_TAPS : 0;
            pixel[i] = ((int)n * g.h + row) * g.w + column;
        }
        place = begin + tid % CHUNKS * 8;
        int tap = place / g.c;
        channel = place - tap * g.c;
        tap_row = g.tap_columns ? tap / g.tap_columns : 0;
        tap_column = tap - tap_row * g.tap_columns;
    }

    CK_MEMBER void copy(unsigned char *to, const windows &g, const uint16_t *from, int end, int tid) {
        // A tap beyond the sum's end is beyond all windows too.
        unsigned bits = place < end ? 1u << tap_row | 1u << (MOST_TAPS + tap_column) : 0;
        int further = (tap_row * g.w + tap_column) * g.sign;
        int bytes = 2 * g.c;
        const unsigned char *at = (const unsigned char *)(from + channel);
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            ck_copy_async(to + Product::along(tid / CHUNKS + APART * i, tid % CHUNKS),
                          at + (int64_t)(pixel[i] + further) * bytes,
                          bits != 0 && (within[i] & bits) == bits);
        place += Product::DEPTH, channel += Product::DEPTH;
        while (channel >= g.c) {
            channel -= g.c;
            if (++tap_column >= g.tap_columns) tap_column = 0, tap_row++;
        }
    }
};

// A thread's share of a slice of windows across the sum, which is over output pixels: one place of COUNT
// pixels APART from each other. From slice to slice a pixel moves on by DEPTH, which is whole images, rows
// and columns.
template <class Product> struct pixel_reader {
    static const int CHUNKS = Product::COLUMNS / 8, APART = Product::THREADS / CHUNKS,
                     COUNT = Product::DEPTH / APART;
    int row[COUNT], column[COUNT],
        index[COUNT];  // the input pixel under the place's tap, index over all images
    // What DEPTH pixels come to in rows, columns and all, where rows and columns of windows end, and what is
    // to be added when they do.
    int rows, columns, step, end_h, end_w, next_row, next_image, window_rows, window_columns, down;

    CK_MEMBER void start(const ck_conv2d_params &p, int begin, int start_h, int start_w, int tid) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int pixel = begin + tid / CHUNKS + APART * i, above = pixel / p.q, n = above / p.p;
            row[i] = (above - n * p.p) * p.stride + start_h;
            column[i] = (pixel - above * p.q) * p.stride + start_w;
            index[i] = (n * p.h + row[i]) * p.w + column[i];
        }
        int images = Product::DEPTH / (p.p * p.q), left = Product::DEPTH - images * p.p * p.q;
        rows = left / p.q * p.stride, columns = left % p.q * p.stride;
        step = (images * p.h + rows) * p.w + columns;
        down = p.stride, window_rows = p.p * p.stride, window_columns = p.q * p.stride;
        end_h = window_rows + start_h, end_w = window_columns + start_w;
        next_row = p.stride * p.w - window_columns, next_image = (p.h - window_rows) * p.w;
    }

    // `left` pixels are left of the sum.
    CK_MEMBER void copy(unsigned char *to, const uint16_t *x, int depth, int left, const ck_conv2d_params &p,
                        int tid) {
        int bytes = 2 * depth;
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int line = tid / CHUNKS + APART * i;
            bool there =
                line < left && (unsigned)row[i] < (unsigned)p.h && (unsigned)column[i] < (unsigned)p.w;
            ck_copy_async(to + Product::b_across(line, tid % CHUNKS),
                          (const unsigned char *)x + (int64_t)index[i] * bytes, there);
            row[i] += rows, column[i] += columns, index[i] += step;
            if (column[i] >= end_w) column[i] -= window_columns, row[i] += down, index[i] += next_row;
            if (row[i] >= end_h) row[i] -= window_rows, index[i] += next_image;
        }
    }
};

// Two neighbors, written together where the address is even, or apart and the second only where it is there.
CK_DEVICE void put_pair(float *to, float first, float second, bool both, bool together) {
    if (together) {
        float2 pair;
        pair.x = first, pair.y = second;
        *(float2 *)to = pair;
    } else {
        to[0] = first;
        if (both) to[1] = second;
    }
}

// What becomes of a channel's sum (ck_conv2d_epilogue); `residual` is 0 where there is none.
CK_DEVICE float finished(float sum, float scale, float shift, float residual, int relu) {
    float y = sum * scale + shift + residual;
    return relu && !(y > 0) ? 0 : y;
}

// ---- Sums over a tile's pixels ----------------------------------------------------------------------------

// Where the block's sums go: [2][channels] of its tile and class.
template <class Product> CK_DEVICE float *sums_of_tile(float *partial, int channels) {
    int across = (channels + Product::COLUMNS - 1) / Product::COLUMNS;
    int64_t tile = (int64_t)blockIdx.y * (gridDim.x / across) + blockIdx.x / across;
    return partial + tile * 2 * channels;
}

template <class Product> CK_DEVICE void put_no_sums(float *partial, int first_column, int channels) {
    const int COLUMNS = Product::COLUMNS;
    float *to = sums_of_tile<Product>(partial, channels);
    for (int i = threadIdx.x; i < 2 * COLUMNS; i += Product::THREADS) {
        int channel = first_column + i % COLUMNS;
        if (channel < channels) to[i / COLUMNS * channels + channel] = 0;
    }
}

// A thread's sums of eight channels.
struct pixel_sums {
    float a[8], b[8], about[8];
    CK_MEMBER pixel_sums() : a(), b(), about() {}
    CK_MEMBER void start(const ck_conv2d_epilogue &epilogue, int channel) {
        ck_load(about, epilogue.about + channel);
    }
};

// Writes eight channels of COUNT pixels, whose first is at `places` of the result, or nowhere where that is
// negative: what the epilogue makes of the sums that value(v, i) gives, which are added to `sums` as it says.
template <int COUNT, class Value>
CK_DEVICE void put_eight(uint16_t *to, const int64_t (&places)[COUNT], const ck_conv2d_epilogue &epilogue,
                         int channel, pixel_sums &sums, const Value &value) {
    const uint16_t *residual = (const uint16_t *)epilogue.residual, *x = (const uint16_t *)epilogue.x,
                   *y = (const uint16_t *)epilogue.y;
    bool has_relu = x && epilogue.relu;
    uint4 added[COUNT], normalized[COUNT], results[COUNT];
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        if (places[i] < 0) continue;
        if (residual) added[i] = *(const uint4 *)(residual + places[i]);
        if (x) normalized[i] = *(const uint4 *)(x + places[i]);
        if (has_relu) results[i] = *(const uint4 *)(y + places[i]);
    }
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        if (places[i] < 0) continue;
        float v[8], u[8];
        value(v, i);
        if (residual) ck_load(u, (const uint16_t *)&added[i]);
        if (epilogue.scale) {
            float scale[8], shift[8];
            ck_load(scale, epilogue.scale + channel), ck_load(shift, epilogue.shift + channel);
            for (int k = 0; k < 8; k++)
                v[k] = finished(v[k], scale[k], shift[k], residual ? u[k] : 0, epilogue.relu);
        } else if (residual) {
            for (int k = 0; k < 8; k++) v[k] += u[k];
        }
        uint4 packed;
        if (has_relu) ck_load(u, (const uint16_t *)&results[i]);
        for (int k = 0; k < 8; k++) v[k] = has_relu && !(u[k] > 0) ? 0 : v[k];
        ck_store((uint16_t *)&packed, v);
        *(uint4 *)(to + places[i]) = packed;
        if (!epilogue.partial) continue;
        // The sums are of what is written.
        ck_load(v, (const uint16_t *)&packed);
        if (x) ck_load(u, (const uint16_t *)&normalized[i]);
        for (int k = 0; k < 8; k++) {
            float d = (x ? u[k] : v[k]) - sums.about[k];
            sums.a[k] += x ? v[k] : d;
            sums.b[k] += (x ? v[k] : d) * d;
        }
    }
}

// Writes the tile `out`, whose channels are a multiple of eight, with the sums of ck_conv2d_epilogue. A
// thread has eight channels of every STEP-th pixel; what several threads have of a channel is added in order.
template <class Product>
CK_DEVICE void put_and_add(uint16_t *to, const uint16_t *out, const int64_t *pixels, int first_column,
                           int channels, ck_conv2d_epilogue epilogue, unsigned char *shared) {
    const int ROWS = Product::ROWS, COLUMNS = Product::COLUMNS, THREADS = Product::THREADS;
    const int LEADING = COLUMNS + 8, ACROSS = COLUMNS / 8, STEP = THREADS / ACROSS;
    const int AHEAD = COLUMNS > 64 ? 4 : 2;
    int tid = threadIdx.x, c = tid % ACROSS * 8, channel = first_column + c;
    epilogue.scale = nullptr, epilogue.residual = nullptr;  // they are in the tile
    pixel_sums own;
    if (channel < channels) {
        own.start(epilogue, channel);
        for (int first = tid / ACROSS; first < ROWS; first += AHEAD * STEP) {
            int64_t places[AHEAD];
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                int64_t pixel = pixels[first + i * STEP];
                places[i] = pixel < 0 ? -1 : pixel * channels + channel;
            }
            put_eight<AHEAD>(to, places, epilogue, channel, own, [&](float(&v)[8], int i) {
                ck_load(v, out + (first + i * STEP) * LEADING + c);
            });
        }
    }
    __syncthreads();  // the tile has been read
    const int LINE = THREADS + 4;
    float *all = (float *)shared, *sums = sums_of_tile<Product>(epilogue.partial, channels);
    for (int k = 0; k < 8; k++) all[k * LINE + tid] = own.a[k], all[(8 + k) * LINE + tid] = own.b[k];
    __syncthreads();
    for (int i = tid; i < 2 * COLUMNS; i += THREADS) {
        int which = i / COLUMNS, column = i % COLUMNS;
        if (first_column + column >= channels) continue;
        const float *from = all + (which * 8 + column % 8) * LINE + column / 8;
        float sum = 0;
        for (int k = 0; k < STEP; k++) sum += from[k * ACROSS];
        sums[which * channels + first_column + column] = sum;
    }
}

// ---- The two sums -----------------------------------------------------------------------------------------

// Block (tile, class and part). `parts` blocks share a sum, `share` slices each: then each writes its own
// copy of the result in single precision, and ck_conv2d_bf16_finish adds them.
template <class Product>
CK_DEVICE void sum_windows(void *to, const uint16_t *from, const uint16_t *filters, int backward, int depth,
                           int is_bf16, int parts, int share, const ck_conv2d_epilogue &epilogue,
                           const ck_conv2d_params &p, unsigned char *shared) {
    const int ROWS = Product::ROWS, COLUMNS = Product::COLUMNS, DEPTH = Product::DEPTH;
    const int CHUNKS = DEPTH / 8, APART = Product::THREADS / CHUNKS;
    int tid = threadIdx.x;
    // Tiles of the same pixels lie next to each other, so that what they read is in the cache.
    int channels = backward ? p.c : p.k, tiles_across = (channels + COLUMNS - 1) / COLUMNS;
    int first_row = blockIdx.x / tiles_across * ROWS, first_column = blockIdx.x % tiles_across * COLUMNS;
    int part = blockIdx.y % parts;
    windows g;
    if (backward)
        g.backward(p, depth, blockIdx.y / parts);
    else
        g.forward(p, depth);
    int line_count = p.n * g.rows * g.columns;
    if (first_row >= line_count) {  // the grid is made for the largest class
        if (epilogue.partial) put_no_sums<Product>(epilogue.partial, first_column, channels);
        return;
    }
    int begin = part * share * DEPTH;
    int end = begin + share * DEPTH < g.length ? begin + share * DEPTH : g.length;
    int slices = begin < end ? (end - begin + DEPTH - 1) / DEPTH : 0;

    window_reader<Product> reader;
    reader.start(g, first_row, line_count, begin, tid);
    int filter_place = begin + tid % CHUNKS * 8;
    const uint16_t *filter =
        filters + g.filters + (int64_t)(first_column + tid / CHUNKS) * g.length + filter_place;
    Product product;
    product.template sum<true>(slices, shared, [&](unsigned char *stage) {
        reader.copy(stage, g, from, end, tid);
#pragma unroll
        for (int i = 0; i < COLUMNS / APART; i++) {
            bool there = filter_place < end && first_column + tid / CHUNKS + APART * i < channels;
            ck_copy_async(stage + Product::A_BYTES + Product::along(tid / CHUNKS + APART * i, tid % CHUNKS),
                          filter + (int64_t)(APART * i) * g.length, there);
        }
        filter += DEPTH, filter_place += DEPTH;
    });

    // The tile is put together in shared memory, which the slices no longer need: 16 bytes go out at once.
    const int LEADING = COLUMNS + 8;
    int64_t *pixels = (int64_t *)shared;
    uint16_t *out = (uint16_t *)(shared + 8 * ROWS);
    for (int i = tid; i < ROWS; i += Product::THREADS)
        pixels[i] = first_row + i < line_count ? g.pixel(first_row + i) : -1;
    if (is_bf16 && parts == 1) {
        // Where a thread's pair goes lies what is to be added to it.
        if (epilogue.residual) {
            __syncthreads();
            for (int i = tid; i < ROWS * COLUMNS / 8; i += Product::THREADS) {
                int r = i / (COLUMNS / 8), c = i % (COLUMNS / 8) * 8, channel = first_column + c;
                bool there = pixels[r] >= 0 && channel < channels;
                const uint16_t *at = (const uint16_t *)epilogue.residual + pixels[r] * channels + channel;
                if (channels % 8 == 0)
                    ck_copy_async((unsigned char *)(out + r * LEADING + c), at, there);
                else
                    for (int e = 0; there && e < 8 && channel + e < channels; e++)
                        out[r * LEADING + c + e] = at[e];
            }
            ck_copy_commit();
            ck_copy_wait<0>();
            __syncthreads();
        }
        if (epilogue.scale)
            product.each_pair([&](int r, int c, float first, float second) {
                unsigned *at = (unsigned *)(out + r * LEADING + c), residual = epilogue.residual ? *at : 0;
                float2 scale = *(const float2 *)(epilogue.scale + first_column + c),
                       shift = *(const float2 *)(epilogue.shift + first_column + c);
                *at = ck_pack_bf16(
                    finished(first, scale.x, shift.x, ck_unpack_bf16(residual), epilogue.relu),
                    finished(second, scale.y, shift.y, ck_unpack_bf16(residual >> 16), epilogue.relu));
            });
        else
            product.each_pair([&](int r, int c, float first, float second) {
                unsigned *at = (unsigned *)(out + r * LEADING + c), residual = epilogue.residual ? *at : 0;
                *at = ck_pack_bf16(first + ck_unpack_bf16(residual), second + ck_unpack_bf16(residual >> 16));
            });
        __syncthreads();
        if (epilogue.partial) {
            put_and_add<Product>((uint16_t *)to, out, pixels, first_column, channels, epilogue, shared);
            return;
        }
        for (int i = tid; i < ROWS * COLUMNS / 8; i += Product::THREADS) {
            int r = i / (COLUMNS / 8), c = i % (COLUMNS / 8) * 8, channel = first_column + c;
            if (pixels[r] < 0 || channel >= channels) continue;
            uint16_t *at = (uint16_t *)to + pixels[r] * channels + channel;
            if (channels % 8 == 0)
                *(uint4 *)at = *(const uint4 *)(out + r * LEADING + c);
            else
                for (int e = 0; e < 8 && channel + e < channels; e++) at[e] = out[r * LEADING + c + e];
        }
    } else {
        __syncthreads();
        float *copy = (float *)to + (int64_t)part * p.n * g.to_h * g.to_w * channels;
        product.each_pair([&](int r, int c, float first, float second) {
            int channel = first_column + c;
            if (pixels[r] < 0 || channel >= channels) return;
            int64_t at = pixels[r] * channels + channel;
            bool both = channel + 1 < channels;
            const float *residual = parts == 1 ? (const float *)epilogue.residual : nullptr;
            if (parts == 1 && epilogue.scale) {
                float2 scale = *(const float2 *)(epilogue.scale + channel),
                       shift = *(const float2 *)(epilogue.shift + channel);
                first = finished(first, scale.x, shift.x, residual ? residual[at] : 0, epilogue.relu);
                second = finished(second, scale.y, shift.y, residual && both ? residual[at + 1] : 0,
                                  epilogue.relu);
            } else if (residual) {
                first += residual[at];
                if (both) second += residual[at + 1];
            }
            put_pair(copy + at, first, second, both, channels % 2 == 0);
        });
    }
}

// Part blockIdx.z of the output pixels, `share` slices of them, into its own copy of dw[k][tap][depth].
template <class Product>
CK_DEVICE void sum_gradient(float *parts, const uint16_t *dy, const uint16_t *x, int depth, int dy_depth,
                            int share, const ck_conv2d_params &p, unsigned char *shared) {
    const int DEPTH = Product::DEPTH, THREADS = Product::THREADS;
    const int A_CHUNKS = Product::ROWS / 8, B_CHUNKS = Product::COLUMNS / 8;
    int tid = threadIdx.x, first_row = blockIdx.x * Product::ROWS,
        first_column = blockIdx.y * Product::COLUMNS;
    int length = p.r * p.s * depth, pixels = p.n * p.p * p.q, begin = blockIdx.z * share * DEPTH;
    int end = begin + share * DEPTH < pixels ? begin + share * DEPTH : pixels;
    int slices = begin < end ? (end - begin + DEPTH - 1) / DEPTH : 0;

    int k = first_row + tid % A_CHUNKS * 8, place = first_column + tid % B_CHUNKS * 8;
    int tap = place / depth, tap_row = tap / p.s;
    pixel_reader<Product> reader;
    reader.start(p, begin, tap_row - p.pad, tap - tap_row * p.s - p.pad, tid);
    const uint16_t *channel = x + (place < length ? place - tap * depth : 0);
    int pixel = begin;
    Product product;
    product.template sum<false>(slices, shared, [&](unsigned char *stage) {
#pragma unroll
        for (int i = 0; i < DEPTH * A_CHUNKS / THREADS; i++) {
            int line = tid / A_CHUNKS + i * (THREADS / A_CHUNKS);
            bool there = pixel + line < end && k < dy_depth;
            ck_copy_async(stage + Product::a_across(line, tid % A_CHUNKS),
                          dy + (int64_t)(pixel + line) * dy_depth + k, there);
        }
        reader.copy(stage + Product::A_BYTES, channel, depth, place < length ? end - pixel : 0, p, tid);
        pixel += DEPTH;
    });
    float *to = parts + (int64_t)blockIdx.z * p.k * length;
    product.each_pair([&](int r, int c, float first, float second) {
        int filter = first_row + r, at = first_column + c;
        if (filter < p.k && at < length)
            put_pair(to + (int64_t)filter * length + at, first, second, true, true);
    });
}

// A kernel of each sum and size of tile, <prefix>_windows_<size> and <prefix>_gradient_<size>.
#define CK_WINDOWS(prefix, size, BLOCKS, SHARED, ...)                                                        \
    CK_KERNEL_RESIDENT((__VA_ARGS__::THREADS), BLOCKS)                                                       \
    prefix##_windows_##size(void *to, const uint16_t *from, const uint16_t *filters, int32_t backward,       \
                            int32_t depth, int32_t is_bf16, int32_t parts, int32_t share,                    \
                            ck_conv2d_epilogue epilogue, ck_conv2d_params p) {                               \
        SHARED;                                                                                              \
        sum_windows<__VA_ARGS__>(to, from, filters, backward, depth, is_bf16, parts, share, epilogue, p,     \
                                 shared);                                                                    \
    }
#define CK_GRADIENT(prefix, size, BLOCKS, SHARED, ...)                                                       \
    CK_KERNEL_RESIDENT((__VA_ARGS__::THREADS), BLOCKS)                                                       \
    prefix##_gradient_##size(float *parts, const uint16_t *dy, const uint16_t *x, int32_t depth,             \
                             int32_t dy_depth, int32_t share, ck_conv2d_params p) {                          \
        SHARED;                                                                                              \
        sum_gradient<__VA_ARGS__>(parts, dy, x, depth, dy_depth, share, p, shared);                          \
    }

#endif
