// Printed by occ-generate from CKernels/include/ck_operations.h; not to be edited.
import CKernels

// One function for each operation: appends it to the plan, for a layer whose name errors and listings show. The
// operands are checked against their declaration at once; `flop` counts a multiply-add as two. Activations are all
// of the first one's type.
extension PlanBuilder {
    /// The part of image `index` from `corner` (row, column) on, divided by 255.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - data: read, uint8 [any, storedH, storedW, C].
    ///   - indices: read, int32 [N].
    ///   - corners: read, int32 [N, 2], or nil.
    package func gather(
        _ layer: String, y: Tensor, data: Tensor, indices: Tensor, corners: Tensor?,
        _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_gather, layer,
            [
                y, data, indices, corners,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// Each image under one of the eight symmetries of the square (ck_dihedral.h).
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    ///   - transforms: read, int32 [N].
    package func dihedral(
        _ layer: String, y: Tensor, x: Tensor, transforms: Tensor, _ params: ck_image_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_dihedral, layer,
            [
                y, x, transforms,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// Each image moved by steps of p's unit (down, right), its edges mirrored.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    ///   - shifts: read, int32 [N, 2].
    package func translate(
        _ layer: String, y: Tensor, x: Tensor, shifts: Tensor, _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_translate, layer,
            [
                y, x, shifts,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// A square crop of random side and place, resized back (bilinear).
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    package func randomCrop(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_random_crop, layer,
            [
                y, x, stepState,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// The image, or with p's probability its mirror image (left and right).
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    package func randomFlip(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_random_flip, layer,
            [
                y, x, stepState,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// Brightness, contrast, saturation and hue changed, in a random order.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    package func colorJitter(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_color_jitter, layer,
            [
                y, x, stepState,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// The image, or with p's probability three equal channels of its luma.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    package func randomGray(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_random_gray, layer,
            [
                y, x, stepState,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// The image, or with p's probability its values from 0.5 on inverted.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    package func randomSolarize(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_random_solarize, layer,
            [
                y, x, stepState,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// Gaussian blur, separable, edges clamped.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    package func randomBlur(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_random_blur, layer,
            [
                y, x, stepState,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// CutPaste: a part of the image pasted into it (kinds: CK_PASTE_...).
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    ///   - kinds: read, int32 [N].
    package func cutpaste(
        _ layer: String, y: Tensor, x: Tensor, kinds: Tensor, _ params: ck_cutpaste_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_cutpaste, layer,
            [
                y, x, kinds, stepState,
            ], ck_operation_params(cutpaste: params), flop: flop)
    }

    /// The image with normal noise of deviation p's maximum added.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    package func gaussianNoise(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_gaussian_noise, layer,
            [
                y, x, stepState,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// Each value 0 with p's probability, or divided by 1 - it; its own gradient, too.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - x: read, float32 [N, H, W, C].
    package func dropout(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_dropout, layer,
            [
                y, x, stepState,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// The convolution of x with the filters w, zeros around the image.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [N, P, Q, K].
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    ///   - w: read, float32 [K, R, S, C].
    package func conv2dForward(
        _ layer: String, y: Tensor, x: Tensor, w: Tensor, _ params: ck_conv2d_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_conv2d_forward, layer,
            [
                y, x, w,
            ], ck_operation_params(conv2d: params), flop: flop)
    }

    /// A convolution's gradient by its input.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [N, H, W, C].
    ///   - dy: read, float32 or bfloat16 [N, P, Q, K].
    ///   - w: read, float32 [K, R, S, C].
    package func conv2dBackwardData(
        _ layer: String, dx: Tensor, dy: Tensor, w: Tensor, _ params: ck_conv2d_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_conv2d_backward_data, layer,
            [
                dx, dy, w,
            ], ck_operation_params(conv2d: params), flop: flop)
    }

    /// A convolution's gradient by its filters.
    ///
    /// - Parameters:
    ///   - dw: written, float32 [K, R, S, C].
    ///   - dy: read, float32 or bfloat16 [N, P, Q, K].
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    package func conv2dBackwardWeight(
        _ layer: String, dw: Tensor, dy: Tensor, x: Tensor, _ params: ck_conv2d_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dy.type.activations
        try append(
            .CK_KIND_conv2d_backward_weight, layer,
            [
                dw, dy, x,
            ], ck_operation_params(conv2d: params), flop: flop)
    }

    /// A convolution, normalized: relu?(batchnorm_inference(x * w) + residual).
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [N, P, Q, K].
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    ///   - w: read, float32 [K, R, S, C].
    ///   - gamma: read, float32 [K].
    ///   - beta: read, float32 [K].
    ///   - runningMean: read, float32 [K].
    ///   - runningVariance: read, float32 [K].
    ///   - residual: read, float32 or bfloat16 [N, P, Q, K], or nil.
    package func conv2dInference(
        _ layer: String, y: Tensor, x: Tensor, w: Tensor, gamma: Tensor, beta: Tensor,
        runningMean: Tensor, runningVariance: Tensor, residual: Tensor?, _ params: ck_conv2d_params,
        flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_conv2d_inference, layer,
            [
                y, x, w, gamma, beta, runningMean, runningVariance, residual,
            ], ck_operation_params(conv2d: params), flop: flop)
    }

    /// z = x * w and batchnorm_forward of it.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [N, P, Q, K].
    ///   - z: written, float32 or bfloat16 [N, P, Q, K].
    ///   - mean: written, float32 [K].
    ///   - inverseDeviation: written, float32 [K].
    ///   - runningMean: read and written, float32 [K].
    ///   - runningVariance: read and written, float32 [K].
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    ///   - w: read, float32 [K, R, S, C].
    ///   - residual: read, float32 or bfloat16 [N, P, Q, K], or nil.
    ///   - gamma: read, float32 [K].
    ///   - beta: read, float32 [K].
    package func conv2dBatchnormForward(
        _ layer: String, y: Tensor, z: Tensor, mean: Tensor, inverseDeviation: Tensor,
        runningMean: Tensor, runningVariance: Tensor, x: Tensor, w: Tensor, residual: Tensor?,
        gamma: Tensor, beta: Tensor, _ params: ck_conv2d_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_conv2d_batchnorm_forward, layer,
            [
                y, z, mean, inverseDeviation, runningMean, runningVariance, x, w, residual, gamma, beta,
            ], ck_operation_params(conv2d: params), flop: flop)
    }

    /// conv2d_backward_data plus `added`, and batchnorm_backward of that.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [N, H, W, C].
    ///   - dgamma: written, float32 [C].
    ///   - dbeta: written, float32 [C].
    ///   - dresidual: written, float32 or bfloat16 [N, H, W, C].
    ///   - dy: read, float32 or bfloat16 [N, P, Q, K].
    ///   - w: read, float32 [K, R, S, C].
    ///   - added: read, float32 or bfloat16 [N, H, W, C], or nil.
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    ///   - y: read, float32 or bfloat16 [N, H, W, C].
    ///   - mean: read, float32 [C].
    ///   - inverseDeviation: read, float32 [C].
    ///   - gamma: read, float32 [C].
    package func conv2dBatchnormBackward(
        _ layer: String, dx: Tensor, dgamma: Tensor, dbeta: Tensor, dresidual: Tensor, dy: Tensor,
        w: Tensor, added: Tensor?, x: Tensor, y: Tensor, mean: Tensor, inverseDeviation: Tensor,
        gamma: Tensor, _ params: ck_conv2d_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_conv2d_batchnorm_backward, layer,
            [
                dx, dgamma, dbeta, dresidual, dy, w, added, x, y, mean, inverseDeviation, gamma,
            ], ck_operation_params(conv2d: params), flop: flop)
    }

    /// x w^T + b.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, K].
    ///   - x: read, float32 [N, C].
    ///   - w: read, float32 [K, C].
    ///   - b: read, float32 [K], or nil.
    package func denseForward(
        _ layer: String, y: Tensor, x: Tensor, w: Tensor, b: Tensor?, _ params: ck_dense_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_dense_forward, layer,
            [
                y, x, w, b,
            ], ck_operation_params(dense: params), flop: flop)
    }

    /// A dense layer's gradient by its input.
    ///
    /// - Parameters:
    ///   - dx: written, float32 [N, C].
    ///   - dy: read, float32 [N, K].
    ///   - w: read, float32 [K, C].
    package func denseBackwardData(
        _ layer: String, dx: Tensor, dy: Tensor, w: Tensor, _ params: ck_dense_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_dense_backward_data, layer,
            [
                dx, dy, w,
            ], ck_operation_params(dense: params), flop: flop)
    }

    /// A dense layer's gradients by its weights and biases.
    ///
    /// - Parameters:
    ///   - dw: written, float32 [K, C].
    ///   - db: written, float32 [K], or nil.
    ///   - dy: read, float32 [N, K].
    ///   - x: read, float32 [N, C].
    package func denseBackwardWeight(
        _ layer: String, dw: Tensor, db: Tensor?, dy: Tensor, x: Tensor, _ params: ck_dense_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_dense_backward_weight, layer,
            [
                dw, db, dy, x,
            ], ck_operation_params(dense: params), flop: flop)
    }

    /// relu?((x - mean) * inverse_deviation * gamma + beta + residual).
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [rows, channels].
    ///   - mean: written, float32 [channels].
    ///   - inverseDeviation: written, float32 [channels].
    ///   - runningMean: read and written, float32 [channels].
    ///   - runningVariance: read and written, float32 [channels].
    ///   - x: read, float32 or bfloat16 [rows, channels].
    ///   - residual: read, float32 or bfloat16 [rows, channels], or nil.
    ///   - gamma: read, float32 [channels].
    ///   - beta: read, float32 [channels].
    package func batchnormForward(
        _ layer: String, y: Tensor, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor,
        runningVariance: Tensor, x: Tensor, residual: Tensor?, gamma: Tensor, beta: Tensor,
        _ params: ck_batchnorm_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_batchnorm_forward, layer,
            [
                y, mean, inverseDeviation, runningMean, runningVariance, x, residual, gamma, beta,
            ], ck_operation_params(batchnorm: params), flop: flop)
    }

    /// The gradients of batchnorm_forward.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [rows, channels].
    ///   - dgamma: written, float32 [channels].
    ///   - dbeta: written, float32 [channels].
    ///   - dresidual: written, float32 or bfloat16 [rows, channels], or nil.
    ///   - dy: read, float32 or bfloat16 [rows, channels].
    ///   - x: read, float32 or bfloat16 [rows, channels].
    ///   - y: read, float32 or bfloat16 [rows, channels].
    ///   - mean: read, float32 [channels].
    ///   - inverseDeviation: read, float32 [channels].
    ///   - gamma: read, float32 [channels].
    package func batchnormBackward(
        _ layer: String, dx: Tensor, dgamma: Tensor, dbeta: Tensor, dresidual: Tensor?, dy: Tensor,
        x: Tensor, y: Tensor, mean: Tensor, inverseDeviation: Tensor, gamma: Tensor,
        _ params: ck_batchnorm_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_batchnorm_backward, layer,
            [
                dx, dgamma, dbeta, dresidual, dy, x, y, mean, inverseDeviation, gamma,
            ], ck_operation_params(batchnorm: params), flop: flop)
    }

    /// Of this rank's rows, the mean and the sum of squared deviations.
    ///
    /// - Parameters:
    ///   - moments: written, float32 [2, channels].
    ///   - x: read, float32 or bfloat16 [rows, channels].
    package func batchnormMoments(
        _ layer: String, moments: Tensor, x: Tensor, _ params: ck_batchnorm_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = x.type.activations
        try append(
            .CK_KIND_batchnorm_moments, layer,
            [
                moments, x,
            ], ck_operation_params(batchnorm: params), flop: flop)
    }

    /// batchnorm_forward of this rank's rows, by the moments of all ranks.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [rows, channels].
    ///   - mean: written, float32 [channels].
    ///   - inverseDeviation: written, float32 [channels].
    ///   - runningMean: read and written, float32 [channels].
    ///   - runningVariance: read and written, float32 [channels].
    ///   - x: read, float32 or bfloat16 [rows, channels].
    ///   - residual: read, float32 or bfloat16 [rows, channels], or nil.
    ///   - gamma: read, float32 [channels].
    ///   - beta: read, float32 [channels].
    ///   - moments: read, float32 [2 * ranks, channels].
    package func batchnormNormalize(
        _ layer: String, y: Tensor, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor,
        runningVariance: Tensor, x: Tensor, residual: Tensor?, gamma: Tensor, beta: Tensor,
        moments: Tensor, _ params: ck_batchnorm_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_batchnorm_normalize, layer,
            [
                y, mean, inverseDeviation, runningMean, runningVariance, x, residual, gamma, beta,
                moments,
            ], ck_operation_params(batchnorm: params), flop: flop)
    }

    /// This rank's share of the gradients by gamma and beta.
    ///
    /// - Parameters:
    ///   - dgamma: written, float32 [channels].
    ///   - dbeta: written, float32 [channels].
    ///   - sums: written, float32 [2, channels].
    ///   - dy: read, float32 or bfloat16 [rows, channels].
    ///   - x: read, float32 or bfloat16 [rows, channels].
    ///   - y: read, float32 or bfloat16 [rows, channels].
    ///   - mean: read, float32 [channels].
    ///   - inverseDeviation: read, float32 [channels].
    package func batchnormGradientSums(
        _ layer: String, dgamma: Tensor, dbeta: Tensor, sums: Tensor, dy: Tensor, x: Tensor, y: Tensor,
        mean: Tensor, inverseDeviation: Tensor, _ params: ck_batchnorm_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dy.type.activations
        try append(
            .CK_KIND_batchnorm_gradient_sums, layer,
            [
                dgamma, dbeta, sums, dy, x, y, mean, inverseDeviation,
            ], ck_operation_params(batchnorm: params), flop: flop)
    }

    /// The gradient of this rank's rows, by the sums (dbeta, dgamma) of all ranks.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [rows, channels].
    ///   - dresidual: written, float32 or bfloat16 [rows, channels], or nil.
    ///   - dy: read, float32 or bfloat16 [rows, channels].
    ///   - x: read, float32 or bfloat16 [rows, channels].
    ///   - y: read, float32 or bfloat16 [rows, channels].
    ///   - mean: read, float32 [channels].
    ///   - inverseDeviation: read, float32 [channels].
    ///   - gamma: read, float32 [channels].
    ///   - sums: read, float32 [2 * ranks, channels].
    package func batchnormGradient(
        _ layer: String, dx: Tensor, dresidual: Tensor?, dy: Tensor, x: Tensor, y: Tensor, mean: Tensor,
        inverseDeviation: Tensor, gamma: Tensor, sums: Tensor, _ params: ck_batchnorm_params,
        flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_batchnorm_gradient, layer,
            [
                dx, dresidual, dy, x, y, mean, inverseDeviation, gamma, sums,
            ], ck_operation_params(batchnorm: params), flop: flop)
    }

    /// batchnorm_forward by the running statistics.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [rows, channels].
    ///   - x: read, float32 or bfloat16 [rows, channels].
    ///   - residual: read, float32 or bfloat16 [rows, channels], or nil.
    ///   - gamma: read, float32 [channels].
    ///   - beta: read, float32 [channels].
    ///   - runningMean: read, float32 [channels].
    ///   - runningVariance: read, float32 [channels].
    package func batchnormInference(
        _ layer: String, y: Tensor, x: Tensor, residual: Tensor?, gamma: Tensor, beta: Tensor,
        runningMean: Tensor, runningVariance: Tensor, _ params: ck_batchnorm_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_batchnorm_inference, layer,
            [
                y, x, residual, gamma, beta, runningMean, runningVariance,
            ], ck_operation_params(batchnorm: params), flop: flop)
    }

    /// The gradients of batchnorm_inference by its inputs.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [rows, channels].
    ///   - dresidual: written, float32 or bfloat16 [rows, channels], or nil.
    ///   - dy: read, float32 or bfloat16 [rows, channels].
    ///   - y: read, float32 or bfloat16 [rows, channels].
    ///   - gamma: read, float32 [channels].
    ///   - runningVariance: read, float32 [channels].
    package func batchnormInferenceBackward(
        _ layer: String, dx: Tensor, dresidual: Tensor?, dy: Tensor, y: Tensor, gamma: Tensor,
        runningVariance: Tensor, _ params: ck_batchnorm_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_batchnorm_inference_backward, layer,
            [
                dx, dresidual, dy, y, gamma, runningVariance,
            ], ck_operation_params(batchnorm: params), flop: flop)
    }

    /// max(0, x).
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [count].
    ///   - x: read, float32 or bfloat16 [count].
    package func reluForward(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_elementwise_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_relu_forward, layer,
            [
                y, x,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// dy where y > 0, else 0.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [count].
    ///   - dy: read, float32 or bfloat16 [count].
    ///   - y: read, float32 or bfloat16 [count].
    package func reluBackward(
        _ layer: String, dx: Tensor, dy: Tensor, y: Tensor, _ params: ck_elementwise_params,
        flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_relu_backward, layer,
            [
                dx, dy, y,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// The hyperbolic tangent of x.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [count].
    ///   - x: read, float32 or bfloat16 [count].
    package func tanhForward(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_elementwise_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_tanh_forward, layer,
            [
                y, x,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// dy (1 - y^2).
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [count].
    ///   - dy: read, float32 or bfloat16 [count].
    ///   - y: read, float32 or bfloat16 [count].
    package func tanhBackward(
        _ layer: String, dx: Tensor, dy: Tensor, y: Tensor, _ params: ck_elementwise_params,
        flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_tanh_backward, layer,
            [
                dx, dy, y,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// a + b.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [count].
    ///   - a: read, float32 or bfloat16 [count].
    ///   - b: read, float32 or bfloat16 [count].
    package func add(
        _ layer: String, y: Tensor, a: Tensor, b: Tensor, _ params: ck_elementwise_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_add, layer,
            [
                y, a, b,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// x rounded to bf16, ties to even.
    ///
    /// - Parameters:
    ///   - y: written, bfloat16 [count].
    ///   - x: read, float32 [count].
    package func toBf16(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_elementwise_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_to_bf16, layer,
            [
                y, x,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// x in single precision.
    ///
    /// - Parameters:
    ///   - y: written, float32 [count].
    ///   - x: read, bfloat16 [count].
    package func fromBf16(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_elementwise_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_from_bf16, layer,
            [
                y, x,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// The mean of (x - target)^2 over all elements.
    ///
    /// - Parameters:
    ///   - loss: written, float32 [1].
    ///   - x: read, float32 [count].
    ///   - target: read, float32 [count].
    package func meanSquaredErrorForward(
        _ layer: String, loss: Tensor, x: Tensor, target: Tensor, _ params: ck_elementwise_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_mean_squared_error_forward, layer,
            [
                loss, x, target,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// The mean squared error's gradient by x.
    ///
    /// - Parameters:
    ///   - dx: written, float32 [count].
    ///   - x: read, float32 [count].
    ///   - target: read, float32 [count].
    package func meanSquaredErrorBackward(
        _ layer: String, dx: Tensor, x: Tensor, target: Tensor, _ params: ck_elementwise_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_mean_squared_error_backward, layer,
            [
                dx, x, target,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// The sum of x^2 over all elements.
    ///
    /// - Parameters:
    ///   - y: written, float32 [1].
    ///   - x: read, float32 [count].
    package func sumOfSquares(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_elementwise_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_sum_of_squares, layer,
            [
                y, x,
            ], ck_operation_params(elementwise: params), flop: flop)
    }

    /// The largest value of each window of R x R, and its place in the window.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [N, P, Q, C].
    ///   - argmax: written, uint8 [N, P, Q, C].
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    package func maxPoolForward(
        _ layer: String, y: Tensor, argmax: Tensor, x: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_max_pool_forward, layer,
            [
                y, argmax, x,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// Max pooling's gradient.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [N, H, W, C].
    ///   - dy: read, float32 or bfloat16 [N, P, Q, C].
    ///   - argmax: read, uint8 [N, P, Q, C].
    package func maxPoolBackward(
        _ layer: String, dx: Tensor, dy: Tensor, argmax: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_max_pool_backward, layer,
            [
                dx, dy, argmax,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// The mean of each channel over an image's pixels.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, C].
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    package func globalAveragePoolForward(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = x.type.activations
        try append(
            .CK_KIND_global_average_pool_forward, layer,
            [
                y, x,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// Global average pooling's gradient.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [N, H, W, C].
    ///   - dy: read, float32 [N, C].
    package func globalAveragePoolBackward(
        _ layer: String, dx: Tensor, dy: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_global_average_pool_backward, layer,
            [
                dx, dy,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// Each pixel repeated 2 x 2.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [N, 2 * H, 2 * W, C].
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    package func upsampleForward(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_upsample_forward, layer,
            [
                y, x,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// Upsampling's gradient.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [N, H, W, C].
    ///   - dy: read, float32 or bfloat16 [N, 2 * H, 2 * W, C].
    package func upsampleBackward(
        _ layer: String, dx: Tensor, dy: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_upsample_backward, layer,
            [
                dx, dy,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// The image without a border of p's pad pixels.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [N, P, Q, C].
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    package func cropForward(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_crop_forward, layer,
            [
                y, x,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// Cropping's gradient, zero in the border.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [N, H, W, C].
    ///   - dy: read, float32 or bfloat16 [N, P, Q, C].
    package func cropBackward(
        _ layer: String, dx: Tensor, dy: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_crop_backward, layer,
            [
                dx, dy,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// The mean of each window of R x R; a column's sum first, then those of its columns.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, P, Q, C].
    ///   - x: read, float32 or bfloat16 [N, H, W, C].
    package func windowMeans(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = x.type.activations
        try append(
            .CK_KIND_window_means, layer,
            [
                y, x,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// A factor times x.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [count].
    ///   - x: read, float32 or bfloat16 [count].
    package func scale(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_scale_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_scale, layer,
            [
                y, x,
            ], ck_operation_params(scale: params), flop: flop)
    }

    /// x where it is above 0, a factor times x elsewhere.
    ///
    /// - Parameters:
    ///   - y: written, float32 or bfloat16 [count].
    ///   - x: read, float32 or bfloat16 [count].
    package func leakyReluForward(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_scale_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = y.type.activations
        try append(
            .CK_KIND_leaky_relu_forward, layer,
            [
                y, x,
            ], ck_operation_params(scale: params), flop: flop)
    }

    /// The leaky ReLU's gradient, by its result's sign.
    ///
    /// - Parameters:
    ///   - dx: written, float32 or bfloat16 [count].
    ///   - dy: read, float32 or bfloat16 [count].
    ///   - y: read, float32 or bfloat16 [count].
    package func leakyReluBackward(
        _ layer: String, dx: Tensor, dy: Tensor, y: Tensor, _ params: ck_scale_params, flop: Int = 0
    ) throws {
        var params = params
        params.activations = dx.type.activations
        try append(
            .CK_KIND_leaky_relu_backward, layer,
            [
                dx, dy, y,
            ], ck_operation_params(scale: params), flop: flop)
    }

    /// Rows side by side: a's C columns, then b's K.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, C + K].
    ///   - a: read, float32 [N, C].
    ///   - b: read, float32 [N, K].
    package func concatenate(
        _ layer: String, y: Tensor, a: Tensor, b: Tensor, _ params: ck_dense_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_concatenate, layer,
            [
                y, a, b,
            ], ck_operation_params(dense: params), flop: flop)
    }

    /// The gradients of concatenate.
    ///
    /// - Parameters:
    ///   - da: written, float32 [N, C].
    ///   - db: written, float32 [N, K].
    ///   - dy: read, float32 [N, C + K].
    package func concatenateBackward(
        _ layer: String, da: Tensor, db: Tensor, dy: Tensor, _ params: ck_dense_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_concatenate_backward, layer,
            [
                da, db, dy,
            ], ck_operation_params(dense: params), flop: flop)
    }

    /// Each row divided by its norm, which is at least epsilon.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, C].
    ///   - norm: written, float32 [N].
    ///   - x: read, float32 [N, C].
    package func l2NormalizeForward(
        _ layer: String, y: Tensor, norm: Tensor, x: Tensor, _ params: ck_rows_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_l2_normalize_forward, layer,
            [
                y, norm, x,
            ], ck_operation_params(rows: params), flop: flop)
    }

    /// L2 normalization's gradient.
    ///
    /// - Parameters:
    ///   - dx: written, float32 [N, C].
    ///   - dy: read, float32 [N, C].
    ///   - y: read, float32 [N, C].
    ///   - norm: read, float32 [N].
    package func l2NormalizeBackward(
        _ layer: String, dx: Tensor, dy: Tensor, y: Tensor, norm: Tensor, _ params: ck_rows_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_l2_normalize_backward, layer,
            [
                dx, dy, y, norm,
            ], ck_operation_params(rows: params), flop: flop)
    }

    /// Class probabilities.
    ///
    /// - Parameters:
    ///   - p: written, float32 [N, C].
    ///   - logits: read, float32 [N, C].
    package func softmax(
        _ layer: String, p: Tensor, logits: Tensor, _ params: ck_rows_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_softmax, layer,
            [
                p, logits,
            ], ck_operation_params(rows: params), flop: flop)
    }

    /// Softmax's gradient by the logits.
    ///
    /// - Parameters:
    ///   - dlogits: written, float32 [N, C].
    ///   - dp: read, float32 [N, C].
    ///   - p: read, float32 [N, C].
    package func softmaxBackward(
        _ layer: String, dlogits: Tensor, dp: Tensor, p: Tensor, _ params: ck_rows_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_softmax_backward, layer,
            [
                dlogits, dp, p,
            ], ck_operation_params(rows: params), flop: flop)
    }

    /// The mean cross-entropy of rows and labels; plus outliers' and the uniform.
    ///
    /// - Parameters:
    ///   - loss: written, float32 [1].
    ///   - p: written, float32 [N, C].
    ///   - logits: read, float32 [N, C].
    ///   - labels: read, int32 [N].
    package func softmaxCrossEntropyForward(
        _ layer: String, loss: Tensor, p: Tensor, logits: Tensor, labels: Tensor,
        _ params: ck_cross_entropy_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_softmax_cross_entropy_forward, layer,
            [
                loss, p, logits, labels,
            ], ck_operation_params(cross_entropy: params), flop: flop)
    }

    /// The cross-entropy's gradient by the logits.
    ///
    /// - Parameters:
    ///   - dlogits: written, float32 [N, C].
    ///   - p: read, float32 [N, C].
    ///   - labels: read, int32 [N].
    package func softmaxCrossEntropyBackward(
        _ layer: String, dlogits: Tensor, p: Tensor, labels: Tensor, _ params: ck_cross_entropy_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_softmax_cross_entropy_backward, layer,
            [
                dlogits, p, labels,
            ], ck_operation_params(cross_entropy: params), flop: flop)
    }

    /// A factor times each row's squared distance from its target, or the only one.
    ///
    /// - Parameters:
    ///   - d: written, float32 [N].
    ///   - x: read, float32 [N, C].
    ///   - target: read, float32 [targets, C].
    package func rowDistanceForward(
        _ layer: String, d: Tensor, x: Tensor, target: Tensor, _ params: ck_distance_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_row_distance_forward, layer,
            [
                d, x, target,
            ], ck_operation_params(distance: params), flop: flop)
    }

    /// The distances' gradients by the rows, and by targets of each row.
    ///
    /// - Parameters:
    ///   - dx: written, float32 [N, C].
    ///   - dtarget: written, float32 [targets, C], or nil.
    ///   - dd: read, float32 [N].
    ///   - x: read, float32 [N, C].
    ///   - target: read, float32 [targets, C].
    package func rowDistanceBackward(
        _ layer: String, dx: Tensor, dtarget: Tensor?, dd: Tensor, x: Tensor, target: Tensor,
        _ params: ck_distance_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_row_distance_backward, layer,
            [
                dx, dtarget, dd, x, target,
            ], ck_operation_params(distance: params), flop: flop)
    }

    /// R^2 + mean max(0, d - R^2) / nu (Ruff et al. 2018, equation 3); without R mean d / nu.
    ///
    /// - Parameters:
    ///   - loss: written, float32 [1].
    ///   - d: read, float32 [N].
    ///   - radius: read, float32 [1], or nil.
    package func softBoundaryForward(
        _ layer: String, loss: Tensor, d: Tensor, radius: Tensor?, _ params: ck_boundary_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_soft_boundary_forward, layer,
            [
                loss, d, radius,
            ], ck_operation_params(boundary: params), flop: flop)
    }

    /// The soft boundary's gradient by the distances.
    ///
    /// - Parameters:
    ///   - dd: written, float32 [N].
    ///   - d: read, float32 [N].
    ///   - radius: read, float32 [1], or nil.
    package func softBoundaryBackward(
        _ layer: String, dd: Tensor, d: Tensor, radius: Tensor?, _ params: ck_boundary_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_soft_boundary_backward, layer,
            [
                dd, d, radius,
            ], ck_operation_params(boundary: params), flop: flop)
    }

    /// From a step on, R^2 is the distances' quantile of order 1 - nu, squared.
    ///
    /// - Parameters:
    ///   - radius: read and written, float32 [1].
    ///   - d: read, float32 [N].
    package func boundaryUpdate(
        _ layer: String, radius: Tensor, d: Tensor, _ params: ck_boundary_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_boundary_update, layer,
            [
                radius, d, stepState,
            ], ck_operation_params(boundary: params), flop: flop)
    }

    /// NT-Xent of 2B embeddings; rows i and i + B are two views of one image.
    ///
    /// - Parameters:
    ///   - loss: written, float32 [1].
    ///   - lse: written, float32 [own anchors].
    ///   - z: read, float32 [2 * B, D].
    package func ntXentForward(
        _ layer: String, loss: Tensor, lse: Tensor, z: Tensor, _ params: ck_nt_xent_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_nt_xent_forward, layer,
            [
                loss, lse, z,
            ], ck_operation_params(nt_xent: params), flop: flop)
    }

    /// The gradient of B / pairs times the whole NT-Xent by the pairs' embeddings.
    ///
    /// - Parameters:
    ///   - dz: written, float32 [2 * pairs, D].
    ///   - z: read, float32 [2 * B, D].
    ///   - lse: read, float32 [anchors].
    package func ntXentBackward(
        _ layer: String, dz: Tensor, z: Tensor, lse: Tensor, _ params: ck_nt_xent_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_nt_xent_backward, layer,
            [
                dz, z, lse,
            ], ck_operation_params(nt_xent: params), flop: flop)
    }

    /// log sum_j exp(scale * x_i . s_j), tile by tile.
    ///
    /// - Parameters:
    ///   - lse: written, float32 [N].
    ///   - x: read, float32 [N, D].
    ///   - s: read, float32 [M, D].
    package func logSumExpProducts(
        _ layer: String, lse: Tensor, x: Tensor, s: Tensor, _ params: ck_products_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_log_sum_exp_products, layer,
            [
                lse, x, s,
            ], ck_operation_params(products: params), flop: flop)
    }

    /// logit(m + (1 - 2m) v), v = (255 x + u) / 256, u in 0...1, m p's minimum.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H, W, C].
    ///   - logLikelihood: written, float32 [N].
    ///   - x: read, float32 [N, H, W, C].
    package func dequantizeForward(
        _ layer: String, y: Tensor, logLikelihood: Tensor, x: Tensor, _ params: ck_image_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_dequantize_forward, layer,
            [
                y, logLikelihood, x, stepState,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// Dequantization's gradient by x.
    ///
    /// - Parameters:
    ///   - dx: written, float32 [N, H, W, C].
    ///   - dy: read, float32 [N, H, W, C].
    ///   - dlogLikelihood: read, float32 [N], or nil.
    ///   - y: read, float32 [N, H, W, C].
    package func dequantizeBackward(
        _ layer: String, dx: Tensor, dy: Tensor, dlogLikelihood: Tensor?, y: Tensor,
        _ params: ck_image_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_dequantize_backward, layer,
            [
                dx, dy, dlogLikelihood, y,
            ], ck_operation_params(image: params), flop: flop)
    }

    /// The values that a coupling keeps, and 0 elsewhere; its own gradient, too.
    ///
    /// - Parameters:
    ///   - y: written, float32 [IMAGE_PIXELS, C].
    ///   - x: read, float32 [IMAGE_PIXELS, C].
    package func couplingMask(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_coupling_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_coupling_mask, layer,
            [
                y, x,
            ], ck_operation_params(coupling: params), flop: flop)
    }

    /// x exp(s) + t where it is not kept: s = factor tanh(net's first C), t the others.
    ///
    /// - Parameters:
    ///   - y: written, float32 [IMAGE_PIXELS, C].
    ///   - logLikelihood: written, float32 [N].
    ///   - x: read, float32 [IMAGE_PIXELS, C].
    ///   - net: read, float32 [IMAGE_PIXELS, 2 * C].
    ///   - factor: read, float32 [C].
    ///   - before: read, float32 [N], or nil.
    package func couplingForward(
        _ layer: String, y: Tensor, logLikelihood: Tensor, x: Tensor, net: Tensor, factor: Tensor,
        before: Tensor?, _ params: ck_coupling_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_coupling_forward, layer,
            [
                y, logLikelihood, x, net, factor, before,
            ], ck_operation_params(coupling: params), flop: flop)
    }

    /// The gradients of coupling_forward.
    ///
    /// - Parameters:
    ///   - dx: written, float32 [IMAGE_PIXELS, C].
    ///   - dnet: written, float32 [IMAGE_PIXELS, 2 * C].
    ///   - dfactor: written, float32 [C].
    ///   - dy: read, float32 [IMAGE_PIXELS, C].
    ///   - dlogLikelihood: read, float32 [N], or nil.
    ///   - x: read, float32 [IMAGE_PIXELS, C].
    ///   - net: read, float32 [IMAGE_PIXELS, 2 * C].
    ///   - factor: read, float32 [C].
    package func couplingBackward(
        _ layer: String, dx: Tensor, dnet: Tensor, dfactor: Tensor, dy: Tensor, dlogLikelihood: Tensor?,
        x: Tensor, net: Tensor, factor: Tensor, _ params: ck_coupling_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_coupling_backward, layer,
            [
                dx, dnet, dfactor, dy, dlogLikelihood, x, net, factor,
            ], ck_operation_params(coupling: params), flop: flop)
    }

    /// Each square of 2 x 2 pixels as one of 4C channels, row by row.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, H / 2, W / 2, 4 * C].
    ///   - x: read, float32 [N, H, W, C].
    package func squeezeForward(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_squeeze_forward, layer,
            [
                y, x,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// Squeezing's gradient.
    ///
    /// - Parameters:
    ///   - dx: written, float32 [N, H, W, C].
    ///   - dy: read, float32 [N, H / 2, W / 2, 4 * C].
    package func squeezeBackward(
        _ layer: String, dx: Tensor, dy: Tensor, _ params: ck_pool_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_squeeze_backward, layer,
            [
                dx, dy,
            ], ck_operation_params(pool: params), flop: flop)
    }

    /// `before` plus the log density of each row under the standard normal distribution.
    ///
    /// - Parameters:
    ///   - logLikelihood: written, float32 [N].
    ///   - z: read, float32 [N * C].
    ///   - before: read, float32 [N], or nil.
    package func normalForward(
        _ layer: String, logLikelihood: Tensor, z: Tensor, before: Tensor?, _ params: ck_rows_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_normal_forward, layer,
            [
                logLikelihood, z, before,
            ], ck_operation_params(rows: params), flop: flop)
    }

    /// The log density's gradient by z.
    ///
    /// - Parameters:
    ///   - dz: written, float32 [N * C].
    ///   - dlogLikelihood: read, float32 [N].
    ///   - z: read, float32 [N * C].
    package func normalBackward(
        _ layer: String, dz: Tensor, dlogLikelihood: Tensor, z: Tensor, _ params: ck_rows_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_normal_backward, layer,
            [
                dz, dlogLikelihood, z,
            ], ck_operation_params(rows: params), flop: flop)
    }

    /// -log2 of each likelihood over the dimensions, plus p's levels; their mean.
    ///
    /// - Parameters:
    ///   - loss: written, float32 [1].
    ///   - bits: written, float32 [N].
    ///   - logLikelihood: read, float32 [N].
    package func bitsPerDimensionForward(
        _ layer: String, loss: Tensor, bits: Tensor, logLikelihood: Tensor,
        _ params: ck_likelihood_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_bits_per_dimension_forward, layer,
            [
                loss, bits, logLikelihood,
            ], ck_operation_params(likelihood: params), flop: flop)
    }

    /// The mean's gradient by the log-likelihoods.
    ///
    /// - Parameters:
    ///   - dlogLikelihood: written, float32 [N].
    package func bitsPerDimensionBackward(
        _ layer: String, dlogLikelihood: Tensor, _ params: ck_likelihood_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_bits_per_dimension_backward, layer,
            [
                dlogLikelihood
            ], ck_operation_params(likelihood: params), flop: flop)
    }

    /// |x - x~| / |x| and the cosine of x and its restoration x~; norms are at least epsilon.
    ///
    /// - Parameters:
    ///   - y: written, float32 [N, 2].
    ///   - x: read, float32 [N * C].
    ///   - restored: read, float32 [N * C].
    package func reconstructionFeaturesForward(
        _ layer: String, y: Tensor, x: Tensor, restored: Tensor, _ params: ck_rows_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_reconstruction_features_forward, layer,
            [
                y, x, restored,
            ], ck_operation_params(rows: params), flop: flop)
    }

    /// The gradients of the reconstruction features.
    ///
    /// - Parameters:
    ///   - drestored: written, float32 [N * C].
    ///   - dx: written, float32 [N * C], or nil.
    ///   - dy: read, float32 [N, 2].
    ///   - x: read, float32 [N * C].
    ///   - restored: read, float32 [N * C].
    package func reconstructionFeaturesBackward(
        _ layer: String, drestored: Tensor, dx: Tensor?, dy: Tensor, x: Tensor, restored: Tensor,
        _ params: ck_rows_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_reconstruction_features_backward, layer,
            [
                drestored, dx, dy, x, restored,
            ], ck_operation_params(rows: params), flop: flop)
    }

    /// Shares, means and covariances of components, from each row's memberships.
    ///
    /// - Parameters:
    ///   - share: written, float32 [K].
    ///   - mean: written, float32 [K, D].
    ///   - covariance: written, float32 [K, D, D].
    ///   - z: read, float32 [N, D].
    ///   - membership: read, float32 [N, K].
    package func mixtureFit(
        _ layer: String, share: Tensor, mean: Tensor, covariance: Tensor, z: Tensor, membership: Tensor,
        _ params: ck_mixture_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_mixture_fit, layer,
            [
                share, mean, covariance, z, membership,
            ], ck_operation_params(mixture: params), flop: flop)
    }

    /// The gradients of mixture_fit.
    ///
    /// - Parameters:
    ///   - dz: written, float32 [N, D].
    ///   - dmembership: written, float32 [N, K].
    ///   - dshare: read, float32 [K].
    ///   - dmean: read, float32 [K, D].
    ///   - dcovariance: read, float32 [K, D, D].
    ///   - z: read, float32 [N, D].
    ///   - membership: read, float32 [N, K].
    ///   - share: read, float32 [K].
    ///   - mean: read, float32 [K, D].
    ///   - covariance: read, float32 [K, D, D].
    package func mixtureFitBackward(
        _ layer: String, dz: Tensor, dmembership: Tensor, dshare: Tensor, dmean: Tensor,
        dcovariance: Tensor, z: Tensor, membership: Tensor, share: Tensor, mean: Tensor,
        covariance: Tensor, _ params: ck_mixture_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_mixture_fit_backward, layer,
            [
                dz, dmembership, dshare, dmean, dcovariance, z, membership, share, mean, covariance,
            ], ck_operation_params(mixture: params), flop: flop)
    }

    /// p's factors times the mean of the energies -log p(z), and the sum of the inverse variances.
    ///
    /// - Parameters:
    ///   - loss: written, float32 [1].
    ///   - energy: written, float32 [N].
    ///   - z: read, float32 [N, D].
    ///   - share: read, float32 [K].
    ///   - mean: read, float32 [K, D].
    ///   - covariance: read, float32 [K, D, D].
    package func mixtureLossForward(
        _ layer: String, loss: Tensor, energy: Tensor, z: Tensor, share: Tensor, mean: Tensor,
        covariance: Tensor, _ params: ck_mixture_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_mixture_loss_forward, layer,
            [
                loss, energy, z, share, mean, covariance,
            ], ck_operation_params(mixture: params), flop: flop)
    }

    /// The gradients of mixture_loss_forward.
    ///
    /// - Parameters:
    ///   - dz: written, float32 [N, D].
    ///   - dshare: written, float32 [K].
    ///   - dmean: written, float32 [K, D].
    ///   - dcovariance: written, float32 [K, D, D].
    ///   - z: read, float32 [N, D].
    ///   - share: read, float32 [K].
    ///   - mean: read, float32 [K, D].
    ///   - covariance: read, float32 [K, D, D].
    ///   - energy: read, float32 [N].
    package func mixtureLossBackward(
        _ layer: String, dz: Tensor, dshare: Tensor, dmean: Tensor, dcovariance: Tensor, z: Tensor,
        share: Tensor, mean: Tensor, covariance: Tensor, energy: Tensor, _ params: ck_mixture_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_mixture_loss_backward, layer,
            [
                dz, dshare, dmean, dcovariance, z, share, mean, covariance, energy,
            ], ck_operation_params(mixture: params), flop: flop)
    }

    /// Stochastic gradient descent with momentum and an L2 penalty.
    ///
    /// - Parameters:
    ///   - w: read and written, float32 [count].
    ///   - velocity: read and written, float32 [count].
    ///   - dw: read, float32 [count].
    package func sgd(
        _ layer: String, w: Tensor, velocity: Tensor, dw: Tensor, _ params: ck_optimizer_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_sgd, layer,
            [
                w, velocity, dw, stepState,
            ], ck_operation_params(optimizer: params), flop: flop)
    }

    /// Layer-wise adaptive rate scaling, of one parameter (You et al. 2017).
    ///
    /// - Parameters:
    ///   - w: read and written, float32 [count].
    ///   - velocity: read and written, float32 [count].
    ///   - dw: read, float32 [count].
    package func lars(
        _ layer: String, w: Tensor, velocity: Tensor, dw: Tensor, _ params: ck_optimizer_params,
        flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_lars, layer,
            [
                w, velocity, dw, stepState,
            ], ck_operation_params(optimizer: params), flop: flop)
    }

    /// Adam with an L2 penalty (Kingma & Ba 2015), as PyTorch's torch.optim.Adam.
    ///
    /// - Parameters:
    ///   - w: read and written, float32 [count].
    ///   - velocity: read and written, float32 [count].
    ///   - squares: read and written, float32 [count].
    ///   - dw: read, float32 [count].
    package func adam(
        _ layer: String, w: Tensor, velocity: Tensor, squares: Tensor, dw: Tensor,
        _ params: ck_optimizer_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_adam, layer,
            [
                w, velocity, squares, dw, stepState,
            ], ck_operation_params(optimizer: params), flop: flop)
    }

    /// For each block, what every rank has of it, in order of rank.
    ///
    /// - Parameters:
    ///   - y: written, float32 [blocks * ranks * count].
    ///   - x: read, float32 [blocks * count].
    package func allGather(
        _ layer: String, y: Tensor, x: Tensor, _ params: ck_collective_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_all_gather, layer,
            [
                y, x,
            ], ck_operation_params(collective: params), flop: flop)
    }

    /// The mean over all ranks, added in order of rank.
    ///
    /// - Parameters:
    ///   - x: read and written, float32 [blocks * count].
    package func meanOverRanks(
        _ layer: String, x: Tensor, _ params: ck_collective_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_mean_over_ranks, layer,
            [
                x
            ], ck_operation_params(collective: params), flop: flop)
    }

    /// Begins a mean over all ranks, and does not wait for it.
    ///
    /// - Parameters:
    ///   - x: read and written, float32 [blocks * count].
    ///   - parts: written, float32 [parts of ranks], or nil.
    package func beginMeanOverRanks(
        _ layer: String, x: Tensor, parts: Tensor?, _ params: ck_collective_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_begin_mean_over_ranks, layer,
            [
                x, parts,
            ], ck_operation_params(collective: params), flop: flop)
    }

    /// Waits for a mean over all ranks that was begun.
    ///
    /// - Parameters:
    ///   - x: read and written, float32 [blocks * count].
    ///   - parts: read, float32 [parts of ranks], or nil.
    package func finishMeanOverRanks(
        _ layer: String, x: Tensor, parts: Tensor?, _ params: ck_collective_params, flop: Int = 0
    ) throws {
        try append(
            .CK_KIND_finish_mean_over_ranks, layer,
            [
                x, parts,
            ], ck_operation_params(collective: params), flop: flop)
    }
}
