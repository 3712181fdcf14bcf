// What the shared headers need to compile as C (CPU kernels, Swift) and under NVRTC (CUDA kernels).
#ifndef CK_PORTABLE_H
#define CK_PORTABLE_H

#ifdef __CUDACC_RTC__
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define UINT64_MAX 0xFFFFFFFFFFFFFFFFull
#define CK_INLINE static __device__ __forceinline__
#define CK_CLOSED
#else
#include <stdint.h>
#define CK_INLINE static inline
#ifdef __clang__
#define CK_CLOSED __attribute__((enum_extensibility(closed)))
#else
#define CK_CLOSED
#endif
#endif

#endif
