import CKernels
import OCCEngine

/// A 2-D convolution without bias, zero padding on all sides: y[N,P,Q,K] = x[N,H,W,C] * w[K,R,S,C].
public struct Conv2D: Sendable {
    /// The layer's name: its filters are `name.weight`.
    public let name: String
    /// Channels out, K.
    public let channels: Int
    /// Height and width of the filters, R = S.
    public let kernel: Int
    /// Pixels from one window to the next, in both directions.
    public let stride: Int
    /// Zeros added on every side.
    public let padding: Int
    /// What the variance of its first filters is over the fan-out: 0 for filters that begin at zero.
    public let initialScale: Double

    /// A layer for any number of input channels.
    ///
    /// - Parameters:
    ///   - channels: channels out, K.
    ///   - padding: nil for kernel / 2, which keeps the size at stride 1.
    ///   - initialScale: 2 for what ReLUs follow (He et al. 2015), 0 for a layer whose results begin at zero.
    public init(
        _ name: String, channels: Int, kernel: Int, stride: Int = 1, padding: Int? = nil,
        initialScale: Double = 2
    ) {
        self.name = name
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.padding = padding ?? kernel / 2
        self.initialScale = initialScale
    }

    /// Appends the layer to a plan: x [N,H,W,C] -> [N,P,Q,K] of its type, with P = (H + 2 padding - R) / stride +
    /// 1.
    public func callAsFunction(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
        let call = try call(on: x, in: plan), weight = call.weight
        let y = plan.transient(name, call.shape, type: x.type)
        try plan.conv2dForward(name, y: y, x: x, w: weight, call.params, flop: call.flop)
        plan.recordBackward(of: y, from: [x, weight]) { pass in
            guard let dy = pass.gradient(of: y) else { return }
            if let dw = pass.gradient(ofParameter: weight) {
                try plan.conv2dBackwardWeight(name, dw: dw, dy: dy, x: x, call.params, flop: call.flop)
            }
            try pass.contribute(to: x) { dx in
                try plan.conv2dBackwardData(name, dx: dx, dy: dy, w: weight, call.params, flop: call.flop)
            }
        }
        return y
    }

    /// Appends the layer and batch normalization of its output to a plan: x [N,H,W,C] -> [N,P,Q,K] of its type. At
    /// inference they are one operation; where gradients flow, each is its own.
    ///
    /// - Parameters:
    ///   - norm: what follows the convolution.
    ///   - residual: what is added before the ReLU. What it appends to the plan comes after the convolution's filters
    ///     and before the parameters of `norm`.
    public func callAsFunction(
        _ x: Tensor, normalizedBy norm: BatchNorm, residual: @autoclosure () throws -> Tensor? = nil,
        in plan: PlanBuilder
    ) throws -> Tensor {
        guard plan.purpose == .inference else {
            let y = try self(x, in: plan)
            return try norm(y, residual: residual(), in: plan)
        }
        var call = try call(on: x, in: plan)
        let residual = try residual(), variables = try norm.variables(channels: channels, in: plan)
        let y = plan.transient(norm.name, call.shape, type: x.type)
        call.params.relu = norm.relu ? 1 : 0
        call.params.epsilon = norm.epsilon
        try plan.conv2dInference(
            name, y: y, x: x, w: call.weight, gamma: variables.gamma, beta: variables.beta,
            runningMean: variables.runningMean, runningVariance: variables.runningVariance,
            residual: residual, call.params, flop: call.flop + 2 * y.count)
        return y
    }

    /// The layer on a tensor: its filters, which are declared, and the operation's parameters.
    private struct Call {
        let weight: Tensor
        /// Of the output.
        let shape: [Int]
        var params: ck_conv2d_params
        let flop: Int
    }

    private func call(on x: Tensor, in plan: PlanBuilder) throws -> Call {
        let shape = try x.shape(dimensions: 4, of: name, "conv2d_forward")
        let (n, h, w, c) = (shape[0], shape[1], shape[2], shape[3])
        let p = (h + 2 * padding - kernel) / stride + 1, q = (w + 2 * padding - kernel) / stride + 1
        let params = ck_conv2d_params(
            n: Int32(n), h: Int32(h), w: Int32(w), c: Int32(c), k: Int32(channels), r: Int32(kernel),
            s: Int32(kernel), stride: Int32(stride), pad: Int32(padding), p: Int32(p), q: Int32(q),
            math: plan.math.kernelValue)
        return Call(
            weight: try plan.parameter(
                "\(name).weight", [channels, kernel, kernel, c], .fanOut(scale: initialScale)),
            shape: [n, p, q, channels], params: params, flop: 2 * n * p * q * channels * kernel * kernel * c)
    }
}
