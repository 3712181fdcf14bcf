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

    /// What a leaky ReLU multiplies values below 0 by; nil for an operation that is none.
    package var leakyFactor: Float? { kind == .CK_KIND_leaky_relu_forward ? params.scale.factor : nil }
}
