#include "cuda.h"

// Only the CPU keeps sums of columns.
uint64_t ck_cuda_workspace_window_means(const ck_pool_params *) { return 0; }
