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

    /// A layer for any number of input channels.
    ///
    /// - Parameters:
    ///   - channels: channels out, K.
    ///   - padding: nil for kernel / 2, which keeps the size at stride 1.
    public init(_ name: String, channels: Int, kernel: Int, stride: Int = 1, padding: Int? = nil) {
        self.name = name
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.padding = padding ?? kernel / 2
    }

    /// Appends the layer to a plan: x [N,H,W,C] -> [N,P,Q,K] of its type, with P = (H + 2 padding - R) / stride +
    /// 1.
    public func callAsFunction(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
        let shape = try x.shape(dimensions: 4, of: name, "conv2d_forward")
        let (n, h, w, c) = (shape[0], shape[1], shape[2], shape[3])
        let p = (h + 2 * padding - kernel) / stride + 1, q = (w + 2 * padding - kernel) / stride + 1
        let weight = try plan.parameter("\(name).weight", [channels, kernel, kernel, c], .fanOut(scale: 2))
        let y = plan.transient(name, [n, p, q, channels], type: x.type)
        let params = ck_conv2d_params(
            n: Int32(n), h: Int32(h), w: Int32(w), c: Int32(c), k: Int32(channels), r: Int32(kernel),
            s: Int32(kernel), stride: Int32(stride), pad: Int32(padding), p: Int32(p), q: Int32(q),
            math: plan.math.kernelValue)
        let flop = 2 * n * p * q * channels * kernel * kernel * c
        try plan.conv2dForward(name, y: y, x: x, w: weight, params, flop: flop)
        plan.recordBackward(of: y, from: [x, weight]) { pass in
            guard let dy = pass.gradient(of: y) else { return }
            if let dw = pass.gradient(ofParameter: weight) {
                try plan.conv2dBackwardWeight(name, dw: dw, dy: dy, x: x, params, flop: flop)
            }
            try pass.contribute(to: x) { dx in
                try plan.conv2dBackwardData(name, dx: dx, dy: dy, w: weight, params, flop: flop)
            }
        }
        return y
    }
}
