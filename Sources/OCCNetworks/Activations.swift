import CKernels
import OCCEngine

/// max(0, x), any shape.
public func relu(_ x: Tensor, in plan: PlanBuilder) -> Tensor {
    let y = plan.transient("relu", x.shape)
    var params = ck_operation_params()
    params.elementwise.count = Int64(x.count)
    plan.append(.CK_KIND_relu_forward, "relu", [y, x], params, flop: x.count, output: y, from: [x]) {
        [params] pass in
        guard let dy = pass.gradient(of: y) else { return }
        pass.contribute(to: x) { dx in
            plan.append(.CK_KIND_relu_backward, "relu", [dx, dy, y], params, flop: x.count)
        }
    }
    return y
}

/// Rows divided by their L2 norm (at least `epsilon`); [N,C].
public func l2Normalize(_ x: Tensor, epsilon: Float = 1e-12, in plan: PlanBuilder) -> Tensor {
    let y = plan.transient("l2", x.shape), norm = plan.transient("l2 norm", [x.shape[0]])
    var params = ck_operation_params()
    params.rows = ck_rows_params(n: Int32(x.shape[0]), c: Int32(x.shape[1]), epsilon: epsilon)
    plan.append(
        .CK_KIND_l2_normalize_forward, "l2", [y, norm, x], params, flop: 3 * x.count, output: y, from: [x]
    ) { [params] pass in
        guard let dy = pass.gradient(of: y) else { return }
        pass.contribute(to: x) { dx in
            plan.append(.CK_KIND_l2_normalize_backward, "l2", [dx, dy, y, norm], params, flop: 4 * x.count)
        }
    }
    return y
}

/// Class probabilities; [N,C].
public func softmax(_ logits: Tensor, in plan: PlanBuilder) -> Tensor {
    let p = plan.transient("softmax", logits.shape)
    var params = ck_operation_params()
    params.rows = ck_rows_params(n: Int32(logits.shape[0]), c: Int32(logits.shape[1]), epsilon: 0)
    plan.append(.CK_KIND_softmax, "softmax", [p, logits], params, flop: 4 * logits.count)
    return p
}
