// What every kernel needs: where it is, sums over a block in a fixed order, and the tensor cores behind small
// functions. No header of the CUDA toolkit is needed; the tests compile the kernels for the host with their
// own version of the first part.
#ifndef CK_DEVICE_CUH
#define CK_DEVICE_CUH

#ifdef CK_EMULATED_DEVICE
#include "emulated_device.h"
#else
#define CK_KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define CK_DEVICE static __device__ __forceinline__
#define CK_MEMBER __device__ __forceinline__
// `count` values that the threads of a block share.
#define CK_SHARED(type, name, count) __shared__ type name[count]
#define CK_SHARED_ALIGNED(type, name, count) __shared__ __align__(16) type name[count]

// d += a b for a 16 x 16 (x 8) and b 16 (x 8) x 8, spread over a warp as the PTX ISA lays it out
// (mma.m16n8k16, .m16n8k8).
CK_DEVICE void ck_mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
CK_DEVICE void ck_mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four 8 x 8 matrices of 16-bit values, whose rows' addresses the warp's lanes give: lanes 8i ... 8i + 7
// those of matrix i.
CK_DEVICE void ck_load_matrices(unsigned (&r)[4], const void *row) {
    unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}
CK_DEVICE void ck_load_matrices_transposed(unsigned (&r)[4], const void *row) {
    unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

// Two floats rounded to bf16, the first in the lower half; a float rounded to TF32's ten bits.
CK_DEVICE unsigned ck_pack_bf16(float low, float high) {
    unsigned packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}
CK_DEVICE unsigned ck_round_tf32(float x) {
    unsigned rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
    return rounded;
}
CK_DEVICE float ck_bits_to_float(unsigned bits) { return __uint_as_float(bits); }
CK_DEVICE unsigned ck_float_to_bits(float x) { return __float_as_uint(x); }
#endif

#include "ck_params.h"
#include "ck_random.h"

#define CK_INFINITY ck_bits_to_float(0x7f800000u)
#define CK_NAN ck_bits_to_float(0x7fffffffu)

// The place of a thread in a one-dimensional grid, and the grid's size: for (i = ck_first(); i < n; i +=
// ck_stride()).
CK_DEVICE int64_t ck_first() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }
CK_DEVICE int64_t ck_stride() { return (int64_t)gridDim.x * blockDim.x; }

// ---- Activations: float, or bf16 as the upper half of one -------------------------------------------------

CK_DEVICE float ck_unpack_bf16(unsigned bits) { return ck_bits_to_float(bits << 16); }

// `N` neighboring values as floats: one, or multiples of 16 bytes that are aligned to 16.
template <int N> CK_DEVICE void ck_load(float (&to)[N], const float *from) {
    if constexpr (N % 4 == 0) {
        for (int i = 0; i < N / 4; i++) {
            float4 v = ((const float4 *)from)[i];
            to[4 * i] = v.x, to[4 * i + 1] = v.y, to[4 * i + 2] = v.z, to[4 * i + 3] = v.w;
        }
    } else {
        for (int i = 0; i < N; i++) to[i] = from[i];
    }
}
template <int N> CK_DEVICE void ck_load(float (&to)[N], const uint16_t *from) {
    if constexpr (N == 8) {
        uint4 v = *(const uint4 *)from;
        const unsigned pairs[4] = {v.x, v.y, v.z, v.w};
        for (int i = 0; i < 4; i++) {
            to[2 * i] = ck_unpack_bf16(pairs[i]);
            to[2 * i + 1] = ck_bits_to_float(pairs[i] & 0xFFFF0000u);
        }
    } else {
        for (int i = 0; i < N; i++) to[i] = ck_unpack_bf16(from[i]);
    }
}
template <int N> CK_DEVICE void ck_store(float *to, const float (&from)[N]) {
    if constexpr (N % 4 == 0) {
        for (int i = 0; i < N / 4; i++) {
            float4 v;
            v.x = from[4 * i], v.y = from[4 * i + 1], v.z = from[4 * i + 2], v.w = from[4 * i + 3];
            ((float4 *)to)[i] = v;
        }
    } else {
        for (int i = 0; i < N; i++) to[i] = from[i];
    }
}
template <int N> CK_DEVICE void ck_store(uint16_t *to, const float (&from)[N]) {
    if constexpr (N == 8) {
        uint4 v;
        v.x = ck_pack_bf16(from[0], from[1]), v.y = ck_pack_bf16(from[2], from[3]);
        v.z = ck_pack_bf16(from[4], from[5]), v.w = ck_pack_bf16(from[6], from[7]);
        *(uint4 *)to = v;
    } else {
        for (int i = 0; i < N; i++) to[i] = (uint16_t)ck_pack_bf16(from[i], 0.0f);
    }
}

// The values of a type in 16 bytes, and whether they can be read at once at all of some addresses.
template <class T> struct ck_vector {
    enum { WIDTH = 16 / sizeof(T) };
};
CK_DEVICE bool ck_are_aligned(const void *a, const void *b = nullptr, const void *c = nullptr) {
    return (((uint64_t)a | (uint64_t)b | (uint64_t)c) & 15) == 0;
}

struct ck_plus {
    template <class T> CK_MEMBER T operator()(T a, T b) const { return a + b; }
};
struct ck_larger {
    template <class T> CK_MEMBER T operator()(T a, T b) const { return a > b ? a : b; }
};

// Combines a value of each of THREADS threads, as a tree, so that the order is fixed. All threads get the
// result.
template <int THREADS, class T, class Combine>
CK_DEVICE T ck_block_reduce(T value, T *shared, Combine combine) {
    int tid = threadIdx.x;
    __syncthreads();  // the memory may still be read
    shared[tid] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (tid < half) shared[tid] = combine(shared[tid], shared[tid + half]);
        __syncthreads();
    }
    return shared[0];
}

#endif
