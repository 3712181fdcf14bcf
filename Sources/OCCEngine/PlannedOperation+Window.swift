import CKernels

/// What a planned operation does beside its tensors, for who writes it down in another language.
extension PlannedOperation {
    /// The windows of a convolution or pooling, in pixels.
    package struct Window {
        package let side: Int, stride: Int, padding: Int
    }

    /// The windows; nil for an operation that has none.
    package var window: Window? {
        switch kind {
        case .CK_KIND_conv2d_forward, .CK_KIND_conv2d_inference:
            let own = params.conv2d
            return Window(side: Int(own.r), stride: Int(own.stride), padding: Int(own.pad))
        case .CK_KIND_max_pool_forward, .CK_KIND_crop_forward:
            let own = params.pool
            return Window(side: Int(own.r), stride: Int(own.stride), padding: Int(own.pad))
        default: return nil
        }
    }

    /// How values are normalized by running statistics, and whether a ReLU follows; nil for an operation that
    /// does not normalize.
    package var normalization: (epsilon: Float, relu: Bool)? {
        switch kind {
        case .CK_KIND_conv2d_inference: (params.conv2d.epsilon, params.conv2d.relu != 0)
        case .CK_KIND_batchnorm_inference: (params.batchnorm.epsilon, params.batchnorm.relu != 0)
        default: nil
        }
    }

    /// What it writes, in the order of its operands.
    package var outputs: [Tensor?] {
        let operands = ck_declaration_of(kind).pointee.operands
        return tensors.enumerated().filter { operands?[$0.offset].direction == .CK_OUT }.map(\.element)
    }

    /// What values are multiplied by: of `scale` all, of a leaky ReLU those below 0, of distances the squares; nil for
    /// others.
    package var factor: Float? {
        switch kind {
        case .CK_KIND_scale, .CK_KIND_leaky_relu_forward: params.scale.factor
        case .CK_KIND_row_distance_forward: params.distance.factor
        default: nil
        }
    }

    /// What the norms of rows are at least; nil for an operation that divides by none.
    package var leastNorm: Float? {
        switch kind {
        case .CK_KIND_l2_normalize_forward, .CK_KIND_reconstruction_features_forward: params.rows.epsilon
        default: nil
        }
    }

    /// Which values of an image [H,W,C] a coupling keeps, row by row, the channels of a pixel together; nil for others.
    package var kept: [Bool]? {
        guard [.CK_KIND_coupling_mask, .CK_KIND_coupling_forward].contains(kind) else { return nil }
        let own = params.coupling, (width, channels) = (Int(own.w), Int(own.c))
        return (0..<Int(own.h) * width * channels).map { index in
            let pixel = index / channels
            let isSecond =
                Int(own.mask) == CK_MASK_CHANNELS
                ? index % channels >= channels / 2 : (pixel / width + pixel % width) % 2 == 1
            return isSecond == (own.parity != 0)
        }
    }

    /// The margin of the logit that dequantization ends with, and the width of the noise; nil for others.
    package var dequantization: (margin: Float, noise: Float)? {
        kind == .CK_KIND_dequantize_forward ? (params.image.minimum, params.image.maximum) : nil
    }

    /// The dimensions that a likelihood is of, and the bits to each that are added; nil for others.
    package var likelihood: (dimensions: Int, levels: Float)? {
        guard kind == .CK_KIND_bits_per_dimension_forward else { return nil }
        return (Int(params.likelihood.dimensions), params.likelihood.levels)
    }
}

extension Tensor {
    /// Whether it is another one seen in a shape, or the other of it: both have the same elements.
    package func isView(of other: Tensor) -> Bool { place == other.place && count == other.count }
}

extension Plan {
    /// The operations that some tensors need, in their order: none behind them, such as the pooling of the last map.
    package func operations(neededFor tensors: [Tensor]) -> [PlannedOperation] {
        operations.needed(for: tensors)
    }
}

extension PlanBuilder {
    /// Leaves out what no tensor that is kept needs, such as the stages behind the last whose map is wanted. For plans
    /// that change no weights.
    package func leaveOutWhatIsNotKept() {
        precondition(purpose == .inference)
        operations = operations.needed(for: Array(outputs))
    }
}

extension [PlannedOperation] {
    /// Those that some tensors need, in their order.
    fileprivate func needed(for tensors: [Tensor]) -> [PlannedOperation] {
        var needed = tensors, kept: [PlannedOperation] = []
        for operation in reversed() {
            let writes = operation.outputs.compactMap { $0 }
            guard writes.contains(where: { own in needed.contains { $0.isView(of: own) } }) else { continue }
            needed += operation.tensors.compactMap { $0 }
            kept.append(operation)
        }
        return kept.reversed()
    }
}
