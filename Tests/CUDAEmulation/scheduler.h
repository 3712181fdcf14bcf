// Runs a kernel's grid on the host.
#ifndef SCHEDULER_H
#define SCHEDULER_H

#include "CUDAEmulation.h"
#include "emulated_device.h"
#include <functional>

namespace emulation {

enum { MOST_SHARED = 227 << 10 };  // bytes of shared memory that a block may ask for beside what it declares

extern thread_local ck_emulation settings;
extern thread_local ck_emulation_counts counts;

// Why the device stopped working, or NULL.
extern thread_local const char *failure;

void run_grid(dimensions grid, dimensions block, const std::function<void()> &kernel);

}  // namespace emulation

#endif
