// The project's kernels, compiled for the host: each source in a namespace of its own, as each is a module of
// its own on a GPU.
#define CK_EMULATED_DEVICE
#include "kernels.h"
#include "ck_augment.h"
#include "ck_device.cuh"
#include "flow/coupling.h"
#include "jitter.cuh"
#include "log_sum.cuh"
#include "mixture/components.h"
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace augment {
#include "augment/augment.cu"
}
namespace cutpaste {
#include "cutpaste/cutpaste.cu"
}
namespace conv2d {
#include "conv2d/conv2d.cu"
}
namespace conv2d_bf16 {
#include "conv2d/conv2d_bf16.cu"
}
#undef CONV2D_BF16_CUH  // a module of its own compiles it anew
namespace conv2d_taps {
#include "conv2d/conv2d_taps.cu"
}
#undef CONV2D_BF16_CUH
namespace conv2d_hopper {
#include "conv2d/conv2d_hopper.cu"
}
namespace batchnorm {
#include "batchnorm/batchnorm.cu"
}
namespace elementwise {
#include "elementwise/elementwise.cu"
}
namespace pool {
#include "pool/pool.cu"
}
namespace dense {
#include "dense/dense.cu"
}
namespace softmax {
#include "softmax/softmax.cu"
}
namespace nt_xent {
#include "nt_xent/nt_xent.cu"
}
namespace distance {
#include "distance/distance.cu"
}
namespace kde {
#include "kde/kde.cu"
}
namespace flow {
#include "flow/flow.cu"
}
namespace mixture {
#include "mixture/mixture.cu"
}
namespace sgd {
#include "sgd/sgd.cu"
}
namespace lars {
#include "lars/lars.cu"
}
namespace adam {
#include "adam/adam.cu"
}

// ---- Each kernel's parameters are those that ck_kernels.h and ck_operations.h list ------------------------

namespace {

template <class...> struct types;
template <class> struct parameters;
template <class... Arguments> struct parameters<void (*)(Arguments...)> {
    using list = types<void, Arguments...>;
};
template <class Kernel, class Listed>
constexpr bool takes = std::is_same<typename parameters<Kernel>::list, Listed>::value;

typedef float element_f32;
typedef uint16_t element_bf16;
typedef int32_t element_i32;
typedef uint8_t element_u8;
typedef ck_step_state element_step;

#define OPERATION(name, params, summary) template <class element_act> using name##_operands = types < void
#define OUT(name, type, ...) , element_##type *
#define IN(name, type, ...) , const element_##type *
#define KERNEL_FOR(name, params, source, threads, grid) , ck_##params##_params
#define KERNEL_FOR_ACTIVATIONS KERNEL_FOR
#define END(name) > ;
#include "ck_operations.h"
#define KERNEL_FOR(name, params, source, threads, grid)                                                      \
    static_assert(takes<decltype(&::source::ck_##name), name##_operands<float>>,                             \
                  #name ": other parameters than it is listed with");
#define KERNEL_FOR_ACTIVATIONS(name, params, source, threads, grid)                                          \
    KERNEL_FOR(name, params, source, threads, grid)                                                          \
    static_assert(takes<decltype(&::source::ck_##name##_bf16), name##_operands<uint16_t>>,                   \
                  #name "_bf16: other parameters than it is listed with");
#include "ck_operations.h"

#define KERNEL(source, name, threads) static_assert(takes<decltype(&::source::name), types<void
#define ARGUMENT(type, name) , type
#define KERNEL_END(name) >>, #name ": other parameters than it is listed with");
#include "ck_kernels.h"

}  // namespace

namespace emulation {
namespace {

template <class... Arguments, size_t... I>
std::function<void()> bind_arguments(void (*f)(Arguments...), void **arguments, std::index_sequence<I...>) {
    std::tuple<Arguments...> copies(*(Arguments *)arguments[I]...);
    return [f, copies] { std::apply(f, copies); };
}

template <class... Arguments> kernel entry(const char *source, const char *name, void (*f)(Arguments...)) {
    return {source, name, [f](void **arguments) {
                return bind_arguments(f, arguments, std::index_sequence_for<Arguments...>());
            }};
}

const std::vector<kernel> &all() {
    static const std::vector<kernel> kernels = {
#define OPERATION_KERNEL(source, name, threads) entry(#source, #name, &::source::name),
#define KERNEL OPERATION_KERNEL
#include "ck_kernels.h"
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
