import CKernels
import OCCEngine

/// The mean softmax cross-entropy of logits [N,C] and labels int32 [N]; a scalar.
public func softmaxCrossEntropy(_ logits: Tensor, labels: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let logits = try plan.singlePrecision(logits)
    let params = try rowParams(logits, epsilon: 0, "cross-entropy", "softmax_cross_entropy_forward")
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
/// against the embeddings of all ranks, and the gradient is that of the sum of all ranks' losses.
public func ntXent(
    _ z: Tensor, temperature: Float, form: ContrastiveForm, in plan: PlanBuilder
) throws -> Tensor {
    let z = try plan.singlePrecision(z)
    let shape = try z.shape(dimensions: 2, of: "nt-xent", "nt_xent_forward"), d = shape[1]
    let pairs = shape[0] / 2, all = pairs * (plan.share?.ranks ?? 1), views = form == .symmetric ? 2 : 1
    let loss = plan.transient("loss", [1]), lse = plan.transient("log-sum-exp", [views * pairs])
    let params = ck_nt_xent_params(
        b: Int32(all), d: Int32(d), temperature: temperature, symmetric: form == .symmetric ? 1 : 0,
        math: plan.math.kernelValue, first: Int32(pairs * (plan.share?.rank ?? 0)), pairs: Int32(pairs))
    let flop = 2 * views * pairs * views * all * d
    let everyZ = try plan.share.map { try gatherFromRanks(z, $0, blocks: 2, in: plan) } ?? z
    try plan.ntXentForward("nt-xent", loss: loss, lse: lse, z: everyZ, params, flop: flop)
    let everyLSE = try plan.share.map { try gatherFromRanks(lse, $0, blocks: views, in: plan) } ?? lse
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
