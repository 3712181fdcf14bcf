// Every kernel, by the source it is in: X(source, name). The launchers name kernels by these, so that a missing one does not
// compile; `occ-gpu kernels build` looks each up in what the compiler made.
#ifndef CK_KERNELS_H
#define CK_KERNELS_H

#define CK_CONV2D_KERNELS(X, pass)                                                                                     \
    X(conv2d, ck_conv2d_##pass##_strict_any)                                                                           \
    X(conv2d, ck_conv2d_##pass##_strict_small) X(conv2d, ck_conv2d_##pass##_strict_large)                              \
    X(conv2d, ck_conv2d_##pass##_tf32_any)                                                                             \
    X(conv2d, ck_conv2d_##pass##_tf32_small) X(conv2d, ck_conv2d_##pass##_tf32_large)                                  \
    X(conv2d, ck_conv2d_##pass##_bf16_any)                                                                             \
    X(conv2d, ck_conv2d_##pass##_bf16_small) X(conv2d, ck_conv2d_##pass##_bf16_large)

#define CK_KERNELS(X)                                                                                                  \
    X(augment, ck_gather) X(augment, ck_dihedral) X(augment, ck_random_crop) X(augment, ck_random_flip)                \
    X(augment, ck_color_jitter) X(augment, ck_random_gray) X(augment, ck_random_blur) X(augment, ck_gaussian_noise)    \
    X(cutpaste, ck_cutpaste)                                                                                           \
    CK_CONV2D_KERNELS(X, forward) CK_CONV2D_KERNELS(X, backward_data) CK_CONV2D_KERNELS(X, backward_weight)            \
    X(conv2d, ck_conv2d_add_parts)                                                                                     \
    X(batchnorm, ck_batchnorm_moments) X(batchnorm, ck_batchnorm_statistics) X(batchnorm, ck_batchnorm_normalize)      \
    X(batchnorm, ck_batchnorm_normalize4) X(batchnorm, ck_batchnorm_gradient_sums)                                     \
    X(batchnorm, ck_batchnorm_gradient_statistics) X(batchnorm, ck_batchnorm_gradient)                                 \
    X(batchnorm, ck_batchnorm_gradient4)                                                                               \
    X(batchnorm, ck_batchnorm_inference_scale) X(batchnorm, ck_batchnorm_inference_gradient)                           \
    X(elementwise, ck_relu_forward) X(elementwise, ck_relu_backward) X(elementwise, ck_add_tensors)                    \
    X(elementwise, ck_mean_squared_error_backward) X(elementwise, ck_squares) X(elementwise, ck_sum)                   \
    X(pool, ck_max_pool_forward) X(pool, ck_max_pool_backward) X(pool, ck_global_average_pool_forward)                 \
    X(pool, ck_global_average_pool_backward) X(pool, ck_upsample_forward) X(pool, ck_upsample_backward)                \
    X(dense, ck_dense_bias_gradient)                                                                                   \
    X(softmax, ck_l2_normalize_forward) X(softmax, ck_l2_normalize_backward) X(softmax, ck_softmax)                    \
    X(softmax, ck_softmax_cross_entropy_forward) X(softmax, ck_softmax_cross_entropy_backward)                         \
    X(nt_xent, ck_nt_xent_tile_forward) X(nt_xent, ck_nt_xent_finish) X(nt_xent, ck_nt_xent_tile_backward)             \
    X(pairwise, ck_products_tile) X(pairwise, ck_products_finish)                                                      \
    X(optimizer, ck_sgd) X(optimizer, ck_lars)

// The sources.
#define CK_KERNEL_SOURCES(X)                                                                                           \
    X(augment) X(cutpaste) X(conv2d) X(batchnorm) X(elementwise) X(pool) X(dense) X(softmax) X(nt_xent) X(pairwise) X(optimizer)

#endif
