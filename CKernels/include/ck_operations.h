// The operations of a plan, each declared once: what it reads and writes, by name, and what it needs.
//
// The file has no include guard: whoever includes it first defines the words below as it needs them (those it
// leaves out mean nothing), and they are undefined again at the end. From this list come the struct of
// operands that a backend's function gets (`t->mean`), the tables of both backends, the labels of Swift's
// functions (Sources/OCCEngine/Operations.swift), the names in the parity cases, and what is checked when a
// plan is made.
//
//   OPERATION(name, params, summary)  begins an operation; its parameters, a ck_<params>_params, are p below
//     OUT(name, type, extents...)     an operand that is written
//     UPDATE(name, type, extents...)  one that is read and written
//     IN(name, type, extents...)      one that is read
//     OPTIONAL_OUT, OPTIONAL_IN       the same, but may be absent
//     REQUIRE(condition, text)        what else must hold; `t` tells of each operand whether it is there
//     WORKSPACE(name, params)         it needs scratch memory: each backend says how much,
//                                     ..._workspace_<name>
//     KERNEL_FOR(name, params, source, threads, grid)
//                                     on a GPU it is one kernel, ck_<name>(operands..., p), in <source>.cu
//     KERNEL_FOR_ACTIVATIONS(...)     the same, and a second one, ck_<name>_bf16, for activations in bf16
//     LAUNCHER(name, params)          on a GPU it has a launcher of its own, ck_cuda_<name>
//   END(name)
//
// A type is f32, bf16, i32, u8, step (the step-state block), or act: f32 or bf16, as p->activations says, the
// same for all `act` operands of an operation. These are activations and their gradients; weights, statistics
// and losses are f32 always.
//
// Operands are listed outputs first. An extent is an expression of p, or ANY. A tensor fits when its last
// extents are those declared and its first ones come to the first declared one's count: [N,H,W,C] fits
// (rows, channels).
//
// N images, H x W pixels, C channels in, K channels out, R x S filter, P x Q pixels out; NHWC and KRSC.

#ifndef OPERATION
#define OPERATION(name, params, summary)
#endif
#ifndef OUT
#define OUT(name, type, ...)
#endif
#ifndef UPDATE
#define UPDATE OUT
#endif
#ifndef OPTIONAL_OUT
#define OPTIONAL_OUT OUT
#endif
#ifndef IN
#define IN(name, type, ...)
#endif
#ifndef OPTIONAL_IN
#define OPTIONAL_IN IN
#endif
#ifndef REQUIRE
#define REQUIRE(condition, text)
#endif
#ifndef WORKSPACE
#define WORKSPACE(name, params)
#endif
#ifndef KERNEL_FOR
#define KERNEL_FOR(name, params, source, threads, grid)
#endif
#ifndef KERNEL_FOR_ACTIVATIONS
#define KERNEL_FOR_ACTIVATIONS(name, params, source, threads, grid)
#endif
#ifndef LAUNCHER
#define LAUNCHER(name, params)
#endif
#ifndef END
#define END(name)
#endif
#define IMAGE_ELEMENTS ((int64_t)p->n * p->h * p->w * p->c)
#define IMAGE_PIXELS ((int64_t)p->n * p->h * p->w)

// clang-format off
// ---- Images -----------------------------------------------------------------------------------------------

OPERATION(gather, image, "The part of image `index` from `corner` (row, column) on, divided by 255")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(data, u8, ANY, p->stored_h, p->stored_w, p->c)
    IN(indices, i32, p->n)
    OPTIONAL_IN(corners, i32, p->n, 2)
    REQUIRE(t->corners || (p->stored_h == p->h && p->stored_w == p->w), "parts of images need corners")
    REQUIRE(p->h <= p->stored_h && p->w <= p->stored_w, "a part is no larger than the image")
    KERNEL_FOR(gather, image, augment, 256, ck_elements(IMAGE_ELEMENTS))
END(gather)

OPERATION(dihedral, image, "Each image under one of the eight symmetries of the square (ck_dihedral.h)")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(transforms, i32, p->n)
    REQUIRE(p->h == p->w, "the symmetries of the square need square images")
    KERNEL_FOR(dihedral, image, augment, 256, ck_elements(IMAGE_ELEMENTS))
END(dihedral)

OPERATION(translate, image, "Each image moved by steps of p's unit (down, right), its edges mirrored")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(shifts, i32, p->n, 2)
    KERNEL_FOR(translate, image, augment, 256, ck_elements(IMAGE_ELEMENTS))
END(translate)

OPERATION(random_crop, image, "A square crop of random side and place, resized back (bilinear)")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(step, step, 1)
    REQUIRE(p->minimum > 0 && p->minimum <= 1, "the smallest side is a share of the image above 0, at most 1")
    KERNEL_FOR(random_crop, image, augment, 256, ck_elements(IMAGE_PIXELS))
END(random_crop)

OPERATION(random_flip, image, "The image, or with p's probability its mirror image (left and right)")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(step, step, 1)
    KERNEL_FOR(random_flip, image, augment, 256, ck_elements(IMAGE_ELEMENTS))
END(random_flip)

OPERATION(color_jitter, image, "Brightness, contrast, saturation and hue changed, in a random order")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(step, step, 1)
    REQUIRE(p->c == 3, "color operations need 3 channels")
    KERNEL_FOR(color_jitter, image, augment, 256, ck_blocks(p->n))
END(color_jitter)

OPERATION(random_gray, image, "The image, or with p's probability three equal channels of its luma")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(step, step, 1)
    REQUIRE(p->c == 3, "color operations need 3 channels")
    KERNEL_FOR(random_gray, image, augment, 256, ck_elements(IMAGE_PIXELS))
END(random_gray)

OPERATION(random_solarize, image, "The image, or with p's probability its values from 0.5 on inverted")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(step, step, 1)
    KERNEL_FOR(random_solarize, image, augment, 256, ck_elements(IMAGE_ELEMENTS))
END(random_solarize)

OPERATION(random_blur, image, "Gaussian blur, separable, edges clamped")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(step, step, 1)
    REQUIRE(p->taps >= 1 && p->taps <= CK_MAX_BLUR_TAPS && p->taps % 2 == 1,
            "a blur has an odd number of taps, 63 at most")
    WORKSPACE(random_blur, image)
    LAUNCHER(random_blur, image)
END(random_blur)

OPERATION(cutpaste, cutpaste, "CutPaste: a part of the image pasted into it (kinds: CK_PASTE_...)")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(kinds, i32, p->n)
    IN(step, step, 1)
    REQUIRE(p->c == 3, "color operations need 3 channels")
    WORKSPACE(cutpaste, cutpaste)
    LAUNCHER(cutpaste, cutpaste)
END(cutpaste)

#define REQUIRE_OWN_NUMBERS                                                                                  \
    REQUIRE((int64_t)p->h * p->w * p->c <= 4 * ((1 << 20) - 1),                                              \
            "an image of at most 4,194,300 values has a random number of its own for each")

OPERATION(gaussian_noise, image, "The image with normal noise of deviation p's maximum added")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(step, step, 1)
    REQUIRE_OWN_NUMBERS
    KERNEL_FOR(gaussian_noise, image, augment, 256,
               ck_elements(p->n * ck_ceil_div((int64_t)p->h * p->w * p->c, 4)))
END(gaussian_noise)

OPERATION(dropout, image, "Each value 0 with p's probability, or divided by 1 - it; its own gradient, too")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(step, step, 1)
    REQUIRE(p->probability >= 0 && p->probability < 1, "the probability is at least 0 and below 1")
    REQUIRE_OWN_NUMBERS
    KERNEL_FOR(dropout, image, augment, 256,
               ck_elements(p->n * ck_ceil_div((int64_t)p->h * p->w * p->c, 4)))
END(dropout)

// ---- Convolution and dense layers -------------------------------------------------------------------------

#define REQUIRE_CONVOLUTION                                                                                  \
    REQUIRE(p->stride >= 1 && p->pad >= 0, "the stride is at least 1 and the padding at least 0")            \
    REQUIRE(p->h + 2 * p->pad >= p->r && p->w + 2 * p->pad >= p->s,                                          \
            "the filter is no larger than the padded image")                                                 \
    REQUIRE(p->p == (p->h + 2 * p->pad - p->r) / p->stride + 1 &&                                            \
                p->q == (p->w + 2 * p->pad - p->s) / p->stride + 1,                                          \
            "P and Q follow from the image, the filter, the stride and the padding")                         \
    REQUIRE(p->activations != CK_bf16 || p->math == CK_MATH_BF16, "activations in bf16 need products in bf16")

OPERATION(conv2d_forward, conv2d, "The convolution of x with the filters w, zeros around the image")
    OUT(y, act, p->n, p->p, p->q, p->k)
    IN(x, act, p->n, p->h, p->w, p->c)
    IN(w, f32, p->k, p->r, p->s, p->c)
    REQUIRE_CONVOLUTION
    WORKSPACE(conv2d_forward, conv2d)
    LAUNCHER(conv2d_forward, conv2d)
END(conv2d_forward)

OPERATION(conv2d_backward_data, conv2d, "A convolution's gradient by its input")
    OUT(dx, act, p->n, p->h, p->w, p->c)
    IN(dy, act, p->n, p->p, p->q, p->k)
    IN(w, f32, p->k, p->r, p->s, p->c)
    REQUIRE_CONVOLUTION
    WORKSPACE(conv2d_backward_data, conv2d)
    LAUNCHER(conv2d_backward_data, conv2d)
END(conv2d_backward_data)

OPERATION(conv2d_backward_weight, conv2d, "A convolution's gradient by its filters")
    OUT(dw, f32, p->k, p->r, p->s, p->c)
    IN(dy, act, p->n, p->p, p->q, p->k)
    IN(x, act, p->n, p->h, p->w, p->c)
    REQUIRE_CONVOLUTION
    WORKSPACE(conv2d_backward_weight, conv2d)
    LAUNCHER(conv2d_backward_weight, conv2d)
END(conv2d_backward_weight)

OPERATION(conv2d_inference, conv2d, "A convolution, normalized: relu?(batchnorm_inference(x * w) + residual)")
    OUT(y, act, p->n, p->p, p->q, p->k)
    IN(x, act, p->n, p->h, p->w, p->c)
    IN(w, f32, p->k, p->r, p->s, p->c)
    IN(gamma, f32, p->k)
    IN(beta, f32, p->k)
    IN(running_mean, f32, p->k)
    IN(running_variance, f32, p->k)
    OPTIONAL_IN(residual, act, p->n, p->p, p->q, p->k)
    REQUIRE_CONVOLUTION
    WORKSPACE(conv2d_inference, conv2d)
    LAUNCHER(conv2d_inference, conv2d)
END(conv2d_inference)

// With batch normalization by the batch: what need not go over the values again for its sums.

OPERATION(conv2d_batchnorm_forward, conv2d, "z = x * w and batchnorm_forward of it")
    OUT(y, act, p->n, p->p, p->q, p->k)
    OUT(z, act, p->n, p->p, p->q, p->k)
    OUT(mean, f32, p->k)
    OUT(inverse_deviation, f32, p->k)
    UPDATE(running_mean, f32, p->k)
    UPDATE(running_variance, f32, p->k)
    IN(x, act, p->n, p->h, p->w, p->c)
    IN(w, f32, p->k, p->r, p->s, p->c)
    OPTIONAL_IN(residual, act, p->n, p->p, p->q, p->k)
    IN(gamma, f32, p->k)
    IN(beta, f32, p->k)
    REQUIRE_CONVOLUTION
    WORKSPACE(conv2d_batchnorm_forward, conv2d)
    LAUNCHER(conv2d_batchnorm_forward, conv2d)
END(conv2d_batchnorm_forward)

OPERATION(conv2d_batchnorm_backward, conv2d, "conv2d_backward_data plus `added`, and batchnorm_backward of that")
    OUT(dx, act, p->n, p->h, p->w, p->c)
    OUT(dgamma, f32, p->c)
    OUT(dbeta, f32, p->c)
    OUT(dresidual, act, p->n, p->h, p->w, p->c)
    IN(dy, act, p->n, p->p, p->q, p->k)
    IN(w, f32, p->k, p->r, p->s, p->c)
    OPTIONAL_IN(added, act, p->n, p->h, p->w, p->c)
    IN(x, act, p->n, p->h, p->w, p->c)
    IN(y, act, p->n, p->h, p->w, p->c)
    IN(mean, f32, p->c)
    IN(inverse_deviation, f32, p->c)
    IN(gamma, f32, p->c)
    REQUIRE_CONVOLUTION
    WORKSPACE(conv2d_batchnorm_backward, conv2d)
    LAUNCHER(conv2d_batchnorm_backward, conv2d)
END(conv2d_batchnorm_backward)

OPERATION(dense_forward, dense, "x w^T + b")
    OUT(y, f32, p->n, p->k)
    IN(x, f32, p->n, p->c)
    IN(w, f32, p->k, p->c)
    OPTIONAL_IN(b, f32, p->k)
    LAUNCHER(dense_forward, dense)
END(dense_forward)

OPERATION(dense_backward_data, dense, "A dense layer's gradient by its input")
    OUT(dx, f32, p->n, p->c)
    IN(dy, f32, p->n, p->k)
    IN(w, f32, p->k, p->c)
    LAUNCHER(dense_backward_data, dense)
END(dense_backward_data)

OPERATION(dense_backward_weight, dense, "A dense layer's gradients by its weights and biases")
    OUT(dw, f32, p->k, p->c)
    OPTIONAL_OUT(db, f32, p->k)
    IN(dy, f32, p->n, p->k)
    IN(x, f32, p->n, p->c)
    LAUNCHER(dense_backward_weight, dense)
END(dense_backward_weight)

// ---- Batch normalization ----------------------------------------------------------------------------------

OPERATION(batchnorm_forward, batchnorm, "relu?((x - mean) * inverse_deviation * gamma + beta + residual)")
    OUT(y, act, p->rows, p->channels)
    OUT(mean, f32, p->channels)
    OUT(inverse_deviation, f32, p->channels)
    UPDATE(running_mean, f32, p->channels)
    UPDATE(running_variance, f32, p->channels)
    IN(x, act, p->rows, p->channels)
    OPTIONAL_IN(residual, act, p->rows, p->channels)
    IN(gamma, f32, p->channels)
    IN(beta, f32, p->channels)
    WORKSPACE(batchnorm_forward, batchnorm)
    LAUNCHER(batchnorm_forward, batchnorm)
END(batchnorm_forward)

OPERATION(batchnorm_backward, batchnorm, "The gradients of batchnorm_forward")
    OUT(dx, act, p->rows, p->channels)
    OUT(dgamma, f32, p->channels)
    OUT(dbeta, f32, p->channels)
    OPTIONAL_OUT(dresidual, act, p->rows, p->channels)
    IN(dy, act, p->rows, p->channels)
    IN(x, act, p->rows, p->channels)
    IN(y, act, p->rows, p->channels)
    IN(mean, f32, p->channels)
    IN(inverse_deviation, f32, p->channels)
    IN(gamma, f32, p->channels)
    WORKSPACE(batchnorm_backward, batchnorm)
    LAUNCHER(batchnorm_backward, batchnorm)
END(batchnorm_backward)

// The same for a batch that several ranks share: what each knows of its rows is gathered from all in between.

OPERATION(batchnorm_moments, batchnorm, "Of this rank's rows, the mean and the sum of squared deviations")
    OUT(moments, f32, 2, p->channels)
    IN(x, act, p->rows, p->channels)
    WORKSPACE(batchnorm_moments, batchnorm)
    LAUNCHER(batchnorm_moments, batchnorm)
END(batchnorm_moments)

OPERATION(batchnorm_normalize, batchnorm, "batchnorm_forward of this rank's rows, by the moments of all ranks")
    OUT(y, act, p->rows, p->channels)
    OUT(mean, f32, p->channels)
    OUT(inverse_deviation, f32, p->channels)
    UPDATE(running_mean, f32, p->channels)
    UPDATE(running_variance, f32, p->channels)
    IN(x, act, p->rows, p->channels)
    OPTIONAL_IN(residual, act, p->rows, p->channels)
    IN(gamma, f32, p->channels)
    IN(beta, f32, p->channels)
    IN(moments, f32, 2 * p->ranks, p->channels)
    REQUIRE(p->ranks >= 1, "there is at least one rank")
    WORKSPACE(batchnorm_normalize, batchnorm)
    LAUNCHER(batchnorm_normalize, batchnorm)
END(batchnorm_normalize)

OPERATION(batchnorm_gradient_sums, batchnorm, "This rank's share of the gradients by gamma and beta")
    OUT(dgamma, f32, p->channels)
    OUT(dbeta, f32, p->channels)
    OUT(sums, f32, 2, p->channels)
    IN(dy, act, p->rows, p->channels)
    IN(x, act, p->rows, p->channels)
    IN(y, act, p->rows, p->channels)
    IN(mean, f32, p->channels)
    IN(inverse_deviation, f32, p->channels)
    WORKSPACE(batchnorm_gradient_sums, batchnorm)
    LAUNCHER(batchnorm_gradient_sums, batchnorm)
END(batchnorm_gradient_sums)

OPERATION(batchnorm_gradient, batchnorm, "The gradient of this rank's rows, by the sums (dbeta, dgamma) of all ranks")
    OUT(dx, act, p->rows, p->channels)
    OPTIONAL_OUT(dresidual, act, p->rows, p->channels)
    IN(dy, act, p->rows, p->channels)
    IN(x, act, p->rows, p->channels)
    IN(y, act, p->rows, p->channels)
    IN(mean, f32, p->channels)
    IN(inverse_deviation, f32, p->channels)
    IN(gamma, f32, p->channels)
    IN(sums, f32, 2 * p->ranks, p->channels)
    REQUIRE(p->ranks >= 1, "there is at least one rank")
    WORKSPACE(batchnorm_gradient, batchnorm)
    LAUNCHER(batchnorm_gradient, batchnorm)
END(batchnorm_gradient)

OPERATION(batchnorm_inference, batchnorm, "batchnorm_forward by the running statistics")
    OUT(y, act, p->rows, p->channels)
    IN(x, act, p->rows, p->channels)
    OPTIONAL_IN(residual, act, p->rows, p->channels)
    IN(gamma, f32, p->channels)
    IN(beta, f32, p->channels)
    IN(running_mean, f32, p->channels)
    IN(running_variance, f32, p->channels)
    WORKSPACE(batchnorm_inference, batchnorm)
    LAUNCHER(batchnorm_inference, batchnorm)
END(batchnorm_inference)

OPERATION(batchnorm_inference_backward, batchnorm, "The gradients of batchnorm_inference by its inputs")
    OUT(dx, act, p->rows, p->channels)
    OPTIONAL_OUT(dresidual, act, p->rows, p->channels)
    IN(dy, act, p->rows, p->channels)
    IN(y, act, p->rows, p->channels)
    IN(gamma, f32, p->channels)
    IN(running_variance, f32, p->channels)
    WORKSPACE(batchnorm_inference_backward, batchnorm)
    LAUNCHER(batchnorm_inference_backward, batchnorm)
END(batchnorm_inference_backward)

// ---- Elementwise ------------------------------------------------------------------------------------------

OPERATION(relu_forward, elementwise, "max(0, x)")
    OUT(y, act, p->count)
    IN(x, act, p->count)
    KERNEL_FOR_ACTIVATIONS(relu_forward, elementwise, elementwise, 256, ck_vectors(p->count))
END(relu_forward)

OPERATION(relu_backward, elementwise, "dy where y > 0, else 0")
    OUT(dx, act, p->count)
    IN(dy, act, p->count)
    IN(y, act, p->count)
    KERNEL_FOR_ACTIVATIONS(relu_backward, elementwise, elementwise, 256, ck_vectors(p->count))
END(relu_backward)

OPERATION(tanh_forward, elementwise, "The hyperbolic tangent of x")
    OUT(y, act, p->count)
    IN(x, act, p->count)
    KERNEL_FOR_ACTIVATIONS(tanh_forward, elementwise, elementwise, 256, ck_vectors(p->count))
END(tanh_forward)

OPERATION(tanh_backward, elementwise, "dy (1 - y^2)")
    OUT(dx, act, p->count)
    IN(dy, act, p->count)
    IN(y, act, p->count)
    KERNEL_FOR_ACTIVATIONS(tanh_backward, elementwise, elementwise, 256, ck_vectors(p->count))
END(tanh_backward)

OPERATION(add, elementwise, "a + b")
    OUT(y, act, p->count)
    IN(a, act, p->count)
    IN(b, act, p->count)
    KERNEL_FOR_ACTIVATIONS(add, elementwise, elementwise, 256, ck_vectors(p->count))
END(add)

OPERATION(to_bf16, elementwise, "x rounded to bf16, ties to even")
    OUT(y, bf16, p->count)
    IN(x, f32, p->count)
    KERNEL_FOR(to_bf16, elementwise, elementwise, 256, ck_vectors(p->count))
END(to_bf16)

OPERATION(from_bf16, elementwise, "x in single precision")
    OUT(y, f32, p->count)
    IN(x, bf16, p->count)
    KERNEL_FOR(from_bf16, elementwise, elementwise, 256, ck_vectors(p->count))
END(from_bf16)

OPERATION(mean_squared_error_forward, elementwise, "The mean of (x - target)^2 over all elements")
    OUT(loss, f32, 1)
    IN(x, f32, p->count)
    IN(target, f32, p->count)
    WORKSPACE(mean_squared_error_forward, elementwise)
    LAUNCHER(mean_squared_error_forward, elementwise)
END(mean_squared_error_forward)

OPERATION(mean_squared_error_backward, elementwise, "The mean squared error's gradient by x")
    OUT(dx, f32, p->count)
    IN(x, f32, p->count)
    IN(target, f32, p->count)
    KERNEL_FOR(mean_squared_error_backward, elementwise, elementwise, 256, ck_elements(p->count))
END(mean_squared_error_backward)

OPERATION(sum_of_squares, elementwise, "The sum of x^2 over all elements")
    OUT(y, f32, 1)
    IN(x, f32, p->count)
    WORKSPACE(sum_of_squares, elementwise)
    LAUNCHER(sum_of_squares, elementwise)
END(sum_of_squares)

// ---- Pooling and upsampling -------------------------------------------------------------------------------

#define REQUIRE_POOLING                                                                                      \
    REQUIRE(p->r >= 1 && p->r <= 16, "a window has a side of 1 to 16: its places are counted in a byte")     \
    REQUIRE(p->stride >= 1 && p->pad >= 0 && p->pad < p->r,                                                  \
            "the stride is at least 1, and the padding less than a window")                                  \
    REQUIRE(p->p == (p->h + 2 * p->pad - p->r) / p->stride + 1 &&                                            \
                p->q == (p->w + 2 * p->pad - p->r) / p->stride + 1,                                          \
            "P and Q follow from the image, the window, the stride and the padding")

OPERATION(max_pool_forward, pool, "The largest value of each window of R x R, and its place in the window")
    OUT(y, act, p->n, p->p, p->q, p->c)
    OUT(argmax, u8, p->n, p->p, p->q, p->c)
    IN(x, act, p->n, p->h, p->w, p->c)
    REQUIRE_POOLING
    KERNEL_FOR_ACTIVATIONS(max_pool_forward, pool, pool, 256, ck_vectors((int64_t)p->n * p->p * p->q * p->c))
END(max_pool_forward)

OPERATION(max_pool_backward, pool, "Max pooling's gradient")
    OUT(dx, act, p->n, p->h, p->w, p->c)
    IN(dy, act, p->n, p->p, p->q, p->c)
    IN(argmax, u8, p->n, p->p, p->q, p->c)
    REQUIRE_POOLING
    KERNEL_FOR_ACTIVATIONS(max_pool_backward, pool, pool, 256, ck_vectors(IMAGE_ELEMENTS))
END(max_pool_backward)

OPERATION(global_average_pool_forward, pool, "The mean of each channel over an image's pixels")
    OUT(y, f32, p->n, p->c)
    IN(x, act, p->n, p->h, p->w, p->c)
    KERNEL_FOR_ACTIVATIONS(global_average_pool_forward, pool, pool, 256, ck_vectors((int64_t)p->n * p->c))
END(global_average_pool_forward)

OPERATION(global_average_pool_backward, pool, "Global average pooling's gradient")
    OUT(dx, act, p->n, p->h, p->w, p->c)
    IN(dy, f32, p->n, p->c)
    KERNEL_FOR_ACTIVATIONS(global_average_pool_backward, pool, pool, 256, ck_vectors(IMAGE_ELEMENTS))
END(global_average_pool_backward)

OPERATION(upsample_forward, pool, "Each pixel repeated 2 x 2")
    OUT(y, act, p->n, 2 * p->h, 2 * p->w, p->c)
    IN(x, act, p->n, p->h, p->w, p->c)
    KERNEL_FOR_ACTIVATIONS(upsample_forward, pool, pool, 256, ck_vectors(4 * IMAGE_ELEMENTS))
END(upsample_forward)

OPERATION(upsample_backward, pool, "Upsampling's gradient")
    OUT(dx, act, p->n, p->h, p->w, p->c)
    IN(dy, act, p->n, 2 * p->h, 2 * p->w, p->c)
    KERNEL_FOR_ACTIVATIONS(upsample_backward, pool, pool, 256, ck_vectors(IMAGE_ELEMENTS))
END(upsample_backward)

#define REQUIRE_CROP                                                                                         \
    REQUIRE(p->pad >= 0 && p->p >= 1 && p->q >= 1 && p->p == p->h - 2 * p->pad && p->q == p->w - 2 * p->pad, \
            "P and Q are H and W without the border, and at least 1")

OPERATION(crop_forward, pool, "The image without a border of p's pad pixels")
    OUT(y, act, p->n, p->p, p->q, p->c)
    IN(x, act, p->n, p->h, p->w, p->c)
    REQUIRE_CROP
    KERNEL_FOR_ACTIVATIONS(crop_forward, pool, pool, 256, ck_vectors((int64_t)p->n * p->p * p->q * p->c))
END(crop_forward)

OPERATION(crop_backward, pool, "Cropping's gradient, zero in the border")
    OUT(dx, act, p->n, p->h, p->w, p->c)
    IN(dy, act, p->n, p->p, p->q, p->c)
    REQUIRE_CROP
    KERNEL_FOR_ACTIVATIONS(crop_backward, pool, pool, 256, ck_vectors(IMAGE_ELEMENTS))
END(crop_backward)

OPERATION(window_means, pool, "The mean of each window of R x R; a column's sum first, then those of its columns")
    OUT(y, f32, p->n, p->p, p->q, p->c)
    IN(x, act, p->n, p->h, p->w, p->c)
    REQUIRE(p->r >= 1 && p->stride >= 1 && p->pad == 0, "a window and its stride are at least 1; there is no padding")
    REQUIRE(p->p >= 1 && p->q >= 1 && (p->p - 1) * p->stride + p->r <= p->h &&
                (p->q - 1) * p->stride + p->r <= p->w,
            "the windows lie within the image")
    WORKSPACE(window_means, pool)
    KERNEL_FOR_ACTIVATIONS(window_means, pool, pool, 256, ck_vectors((int64_t)p->n * p->p * p->q * p->c))
END(window_means)

// ---- Any shape --------------------------------------------------------------------------------------------

OPERATION(scale, scale, "A factor times x")
    OUT(y, act, p->count)
    IN(x, act, p->count)
    KERNEL_FOR_ACTIVATIONS(scale, scale, elementwise, 256, ck_vectors(p->count))
END(scale)

OPERATION(leaky_relu_forward, scale, "x where it is above 0, a factor times x elsewhere")
    OUT(y, act, p->count)
    IN(x, act, p->count)
    REQUIRE(p->factor > 0, "the factor is above 0")
    KERNEL_FOR_ACTIVATIONS(leaky_relu_forward, scale, elementwise, 256, ck_vectors(p->count))
END(leaky_relu_forward)

OPERATION(leaky_relu_backward, scale, "The leaky ReLU's gradient, by its result's sign")
    OUT(dx, act, p->count)
    IN(dy, act, p->count)
    IN(y, act, p->count)
    REQUIRE(p->factor > 0, "the factor is above 0")
    KERNEL_FOR_ACTIVATIONS(leaky_relu_backward, scale, elementwise, 256, ck_vectors(p->count))
END(leaky_relu_backward)

// ---- Rows: N of C -----------------------------------------------------------------------------------------

OPERATION(concatenate, dense, "Rows side by side: a's C columns, then b's K")
    OUT(y, f32, p->n, p->c + p->k)
    IN(a, f32, p->n, p->c)
    IN(b, f32, p->n, p->k)
    KERNEL_FOR(concatenate, dense, elementwise, 256, ck_elements((int64_t)p->n * (p->c + p->k)))
END(concatenate)

OPERATION(concatenate_backward, dense, "The gradients of concatenate")
    OUT(da, f32, p->n, p->c)
    OUT(db, f32, p->n, p->k)
    IN(dy, f32, p->n, p->c + p->k)
    KERNEL_FOR(concatenate_backward, dense, elementwise, 256, ck_elements((int64_t)p->n * (p->c + p->k)))
END(concatenate_backward)

OPERATION(l2_normalize_forward, rows, "Each row divided by its norm, which is at least epsilon")
    OUT(y, f32, p->n, p->c)
    OUT(norm, f32, p->n)
    IN(x, f32, p->n, p->c)
    KERNEL_FOR(l2_normalize_forward, rows, softmax, 128, ck_blocks(p->n))
END(l2_normalize_forward)

OPERATION(l2_normalize_backward, rows, "L2 normalization's gradient")
    OUT(dx, f32, p->n, p->c)
    IN(dy, f32, p->n, p->c)
    IN(y, f32, p->n, p->c)
    IN(norm, f32, p->n)
    KERNEL_FOR(l2_normalize_backward, rows, softmax, 128, ck_blocks(p->n))
END(l2_normalize_backward)

OPERATION(softmax, rows, "Class probabilities")
    OUT(p, f32, p->n, p->c)
    IN(logits, f32, p->n, p->c)
    KERNEL_FOR(softmax, rows, softmax, 128, ck_blocks(p->n))
END(softmax)

OPERATION(softmax_backward, rows, "Softmax's gradient by the logits")
    OUT(dlogits, f32, p->n, p->c)
    IN(dp, f32, p->n, p->c)
    IN(p, f32, p->n, p->c)
    KERNEL_FOR(softmax_backward, rows, softmax, 128, ck_blocks(p->n))
END(softmax_backward)

#define REQUIRE_OUTLIERS                                                                                     \
    REQUIRE(p->outliers >= 0 && p->outliers <= p->n && p->outlier_weight >= 0,                               \
            "the outliers are some of the rows, and their weight is not below 0")

OPERATION(softmax_cross_entropy_forward, cross_entropy, "The mean cross-entropy of rows and labels; plus outliers' and the uniform")
    OUT(loss, f32, 1)
    OUT(p, f32, p->n, p->c)
    IN(logits, f32, p->n, p->c)
    IN(labels, i32, p->n)
    REQUIRE_OUTLIERS
    WORKSPACE(softmax_cross_entropy_forward, cross_entropy)
    LAUNCHER(softmax_cross_entropy_forward, cross_entropy)
END(softmax_cross_entropy_forward)

OPERATION(softmax_cross_entropy_backward, cross_entropy, "The cross-entropy's gradient by the logits")
    OUT(dlogits, f32, p->n, p->c)
    IN(p, f32, p->n, p->c)
    IN(labels, i32, p->n)
    REQUIRE_OUTLIERS
    KERNEL_FOR(softmax_cross_entropy_backward, cross_entropy, softmax, 256, ck_elements((int64_t)p->n * p->c))
END(softmax_cross_entropy_backward)

// ---- Distances of rows ------------------------------------------------------------------------------------

#define REQUIRE_TARGETS                                                                                      \
    REQUIRE(p->targets == 1 || p->targets == p->n, "there is one target, or one for each row")

OPERATION(row_distance_forward, distance, "A factor times each row's squared distance from its target, or the only one")
    OUT(d, f32, p->n)
    IN(x, f32, p->n, p->c)
    IN(target, f32, p->targets, p->c)
    REQUIRE_TARGETS
    KERNEL_FOR(row_distance_forward, distance, distance, 128, ck_blocks(p->n))
END(row_distance_forward)

OPERATION(row_distance_backward, distance, "The distances' gradients by the rows, and by targets of each row")
    OUT(dx, f32, p->n, p->c)
    OPTIONAL_OUT(dtarget, f32, p->targets, p->c)
    IN(dd, f32, p->n)
    IN(x, f32, p->n, p->c)
    IN(target, f32, p->targets, p->c)
    REQUIRE_TARGETS
    REQUIRE(!t->dtarget || p->targets == p->n, "the only target has no gradient")
    KERNEL_FOR(row_distance_backward, distance, distance, 256, ck_elements((int64_t)p->n * p->c))
END(row_distance_backward)

OPERATION(soft_boundary_forward, boundary, "R^2 + mean max(0, d - R^2) / nu (Ruff et al. 2018, equation 3); without R mean d / nu")
    OUT(loss, f32, 1)
    IN(d, f32, p->n)
    OPTIONAL_IN(radius, f32, 1)
    REQUIRE(p->nu > 0, "nu is above 0")
    KERNEL_FOR(soft_boundary_forward, boundary, distance, 256, ck_blocks(1))
END(soft_boundary_forward)

OPERATION(soft_boundary_backward, boundary, "The soft boundary's gradient by the distances")
    OUT(dd, f32, p->n)
    IN(d, f32, p->n)
    OPTIONAL_IN(radius, f32, 1)
    REQUIRE(p->nu > 0, "nu is above 0")
    KERNEL_FOR(soft_boundary_backward, boundary, distance, 256, ck_elements(p->n))
END(soft_boundary_backward)

OPERATION(boundary_update, boundary, "From a step on, R^2 is the distances' quantile of order 1 - nu, squared")
    UPDATE(radius, f32, 1)
    IN(d, f32, p->n)
    IN(step, step, 1)
    REQUIRE(p->nu > 0 && p->nu <= 1, "nu is above 0 and at most 1")
    KERNEL_FOR(boundary_update, boundary, distance, 256, ck_blocks(1))
END(boundary_update)

// ---- Products of rows -------------------------------------------------------------------------------------

#define ANCHORS (p->symmetric ? 2 * (int64_t)p->b : (int64_t)p->b)
#define OWN_ANCHORS (p->symmetric ? 2 * (int64_t)p->pairs : (int64_t)p->pairs)
#define REQUIRE_NT_XENT                                                                                      \
    REQUIRE(p->temperature > 0, "the temperature is above 0")                                                \
    REQUIRE(p->first >= 0 && p->pairs >= 1 && p->first + p->pairs <= p->b, "the pairs are of the batch")

OPERATION(nt_xent_forward, nt_xent, "NT-Xent of 2B embeddings; rows i and i + B are two views of one image")
    OUT(loss, f32, 1)
    OUT(lse, f32, OWN_ANCHORS)
    IN(z, f32, 2 * (int64_t)p->b, p->d)
    REQUIRE_NT_XENT
    WORKSPACE(nt_xent_forward, nt_xent)
    LAUNCHER(nt_xent_forward, nt_xent)
END(nt_xent_forward)

OPERATION(nt_xent_backward, nt_xent, "The gradient of B / pairs times the whole NT-Xent by the pairs' embeddings")
    OUT(dz, f32, 2 * (int64_t)p->pairs, p->d)
    IN(z, f32, 2 * (int64_t)p->b, p->d)
    IN(lse, f32, ANCHORS)
    REQUIRE_NT_XENT
    WORKSPACE(nt_xent_backward, nt_xent)
    LAUNCHER(nt_xent_backward, nt_xent)
END(nt_xent_backward)

OPERATION(log_sum_exp_products, products, "log sum_j exp(scale * x_i . s_j), tile by tile")
    OUT(lse, f32, p->n)
    IN(x, f32, p->n, p->d)
    IN(s, f32, p->m, p->d)
    WORKSPACE(log_sum_exp_products, products)
    LAUNCHER(log_sum_exp_products, products)
END(log_sum_exp_products)

// ---- Normalizing flows: a log-likelihood to an image, which each layer adds to ------------------------------

OPERATION(dequantize_forward, image, "logit(m + (1 - 2m) v), v = (255 x + u) / 256, u in 0...1, m p's minimum")
    OUT(y, f32, p->n, p->h, p->w, p->c)
    OUT(log_likelihood, f32, p->n)
    IN(x, f32, p->n, p->h, p->w, p->c)
    IN(step, step, 1)
    REQUIRE(p->minimum > 0 && p->minimum < 0.5f, "the margin is above 0 and below 0.5")
    REQUIRE(p->maximum >= 0 && p->maximum <= 1, "u is 0.5 give or take half of p's maximum, which is 0 to 1")
    REQUIRE_OWN_NUMBERS
    KERNEL_FOR(dequantize_forward, image, flow, 256, ck_blocks(p->n))
END(dequantize_forward)

OPERATION(dequantize_backward, image, "Dequantization's gradient by x")
    OUT(dx, f32, p->n, p->h, p->w, p->c)
    IN(dy, f32, p->n, p->h, p->w, p->c)
    OPTIONAL_IN(dlog_likelihood, f32, p->n)
    IN(y, f32, p->n, p->h, p->w, p->c)
    REQUIRE(p->minimum > 0 && p->minimum < 0.5f, "the margin is above 0 and below 0.5")
    KERNEL_FOR(dequantize_backward, image, flow, 256, ck_elements(IMAGE_ELEMENTS))
END(dequantize_backward)

#define REQUIRE_COUPLING                                                                                     \
    REQUIRE((p->mask == CK_MASK_CHECKERBOARD || p->mask == CK_MASK_CHANNELS) && (p->parity | 1) == 1,        \
            "a mask is a checkerboard or of channels, and keeps one half (0) or the other (1)")

OPERATION(coupling_mask, coupling, "The values that a coupling keeps, and 0 elsewhere; its own gradient, too")
    OUT(y, f32, IMAGE_PIXELS, p->c)
    IN(x, f32, IMAGE_PIXELS, p->c)
    REQUIRE_COUPLING
    KERNEL_FOR(coupling_mask, coupling, flow, 256, ck_elements(IMAGE_ELEMENTS))
END(coupling_mask)

OPERATION(coupling_forward, coupling, "x exp(s) + t where it is not kept: s = factor tanh(net's first C), t the others")
    OUT(y, f32, IMAGE_PIXELS, p->c)
    OUT(log_likelihood, f32, p->n)
    IN(x, f32, IMAGE_PIXELS, p->c)
    IN(net, f32, IMAGE_PIXELS, 2 * p->c)
    IN(factor, f32, p->c)
    OPTIONAL_IN(before, f32, p->n)
    REQUIRE_COUPLING
    KERNEL_FOR(coupling_forward, coupling, flow, 256, ck_blocks(p->n))
END(coupling_forward)

OPERATION(coupling_backward, coupling, "The gradients of coupling_forward")
    OUT(dx, f32, IMAGE_PIXELS, p->c)
    OUT(dnet, f32, IMAGE_PIXELS, 2 * p->c)
    OUT(dfactor, f32, p->c)
    IN(dy, f32, IMAGE_PIXELS, p->c)
    OPTIONAL_IN(dlog_likelihood, f32, p->n)
    IN(x, f32, IMAGE_PIXELS, p->c)
    IN(net, f32, IMAGE_PIXELS, 2 * p->c)
    IN(factor, f32, p->c)
    REQUIRE_COUPLING
    WORKSPACE(coupling_backward, coupling)
    LAUNCHER(coupling_backward, coupling)
END(coupling_backward)

OPERATION(squeeze_forward, pool, "Each square of 2 x 2 pixels as one of 4C channels, row by row")
    OUT(y, f32, p->n, p->h / 2, p->w / 2, 4 * p->c)
    IN(x, f32, p->n, p->h, p->w, p->c)
    REQUIRE(p->h % 2 == 0 && p->w % 2 == 0, "H and W are even")
    KERNEL_FOR(squeeze_forward, pool, flow, 256, ck_elements(IMAGE_ELEMENTS))
END(squeeze_forward)

OPERATION(squeeze_backward, pool, "Squeezing's gradient")
    OUT(dx, f32, p->n, p->h, p->w, p->c)
    IN(dy, f32, p->n, p->h / 2, p->w / 2, 4 * p->c)
    REQUIRE(p->h % 2 == 0 && p->w % 2 == 0, "H and W are even")
    KERNEL_FOR(squeeze_backward, pool, flow, 256, ck_elements(IMAGE_ELEMENTS))
END(squeeze_backward)

OPERATION(normal_forward, rows, "`before` plus the log density of each row under the standard normal distribution")
    OUT(log_likelihood, f32, p->n)
    IN(z, f32, (int64_t)p->n * p->c)
    OPTIONAL_IN(before, f32, p->n)
    KERNEL_FOR(normal_forward, rows, flow, 256, ck_blocks(p->n))
END(normal_forward)

OPERATION(normal_backward, rows, "The log density's gradient by z")
    OUT(dz, f32, (int64_t)p->n * p->c)
    IN(dlog_likelihood, f32, p->n)
    IN(z, f32, (int64_t)p->n * p->c)
    KERNEL_FOR(normal_backward, rows, flow, 256, ck_elements((int64_t)p->n * p->c))
END(normal_backward)

OPERATION(bits_per_dimension_forward, likelihood, "-log2 of each likelihood over the dimensions, plus p's levels; their mean")
    OUT(loss, f32, 1)
    OUT(bits, f32, p->n)
    IN(log_likelihood, f32, p->n)
    REQUIRE(p->dimensions >= 1, "there is at least one dimension")
    KERNEL_FOR(bits_per_dimension_forward, likelihood, flow, 256, ck_blocks(1))
END(bits_per_dimension_forward)

OPERATION(bits_per_dimension_backward, likelihood, "The mean's gradient by the log-likelihoods")
    OUT(dlog_likelihood, f32, p->n)
    REQUIRE(p->dimensions >= 1, "there is at least one dimension")
    KERNEL_FOR(bits_per_dimension_backward, likelihood, flow, 256, ck_elements(p->n))
END(bits_per_dimension_backward)

// ---- Mixtures of Gaussians, whose parameters follow from a batch -------------------------------------------

OPERATION(reconstruction_features_forward, rows, "|x - x~| / |x| and the cosine of x and its restoration x~; norms are at least epsilon")
    OUT(y, f32, p->n, 2)
    IN(x, f32, (int64_t)p->n * p->c)
    IN(restored, f32, (int64_t)p->n * p->c)
    REQUIRE(p->epsilon > 0, "epsilon is above 0")
    KERNEL_FOR(reconstruction_features_forward, rows, mixture, 128, ck_blocks(p->n))
END(reconstruction_features_forward)

OPERATION(reconstruction_features_backward, rows, "The gradients of the reconstruction features")
    OUT(drestored, f32, (int64_t)p->n * p->c)
    OPTIONAL_OUT(dx, f32, (int64_t)p->n * p->c)
    IN(dy, f32, p->n, 2)
    IN(x, f32, (int64_t)p->n * p->c)
    IN(restored, f32, (int64_t)p->n * p->c)
    REQUIRE(p->epsilon > 0, "epsilon is above 0")
    KERNEL_FOR(reconstruction_features_backward, rows, mixture, 128, ck_blocks(p->n))
END(reconstruction_features_backward)

#define REQUIRE_MIXTURE                                                                                      \
    REQUIRE(p->d >= 1 && p->d <= CK_MAX_MIXTURE && p->k >= 1 && p->k <= CK_MAX_MIXTURE,                      \
            "a mixture has 1 to 16 dimensions and components")

OPERATION(mixture_fit, mixture, "Shares, means and covariances of components, from each row's memberships")
    OUT(share, f32, p->k)
    OUT(mean, f32, p->k, p->d)
    OUT(covariance, f32, p->k, p->d, p->d)
    IN(z, f32, p->n, p->d)
    IN(membership, f32, p->n, p->k)
    REQUIRE_MIXTURE
    KERNEL_FOR(mixture_fit, mixture, mixture, 128, ck_blocks(p->k))
END(mixture_fit)

OPERATION(mixture_fit_backward, mixture, "The gradients of mixture_fit")
    OUT(dz, f32, p->n, p->d)
    OUT(dmembership, f32, p->n, p->k)
    IN(dshare, f32, p->k)
    IN(dmean, f32, p->k, p->d)
    IN(dcovariance, f32, p->k, p->d, p->d)
    IN(z, f32, p->n, p->d)
    IN(membership, f32, p->n, p->k)
    IN(share, f32, p->k)
    IN(mean, f32, p->k, p->d)
    IN(covariance, f32, p->k, p->d, p->d)
    REQUIRE_MIXTURE
    KERNEL_FOR(mixture_fit_backward, mixture, mixture, 128, ck_elements(p->n))
END(mixture_fit_backward)

OPERATION(mixture_loss_forward, mixture, "p's factors times the mean of the energies -log p(z), and the sum of the inverse variances")
    OUT(loss, f32, 1)
    OUT(energy, f32, p->n)
    IN(z, f32, p->n, p->d)
    IN(share, f32, p->k)
    IN(mean, f32, p->k, p->d)
    IN(covariance, f32, p->k, p->d, p->d)
    REQUIRE_MIXTURE
    KERNEL_FOR(mixture_loss_forward, mixture, mixture, 128, ck_blocks(1))
END(mixture_loss_forward)

OPERATION(mixture_loss_backward, mixture, "The gradients of mixture_loss_forward")
    OUT(dz, f32, p->n, p->d)
    OUT(dshare, f32, p->k)
    OUT(dmean, f32, p->k, p->d)
    OUT(dcovariance, f32, p->k, p->d, p->d)
    IN(z, f32, p->n, p->d)
    IN(share, f32, p->k)
    IN(mean, f32, p->k, p->d)
    IN(covariance, f32, p->k, p->d, p->d)
    IN(energy, f32, p->n)
    REQUIRE_MIXTURE
    WORKSPACE(mixture_loss_backward, mixture)
    LAUNCHER(mixture_loss_backward, mixture)
END(mixture_loss_backward)

// ---- Optimizers -------------------------------------------------------------------------------------------

OPERATION(sgd, optimizer, "Stochastic gradient descent with momentum and an L2 penalty")
    UPDATE(w, f32, p->count)
    UPDATE(velocity, f32, p->count)
    IN(dw, f32, p->count)
    IN(step, step, 1)
    KERNEL_FOR(sgd, optimizer, sgd, 256, ck_elements(p->count))
END(sgd)

OPERATION(lars, optimizer, "Layer-wise adaptive rate scaling, of one parameter (You et al. 2017)")
    UPDATE(w, f32, p->count)
    UPDATE(velocity, f32, p->count)
    IN(dw, f32, p->count)
    IN(step, step, 1)
    WORKSPACE(lars, optimizer)
    LAUNCHER(lars, optimizer)
END(lars)

OPERATION(adam, optimizer, "Adam with an L2 penalty (Kingma & Ba 2015), as PyTorch's torch.optim.Adam")
    UPDATE(w, f32, p->count)
    UPDATE(velocity, f32, p->count)
    UPDATE(squares, f32, p->count)
    IN(dw, f32, p->count)
    IN(step, step, 1)
    REQUIRE(p->momentum < 1 && p->beta2 < 1, "what a step keeps is less than all")
    KERNEL_FOR(adam, optimizer, adam, 256, ck_elements(p->count))
END(adam)

// ---- Between ranks ----------------------------------------------------------------------------------------

// A part for each rank, of what it gets and of what it sends.
#define PARTS_OF_RANKS                                                                                       \
    2 * (int64_t)p->ranks * ((p->blocks * p->count + p->ranks - 1) / p->ranks)

OPERATION(all_gather, collective, "For each block, what every rank has of it, in order of rank")
    OUT(y, f32, (int64_t)p->blocks * p->ranks * p->count)
    IN(x, f32, (int64_t)p->blocks * p->count)
    REQUIRE(p->blocks >= 1 && p->ranks >= 1, "there is at least one block and one rank")
    WORKSPACE(all_gather, collective)
    LAUNCHER(all_gather, collective)
END(all_gather)

OPERATION(mean_over_ranks, collective, "The mean over all ranks, added in order of rank")
    UPDATE(x, f32, (int64_t)p->blocks * p->count)
    REQUIRE(p->blocks >= 1 && p->ranks >= 1, "there is at least one block and one rank")
    WORKSPACE(mean_over_ranks, collective)
    LAUNCHER(mean_over_ranks, collective)
END(mean_over_ranks)

// The same in two: what comes between goes on beside the exchange, and touches neither x nor the parts. Several may
// be begun; they are finished in the order in which they were begun. The CPU keeps what it exchanges in `parts`.
OPERATION(begin_mean_over_ranks, collective, "Begins a mean over all ranks, and does not wait for it")
    UPDATE(x, f32, (int64_t)p->blocks * p->count)
    OPTIONAL_OUT(parts, f32, PARTS_OF_RANKS)
    REQUIRE(p->blocks >= 1 && p->ranks >= 1, "there is at least one block and one rank")
    LAUNCHER(begin_mean_over_ranks, collective)
END(begin_mean_over_ranks)

OPERATION(finish_mean_over_ranks, collective, "Waits for a mean over all ranks that was begun")
    UPDATE(x, f32, (int64_t)p->blocks * p->count)
    OPTIONAL_IN(parts, f32, PARTS_OF_RANKS)
    REQUIRE(p->blocks >= 1 && p->ranks >= 1, "there is at least one block and one rank")
    LAUNCHER(finish_mean_over_ranks, collective)
END(finish_mean_over_ranks)

// clang-format on
#undef ANCHORS
#undef PARTS_OF_RANKS
#undef OWN_ANCHORS
#undef REQUIRE_NT_XENT
#undef IMAGE_ELEMENTS
#undef IMAGE_PIXELS
#undef REQUIRE_CONVOLUTION
#undef REQUIRE_POOLING
#undef REQUIRE_CROP
#undef REQUIRE_OWN_NUMBERS
#undef REQUIRE_COUPLING
#undef REQUIRE_MIXTURE
#undef OPERATION
#undef OUT
#undef UPDATE
#undef OPTIONAL_OUT
#undef IN
#undef OPTIONAL_IN
#undef REQUIRE
#undef WORKSPACE
#undef KERNEL_FOR
#undef KERNEL_FOR_ACTIVATIONS
#undef LAUNCHER
#undef END
