import CKernels
import OCCEngine

/// A 2-D convolution without bias, zero padding on all sides: y[N,P,Q,K] = x[N,H,W,C] * w[K,R,S,C].
public struct Conv2D: Sendable {
    public let name: String
    public let channels: Int, kernel: Int, stride: Int, padding: Int

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

    public func callAsFunction(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
        let (n, h, w, c) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
        let p = (h + 2 * padding - kernel) / stride + 1, q = (w + 2 * padding - kernel) / stride + 1
        let weight = try plan.parameter(
            "\(name).weight", [channels, kernel, kernel, c], .fanOut(scale: 2))
        let y = plan.transient(name, [n, p, q, channels])
        var params = ck_operation_params()
        params.conv2d = ck_conv2d_params(
            n: Int32(n), h: Int32(h), w: Int32(w), c: Int32(c), k: Int32(channels), r: Int32(kernel),
            s: Int32(kernel), stride: Int32(stride), pad: Int32(padding), p: Int32(p), q: Int32(q),
            math: plan.math.kernelValue)
        let flop = 2 * n * p * q * channels * kernel * kernel * c
        plan.append(
            .CK_KIND_conv2d_forward, name, [y, x, weight], params, flop: flop, output: y, from: [x, weight]
        ) { [params] pass in
            guard let dy = pass.gradient(of: y) else { return }
            if let dw = pass.gradient(ofParameter: weight) {
                plan.append(.CK_KIND_conv2d_backward_weight, name, [dw, dy, x], params, flop: flop)
            }
            pass.contribute(to: x) { dx in
                plan.append(.CK_KIND_conv2d_backward_data, name, [dx, dy, weight], params, flop: flop)
            }
        }
        return y
    }
}
