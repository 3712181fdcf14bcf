// The project's kernels, compiled for the host: each source in a namespace of its own, as each is a module of its own on a GPU.
#define CK_EMULATED_DEVICE
#include "ck_device.cuh"
#include "ck_augment.h"
#include "ck_kernels.h"
#include "jitter.cuh"
#include "kernels.h"
#include "log_sum.cuh"
#include <tuple>
#include <utility>
#include <vector>

namespace augment {
#include "augment.cu"
}
namespace cutpaste {
#include "cutpaste.cu"
}
namespace conv2d {
#include "conv2d.cu"
}
namespace batchnorm {
#include "batchnorm.cu"
}
namespace elementwise {
#include "elementwise.cu"
}
namespace pool {
#include "pool.cu"
}
namespace dense {
#include "dense.cu"
}
namespace softmax {
#include "softmax.cu"
}
namespace nt_xent {
#include "nt_xent.cu"
}
namespace pairwise {
#include "pairwise.cu"
}
namespace optimizer {
#include "optimizer.cu"
}

namespace emulation {
namespace {

template <class... Arguments, size_t... I>
std::function<void()> bind_arguments(void (*f)(Arguments...), void **arguments, std::index_sequence<I...>) {
    std::tuple<Arguments...> copies(*(Arguments *)arguments[I]...);
    return [f, copies] { std::apply(f, copies); };
}

template <class... Arguments> kernel entry(const char *source, const char *name, void (*f)(Arguments...)) {
    return {source, name, [f](void **arguments) { return bind_arguments(f, arguments, std::index_sequence_for<Arguments...>()); }};
}

const std::vector<kernel> &all() {
    static const std::vector<kernel> kernels = {
#define ENTRY(source, name) entry(#source, #name, &::source::name),
        CK_KERNELS(ENTRY)
#undef ENTRY
    };
    return kernels;
}

}  // namespace

const kernel *find_kernel(const std::string &source, const std::string &name) {
    for (const kernel &k : all())
        if (source == k.source && name == k.name) return &k;
    return nullptr;
}

std::string kernel_names(const std::string &source) {
    std::string names;
    for (const kernel &k : all())
        if (source == k.source) names += std::string(k.name) + "\n";
    return names;
}

}  // namespace emulation
