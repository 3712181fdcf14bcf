// The first part of ck_device.cuh for the host: what CUDA's compiler would supply.
#ifndef EMULATED_DEVICE_H
#define EMULATED_DEVICE_H

#include "ck_bf16.h"
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#define CK_KERNEL(threads) inline void
#define CK_KERNEL_RESIDENT(threads, blocks) CK_KERNEL(threads)
#define CK_DEVICE static inline
#define CK_MEMBER inline
#define CK_SHARED(type, name, count)                                                                         \
    type *name = (type *)emulation::shared_memory(sizeof(type) * (size_t)(count))
#define CK_SHARED_DYNAMIC(name, bytes)                                                                       \
    unsigned char *name = (unsigned char *)emulation::dynamic_shared_memory(bytes)
#define CK_SHARED_ALIGNED(type, name, count) CK_SHARED(type, name, count)

namespace emulation {

struct dimensions {
    unsigned x, y, z;
};

// The running thread's places, which the scheduler sets.
extern __thread dimensions thread_index, block_index, block_size, grid_size;

void *shared_memory(size_t bytes);
void *dynamic_shared_memory(size_t bytes);
void barrier();
void warpgroup_barrier();
void fail(const char *text);

// What a lane shows to its warp in one collective operation; all lanes' are complete when exchange() returns.
struct shown {
    unsigned a[4], b[2];
    const void *row;
};
const shown *exchange(const shown &mine);

// Asynchronous copies of the running thread: begun, made a group, and carried out only when waited for, so
// that what reads too early reads poison.
void begin_copy(void *to, const void *from, bool there);
void commit_copies();
void wait_for_copies(unsigned left);

// A product of wgmma that the running thread has begun: what its sums were then, and, for a warp's first
// lane, how to sum again, since shared memory must be the same until the end.
struct product {
    float *to;
    std::vector<float> sums;
    std::function<void(float *)> sum;
    unsigned group;
};
void show_to_wgmma();
void begin_product(product p);
void commit_products();
void finish_products(unsigned left);

inline float to_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
inline unsigned to_bits(float x) {
    unsigned bits;
    memcpy(&bits, &x, 4);
    return bits;
}
inline unsigned lane() { return thread_index.x % 32; }

// A lane's share of a product of mma: two rows times two columns.
template <int K>
inline void add_products(float (&d)[4], const double (&rows)[2][K], const double (&columns)[2][K]) {
    for (unsigned e = 0; e < 4; e++) {
        double sum = 0;
        for (unsigned k = 0; k < K; k++) sum += rows[e / 2][k] * columns[e % 2][k];
        d[e] = (float)(d[e] + sum);
    }
}

}  // namespace emulation

#define threadIdx emulation::thread_index
#define blockIdx emulation::block_index
#define blockDim emulation::block_size
#define gridDim emulation::grid_size
#define __syncthreads() emulation::barrier()

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

static inline float ck_bits_to_float(unsigned bits) { return emulation::to_float(bits); }
static inline unsigned ck_float_to_bits(float x) { return emulation::to_bits(x); }

// To the nearest, ties away from zero; NaN stays NaN.
static inline unsigned ck_round_tf32(float x) {
    return x != x ? 0x7FFFFFFFu : (emulation::to_bits(x) + 0x1000u) & ~0x1FFFu;
}

static inline unsigned ck_round_bf16(float x) { return ck_bf16_of(x); }
static inline unsigned ck_pack_bf16(float low, float high) {
    return ck_round_bf16(low) | ck_round_bf16(high) << 16;
}

// PTX ISA, "Matrix fragments for mma.m16n8k16": row g = lane / 4 (and g + 8), columns 2 (lane % 4) and the
// next.
static inline void ck_mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    emulation::shown mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, nullptr};
    const emulation::shown *warp = emulation::exchange(mine);
    unsigned lane = emulation::lane();
    double rows[2][16], columns[2][16];
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < 16; k += 2) {
            unsigned wa = warp[lane / 4 * 4 + k % 8 / 2].a[i + k / 8 * 2],
                     wb = warp[(lane % 4 * 2 + i) * 4 + k % 8 / 2].b[k / 8];
            rows[i][k] = emulation::to_float(wa << 16);
            rows[i][k + 1] = emulation::to_float(wa & 0xFFFF0000u);
            columns[i][k] = emulation::to_float(wb << 16);
            columns[i][k + 1] = emulation::to_float(wb & 0xFFFF0000u);
        }
    emulation::add_products(d, rows, columns);
}

static inline void ck_mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    emulation::shown mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, nullptr};
    const emulation::shown *warp = emulation::exchange(mine);
    unsigned lane = emulation::lane();
    double rows[2][8], columns[2][8];
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k < 8; k++) {  // the lower bits are not read
            unsigned wa = warp[lane / 4 * 4 + k % 4].a[i + k / 4 * 2],
                     wb = warp[(lane % 4 * 2 + i) * 4 + k % 4].b[k / 4];
            rows[i][k] = emulation::to_float(wa & ~0x1FFFu);
            columns[i][k] = emulation::to_float(wb & ~0x1FFFu);
        }
    emulation::add_products(d, rows, columns);
}

static inline const uint16_t *ck_emulated_row(const emulation::shown *warp, unsigned lane) {
    if ((uintptr_t)warp[lane].row % 16 != 0)
        emulation::fail("ldmatrix of a row that is not aligned to 16 bytes");
    return (const uint16_t *)warp[lane].row;
}

static inline void ck_load_matrices(unsigned (&r)[4], const void *row) {
    const emulation::shown *warp = emulation::exchange({{}, {}, row});
    unsigned lane = emulation::lane();
    for (unsigned i = 0; i < 4; i++) {
        const uint16_t *from = ck_emulated_row(warp, 8 * i + lane / 4) + 2 * (lane % 4);
        r[i] = from[0] | (unsigned)from[1] << 16;
    }
}

static inline void ck_load_matrices_transposed(unsigned (&r)[4], const void *row) {
    const emulation::shown *warp = emulation::exchange({{}, {}, row});
    unsigned lane = emulation::lane();
    for (unsigned i = 0; i < 4; i++)
        r[i] = ck_emulated_row(warp, 8 * i + 2 * (lane % 4))[lane / 4] |
               (unsigned)ck_emulated_row(warp, 8 * i + 2 * (lane % 4) + 1)[lane / 4] << 16;
}

static inline void ck_copy_async(void *to, const void *from, bool there) {
    emulation::begin_copy(to, from, there);
}
static inline void ck_copy_commit() { emulation::commit_copies(); }
template <int LEFT> static inline void ck_copy_wait() { emulation::wait_for_copies(LEFT); }

// The matrix descriptor of wgmma with the 128-byte swizzle, as CUTLASS's canonical layouts have it (in
// bytes): along the sum ((8, lines), 16 values) : ((128, stride), 2), across it ((64, lines), (8, 2)) : ((2,
// leading), (128, stride)); then bits 7 to 9 of the address are added to bits 4 to 6, modulo 2.
struct ck_matrix {
    const unsigned char *at;
    int leading, stride;
};
static inline ck_matrix ck_matrix_at(const void *at, int leading, int stride) {
    if ((uintptr_t)at % 16 != 0) emulation::fail("a matrix that is not aligned to 16 bytes");
    return {(const unsigned char *)at, leading, stride};
}
static inline ck_matrix ck_matrix_after(ck_matrix m, int bytes) {
    return ck_matrix_at(m.at + bytes, m.leading, m.stride);
}
static inline int ck_warpgroup() { return (int)emulation::thread_index.x / 128; }
// The 16 values along the sum of a line of a matrix.
static inline void ck_emulated_line(float (&values)[16], const ck_matrix &m, bool transposed, unsigned line) {
    uintptr_t at = (uintptr_t)m.at + (transposed ? line / 64 * (size_t)m.leading + line % 64 * 2
                                                 : line / 8 * (size_t)m.stride + line % 8 * 128);
    for (unsigned k = 0; k < 16; k++) {
        uintptr_t address = at + (transposed ? k / 8 * (size_t)m.stride + k % 8 * 128 : 2 * k);
        uint16_t bits;
        memcpy(&bits, (const void *)(address ^ (address >> 7 & 7) << 4), 2);
        values[k] = emulation::to_float((unsigned)bits << 16);
    }
}

static inline void ck_warpgroup_barrier(int) { emulation::warpgroup_barrier(); }
static inline void ck_show_to_wgmma() { emulation::show_to_wgmma(); }
static inline void ck_wgmma_begin() {}
static inline void ck_wgmma_commit() { emulation::commit_products(); }
template <int LEFT = 0, int N> static inline void ck_wgmma_wait(float (&)[N][4]) {
    emulation::finish_products(LEFT);
}

template <bool TRANSPOSED, int N> static inline void ck_wgmma(float (&d)[N][4], ck_matrix a, ck_matrix b) {
    unsigned lane = emulation::lane(), first = emulation::thread_index.x % 128 / 32 * 16 + lane / 4;
    auto sum = [=](float *to) {
        float upper[16], lower[16], column[16];
        ck_emulated_line(upper, a, TRANSPOSED, first);
        ck_emulated_line(lower, a, TRANSPOSED, first + 8);
        for (unsigned j = 0; j < N; j++)
            for (unsigned e = 0; e < 2; e++) {
                ck_emulated_line(column, b, TRANSPOSED, 8 * j + lane % 4 * 2 + e);
                double above = 0, below = 0;
                for (unsigned k = 0; k < 16; k++)
                    above += (double)upper[k] * column[k], below += (double)lower[k] * column[k];
                to[j * 4 + e] = (float)above, to[j * 4 + 2 + e] = (float)below;
            }
    };
    emulation::product p = {&d[0][0], std::vector<float>(4 * N), nullptr, 0};
    sum(p.sums.data());
    if (lane == 0) p.sum = sum;
    emulation::begin_product(std::move(p));
}

#endif
