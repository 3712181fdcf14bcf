// Sixteen floats at a time, by the compiler's vector types, in three versions picked at run time: AVX-512,
// AVX2 with FMA, and whatever the compiler's baseline is (NEON on arm64, SSE2 on x86-64).
#ifndef CK_SIMD_H
#define CK_SIMD_H

// Every function with a vector in its signature is inlined: no vector is ever passed by a calling convention.
#pragma clang diagnostic ignored "-Wpsabi"

#include <stdint.h>

enum { CK_LANES = 16 };

typedef float ck_v16 __attribute__((vector_size(64), aligned(4)));

// For loops over what is held in registers.
#define CK_UNROLLED _Pragma("clang loop unroll(full)")

#define CK_INLINED static inline __attribute__((always_inline))

CK_INLINED ck_v16 ck_load16(const float *p) { return *(const ck_v16 *)p; }
CK_INLINED void ck_store16(float *p, ck_v16 v) { *(ck_v16 *)p = v; }

// The same of the first lanes alone, where there are fewer; the others are read as 0.
CK_INLINED ck_v16 ck_load_lanes(const float *p, int64_t lanes) {
    if (lanes >= CK_LANES) return ck_load16(p);
    ck_v16 v = {0};
    for (int64_t i = 0; i < lanes; i++) v[i] = p[i];
    return v;
}
CK_INLINED void ck_store_lanes(float *p, ck_v16 v, int64_t lanes) {
    if (lanes >= CK_LANES)
        ck_store16(p, v);
    else
        for (int64_t i = 0; i < lanes; i++) p[i] = v[i];
}

// CK_VERSIONS(name, (parameters), (arguments)) defines `name` from `name_body`, an always-inlined function
// whose last two arguments are constants: how many rows and how many vectors of 16 lanes its accumulators may
// have in registers.
#if defined(__x86_64__)
#define CK_VERSIONS(name, parameters, ...)                                                                   \
    __attribute__((                                                                                          \
        target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"))) static void name##_avx512 parameters {       \
        name##_body(__VA_ARGS__, 8, 2);                                                                      \
    }                                                                                                        \
    __attribute__((target("avx2,fma"))) static void name##_avx2 parameters {                                 \
        name##_body(__VA_ARGS__, 4, 1);                                                                      \
    }                                                                                                        \
    static void name##_plain parameters { name##_body(__VA_ARGS__, 2, 1); }                                  \
    static void name parameters {                                                                            \
        switch (ck_simd_level()) {                                                                           \
        case 2: name##_avx512(__VA_ARGS__); break;                                                           \
        case 1: name##_avx2(__VA_ARGS__); break;                                                             \
        default: name##_plain(__VA_ARGS__);                                                                  \
        }                                                                                                    \
    }
#else
#define CK_VERSIONS(name, parameters, ...)                                                                   \
    static void name parameters { name##_body(__VA_ARGS__, 4, 1); }
#endif

// 2: AVX-512; 1: AVX2 and FMA; 0: the baseline. No more than the environment's OCC_SIMD (avx512, avx2, plain)
// allows.
int ck_simd_level(void);

#endif
