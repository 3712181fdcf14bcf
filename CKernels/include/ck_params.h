// The parameters of every operation: plain structs, shared by Swift, the CPU kernels and the CUDA kernels. They are
// fixed when a plan is built; whatever changes from step to step lives in the arena (ck_step_state, indices, labels).
//
// Shapes: N images, H x W pixels, C channels in, K channels out, R x S filter, P x Q pixels out; NHWC and KRSC, fp32.
#ifndef CK_PARAMS_H
#define CK_PARAMS_H

#include "ck_portable.h"

enum { CK_MAX_TENSORS = 10 };
#define CK_NO_TENSOR UINT64_MAX

// The step-state block: written by the host before a step, read by operations.
typedef struct ck_step_state {
    uint64_t seed;  // of the run
    uint64_t step;  // the counter of the random numbers
    float learning_rate;
    float reserved[3];
} ck_step_state;

typedef struct ck_image_params {  // N images of H x W x C
    int32_t n, h, w, c;
    uint32_t stream;      // of the random numbers: differs from view to view and operation to operation
    float probability;    // of applying it (flip, gray, blur)
    float minimum;        // crop: the smallest side as a share of H; blur: the smallest sigma
    float maximum;        // blur: the largest sigma; noise: sigma
    float brightness, contrast, saturation, hue;  // jitter strengths
    int32_t taps;         // blur: kernel length, odd
    int32_t stored_h, stored_w;  // gather: the size of the stored images, of which H x W is a part
} ck_image_params;

// How exactly sums of products are computed. Fast: transforms that round more (the CPU), or the matrix units with factors of
// 10 bits (CUDA's TF32). Strict: as they are defined, in single precision. bf16: factors of 8 bits (CUDA; on the CPU as fast).
enum { CK_MATH_FAST = 0, CK_MATH_STRICT = 1, CK_MATH_BF16 = 2 };

// What is pasted into an image.
enum { CK_PASTE_NOTHING = 0, CK_PASTE_RECTANGLE = 1, CK_PASTE_SCAR = 2 };

typedef struct ck_cutpaste_params {  // N images of H x W x C
    int32_t n, h, w, c;
    uint32_t stream;
    float jitter;                      // strength of brightness, contrast, saturation and hue
    float area_minimum, area_maximum;  // of a rectangle, as shares of the image
    float aspect;                      // its height over its width is in aspect...1 or 1...1/aspect
    int32_t scar_width_minimum, scar_width_maximum, scar_length_minimum, scar_length_maximum;  // pixels
    float angle;                       // a scar is turned by -angle...angle, in radians
} ck_cutpaste_params;

typedef struct ck_conv2d_params {
    int32_t n, h, w, c, k, r, s, stride, pad, p, q;
    int32_t math;  // CK_MATH_...
} ck_conv2d_params;

typedef struct ck_batchnorm_params {  // rows = N*H*W
    int64_t rows;
    int32_t channels;
    int32_t relu;  // y = max(0, normalised + residual)
    float epsilon;
    float momentum;  // running = (1 - momentum) * running + momentum * batch (PyTorch's sense)
} ck_batchnorm_params;

typedef struct ck_elementwise_params {
    int64_t count;
} ck_elementwise_params;

typedef struct ck_pool_params {  // window r x r, H x W in, P x Q out
    int32_t n, h, w, c, r, stride, pad, p, q;
} ck_pool_params;

typedef struct ck_dense_params {  // y[N,K] = x[N,C] w[K,C]^T + b[K]
    int32_t n, c, k;
    int32_t math;
} ck_dense_params;

typedef struct ck_rows_params {  // N rows of C
    int32_t n, c;
    float epsilon;
} ck_rows_params;

typedef struct ck_nt_xent_params {  // 2B embeddings of D; rows 0..<B are view 1, B..<2B are view 2
    int32_t b, d;
    float temperature;
    int32_t symmetric;  // 0: view 1 against view 2 (Sohn et al. 2021); 1: all 2N against all (SimCLR)
    int32_t math;
} ck_nt_xent_params;

typedef struct ck_products_params {  // N query rows and M support rows of D
    int32_t n, m, d;
    float scale;
    int32_t math;
} ck_products_params;

typedef struct ck_optimizer_params {
    int64_t count;
    float momentum;
    float weight_decay;
    int32_t nesterov;
    float trust;  // LARS coefficient
} ck_optimizer_params;

typedef union ck_operation_params {
    ck_image_params image;
    ck_cutpaste_params cutpaste;
    ck_conv2d_params conv2d;
    ck_batchnorm_params batchnorm;
    ck_elementwise_params elementwise;
    ck_pool_params pool;
    ck_dense_params dense;
    ck_rows_params rows;
    ck_nt_xent_params nt_xent;
    ck_products_params products;
    ck_optimizer_params optimizer;
} ck_operation_params;

// The operations, once: X(name, tensors, workspace). The tensors are listed outputs first, then inputs, then parameters;
// `?` may be absent (CK_NO_TENSOR). A backend has one function a name and one a workspace kind, or it does not link.
#define CK_OPERATIONS(X)                                                                                               \
    /* y[N,H,W,C] | data u8[*,stored H,stored W,C], indices i32[N], corners i32[N,2]? : the part of image `index` whose  \
       first pixel is at `corner` (row, column), / 255 */                                                              \
    X(gather, 4, none)                                                                                                 \
    /* y | x, transforms i32[N]; H = W : one of the eight symmetries of the square, see ck_dihedral.h */              \
    X(dihedral, 3, none)                                                                                               \
    /* y | x, step : square crop of random side and place, resized back (bilinear) */                                 \
    X(random_crop, 3, none)                                                                                            \
    /* y | x, step : left-right mirror */                                                                              \
    X(random_flip, 3, none)                                                                                            \
    /* y | x, step : brightness, contrast, saturation, hue in a random order */                                       \
    X(color_jitter, 3, none)                                                                                           \
    /* y | x, step : to three equal channels */                                                                        \
    X(random_gray, 3, none)                                                                                            \
    /* y | x, step : Gaussian blur, separable, edges clamped */                                                        \
    X(random_blur, 3, image)                                                                                           \
    /* y | x, kinds i32[N], step : CutPaste, a part of the image pasted into it (kinds: CK_PASTE_...) */              \
    X(cutpaste, 4, cutpaste)                                                                                           \
    /* y | x, step : adds Gaussian noise */                                                                            \
    X(gaussian_noise, 3, none)                                                                                         \
    /* y[N,P,Q,K] | x[N,H,W,C] | w[K,R,S,C] */                                                                         \
    X(conv2d_forward, 3, conv2d)                                                                                       \
    /* dx | dy | w */                                                                                                  \
    X(conv2d_backward_data, 3, conv2d)                                                                                 \
    /* dw | dy, x */                                                                                                   \
    X(conv2d_backward_weight, 3, conv2d)                                                                               \
    /* y, mean[C], inverse deviation[C], running mean[C], running variance[C] | x, residual? | gamma[C], beta[C] */   \
    X(batchnorm_forward, 9, batchnorm)                                                                                 \
    /* dx, dgamma, dbeta, dresidual? | dy, x, y, mean, inverse deviation | gamma */                                   \
    X(batchnorm_backward, 10, batchnorm)                                                                               \
    /* y | x, residual? | gamma, beta, running mean, running variance */                                              \
    X(batchnorm_inference, 7, batchnorm)                                                                               \
    /* dx, dresidual? | dy, y | gamma, running variance */                                                            \
    X(batchnorm_inference_backward, 6, batchnorm)                                                                      \
    /* y | x */                                                                                                        \
    X(relu_forward, 2, none)                                                                                           \
    /* dx | dy, y */                                                                                                   \
    X(relu_backward, 3, none)                                                                                          \
    /* y | a, b */                                                                                                     \
    X(add, 3, none)                                                                                                    \
    /* y, argmax u8[N,P,Q,C] | x */                                                                                    \
    X(max_pool_forward, 3, none)                                                                                       \
    /* dx | dy, argmax */                                                                                              \
    X(max_pool_backward, 3, none)                                                                                      \
    /* y[N,C] | x[N,H,W,C] */                                                                                          \
    X(global_average_pool_forward, 2, none)                                                                            \
    /* dx | dy */                                                                                                      \
    X(global_average_pool_backward, 2, none)                                                                           \
    /* y[N,2H,2W,C] | x[N,H,W,C] : nearest neighbour */                                                                \
    X(upsample_forward, 2, none)                                                                                       \
    /* dx | dy */                                                                                                      \
    X(upsample_backward, 2, none)                                                                                      \
    /* y[N,K] | x[N,C] | w[K,C], b[K]? */                                                                              \
    X(dense_forward, 4, none)                                                                                          \
    /* dx | dy | w */                                                                                                  \
    X(dense_backward_data, 3, none)                                                                                    \
    /* dw, db? | dy, x */                                                                                              \
    X(dense_backward_weight, 4, none)                                                                                  \
    /* y, norm[N] | x[N,C] */                                                                                          \
    X(l2_normalize_forward, 3, none)                                                                                   \
    /* dx | dy, y, norm */                                                                                             \
    X(l2_normalize_backward, 4, none)                                                                                  \
    /* p[N,C] | logits[N,C] */                                                                                         \
    X(softmax, 2, none)                                                                                                \
    /* loss[1], p[N,C] | logits[N,C], labels i32[N] : mean over N */                                                   \
    X(softmax_cross_entropy_forward, 4, rows)                                                                          \
    /* dlogits | p, labels */                                                                                          \
    X(softmax_cross_entropy_backward, 3, none)                                                                         \
    /* loss[1], lse[B or 2B] | z[2B,D] */                                                                              \
    X(nt_xent_forward, 3, nt_xent)                                                                                     \
    /* dz | z, lse */                                                                                                  \
    X(nt_xent_backward, 3, nt_xent)                                                                                    \
    /* loss[1] | x, target : mean over all elements */                                                                \
    X(mean_squared_error_forward, 3, reduce)                                                                           \
    /* dx | x, target */                                                                                               \
    X(mean_squared_error_backward, 3, none)                                                                            \
    /* y[1] | x */                                                                                                     \
    X(sum_of_squares, 2, reduce)                                                                                       \
    /* w, velocity | dw, step */                                                                                       \
    X(sgd, 4, none)                                                                                                    \
    /* w, velocity | dw, step : one parameter tensor (You et al. 2017) */                                             \
    X(lars, 4, reduce)                                                                                                 \
    /* lse[N] | x[N,D], s[M,D] : log sum_j exp(scale * x_i . s_j); the N x M products exist only as tiles */           \
    X(log_sum_exp_products, 3, products)

typedef enum CK_CLOSED ck_kind {
#define CK_DECLARE_KIND(name, tensors, workspace) CK_KIND_##name,
    CK_OPERATIONS(CK_DECLARE_KIND)
#undef CK_DECLARE_KIND
} ck_kind;

// How many there are.
#define CK_COUNT_KIND(name, tensors, workspace) +1
enum { CK_KIND_COUNT = 0 CK_OPERATIONS(CK_COUNT_KIND) };
#undef CK_COUNT_KIND

// One line of a plan. Tensors are byte offsets into the arena.
typedef struct ck_operation {
    ck_kind kind;
    uint64_t tensors[CK_MAX_TENSORS];
    ck_operation_params params;
} ck_operation;

#endif
