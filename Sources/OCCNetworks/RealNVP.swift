import OCCEngine

/// RealNVP (Dinh et al., ICLR 2017): a normalizing flow that maps images to a standard normal distribution.
///
/// Each scale has three couplings with checkerboards, a squeeze, and three with halves of the channels; then half of the
/// channels is done and the other goes on. The last scale has four couplings with checkerboards. A coupling's network is a
/// 3x3 convolution, residual blocks (batch normalization, ReLU and a 3x3 convolution, twice), batch normalization, ReLU and
/// a 1x1 convolution, which begins at zero.
public struct RealNVP: Sendable, Equatable {
    /// Scales, 1 or more: an image's side is a multiple of 2^(scales - 1).
    public let scales: Int
    /// Residual blocks of a coupling's network.
    public let blocks: Int
    /// Channels of the network's convolutions.
    public let filters: Int

    /// A flow of this size; its parameters' names begin with `flow.`.
    public init(scales: Int, blocks: Int, filters: Int) {
        precondition(scales >= 1 && blocks >= 0 && filters >= 1, "a flow has a scale and filters")
        (self.scales, self.blocks, self.filters) = (scales, blocks, filters)
    }

    /// What a flow makes of a batch.
    public struct Output {
        /// The mean of `bits`, a scalar.
        public let loss: Tensor
        /// The negative log-likelihood of each image in bits per dimension, [N].
        public let bits: Tensor
        /// What the last scale gives, [N,H,W,C].
        public let latent: Tensor
    }

    /// Appends the flow: images [N,S,S,C] in 0...1, of 256 levels -> their bits per dimension.
    public func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> Output {
        let shape = try images.shape(dimensions: 4, of: "flow", "dequantize_forward")
        var state = try dequantize(images, in: plan)
        for scale in 0..<scales {
            let isLast = scale == scales - 1
            for index in 0..<(isLast ? 4 : 3) {
                state = try couple(state, scale, index, .checkerboard, keepsOther: index % 2 == 1, in: plan)
            }
            guard !isLast else { break }
            state.x = try squeeze(state.x, in: plan)
            for index in 0..<3 {
                state = try couple(state, scale, 3 + index, .channels, keepsOther: index % 2 == 1, in: plan)
            }
            let halves = try split(state.x, in: plan)
            state = FlowState(
                x: halves.first,
                logLikelihood: try normalLogLikelihood(
                    halves.second, before: state.logLikelihood, in: plan))
        }
        let log = try normalLogLikelihood(state.x, before: state.logLikelihood, in: plan)
        let (loss, bits) = try bitsPerDimension(
            log, dimensions: shape[1] * shape[2] * shape[3], levels: 8, in: plan)
        return Output(loss: loss, bits: bits, latent: state.x)
    }

    private func couple(
        _ state: FlowState, _ scale: Int, _ index: Int, _ mask: AffineCoupling.Mask, keepsOther: Bool,
        in plan: PlanBuilder
    ) throws -> FlowState {
        let coupling = AffineCoupling("flow.\(scale).\(index)", mask: mask, keepsOther: keepsOther)
        return try coupling(state, in: plan) { kept in
            let name = coupling.name
            var x = try Conv2D("\(name).conv", channels: filters, kernel: 3)(
                plan.activations(kept), in: plan)
            for block in 0..<blocks {
                let own = "\(name).block.\(block)"
                var y = try BatchNorm("\(own).bn1", relu: true)(x, in: plan)
                y = try Conv2D("\(own).conv1", channels: filters, kernel: 3)(
                    y, normalizedBy: BatchNorm("\(own).bn2", relu: true), in: plan)
                y = try Conv2D("\(own).conv2", channels: filters, kernel: 3)(y, in: plan)
                x = try add(x, y, in: plan)
            }
            x = try BatchNorm("\(name).bn", relu: true)(x, in: plan)
            return try Conv2D(
                "\(name).out", channels: 2 * (kept.shape.last ?? 1), kernel: 1, initialScale: 0)(x, in: plan)
        }
    }
}
