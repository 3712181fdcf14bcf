import CKernels
import Foundation
import OCCEngine

/// What a normalizing flow has made of a batch so far: the values, and what its layers have added to the logarithm of each
/// row's likelihood.
public struct FlowState {
    /// The values, [N,H,W,C] or rows [N,C], in single precision.
    public var x: Tensor
    /// The sum of the logarithms of the layers' Jacobian determinants, in nats, [N]; nil before the first layer.
    public var logLikelihood: Tensor?

    /// Values before the first layer, [N,H,W,C] or rows [N,C], whose likelihood is that of the result.
    public init(_ x: Tensor) { self.x = x }

    /// A batch and what layers have added to its likelihood.
    init(x: Tensor, logLikelihood: Tensor) { (self.x, self.logLikelihood) = (x, logLikelihood) }
}

/// Appends dequantization and the logit: images [N,H,W,C] in 0...1, of 256 levels, become
/// logit(m + (1 - 2m) (255 x + u) / 256) with the margin m = 0.05 (Dinh et al. 2017, section 4.1).
///
/// u is uniform in 0...1, drawn anew at each step of training (Theis et al. 2016); in any other plan it is 0.5.
public func dequantize(_ images: Tensor, in plan: PlanBuilder) throws -> FlowState {
    let shape = try images.shape(dimensions: 4, of: "dequantize", "dequantize_forward").map(Int32.init)
    var drawn = ck_image_params()
    (drawn.n, drawn.h, drawn.w, drawn.c) = (shape[0], shape[1], shape[2], shape[3])
    (drawn.stream, drawn.minimum) = (RandomStream.dequantization, 0.05)
    drawn.maximum = plan.purpose == .training ? 1 : 0
    if let share = plan.share { drawn.share = share.rows }
    let params = drawn, y = plan.transient("logits", images.shape)
    let log = plan.transient("log-likelihood", [images.shape[0]])
    try plan.dequantizeForward(
        "dequantize", y: y, logLikelihood: log, x: images, params, flop: 30 * images.count)
    plan.recordBackward(of: y, and: log, from: [images]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: images) { dx in
            try plan.dequantizeBackward(
                "dequantize", dx: dx, dy: dy, dlogLikelihood: pass.gradient(of: log), y: y, params,
                flop: 10 * images.count)
        }
    }
    return FlowState(x: y, logLikelihood: log)
}

extension PlanBuilder {
    /// The same for an operation of two outputs, of which the first has a gradient wherever the second has one.
    func recordBackward(
        of output: Tensor, and second: Tensor, from sources: [Tensor],
        _ run: @escaping (ReversePass) throws -> Void
    ) {
        if sources.contains(where: isDifferentiable) { watch(second) }
        recordBackward(of: output, from: sources, run)
    }
}

/// An affine coupling (Dinh et al. 2017, equations 7 to 9): y = x where a mask keeps it, and x exp(s) + t elsewhere, with s
/// and t from a network that sees what is kept; s = factor * tanh of the network's first C channels, t its others.
///
/// It keeps the volume of exp(sum of s), whatever the network is.
public struct AffineCoupling: Sendable {
    /// Which values are kept.
    public enum Mask: Sendable {
        /// Every other pixel, of all channels.
        case checkerboard
        /// Half of the channels.
        case channels
    }

    /// The layer's name: the factors are `name.factor`.
    public let name: String
    /// Which values are kept.
    public let mask: Mask
    /// Whether it is the other half that is kept: the pixels whose row and column have an odd sum, or the last channels.
    public let isOther: Bool

    /// A coupling that keeps one half of the values.
    public init(_ name: String, mask: Mask, keepsOther: Bool) {
        self.name = name
        self.mask = mask
        isOther = keepsOther
    }

    /// Appends the coupling: [N,H,W,C], or rows [N,C], which are images of one pixel -> the same shape.
    ///
    /// - Parameter network: appends the network: what is kept, of that shape with zeros elsewhere -> twice the channels.
    public func callAsFunction(
        _ state: FlowState, in plan: PlanBuilder, network: (Tensor) throws -> Tensor
    ) throws -> FlowState {
        let x = state.x
        let shape =
            x.shape.count == 2
            ? [Int32(x.shape[0]), 1, 1, Int32(x.shape[1])]
            : try x.shape(dimensions: 4, of: name, "coupling_forward").map(Int32.init)
        let channels = Int(shape[3])
        let kind = mask == .channels ? CK_MASK_CHANNELS : CK_MASK_CHECKERBOARD
        let params = ck_coupling_params(
            n: shape[0], h: shape[1], w: shape[2], c: shape[3], mask: Int32(kind),
            parity: isOther ? 1 : 0)
        let kept = plan.transient("\(name) kept", x.shape)
        try plan.couplingMask(name, y: kept, x: x, params)
        plan.recordBackward(of: kept, from: [x]) { pass in
            guard let dy = pass.gradient(of: kept) else { return }
            try pass.contribute(to: x) { dx in try plan.couplingMask(name, y: dx, x: dy, params) }
        }
        let net = try plan.singlePrecision(try network(kept))
        let factor = try plan.parameter("\(name).factor", [channels], .ones)
        let y = plan.transient(name, x.shape), log = plan.transient("log-likelihood", [x.shape[0]])
        let before = state.logLikelihood
        try plan.couplingForward(
            name, y: y, logLikelihood: log, x: x, net: net, factor: factor, before: before, params,
            flop: 20 * x.count)
        let sources = [x, net, factor] + (before.map { [$0] } ?? [])
        plan.recordBackward(of: y, and: log, from: sources) { pass in
            guard let dy = pass.gradient(of: y) else { return }
            let dx = plan.transient("d \(x.name)", x.shape)
            let dnet = plan.transient("d \(net.name)", net.shape)
            let dfactor = pass.gradient(ofParameter: factor) ?? plan.transient("d factor", factor.shape)
            let dlog = pass.gradient(of: log)
            try plan.couplingBackward(
                name, dx: dx, dnet: dnet, dfactor: dfactor, dy: dy, dlogLikelihood: dlog, x: x, net: net,
                factor: factor, params, flop: 60 * x.count)
            for (gradient, tensor) in [(dx, x), (dnet, net)] where plan.isDifferentiable(tensor) {
                try pass.contribute(gradient, to: tensor)
            }
            if let before, let dlog, plan.isDifferentiable(before) { try pass.contribute(dlog, to: before) }
        }
        return FlowState(x: y, logLikelihood: log)
    }
}

/// Appends squeezing, each square of 2 x 2 pixels as one of four times the channels, row by row; [N,H,W,C] ->
/// [N,H/2,W/2,4C] (Dinh et al. 2017, section 3.6). H and W are even.
public func squeeze(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let shape = try x.shape(dimensions: 4, of: "squeeze", "squeeze_forward").map(Int32.init)
    let params = ck_pool_params(
        n: shape[0], h: shape[1], w: shape[2], c: shape[3], r: 0, stride: 0, pad: 0, p: 0, q: 0)
    let y = plan.transient("squeezed", [x.shape[0], x.shape[1] / 2, x.shape[2] / 2, 4 * x.shape[3]])
    try plan.squeezeForward("squeeze", y: y, x: x, params)
    plan.recordBackward(of: y, from: [x]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in try plan.squeezeBackward("squeeze", dx: dx, dy: dy, params) }
    }
    return y
}

/// Appends the halves of the channels, [N,H,W,C] -> twice [N,H,W,C/2]. The second half has no gradient without the first;
/// C is even.
public func split(_ x: Tensor, in plan: PlanBuilder) throws -> (first: Tensor, second: Tensor) {
    let c = x.shape.last ?? 1, half = Array(x.shape.dropLast()) + [c / 2]
    let params = ck_dense_params(
        n: Int32(x.count / max(1, c)), c: Int32(c / 2), k: Int32(c - c / 2), math: 0)
    let first = plan.transient("first half", half), second = plan.transient("second half", half)
    try plan.concatenateBackward("split", da: first, db: second, dy: x, params)
    plan.recordBackward(of: first, and: second, from: [x]) { pass in
        guard let da = pass.gradient(of: first), let db = pass.gradient(of: second) else { return }
        try pass.contribute(to: x) { dx in try plan.concatenate("split", y: dx, a: da, b: db, params) }
    }
    return (first, second)
}

/// Appends the logarithm of each row's density under the standard normal distribution, in nats, plus what came before;
/// z [N,...] -> [N].
public func normalLogLikelihood(_ z: Tensor, before: Tensor?, in plan: PlanBuilder) throws -> Tensor {
    let n = z.shape[0], log = plan.transient("log-likelihood", [n])
    let rows = ck_rows_params(n: Int32(n), c: Int32(z.count / n), epsilon: 0)
    try plan.normalForward("prior", logLikelihood: log, z: z, before: before, rows, flop: 2 * z.count)
    plan.recordBackward(of: log, from: [z] + (before.map { [$0] } ?? [])) { pass in
        guard let dlog = pass.gradient(of: log) else { return }
        try pass.contribute(to: z) { dz in
            try plan.normalBackward(
                "prior", dz: dz, dlogLikelihood: dlog, z: z, rows, flop: z.count)
        }
        if let before, plan.isDifferentiable(before) { try pass.contribute(dlog, to: before) }
    }
    return log
}

/// Appends bits per dimension, -log2 of each likelihood over the dimensions plus those of the levels; log-likelihoods in
/// nats [N] -> their mean, a scalar, and each row's, [N].
///
/// - Parameter levels: bits to a dimension: 8 where values of 256 levels were scaled to 0...1 and their density is given.
public func bitsPerDimension(
    _ logLikelihood: Tensor, dimensions: Int, levels: Double, in plan: PlanBuilder
) throws -> (loss: Tensor, bits: Tensor) {
    let n = logLikelihood.count, loss = plan.transient("loss", [1]), bits = plan.transient("bits", [n])
    let params = ck_likelihood_params(n: Int32(n), dimensions: Int64(dimensions), levels: Float(levels))
    try plan.bitsPerDimensionForward(
        "bits", loss: loss, bits: bits, logLikelihood: logLikelihood, params, flop: 3 * n)
    plan.recordBackward(of: loss, from: [logLikelihood]) { pass in
        try pass.contribute(to: logLikelihood) { dlog in
            try plan.bitsPerDimensionBackward("bits", dlogLikelihood: dlog, params)
        }
    }
    plan.recordBackward(of: bits, from: [logLikelihood]) { pass in
        guard let dbits = pass.gradient(of: bits) else { return }
        try pass.contribute(to: logLikelihood) { dlog in
            let factor = -Float(M_LOG2E) / Float(dimensions)
            try plan.scale("bits", y: dlog, x: dbits, ck_scale_params(count: Int64(n), factor: factor))
        }
    }
    return (loss, bits)
}
