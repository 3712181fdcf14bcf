import CKernels
import OCCEngine

/// The mean softmax cross-entropy of logits [N,C] and labels int32 [N]; a scalar.
///
/// - Parameters:
///   - outliers: how many rows have the label -1. Their target is the uniform distribution (Hendrycks et
///     al., ICLR 2019), and the mean of their cross-entropies is added.
///   - outlierWeight: what that mean is multiplied by.
public func softmaxCrossEntropy(
    _ logits: Tensor, labels: Tensor, outliers: Int = 0, outlierWeight: Double = 0, in plan: PlanBuilder
) throws -> Tensor {
    let logits = try plan.singlePrecision(logits)
    let shape = try logits.shape(dimensions: 2, of: "cross-entropy", "softmax_cross_entropy_forward")
    let params = ck_cross_entropy_params(
        n: Int32(shape[0]), c: Int32(shape[1]), outliers: Int32(outliers),
        outlier_weight: Float(outlierWeight))
    let loss = plan.transient("loss", [1]), p = plan.transient("probabilities", logits.shape)
    try plan.softmaxCrossEntropyForward(
        "cross-entropy", loss: loss, p: p, logits: logits, labels: labels, params, flop: 4 * logits.count)
    plan.recordBackward(of: loss, from: [logits]) { pass in
        try pass.contribute(to: logits) { dlogits in
            try plan.softmaxCrossEntropyBackward(
                "cross-entropy", dlogits: dlogits, p: p, labels: labels, params, flop: 2 * logits.count)
        }
    }
    return loss
}

/// The sum of two losses; a scalar.
public func sumOfLosses(_ a: Tensor, _ b: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let sum = plan.transient("loss", [1])
    try plan.add("loss", y: sum, a: a, b: b, ck_elementwise_params(count: 1), flop: 1)
    plan.recordBackward(of: sum, from: [a, b]) { pass in
        pass.addLoss(a)
        pass.addLoss(b)
    }
    return sum
}

/// Appends factor * |x_i - t_i|^2 for each row of x [N,...]; [N].
///
/// - Parameter target: t, of x's shape, or one row for all, which gets no gradient.
public func rowDistance(
    _ x: Tensor, target: Tensor, factor: Double = 1, in plan: PlanBuilder
) throws -> Tensor {
    let x = try plan.singlePrecision(x), target = try plan.singlePrecision(target)
    let rows = x.shape[0], columns = x.count / rows, isOne = target.count == columns && rows > 1
    let d = plan.transient("distances", [rows])
    let params = ck_distance_params(
        n: Int32(rows), c: Int32(columns), targets: Int32(isOne ? 1 : rows), factor: Float(factor))
    let flat = plan.reshaped(x, [rows, columns])
    let from = plan.reshaped(target, [isOne ? 1 : rows, columns])
    try plan.rowDistanceForward("distances", d: d, x: flat, target: from, params, flop: 3 * x.count)
    plan.recordBackward(of: d, from: [flat, from]) { pass in
        guard let dd = pass.gradient(of: d) else { return }
        let dx = plan.transient("d \(x.name)", flat.shape)
        let dtarget =
            !isOne && plan.isDifferentiable(from) ? plan.transient("d \(target.name)", from.shape) : nil
        try plan.rowDistanceBackward(
            "distances", dx: dx, dtarget: dtarget, dd: dd, x: flat, target: from, params, flop: 3 * x.count)
        if plan.isDifferentiable(flat) { try pass.contribute(dx, to: flat) }
        if let dtarget { try pass.contribute(dtarget, to: from) }
    }
    return d
}

/// The mean of values [N]; a scalar.
public func mean(_ values: Tensor, in plan: PlanBuilder) throws -> Tensor {
    try softBoundary(values, radius: nil, nu: 1, in: plan)
}

/// Appends R^2 + mean max(0, d_i - R^2) / nu for squared distances d [N], which are not below 0 (Ruff et al.,
/// ICML 2018, equation 3 without the decay); a scalar.
///
/// - Parameter radius: R^2, [1], a constant of the step; nil for 0, which makes it the mean over nu.
public func softBoundary(_ d: Tensor, radius: Tensor?, nu: Double, in plan: PlanBuilder) throws -> Tensor {
    let loss = plan.transient("loss", [1]), count = d.count
    let params = ck_boundary_params(n: Int32(count), nu: Float(nu), after: 0)
    try plan.softBoundaryForward("boundary", loss: loss, d: d, radius: radius, params, flop: 2 * count)
    plan.recordBackward(of: loss, from: [d]) { pass in
        try pass.contribute(to: d) { dd in
            try plan.softBoundaryBackward("boundary", dd: dd, d: d, radius: radius, params, flop: count)
        }
    }
    return loss
}

/// The same with a radius that moves with each step: R^2 is then the quantile of order 1 - nu of the
/// distances, squared, and counts from the next step on. Where ranks share a batch, the distances are of all
/// ranks.
///
/// - Parameters:
///   - radius: R^2, [1], a statistic.
///   - steps: in which the radius does not move yet.
public func softBoundary(
    _ d: Tensor, movingRadius radius: Tensor, nu: Double, after steps: Int, in plan: PlanBuilder
) throws -> Tensor {
    // The loss and its gradient are by the radius that the step began with.
    let own = plan.transient(radius.name, [1])
    try plan.scale(radius.name, y: own, x: radius, ck_scale_params(count: 1, factor: 1))
    let loss = try softBoundary(d, radius: own, nu: nu, in: plan)
    let all = try plan.ranksTogether.map { try gatherFromRanks(d, $0, in: plan) } ?? d
    let params = ck_boundary_params(n: Int32(all.count), nu: Float(nu), after: Int64(steps))
    try plan.boundaryUpdate(radius.name, radius: radius, d: all, params, flop: all.count)
    return loss
}

/// Which pairs NT-Xent contrasts.
public enum ContrastiveForm: String, Codable, CaseIterable, Sendable {
    /// View 1 against view 2 only: B anchors, B - 1 negatives each (the released code of Sohn et al., ICLR
    /// 2021).
    case crossView = "cross-view"
    /// All 2B against all others (SimCLR; Chen et al., ICML 2020).
    case symmetric
}

/// Appends NT-Xent of L2-normalized embeddings z [2B,D], whose rows i and i + B are two views of one image; a
/// scalar.
///
/// Where ranks share a batch, z has this rank's pairs; the loss is the mean over this rank's anchors, each
/// against the embeddings of all ranks, and the gradient is that of the sum of all ranks' losses. Where a
/// plan computes a part of a step, z is given back in place of the loss, and is the plan's
/// `comparedEmbeddings`.
public func ntXent(
    _ z: Tensor, temperature: Float, form: ContrastiveForm, in plan: PlanBuilder
) throws -> Tensor {
    let z = try plan.singlePrecision(z)
    let shape = try z.shape(dimensions: 2, of: "nt-xent", "nt_xent_forward"), d = shape[1]
    if plan.part != .whole {
        plan.comparedEmbeddings = z
        return z
    }
    let pairs = shape[0] / 2, all = pairs * (plan.ranksTogether?.ranks ?? 1),
        views = form == .symmetric ? 2 : 1
    let loss = plan.transient("loss", [1]), lse = plan.transient("log-sum-exp", [views * pairs])
    let params = ck_nt_xent_params(
        b: Int32(all), d: Int32(d), temperature: temperature, symmetric: form == .symmetric ? 1 : 0,
        math: plan.math.kernelValue, first: Int32(pairs * (plan.ranksTogether?.rank ?? 0)),
        pairs: Int32(pairs))
    let flop = 2 * views * pairs * views * all * d
    let everyZ = try plan.ranksTogether.map { try gatherFromRanks(z, $0, blocks: 2, in: plan) } ?? z
    try plan.ntXentForward("nt-xent", loss: loss, lse: lse, z: everyZ, params, flop: flop)
    let everyLSE = try plan.ranksTogether.map { try gatherFromRanks(lse, $0, blocks: views, in: plan) } ?? lse
    plan.recordBackward(of: loss, from: [z]) { pass in
        try pass.contribute(to: z) { dz in
            try plan.ntXentBackward("nt-xent", dz: dz, z: everyZ, lse: everyLSE, params, flop: 2 * flop)
        }
    }
    return loss
}

/// The mean squared difference of two tensors of one shape; a scalar. No gradient flows to the target.
public func meanSquaredError(_ x: Tensor, target: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let x = try plan.singlePrecision(x), target = try plan.singlePrecision(target)
    let loss = plan.transient("loss", [1]), params = ck_elementwise_params(count: Int64(x.count))
    try plan.meanSquaredErrorForward("mse", loss: loss, x: x, target: target, params, flop: 3 * x.count)
    plan.recordBackward(of: loss, from: [x]) { pass in
        try pass.contribute(to: x) { dx in
            try plan.meanSquaredErrorBackward(
                "mse", dx: dx, x: x, target: target, params, flop: 2 * x.count)
        }
    }
    return loss
}

/// The sum of squares of all elements; a scalar without gradient.
public func sumOfSquares(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let x = try plan.singlePrecision(x)
    let y = plan.transient("sum of squares", [1])
    try plan.sumOfSquares(x.name, y: y, x: x, ck_elementwise_params(count: Int64(x.count)), flop: 2 * x.count)
    return y
}

/// Adds x to a sum, in place; both of one shape.
public func accumulate(_ x: Tensor, in sum: Tensor, _ plan: PlanBuilder) throws {
    try plan.add(
        sum.name, y: sum, a: sum, b: x, ck_elementwise_params(count: Int64(x.count)), flop: x.count)
}
