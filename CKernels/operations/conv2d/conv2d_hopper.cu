// Convolution of bf16 values by wgmma, on sm_90 alone (conv2d_bf16.cuh says how it is cut up). Two warpgroups
// multiply straight from shared memory; the copies of the next slices go on meanwhile.
#include "conv2d_bf16.cuh"

// Shared memory holds lines of 128 bytes, in groups of eight whose chunks of 16 bytes are turned from line to
// line: the "128-byte swizzle" of the PTX ISA. Along the sum, a line of A or B is one row or column of C and
// all of a slice. Across it, a line is one place of the sum and 64 rows or columns of C; the next 64 lie
// DEPTH lines further on.
template <int TILE_ROWS, int TILE_COLUMNS, int STAGE_COUNT> struct wgmma_product {
    static const int THREADS = 256, ROWS = TILE_ROWS, COLUMNS = TILE_COLUMNS, DEPTH = 64;
    static const int STAGES = STAGE_COUNT;
    static const int LINE = 128, GROUP = 8 * LINE, SIXTY_FOUR = DEPTH * LINE;
    static const int A_BYTES = ROWS * LINE, STAGE_BYTES = A_BYTES + COLUMNS * LINE;
    static const int DOWN = ROWS / 64, WIDTH = COLUMNS * DOWN / 2;  // warpgroups down, and the columns of one

    float sums[WIDTH / 8][4];
    int row, column;  // of the warpgroup's part of the tile

    CK_MEMBER wgmma_product() : sums() {
        int warpgroup = ck_warpgroup();
        row = DOWN == 2 ? warpgroup * 64 : 0, column = DOWN == 2 ? 0 : warpgroup * WIDTH;
    }

    static CK_MEMBER int along(int line, int chunk) { return line * LINE + ((chunk ^ (line & 7)) << 4); }
    static CK_MEMBER int a_across(int line, int chunk) {
        return chunk / 8 * SIXTY_FOUR + line * LINE + ((chunk % 8 ^ (line & 7)) << 4);
    }
    static CK_MEMBER int b_across(int line, int chunk) { return a_across(line, chunk); }

    // Adds the slice that lies `further` behind where the matrices begin.
    template <bool ALONG> CK_MEMBER void multiply(ck_matrix a, ck_matrix b, int further) {
        ck_wgmma_begin();
#pragma unroll
        for (int k = 0; k < DEPTH / 16; k++) {
            int at = further + k * (ALONG ? 32 : 2 * GROUP);
            ck_wgmma<!ALONG>(sums, ck_matrix_after(a, at), ck_matrix_after(b, at));
        }
        ck_wgmma_commit();
    }

    // With four stages a slice is multiplied while the products of the one before it are under way; a stage
    // is written again when those of the one after it have begun.
    static const int UNDER_WAY = STAGES > 3 ? 1 : 0, AHEAD = STAGES - 1 - UNDER_WAY;

    template <bool ALONG, class Load>
    CK_MEMBER void sum(int slices, unsigned char *shared, const Load &load) {
#pragma unroll
        for (int s = 0; s < AHEAD; s++) {
            if (s < slices) load(shared + s * STAGE_BYTES);
            ck_copy_commit();
        }
        // A line of a slice is a row or column of C, or 64 of them.
        ck_matrix a = ck_matrix_at(shared + (ALONG ? row * LINE : row / 64 * SIXTY_FOUR),
                                   ALONG ? 16 : SIXTY_FOUR, GROUP);
        ck_matrix b = ck_matrix_at(shared + A_BYTES + (ALONG ? column * LINE : column / 64 * SIXTY_FOUR),
                                   ALONG ? 16 : SIXTY_FOUR, GROUP);
        int reading = 0, writing = AHEAD;
        for (int s = 0; s < slices; s++) {
            ck_copy_wait<AHEAD - 1>();
            ck_show_to_wgmma();
            if (!UNDER_WAY) ck_wgmma_wait(sums);
            __syncthreads();  // the slice is there, and the stage that is written next has been multiplied
            multiply<ALONG>(a, b, reading * STAGE_BYTES);
            if (s + AHEAD < slices) load(shared + writing * STAGE_BYTES);
            ck_copy_commit();
            if (UNDER_WAY) ck_wgmma_wait<UNDER_WAY>(sums);
            reading = reading + 1 == STAGES ? 0 : reading + 1;
            writing = writing + 1 == STAGES ? 0 : writing + 1;
        }
        ck_wgmma_wait(sums);
        __syncthreads();
    }

    template <class Put> CK_MEMBER void each_pair(const Put &put) const {
        int lane = threadIdx.x % 32, first = row + threadIdx.x % 128 / 32 * 16 + lane / 4;
#pragma unroll
        for (int e = 0; e < 4; e += 2)
#pragma unroll
            for (int j = 0; j < WIDTH / 8; j++)
                put(first + e / 2 * 8, column + 8 * j + lane % 4 * 2, sums[j][e], sums[j][e + 1]);
    }
};

#define SHARED(rows, columns, stages) CK_SHARED_DYNAMIC(shared, CK_HOPPER_SHARED(rows, columns, stages))
CK_WINDOWS(ck_conv2d_hopper, 128x256, 1, SHARED(128, 256, 4), wgmma_product<128, 256, 4>)
CK_WINDOWS(ck_conv2d_hopper, 128x128, 2, SHARED(128, 128, 3), wgmma_product<128, 128, 3>)
CK_WINDOWS(ck_conv2d_hopper, 128x64, 3, SHARED(128, 64, 3), wgmma_product<128, 64, 3>)
CK_GRADIENT(ck_conv2d_hopper, 128x256, 1, SHARED(128, 256, 4), wgmma_product<128, 256, 4>)
CK_GRADIENT(ck_conv2d_hopper, 128x128, 2, SHARED(128, 128, 3), wgmma_product<128, 128, 3>)
CK_GRADIENT(ck_conv2d_hopper, 64x128, 3, SHARED(64, 128, 3), wgmma_product<64, 128, 3>)
#undef SHARED
