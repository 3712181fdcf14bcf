// The parameters of the operations (ck_operations.h): plain structs, shared by Swift, the CPU kernels and the
// CUDA kernels. They are fixed when a plan is built; whatever changes from step to step lives in the arena
// (ck_step_state, indices, labels).
//
// Shapes: N images, H x W pixels, C channels in, K channels out, R x S filter, P x Q pixels out; NHWC and
// KRSC.
#ifndef CK_PARAMS_H
#define CK_PARAMS_H

#include "ck_portable.h"

// The step-state block: written by the host before a step, read by operations.
typedef struct ck_step_state {
    uint64_t seed;  // of the run
    uint64_t step;  // the counter of the random numbers
    float learning_rate;
    int32_t first_row;  // where a batch is computed in parts: what a row's number in the batch is more
    float reserved[2];
} ck_step_state;

// Bytes of shared memory of a kernel of conv2d_hopper.cu: as many slices of a tile as it has stages.
#define CK_HOPPER_SHARED(rows, columns, stages) (128 * (stages) * ((rows) + (columns)))

// The same of conv2d_taps.cu: the filters of nine taps, and to each of four warpgroups two parts of an image
// of so many pixels at most; or as many stages of a tile and such a part.
#define CK_TAPS_LINES 144
#define CK_TAPS_STAGES 6
#define CK_TAPS_WINDOWS_SHARED (128 * (9 * 64 + 4 * 2 * CK_TAPS_LINES))
#define CK_TAPS_GRADIENT_SHARED (CK_TAPS_STAGES * 128 * (64 + CK_TAPS_LINES))

// Which rows of the whole batch a plan computes, where several processes share one: its row i is row
// first + i / block * stride + i % block of the whole, and the step-state's first_row more. All zero: the
// batch is the plan's own.
typedef struct ck_share {
    int32_t first, block, stride;
} ck_share;

typedef struct ck_image_params {  // N images of H x W x C
    int32_t n, h, w, c;
    uint32_t stream;    // of the random numbers: differs from view to view and operation to operation
    float probability;  // of applying it (flip, gray, blur)
    float minimum;      // crop: the smallest side as a share of H; blur: the smallest sigma
    float maximum;      // blur: the largest sigma; noise: sigma
    float brightness, contrast, saturation, hue;  // jitter strengths
    int32_t taps;                                 // blur: kernel length, odd
    int32_t unit;                                 // translate: pixels to a step
    int32_t stored_h, stored_w;  // gather: the size of the stored images, of which H x W is a part
    ck_share share;
} ck_image_params;

// How exactly sums of products are computed. Fast: transforms that round more (the CPU), or the matrix units
// with factors of 10 bits (CUDA's TF32). Strict: as they are defined, in single precision. bf16: factors of 8
// bits (CUDA; on the CPU as fast).
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
    float angle;  // a scar is rotated by -angle...angle, in radians
    ck_share share;
} ck_cutpaste_params;

typedef struct ck_conv2d_params {
    int32_t n, h, w, c, k, r, s, stride, pad, p, q;
    int32_t math;         // CK_MATH_...
    int32_t activations;  // CK_f32 or CK_bf16: how activations and their gradients lie in memory
    // Where batch normalization goes with it, as in ck_batchnorm_params.
    int32_t relu;
    float epsilon, momentum;
} ck_conv2d_params;

// What a convolution makes of a sum as soon as it is there: relu?(sum * scale + shift + residual), with a
// scale and a shift to a channel. A GPU's kernels read these up to the end of the last tile; without a scale,
// it is sum + residual.
//
// The CPU adds up what conv2d/epilogue.h says. In bf16 a GPU adds up the results v of a tile's pixels, for
// batch normalization: two sums to a channel, which go to partial[tile][2][channels]. Forward, where x is
// NULL, they are of v - about and of its square; backward, where x and y are what was normalized and what
// became of it, of v and of v * (x - about), after v = y > 0 ? v : 0 if there is a ReLU.
typedef struct ck_conv2d_epilogue {
    const float *scale, *shift;
    const void *residual;  // of the result's shape and type, or NULL
    int32_t relu;
    float *partial;      // or NULL
    const float *about;  // a value to a channel
    const void *x, *y;   // of the result's shape and type
} ck_conv2d_epilogue;

typedef struct ck_batchnorm_params {  // rows = N*H*W
    int64_t rows;
    int32_t channels;
    int32_t relu;  // y = max(0, normalized + residual)
    float epsilon;
    float momentum;       // running = (1 - momentum) * running + momentum * batch (PyTorch's sense)
    int32_t activations;  // CK_f32 or CK_bf16: how activations and their gradients lie in memory
    int32_t ranks;        // of the batch: each has as many rows; 0 where one process has all of it
} ck_batchnorm_params;

typedef struct ck_elementwise_params {
    int64_t count;
    int32_t activations;  // CK_f32 or CK_bf16: how activations and their gradients lie in memory
} ck_elementwise_params;

typedef struct ck_scale_params {
    int64_t count;
    float factor;
    int32_t activations;  // CK_f32 or CK_bf16: how activations and their gradients lie in memory
} ck_scale_params;

typedef struct ck_pool_params {  // window r x r, H x W in, P x Q out
    int32_t n, h, w, c, r, stride, pad, p, q;
    int32_t activations;  // CK_f32 or CK_bf16: how activations and their gradients lie in memory
} ck_pool_params;

typedef struct ck_dense_params {  // y[N,K] = x[N,C] w[K,C]^T + b[K]
    int32_t n, c, k;
    int32_t math;
} ck_dense_params;

typedef struct ck_rows_params {  // N rows of C
    int32_t n, c;
    float epsilon;
} ck_rows_params;

typedef struct ck_cross_entropy_params {  // N rows of C logits
    int32_t n, c;
    int32_t outliers;      // rows whose label is -1: their target is the uniform distribution
    float outlier_weight;  // of the mean over them
} ck_cross_entropy_params;

typedef struct ck_distance_params {  // N rows of C against as many targets, or one
    int32_t n, c;
    int32_t targets;  // N or 1
    float factor;     // of the sum of squares
} ck_distance_params;

typedef struct ck_boundary_params {  // N squared distances from a center
    int32_t n;
    float nu;       // the share of them that may be beyond the boundary
    int64_t after;  // steps before the boundary moves
} ck_boundary_params;

typedef struct ck_nt_xent_params {  // 2B embeddings of D; rows 0..<B are view 1, B..<2B are view 2
    int32_t b, d;
    float temperature;
    int32_t symmetric;  // 0: view 1 against view 2 (Sohn et al. 2021); 1: all 2N against all (SimCLR)
    int32_t math;
    // Whose anchors and gradients are computed: pairs first ..< first + pairs. Their rows are `pairs` of view
    // 1, then as many of view 2.
    int32_t first, pairs;
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
    float beta2;  // Adam's share of the mean of squares that a step keeps
} ck_optimizer_params;

// What ranks exchange: `blocks` blocks of `count` elements from each.
typedef struct ck_collective_params {
    int64_t count;
    int32_t blocks, ranks;
} ck_collective_params;

// Which values a coupling layer keeps: pixels of one color of a checkerboard, or half of the channels.
enum { CK_MASK_CHECKERBOARD = 0, CK_MASK_CHANNELS = 1 };

typedef struct ck_coupling_params {  // N images of H x W x C; rows of features are images of one pixel
    int32_t n, h, w, c;
    int32_t mask;  // CK_MASK_...
    int32_t
        parity;  // which half is kept: 0 for row + column even, or the first C / 2 channels; 1: the others
} ck_coupling_params;

typedef struct ck_likelihood_params {  // N log-likelihoods
    int32_t n;
    int64_t dimensions;  // that each is of
    float levels;        // bits to a dimension that are added: 8 where 256 levels were scaled to 0...1
} ck_likelihood_params;

enum { CK_MAX_MIXTURE = 16 };  // dimensions, and components

typedef struct ck_mixture_params {  // N rows of D, K Gaussians
    int32_t n, d, k;
    float epsilon;  // added to the diagonals of the covariances
    float energy;   // the factor of the mean energy in the loss
    float penalty;  // the factor of the sum of the inverse variances
} ck_mixture_params;

typedef union ck_operation_params {
    ck_image_params image;
    ck_cutpaste_params cutpaste;
    ck_conv2d_params conv2d;
    ck_batchnorm_params batchnorm;
    ck_elementwise_params elementwise;
    ck_scale_params scale;
    ck_pool_params pool;
    ck_dense_params dense;
    ck_rows_params rows;
    ck_cross_entropy_params cross_entropy;
    ck_distance_params distance;
    ck_boundary_params boundary;
    ck_nt_xent_params nt_xent;
    ck_products_params products;
    ck_optimizer_params optimizer;
    ck_collective_params collective;
    ck_coupling_params coupling;
    ck_likelihood_params likelihood;
    ck_mixture_params mixture;
} ck_operation_params;

#endif
