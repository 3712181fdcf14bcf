// Counter-based random numbers (Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011), shared by Swift, the CPU kernels and the CUDA kernels: the same (seed, step, sample, stream)
// gives the same bits everywhere, whatever ran before.
#ifndef CK_RANDOM_H
#define CK_RANDOM_H

#include "ck_params.h"

typedef struct ck_random4 {
    uint32_t v[4];
} ck_random4;

CK_INLINE ck_random4 ck_philox(uint64_t seed, uint64_t step, uint32_t sample, uint32_t stream) {
    uint32_t c0 = (uint32_t)step, c1 = (uint32_t)(step >> 32), c2 = sample, c3 = stream;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    ck_random4 r = {{c0, c1, c2, c3}};
    return r;
}

// The row of the whole batch that is row n of a plan: what random numbers are drawn by, so that they do not
// depend on how many processes share a batch.
CK_INLINE uint32_t ck_batch_row(ck_share s, int64_t n) {
    return (uint32_t)(s.block == 0 ? n : s.first + n / s.block * s.stride + n % s.block);
}

// A float uniform in [0, 1): the upper 24 bits, so that every value is exact.
CK_INLINE float ck_uniform(uint32_t bits) { return (float)(bits >> 8) * 0x1p-24f; }

// An integer uniform in [0, n), by the high half of a product; its bias is below n / 2^32.
CK_INLINE uint32_t ck_below(uint32_t bits, uint32_t n) { return (uint32_t)(((uint64_t)bits * n) >> 32); }

#endif
