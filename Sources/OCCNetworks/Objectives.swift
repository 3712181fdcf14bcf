import CKernels
import OCCEngine

/// The mean softmax cross-entropy of logits [N,C] and labels int32 [N]; a scalar.
public func softmaxCrossEntropy(_ logits: Tensor, labels: Tensor, in plan: PlanBuilder) -> Tensor {
    let loss = plan.transient("loss", [1]), p = plan.transient("probabilities", logits.shape)
    var params = ck_operation_params()
    params.rows = ck_rows_params(n: Int32(logits.shape[0]), c: Int32(logits.shape[1]), epsilon: 0)
    plan.append(
        .CK_KIND_softmax_cross_entropy_forward, "cross-entropy", [loss, p, logits, labels], params,
        flop: 4 * logits.count, output: loss, from: [logits]
    ) { [params] pass in
        pass.contribute(to: logits) { dx in
            plan.append(
                .CK_KIND_softmax_cross_entropy_backward, "cross-entropy", [dx, p, labels], params,
                flop: 2 * logits.count)
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

/// NT-Xent of L2-normalised embeddings z [2B,D], whose rows i and i + B are two views of one image; a scalar.
public func ntXent(
    _ z: Tensor, temperature: Float, form: ContrastiveForm, in plan: PlanBuilder
) -> Tensor {
    let (b, d) = (z.shape[0] / 2, z.shape[1])
    let anchors = form == .symmetric ? 2 * b : b, pairs = form == .symmetric ? 4 * b * b : b * b
    let loss = plan.transient("loss", [1]), lse = plan.transient("log-sum-exp", [anchors])
    var params = ck_operation_params()
    params.nt_xent = ck_nt_xent_params(
        b: Int32(b), d: Int32(d), temperature: temperature, symmetric: form == .symmetric ? 1 : 0,
        math: plan.math.kernelValue)
    plan.append(
        .CK_KIND_nt_xent_forward, "nt-xent", [loss, lse, z], params, flop: 2 * pairs * d, output: loss,
        from: [z]
    ) { [params] pass in
        pass.contribute(to: z) { dz in
            plan.append(.CK_KIND_nt_xent_backward, "nt-xent", [dz, z, lse], params, flop: 4 * pairs * d)
        }
    }
    return loss
}

/// The mean squared difference of two tensors of one shape; a scalar. No gradient flows to the target.
public func meanSquaredError(_ x: Tensor, target: Tensor, in plan: PlanBuilder) -> Tensor {
    let loss = plan.transient("loss", [1])
    var params = ck_operation_params()
    params.elementwise.count = Int64(x.count)
    plan.append(
        .CK_KIND_mean_squared_error_forward, "mse", [loss, x, target], params, flop: 3 * x.count,
        output: loss,
        from: [x]
    ) { [params] pass in
        pass.contribute(to: x) { dx in
            plan.append(
                .CK_KIND_mean_squared_error_backward, "mse", [dx, x, target], params, flop: 2 * x.count)
        }
    }
    return loss
}

/// The sum of squares of all elements; a scalar without gradient.
public func sumOfSquares(_ x: Tensor, in plan: PlanBuilder) -> Tensor {
    let y = plan.transient("sum of squares", [1])
    var params = ck_operation_params()
    params.elementwise.count = Int64(x.count)
    plan.append(.CK_KIND_sum_of_squares, x.name, [y, x], params, flop: 2 * x.count)
    return y
}
