// What every kernel needs: where it is, sums over a block in a fixed order, and the tensor cores behind small
// functions. No header of the CUDA toolkit is needed; the tests compile the kernels for the host with their
// own version of the first part.
#ifndef CK_DEVICE_CUH
#define CK_DEVICE_CUH

#include "ck_params.h"

#ifdef CK_EMULATED_DEVICE
#include "emulated_device.h"
#else
#define CK_KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
// A kernel of which `blocks` blocks are to fit on a multiprocessor.
#define CK_KERNEL_RESIDENT(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
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

// Copies 16 bytes from global to shared memory while the thread goes on, or fills them with zeros. A commit
// makes a group of the copies begun since the last one; a wait returns when all groups but the newest `LEFT`
// are there.
CK_DEVICE void ck_copy_async(void *to, const void *from, bool there) {
    unsigned at = (unsigned)__cvta_generic_to_shared(to);
    int bytes = there ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes) : "memory");
}
CK_DEVICE void ck_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int LEFT> CK_DEVICE void ck_copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
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

// ---- wgmma, on sm_90 alone --------------------------------------------------------------------------------

#define CK_SHARED_DYNAMIC(name, bytes) extern __shared__ __align__(1024) unsigned char name[]

// Where a warpgroup's operand lies in shared memory: the matrix descriptor of the PTX ISA, with the 128-byte
// swizzle.
struct ck_matrix {
    uint64_t bits;
};

// `leading` and `stride` in bytes. Lines of 128 bytes are in groups of eight, `stride` apart; a matrix across
// the sum goes on `leading` further after 64 rows or columns.
CK_DEVICE ck_matrix ck_matrix_at(const void *at, int leading, int stride) {
    ck_matrix m;
    m.bits = ((uint64_t)__cvta_generic_to_shared(at) & 0x3FFFF) >> 4 | (uint64_t)(leading >> 4) << 16 |
             (uint64_t)(stride >> 4) << 32 | (uint64_t)1 << 62;
    return m;
}

CK_DEVICE ck_matrix ck_matrix_after(ck_matrix m, int bytes) {
    m.bits += (unsigned)bytes >> 4;
    return m;
}

// The thread's warpgroup, in a way that tells the compiler that a warp's threads agree.
CK_DEVICE int ck_warpgroup() { return __shfl_sync(0xFFFFFFFFu, (int)threadIdx.x / 128, 0); }

// Waits for the threads of a warpgroup alone.
CK_DEVICE void ck_warpgroup_barrier(int warpgroup) {
    asm volatile("bar.sync %0, 128;" ::"r"(1 + warpgroup) : "memory");
}

// What the thread has copied becomes visible to wgmma.
CK_DEVICE void ck_show_to_wgmma() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
CK_DEVICE void ck_wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
CK_DEVICE void ck_wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits for all products that were committed but the last LEFT groups; with none left the sums may be read
// from here on, and not before.
template <int LEFT = 0, int N> CK_DEVICE void ck_wgmma_wait(float (&sums)[N][4]) {
#pragma unroll
    for (int i = 0; i < N; i++)
        asm volatile("" : "+f"(sums[i][0]), "+f"(sums[i][1]), "+f"(sums[i][2]), "+f"(sums[i][3])::"memory");
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
#pragma unroll
    for (int i = 0; i < N; i++)
        asm volatile("" : "+f"(sums[i][0]), "+f"(sums[i][1]), "+f"(sums[i][2]), "+f"(sums[i][3])::"memory");
}

// d += a b for a 64 x 16 and b 16 x 8N (wgmma.m64nNk16), both with their lines along the sum or, TRANSPOSED,
// across it.
#define CK_FOUR(i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define CK_EIGHT_FOURS(i)                                                                                    \
    CK_FOUR(i), CK_FOUR(i + 1), CK_FOUR(i + 2), CK_FOUR(i + 3), CK_FOUR(i + 4), CK_FOUR(i + 5),              \
        CK_FOUR(i + 6), CK_FOUR(i + 7)
template <bool TRANSPOSED> CK_DEVICE void ck_wgmma(float (&d)[8][4], ck_matrix a, ck_matrix b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, "
                 "%8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, "
                 "%24, %25, %26, %27, %28, %29, %30, %31}, "
                 "%32, %33, 1, 1, 1, %34, %34;"
                 : CK_EIGHT_FOURS(0)
                 : "l"(a.bits), "l"(b.bits), "n"(TRANSPOSED ? 1 : 0));
}
template <bool TRANSPOSED> CK_DEVICE void ck_wgmma(float (&d)[16][4], ck_matrix a, ck_matrix b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, "
                 "%8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, "
                 "%24, %25, %26, %27, %28, %29, %30, %31, "
                 "%32, %33, %34, %35, %36, %37, %38, %39, "
                 "%40, %41, %42, %43, %44, %45, %46, %47, "
                 "%48, %49, %50, %51, %52, %53, %54, %55, "
                 "%56, %57, %58, %59, %60, %61, %62, %63}, "
                 "%64, %65, 1, 1, 1, %66, %66;"
                 : CK_EIGHT_FOURS(0), CK_EIGHT_FOURS(8)
                 : "l"(a.bits), "l"(b.bits), "n"(TRANSPOSED ? 1 : 0));
}
template <bool TRANSPOSED> CK_DEVICE void ck_wgmma(float (&d)[24][4], ck_matrix a, ck_matrix b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, "
                 "%8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, "
                 "%24, %25, %26, %27, %28, %29, %30, %31, "
                 "%32, %33, %34, %35, %36, %37, %38, %39, "
                 "%40, %41, %42, %43, %44, %45, %46, %47, "
                 "%48, %49, %50, %51, %52, %53, %54, %55, "
                 "%56, %57, %58, %59, %60, %61, %62, %63, "
                 "%64, %65, %66, %67, %68, %69, %70, %71, "
                 "%72, %73, %74, %75, %76, %77, %78, %79, "
                 "%80, %81, %82, %83, %84, %85, %86, %87, "
                 "%88, %89, %90, %91, %92, %93, %94, %95}, "
                 "%96, %97, 1, 1, 1, %98, %98;"
                 : CK_EIGHT_FOURS(0), CK_EIGHT_FOURS(8), CK_EIGHT_FOURS(16)
                 : "l"(a.bits), "l"(b.bits), "n"(TRANSPOSED ? 1 : 0));
}
template <bool TRANSPOSED> CK_DEVICE void ck_wgmma(float (&d)[32][4], ck_matrix a, ck_matrix b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, "
                 "%8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, "
                 "%24, %25, %26, %27, %28, %29, %30, %31, "
                 "%32, %33, %34, %35, %36, %37, %38, %39, "
                 "%40, %41, %42, %43, %44, %45, %46, %47, "
                 "%48, %49, %50, %51, %52, %53, %54, %55, "
                 "%56, %57, %58, %59, %60, %61, %62, %63, "
                 "%64, %65, %66, %67, %68, %69, %70, %71, "
                 "%72, %73, %74, %75, %76, %77, %78, %79, "
                 "%80, %81, %82, %83, %84, %85, %86, %87, "
                 "%88, %89, %90, %91, %92, %93, %94, %95, "
                 "%96, %97, %98, %99, %100, %101, %102, %103, "
                 "%104, %105, %106, %107, %108, %109, %110, %111, "
                 "%112, %113, %114, %115, %116, %117, %118, %119, "
                 "%120, %121, %122, %123, %124, %125, %126, %127}, "
                 "%128, %129, 1, 1, 1, %130, %130;"
                 : CK_EIGHT_FOURS(0), CK_EIGHT_FOURS(8), CK_EIGHT_FOURS(16), CK_EIGHT_FOURS(24)
                 : "l"(a.bits), "l"(b.bits), "n"(TRANSPOSED ? 1 : 0));
}
#undef CK_FOUR
#undef CK_EIGHT_FOURS
#endif

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
