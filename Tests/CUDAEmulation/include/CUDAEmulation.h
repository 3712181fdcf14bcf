// A CUDA device without a GPU, for tests: the project's kernels compiled for the host, behind a table of
// driver functions with memory, streams, events, graphs, launches, a "compiler" and cuBLASLt's products.
// Threads of a block are fibres that run in a shuffled order from barrier to barrier, blocks run in a
// shuffled order, shared memory starts as NaN, work waits on its stream until somebody synchronizes, and that
// on a second stream comes as early or as late as its events let it: what a real device would get wrong now
// and then goes wrong here each time.
#ifndef CUDA_EMULATION_H
#define CUDA_EMULATION_H

#include "CKernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// How the device behaves for what the calling thread does with it.
typedef struct ck_emulation {
    uint64_t seed;    // of the orders
    uint64_t memory;  // bytes that are free
    int devices;
    int drop_barriers;          // a seeded bug: __syncthreads does nothing
    int drop_last_block;        // a seeded bug: each grid is a block short
    const char *faulty_kernel;  // fails when it runs; or NULL
    int only_note;              // launches are noted, and nothing runs
    int architecture;           // its compute capability, 90 for 9.0
    int lacks_bias;             // cuBLASLt has no algorithm that adds a bias
    int failing_algorithms;     // and fails with that many of those it names
    int makes_no_graphs;        // a recorded graph cannot be made executable
    int drop_waits;             // a seeded bug: a second stream (1) or the first (2) waits for no event
} ck_emulation;

extern const ck_emulation ck_emulation_default;
void ck_emulation_set(const ck_emulation *emulation);

const ck_cuda_driver *ck_emulated_driver(void);
const ck_cuda_driver *ck_emulated_driver_without_nccl(void);

// What the calling thread has done since the last reset.
typedef struct ck_emulation_counts {
    int64_t launches, graph_launches, compilations, products;
    int64_t exchanges;         // that NCCL was asked for
    int64_t exchanges_beside;  // those of them that are on another stream than a device's first
    int64_t launches_beside;   // of kernels, while such an exchange has not been waited for
} ck_emulation_counts;
ck_emulation_counts ck_emulation_count(void);
void ck_emulation_reset_counts(void);
// How often the calling thread has launched a kernel.
int64_t ck_emulation_launches(const char *kernel);

#ifdef __cplusplus
}
#endif
#endif
