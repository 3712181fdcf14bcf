import CKernels
import OCCEngine

/// Appends max(0, x), any shape.
public func relu(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let y = plan.transient("relu", x.shape, type: x.type)
    let params = ck_elementwise_params(count: Int64(x.count))
    try plan.reluForward("relu", y: y, x: x, params, flop: x.count)
    plan.recordBackward(of: y, from: [x]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in
            try plan.reluBackward("relu", dx: dx, dy: dy, y: y, params, flop: x.count)
        }
    }
    return y
}

/// Appends the hyperbolic tangent of x, any shape.
public func tanh(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let y = plan.transient("tanh", x.shape, type: x.type)
    let params = ck_elementwise_params(count: Int64(x.count))
    try plan.tanhForward("tanh", y: y, x: x, params, flop: 10 * x.count)
    plan.recordBackward(of: y, from: [x]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in
            try plan.tanhBackward("tanh", dx: dx, dy: dy, y: y, params, flop: 3 * x.count)
        }
    }
    return y
}

/// Appends dropout (Srivastava et al. 2014) to a training plan: each value of rows [N,C] is 0 with a probability, or divided
/// by 1 less that. A plan that does not train has the rows as they are.
///
/// - Parameter layer: which of a network's dropouts it is, counted from 0: each draws numbers of its own.
public func dropout(_ x: Tensor, probability: Double, layer: Int, in plan: PlanBuilder) throws -> Tensor {
    guard plan.purpose == .training, probability > 0 else { return x }
    let rows = try plan.singlePrecision(x)
    let shape = try rows.shape(dimensions: 2, of: "dropout", "dropout")
    // The operation is one of images: of one pixel.
    let x = plan.reshaped(rows, [shape[0], 1, 1, shape[1]]), y = plan.transient("dropout", x.shape)
    var drawn = ck_image_params()
    (drawn.n, drawn.h, drawn.w, drawn.c) = (Int32(shape[0]), 1, 1, Int32(shape[1]))
    (drawn.stream, drawn.probability) = (RandomStream.dropout(layer: layer), Float(probability))
    if let share = plan.share { drawn.share = share.rows }
    let params = drawn
    try plan.dropout("dropout", y: y, x: x, params, flop: 4 * x.count)
    plan.recordBackward(of: y, from: [x]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in
            try plan.dropout("dropout", y: dx, x: dy, params, flop: 4 * x.count)
        }
    }
    return plan.reshaped(y, shape)
}

/// a + b, of one shape.
public func add(_ a: Tensor, _ b: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let y = plan.transient("sum", a.shape, type: a.type)
    try plan.add("sum", y: y, a: a, b: b, ck_elementwise_params(count: Int64(a.count)), flop: a.count)
    plan.recordBackward(of: y, from: [a, b]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        for term in [a, b] where plan.isDifferentiable(term) { try pass.contribute(dy, to: term) }
    }
    return y
}

/// Appends a and b side by side: [...,C] and [...,K] of as many rows -> [...,C + K].
public func concatenate(_ a: Tensor, _ b: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let a = try plan.singlePrecision(a), b = try plan.singlePrecision(b)
    let c = a.shape.last ?? 1, k = b.shape.last ?? 1
    let params = ck_dense_params(n: Int32(a.count / max(1, c)), c: Int32(c), k: Int32(k), math: 0)
    let y = plan.transient("concatenation", a.shape.dropLast() + [c + k])
    try plan.concatenate("concatenation", y: y, a: a, b: b, params)
    plan.recordBackward(of: y, from: [a, b]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        let da = plan.transient("d \(a.name)", a.shape), db = plan.transient("d \(b.name)", b.shape)
        try plan.concatenateBackward("concatenation", da: da, db: db, dy: dy, params)
        for (gradient, tensor) in [(da, a), (db, b)] where plan.isDifferentiable(tensor) {
            try pass.contribute(gradient, to: tensor)
        }
    }
    return y
}

/// Appends max(x, slope x) for a slope in 0..<1 (Maas et al. 2013), any shape.
public func leakyReLU(_ x: Tensor, slope: Float = 0.01, in plan: PlanBuilder) throws -> Tensor {
    let y = plan.transient("leaky relu", x.shape, type: x.type)
    let params = ck_scale_params(count: Int64(x.count), factor: slope)
    try plan.leakyReluForward("leaky relu", y: y, x: x, params, flop: x.count)
    plan.recordBackward(of: y, from: [x]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in
            try plan.leakyReluBackward("leaky relu", dx: dx, dy: dy, y: y, params, flop: x.count)
        }
    }
    return y
}

/// Rows divided by their L2 norm (at least `epsilon`); [N,C].
public func l2Normalize(_ x: Tensor, epsilon: Float = 1e-12, in plan: PlanBuilder) throws -> Tensor {
    let x = try plan.singlePrecision(x)
    let params = try rowParams(x, epsilon: epsilon, "l2", "l2_normalize_forward")
    let y = plan.transient("l2", x.shape), norm = plan.transient("l2 norm", [x.shape[0]])
    try plan.l2NormalizeForward("l2", y: y, norm: norm, x: x, params, flop: 3 * x.count)
    plan.recordBackward(of: y, from: [x]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in
            try plan.l2NormalizeBackward("l2", dx: dx, dy: dy, y: y, norm: norm, params, flop: 4 * x.count)
        }
    }
    return y
}

/// Class probabilities; [N,C].
public func softmax(_ logits: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let logits = try plan.singlePrecision(logits)
    let params = try rowParams(logits, epsilon: 0, "softmax", "softmax")
    let p = plan.transient("softmax", logits.shape)
    try plan.softmax("softmax", p: p, logits: logits, params, flop: 4 * logits.count)
    plan.recordBackward(of: p, from: [logits]) { pass in
        guard let dp = pass.gradient(of: p) else { return }
        try pass.contribute(to: logits) { dlogits in
            try plan.softmaxBackward(
                "softmax", dlogits: dlogits, dp: dp, p: p, params, flop: 4 * logits.count)
        }
    }
    return p
}

/// The parameters of an operation on rows [N,C].
func rowParams(
    _ x: Tensor, epsilon: Float, _ layer: String, _ operation: String
) throws -> ck_rows_params {
    let shape = try x.shape(dimensions: 2, of: layer, operation)
    return ck_rows_params(n: Int32(shape[0]), c: Int32(shape[1]), epsilon: epsilon)
}
