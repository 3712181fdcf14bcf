// The project's kernels by name, ready to be launched with CUDA's array of arguments' addresses.
#ifndef KERNELS_H
#define KERNELS_H

#include <functional>
#include <string>

namespace emulation {

struct kernel {
    const char *source, *name;
    // Copies the arguments, as a launch does, into something that one thread of the grid runs.
    std::function<std::function<void()>(void **arguments)> bind;
};

const kernel *find_kernel(const std::string &source, const std::string &name);
std::string kernel_names(const std::string &source);

}  // namespace emulation

#endif
