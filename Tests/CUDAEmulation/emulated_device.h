// The first part of ck_device.cuh for the host: what CUDA's compiler would supply.
#ifndef EMULATED_DEVICE_H
#define EMULATED_DEVICE_H

#include "ck_bf16.h"
#include <cmath>
#include <cstdint>
#include <cstring>

#define CK_KERNEL(threads) inline void
#define CK_DEVICE static inline
#define CK_MEMBER inline
#define CK_SHARED(type, name, count)                                                                         \
    type *name = (type *)emulation::shared_memory(sizeof(type) * (size_t)(count))
#define CK_SHARED_ALIGNED(type, name, count) CK_SHARED(type, name, count)

namespace emulation {

struct dimensions {
    unsigned x, y, z;
};

// The running thread's places, which the scheduler sets.
extern thread_local dimensions thread_index, block_index, block_size, grid_size;

void *shared_memory(size_t bytes);
void barrier();
void fail(const char *text);

// What a lane shows to its warp in one collective operation; all lanes' are complete when exchange() returns.
struct shown {
    unsigned a[4], b[2];
    const void *row;
};
const shown *exchange(const shown &mine);

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
    for (unsigned e = 0; e < 4; e++) {
        unsigned row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        double sum = 0;
        for (unsigned k = 0; k < 16; k++) {
            unsigned wa = warp[row % 8 * 4 + k % 8 / 2].a[row / 8 + k / 8 * 2],
                     wb = warp[column * 4 + k % 8 / 2].b[k / 8];
            float va = emulation::to_float(k % 2 ? wa & 0xFFFF0000u : wa << 16);
            float vb = emulation::to_float(k % 2 ? wb & 0xFFFF0000u : wb << 16);
            sum += (double)va * vb;
        }
        d[e] = (float)(d[e] + sum);
    }
}

static inline void ck_mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    emulation::shown mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, nullptr};
    const emulation::shown *warp = emulation::exchange(mine);
    unsigned lane = emulation::lane();
    for (unsigned e = 0; e < 4; e++) {
        unsigned row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        double sum = 0;
        for (unsigned k = 0; k < 8; k++)  // the lower bits are not read
            sum += (double)emulation::to_float(warp[row % 8 * 4 + k % 4].a[row / 8 + k / 4 * 2] & ~0x1FFFu) *
                   emulation::to_float(warp[column * 4 + k % 4].b[k / 4] & ~0x1FFFu);
        d[e] = (float)(d[e] + sum);
    }
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

#endif
