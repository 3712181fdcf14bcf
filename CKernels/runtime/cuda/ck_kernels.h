// Every CUDA kernel, once. The launchers, the list that `occ-gpu kernels build` compiles, and the tests'
// emulation are made from it; the emulation also compares each kernel's parameters with what stands here.
//
// Like ck_operations.h the file has no include guard, and its includer defines the words:
//
//   OPERATION_KERNEL(source, name, threads)   an operation's own kernel, from KERNEL_FOR or
//                                             KERNEL_FOR_ACTIVATIONS in ck_operations.h
//   KERNEL(source, name, threads)             another one, in <source>.cu, launched in blocks of `threads`
//     ARGUMENT(type, name)                    one of its parameters, in order
//   KERNEL_END(name)

#ifndef OPERATION_KERNEL
#define OPERATION_KERNEL(source, name, threads)
#endif
#ifndef KERNEL
#define KERNEL(source, name, threads)
#endif
#ifndef ARGUMENT
#define ARGUMENT(type, name)
#endif
#ifndef KERNEL_END
#define KERNEL_END(name)
#endif

// The sources, each a module: <source>.cu, embedded in sources.c.
// clang-format off
#define CK_KERNEL_SOURCES(X)                                                                                 \
    X(augment) X(cutpaste) X(conv2d) X(conv2d_bf16) X(conv2d_hopper) X(conv2d_taps) X(batchnorm)             \
    X(elementwise) X(pool) X(dense) X(softmax) X(nt_xent)                                                    \
    X(distance) X(kde) X(flow) X(mixture) X(sgd) X(lars) X(adam)
// clang-format on

#define KERNEL_FOR(name, params, source, threads, grid) OPERATION_KERNEL(source, ck_##name, threads)
// clang-format off
#define KERNEL_FOR_ACTIVATIONS(name, params, source, threads, grid)                                          \
    OPERATION_KERNEL(source, ck_##name, threads)                                                             \
    OPERATION_KERNEL(source, ck_##name##_bf16, threads)
// clang-format on
#include "ck_operations.h"

// clang-format off
KERNEL(augment, ck_random_blur, 256)
    ARGUMENT(float *, y)
    ARGUMENT(const float *, x)
    ARGUMENT(const ck_step_state *, step)
    ARGUMENT(float *, middle)
    ARGUMENT(ck_image_params, p)
KERNEL_END(ck_random_blur)

KERNEL(cutpaste, ck_cutpaste, 256)
    ARGUMENT(float *, y)
    ARGUMENT(const float *, x)
    ARGUMENT(const int32_t *, kinds)
    ARGUMENT(const ck_step_state *, step)
    ARGUMENT(float *, parts)
    ARGUMENT(ck_cutpaste_params, p)
KERNEL_END(ck_cutpaste)

// ---- Convolution: each pass in two modes and three forms (launch.c says which is taken when) ------------

#define CONV2D_KERNEL(pass, mode, form, threads, result, first, second, ...)                                 \
    KERNEL(conv2d, ck_conv2d_##pass##_##mode##_##form, threads)                                              \
        ARGUMENT(float *, result)                                                                            \
        ARGUMENT(const float *, first)                                                                       \
        ARGUMENT(const float *, second)                                                                      \
        __VA_ARGS__                                                                                          \
        ARGUMENT(ck_conv2d_params, p)                                                                        \
    KERNEL_END(ck_conv2d_##pass##_##mode##_##form)
#define CONV2D_MODE(pass, mode, ...)                                                                         \
    CONV2D_KERNEL(pass, mode, any, 128, __VA_ARGS__)                                                         \
    CONV2D_KERNEL(pass, mode, small, 128, __VA_ARGS__)                                                       \
    CONV2D_KERNEL(pass, mode, large, 256, __VA_ARGS__)
#define CONV2D_PASS(pass, ...)                                                                               \
    CONV2D_MODE(pass, strict, __VA_ARGS__)                                                                   \
    CONV2D_MODE(pass, tf32, __VA_ARGS__)

CONV2D_PASS(forward, y, x, w, )
CONV2D_PASS(backward_data, dx, dy, w, )
CONV2D_PASS(backward_weight, parts, dy, x, ARGUMENT(int32_t, share))

#undef CONV2D_PASS
#undef CONV2D_MODE
#undef CONV2D_KERNEL

KERNEL(conv2d, ck_conv2d_add_parts, 256)
    ARGUMENT(float *, dw)
    ARGUMENT(const float *, parts)
    ARGUMENT(int32_t, count)
    ARGUMENT(int64_t, size)
KERNEL_END(ck_conv2d_add_parts)

// ---- Convolution of bf16 values ---------------------------------------------------------------------------

#define WINDOWS_KERNEL(source, size, threads)                                                                \
    KERNEL(source, ck_##source##_windows##size, threads)                                                     \
        ARGUMENT(void *, to)                                                                                 \
        ARGUMENT(const uint16_t *, from)                                                                     \
        ARGUMENT(const uint16_t *, filters)                                                                  \
        ARGUMENT(int32_t, backward)                                                                          \
        ARGUMENT(int32_t, depth)                                                                             \
        ARGUMENT(int32_t, is_bf16)                                                                           \
        ARGUMENT(int32_t, parts)                                                                             \
        ARGUMENT(int32_t, share)                                                                             \
        ARGUMENT(ck_conv2d_epilogue, epilogue)                                                               \
        ARGUMENT(ck_conv2d_params, p)                                                                        \
    KERNEL_END(ck_##source##_windows##size)
#define GRADIENT_KERNEL(source, size, threads)                                                               \
    KERNEL(source, ck_##source##_gradient##size, threads)                                                    \
        ARGUMENT(float *, parts)                                                                             \
        ARGUMENT(const uint16_t *, dy)                                                                       \
        ARGUMENT(const uint16_t *, x)                                                                        \
        ARGUMENT(int32_t, depth)                                                                             \
        ARGUMENT(int32_t, dy_depth)                                                                          \
        ARGUMENT(int32_t, share)                                                                             \
        ARGUMENT(ck_conv2d_params, p)                                                                        \
    KERNEL_END(ck_##source##_gradient##size)
WINDOWS_KERNEL(conv2d_bf16, _128x128, 128)
WINDOWS_KERNEL(conv2d_bf16, _128x64, 128)
GRADIENT_KERNEL(conv2d_bf16, _128x128, 128)
GRADIENT_KERNEL(conv2d_bf16, _64x128, 128)
WINDOWS_KERNEL(conv2d_hopper, _128x256, 256)
WINDOWS_KERNEL(conv2d_hopper, _128x128, 256)
WINDOWS_KERNEL(conv2d_hopper, _128x64, 256)
GRADIENT_KERNEL(conv2d_hopper, _128x256, 256)
GRADIENT_KERNEL(conv2d_hopper, _128x128, 256)
GRADIENT_KERNEL(conv2d_hopper, _64x128, 256)
WINDOWS_KERNEL(conv2d_taps, , 512)
GRADIENT_KERNEL(conv2d_taps, , 384)
#undef WINDOWS_KERNEL
#undef GRADIENT_KERNEL

KERNEL(conv2d_bf16, ck_conv2d_bf16_pack, 256)
    ARGUMENT(uint16_t *, to)
    ARGUMENT(const float *, from)
    ARGUMENT(int64_t, rows)
    ARGUMENT(int32_t, channels)
    ARGUMENT(int32_t, depth)
KERNEL_END(ck_conv2d_bf16_pack)

KERNEL(conv2d_bf16, ck_conv2d_bf16_fill, 256)
    ARGUMENT(uint16_t *, to)
    ARGUMENT(const uint16_t *, from)
    ARGUMENT(int64_t, rows)
    ARGUMENT(int32_t, channels)
    ARGUMENT(int32_t, depth)
KERNEL_END(ck_conv2d_bf16_fill)

KERNEL(conv2d_bf16, ck_conv2d_bf16_turn, 256)
    ARGUMENT(uint16_t *, to)
    ARGUMENT(const float *, w)
    ARGUMENT(int32_t, depth)
    ARGUMENT(ck_conv2d_params, p)
KERNEL_END(ck_conv2d_bf16_turn)

KERNEL(conv2d_bf16, ck_conv2d_bf16_finish, 256)
    ARGUMENT(void *, to)
    ARGUMENT(const float *, from)
    ARGUMENT(int32_t, is_bf16)
    ARGUMENT(int32_t, parts)
    ARGUMENT(int32_t, channels)
    ARGUMENT(int64_t, size)
    ARGUMENT(ck_conv2d_epilogue, epilogue)
KERNEL_END(ck_conv2d_bf16_finish)

KERNEL(conv2d_bf16, ck_conv2d_bf16_finish_gradient, 256)
    ARGUMENT(float *, dw)
    ARGUMENT(const float *, from)
    ARGUMENT(int32_t, parts)
    ARGUMENT(int64_t, rows)
    ARGUMENT(int32_t, channels)
    ARGUMENT(int32_t, depth)
KERNEL_END(ck_conv2d_bf16_finish_gradient)

// ---- Batch normalization: kernels over the values in four forms (batchnorm.cu) ----------------------------

#define FOUR_FORMS(name, ...)                                                                                \
    KERNEL(batchnorm, name, 256) __VA_ARGS__ KERNEL_END(name)                                                \
    KERNEL(batchnorm, name##_wide, 256) __VA_ARGS__ KERNEL_END(name##_wide)                                  \
    KERNEL(batchnorm, name##_bf16, 256) __VA_ARGS__ KERNEL_END(name##_bf16)                                  \
    KERNEL(batchnorm, name##_bf16_wide, 256) __VA_ARGS__ KERNEL_END(name##_bf16_wide)

FOUR_FORMS(ck_batchnorm_moments,
    ARGUMENT(float *, partial)
    ARGUMENT(float *, origin)
    ARGUMENT(const void *, x)
    ARGUMENT(int64_t, share)
    ARGUMENT(int32_t, lanes)
    ARGUMENT(ck_batchnorm_params, p))

KERNEL(batchnorm, ck_batchnorm_fold, 256)
    ARGUMENT(float *, folded)
    ARGUMENT(const float *, partial)
    ARGUMENT(int32_t, parts)
    ARGUMENT(int32_t, share)
    ARGUMENT(int32_t, columns)
KERNEL_END(ck_batchnorm_fold)

KERNEL(batchnorm, ck_batchnorm_statistics, 256)
    ARGUMENT(float *, mean)
    ARGUMENT(float *, inverse_deviation)
    ARGUMENT(float *, running_mean)
    ARGUMENT(float *, running_variance)
    ARGUMENT(float *, scale)
    ARGUMENT(float *, shift)
    ARGUMENT(const float *, partial)
    ARGUMENT(const float *, origin)
    ARGUMENT(const float *, gamma)
    ARGUMENT(const float *, beta)
    ARGUMENT(int32_t, parts)
    ARGUMENT(ck_batchnorm_params, p)
KERNEL_END(ck_batchnorm_statistics)

KERNEL(batchnorm, ck_batchnorm_own_moments, 256)
    ARGUMENT(float *, moments)
    ARGUMENT(const float *, partial)
    ARGUMENT(const float *, origin)
    ARGUMENT(int32_t, parts)
    ARGUMENT(ck_batchnorm_params, p)
KERNEL_END(ck_batchnorm_own_moments)

KERNEL(batchnorm, ck_batchnorm_merge, 64)
    ARGUMENT(float *, mean)
    ARGUMENT(float *, inverse_deviation)
    ARGUMENT(float *, running_mean)
    ARGUMENT(float *, running_variance)
    ARGUMENT(float *, scale)
    ARGUMENT(float *, shift)
    ARGUMENT(const float *, moments)
    ARGUMENT(const float *, gamma)
    ARGUMENT(const float *, beta)
    ARGUMENT(ck_batchnorm_params, p)
KERNEL_END(ck_batchnorm_merge)

FOUR_FORMS(ck_batchnorm_normalize,
    ARGUMENT(void *, y)
    ARGUMENT(const void *, x)
    ARGUMENT(const void *, residual)
    ARGUMENT(const float *, scale)
    ARGUMENT(const float *, shift)
    ARGUMENT(ck_batchnorm_params, p))

FOUR_FORMS(ck_batchnorm_gradient_sums,
    ARGUMENT(float *, partial)
    ARGUMENT(const void *, dy)
    ARGUMENT(const void *, x)
    ARGUMENT(const void *, y)
    ARGUMENT(const float *, mean)
    ARGUMENT(int64_t, share)
    ARGUMENT(int32_t, lanes)
    ARGUMENT(ck_batchnorm_params, p))

KERNEL(batchnorm, ck_batchnorm_gradient_statistics, 256)
    ARGUMENT(float *, dgamma)
    ARGUMENT(float *, dbeta)
    ARGUMENT(float *, scale)
    ARGUMENT(float *, mean_dy)
    ARGUMENT(float *, slope)
    ARGUMENT(const float *, partial)
    ARGUMENT(const float *, inverse_deviation)
    ARGUMENT(const float *, gamma)
    ARGUMENT(int32_t, parts)
    ARGUMENT(ck_batchnorm_params, p)
KERNEL_END(ck_batchnorm_gradient_statistics)

KERNEL(batchnorm, ck_batchnorm_own_gradient_sums, 256)
    ARGUMENT(float *, dgamma)
    ARGUMENT(float *, dbeta)
    ARGUMENT(float *, sums)
    ARGUMENT(const float *, partial)
    ARGUMENT(const float *, inverse_deviation)
    ARGUMENT(int32_t, parts)
    ARGUMENT(ck_batchnorm_params, p)
KERNEL_END(ck_batchnorm_own_gradient_sums)

KERNEL(batchnorm, ck_batchnorm_merge_gradient_sums, 64)
    ARGUMENT(float *, scale)
    ARGUMENT(float *, mean_dy)
    ARGUMENT(float *, slope)
    ARGUMENT(const float *, sums)
    ARGUMENT(const float *, inverse_deviation)
    ARGUMENT(const float *, gamma)
    ARGUMENT(ck_batchnorm_params, p)
KERNEL_END(ck_batchnorm_merge_gradient_sums)

FOUR_FORMS(ck_batchnorm_gradient,
    ARGUMENT(void *, dx)
    ARGUMENT(void *, dresidual)
    ARGUMENT(const void *, dy)
    ARGUMENT(const void *, x)
    ARGUMENT(const void *, y)
    ARGUMENT(const float *, mean)
    ARGUMENT(const float *, scale)
    ARGUMENT(const float *, mean_dy)
    ARGUMENT(const float *, slope)
    ARGUMENT(ck_batchnorm_params, p))

KERNEL(batchnorm, ck_batchnorm_inference_scale, 64)
    ARGUMENT(float *, scale)
    ARGUMENT(float *, shift)
    ARGUMENT(const float *, gamma)
    ARGUMENT(const float *, beta)
    ARGUMENT(const float *, mean)
    ARGUMENT(const float *, variance)
    ARGUMENT(ck_batchnorm_params, p)
KERNEL_END(ck_batchnorm_inference_scale)

FOUR_FORMS(ck_batchnorm_inference_gradient,
    ARGUMENT(void *, dx)
    ARGUMENT(void *, dresidual)
    ARGUMENT(const void *, dy)
    ARGUMENT(const void *, y)
    ARGUMENT(const float *, scale)
    ARGUMENT(ck_batchnorm_params, p))
#undef FOUR_FORMS

// ---- Sums -------------------------------------------------------------------------------------------------

KERNEL(elementwise, ck_squares, 256)
    ARGUMENT(double *, partial)
    ARGUMENT(const float *, a)
    ARGUMENT(const float *, b)
    ARGUMENT(int64_t, count)
    ARGUMENT(int64_t, share)
KERNEL_END(ck_squares)

KERNEL(elementwise, ck_sum, 256)
    ARGUMENT(float *, y)
    ARGUMENT(const double *, partial)
    ARGUMENT(int64_t, count)
    ARGUMENT(double, factor)
KERNEL_END(ck_sum)

KERNEL(dense, ck_dense_bias_gradient, 256)
    ARGUMENT(float *, db)
    ARGUMENT(const float *, dy)
    ARGUMENT(ck_dense_params, p)
KERNEL_END(ck_dense_bias_gradient)

KERNEL(dense, ck_dense_add_bias, 256)
    ARGUMENT(float *, c)
    ARGUMENT(const float *, bias)
    ARGUMENT(int64_t, rows)
    ARGUMENT(int64_t, columns)
    ARGUMENT(int64_t, leading)
KERNEL_END(ck_dense_add_bias)

KERNEL(softmax, ck_softmax_cross_entropy_forward, 128)
    ARGUMENT(double *, partial)
    ARGUMENT(float *, probabilities)
    ARGUMENT(const float *, logits)
    ARGUMENT(const int32_t *, labels)
    ARGUMENT(ck_cross_entropy_params, p)
KERNEL_END(ck_softmax_cross_entropy_forward)

// ---- Tiles of products ------------------------------------------------------------------------------------

KERNEL(nt_xent, ck_nt_xent_tile_forward, 128)
    ARGUMENT(float *, largest)
    ARGUMENT(double *, sums)
    ARGUMENT(float *, positive)
    ARGUMENT(const float *, tile)
    ARGUMENT(int32_t, own)
    ARGUMENT(int32_t, first)
    ARGUMENT(int32_t, column)
    ARGUMENT(int32_t, columns)
    ARGUMENT(int64_t, leading)
    ARGUMENT(int32_t, is_first)
    ARGUMENT(ck_nt_xent_params, p)
KERNEL_END(ck_nt_xent_tile_forward)

KERNEL(nt_xent, ck_nt_xent_finish, 256)
    ARGUMENT(float *, lse)
    ARGUMENT(double *, partial)
    ARGUMENT(const float *, largest)
    ARGUMENT(const double *, sums)
    ARGUMENT(const float *, positive)
    ARGUMENT(int64_t, anchors)
KERNEL_END(ck_nt_xent_finish)

KERNEL(nt_xent, ck_nt_xent_tile_backward, 256)
    ARGUMENT(float *, tile)
    ARGUMENT(const float *, lse)
    ARGUMENT(int32_t, first)
    ARGUMENT(int32_t, column)
    ARGUMENT(int32_t, columns)
    ARGUMENT(int64_t, leading)
    ARGUMENT(ck_nt_xent_params, p)
KERNEL_END(ck_nt_xent_tile_backward)

KERNEL(kde, ck_products_tile, 128)
    ARGUMENT(float *, largest)
    ARGUMENT(double *, sums)
    ARGUMENT(const float *, tile)
    ARGUMENT(int32_t, first)
    ARGUMENT(int32_t, columns)
    ARGUMENT(int64_t, leading)
    ARGUMENT(int32_t, is_first)
    ARGUMENT(float, scale)
KERNEL_END(ck_products_tile)

KERNEL(kde, ck_products_finish, 256)
    ARGUMENT(float *, lse)
    ARGUMENT(const float *, largest)
    ARGUMENT(const double *, sums)
    ARGUMENT(int64_t, count)
KERNEL_END(ck_products_finish)

// ---- Optimizers -------------------------------------------------------------------------------------------

KERNEL(lars, ck_lars, 256)
    ARGUMENT(float *, w)
    ARGUMENT(float *, velocity)
    ARGUMENT(const float *, dw)
    ARGUMENT(const ck_step_state *, step)
    ARGUMENT(const double *, partial)
    ARGUMENT(int64_t, blocks)
    ARGUMENT(ck_optimizer_params, p)
KERNEL_END(ck_lars)

KERNEL(flow, ck_coupling_gradient, 256)
    ARGUMENT(float *, dx)
    ARGUMENT(float *, dnet)
    ARGUMENT(const float *, dy)
    ARGUMENT(const float *, dlog_likelihood)
    ARGUMENT(const float *, x)
    ARGUMENT(const float *, net)
    ARGUMENT(const float *, factor)
    ARGUMENT(ck_coupling_params, p)
KERNEL_END(ck_coupling_gradient)

KERNEL(flow, ck_coupling_factor_gradient, 256)
    ARGUMENT(float *, dfactor)
    ARGUMENT(const float *, dy)
    ARGUMENT(const float *, dlog_likelihood)
    ARGUMENT(const float *, x)
    ARGUMENT(const float *, net)
    ARGUMENT(const float *, factor)
    ARGUMENT(ck_coupling_params, p)
KERNEL_END(ck_coupling_factor_gradient)

KERNEL(mixture, ck_mixture_row_gradients, 128)
    ARGUMENT(float *, dz)
    ARGUMENT(double *, parts)
    ARGUMENT(const float *, z)
    ARGUMENT(const float *, share)
    ARGUMENT(const float *, mean)
    ARGUMENT(const float *, covariance)
    ARGUMENT(const float *, energy)
    ARGUMENT(ck_mixture_params, p)
KERNEL_END(ck_mixture_row_gradients)

KERNEL(mixture, ck_mixture_inverses, 128)
    ARGUMENT(double *, inverses)
    ARGUMENT(const float *, share)
    ARGUMENT(const float *, covariance)
    ARGUMENT(ck_mixture_params, p)
KERNEL_END(ck_mixture_inverses)

KERNEL(mixture, ck_mixture_component_gradients, 128)
    ARGUMENT(float *, dshare)
    ARGUMENT(float *, dmean)
    ARGUMENT(float *, dcovariance)
    ARGUMENT(const double *, parts)
    ARGUMENT(const double *, inverses)
    ARGUMENT(double, factor)
    ARGUMENT(ck_mixture_params, p)
KERNEL_END(ck_mixture_component_gradients)

// clang-format on
#undef OPERATION_KERNEL
#undef KERNEL
#undef ARGUMENT
#undef KERNEL_END
