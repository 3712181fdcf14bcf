import CKernels
import OCCEngine

/// Appends max pooling over kernel x kernel windows; [N,H,W,C] -> [N,P,Q,C].
public func maxPool(
    _ x: Tensor, kernel: Int, stride: Int, padding: Int, in plan: PlanBuilder
) throws -> Tensor {
    var params = try poolParams(x, "maxpool", "max_pool_forward")
    let p = (x.shape[1] + 2 * padding - kernel) / stride + 1
    let q = (x.shape[2] + 2 * padding - kernel) / stride + 1
    (params.r, params.stride, params.pad) = (Int32(kernel), Int32(stride), Int32(padding))
    (params.p, params.q) = (Int32(p), Int32(q))
    let y = plan.transient("maxpool", [x.shape[0], p, q, x.shape[3]], type: x.type)
    let argmax = plan.transient("maxpool places", y.shape, type: .uint8)
    try plan.maxPoolForward("maxpool", y: y, argmax: argmax, x: x, params, flop: y.count * kernel * kernel)
    plan.recordBackward(of: y, from: [x]) { [params] pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in
            try plan.maxPoolBackward("maxpool", dx: dx, dy: dy, argmax: argmax, params, flop: y.count)
        }
    }
    return y
}

/// The mean over an image's pixels; [N,H,W,C] -> [N,C], in single precision.
///
/// Everything behind it, from a head to a detector's features, is in single precision then.
public func globalAveragePool(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let params = try poolParams(x, "avgpool", "global_average_pool_forward")
    let y = plan.transient("avgpool", [x.shape[0], x.shape[3]])
    try plan.globalAveragePoolForward("avgpool", y: y, x: x, params, flop: x.count)
    plan.recordBackward(of: y, from: [x]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in
            try plan.globalAveragePoolBackward("avgpool", dx: dx, dy: dy, params, flop: x.count)
        }
    }
    return y
}

/// Appends upsampling, each pixel repeated 2 x 2; [N,H,W,C] -> [N,2H,2W,C].
public func upsample(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let params = try poolParams(x, "upsample", "upsample_forward")
    let y = plan.transient(
        "upsample", [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], x.shape[3]], type: x.type)
    try plan.upsampleForward("upsample", y: y, x: x, params)
    plan.recordBackward(of: y, from: [x]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in
            try plan.upsampleBackward("upsample", dx: dx, dy: dy, params, flop: y.count)
        }
    }
    return y
}

/// Appends cropping, the image without `border` pixels on each side; [N,H,W,C] -> [N,H - 2 border,W - 2 border,C].
///
/// In a residual network without padding it makes the shortcut as large as the branch, which has lost its border.
public func crop(_ x: Tensor, border: Int, in plan: PlanBuilder) throws -> Tensor {
    var params = try poolParams(x, "crop", "crop_forward")
    let p = x.shape[1] - 2 * border, q = x.shape[2] - 2 * border
    (params.pad, params.p, params.q) = (Int32(border), Int32(p), Int32(q))
    let y = plan.transient("crop", [x.shape[0], p, q, x.shape[3]], type: x.type)
    try plan.cropForward("crop", y: y, x: x, params)
    plan.recordBackward(of: y, from: [x]) { [params] pass in
        guard let dy = pass.gradient(of: y) else { return }
        try pass.contribute(to: x) { dx in try plan.cropBackward("crop", dx: dx, dy: dy, params) }
    }
    return y
}

/// Appends the means of count x count windows of side x side pixels, `stride` apart; [N,H,W,C] -> [N,count,count,C] in
/// single precision. It has no gradient.
///
/// Of a map that an encoder without padding made of a large image, they are the features of the image's patches.
package func windowMeans(
    _ x: Tensor, side: Int, count: Int, stride: Int, in plan: PlanBuilder
) throws -> Tensor {
    var params = try poolParams(x, "windows", "window_means")
    (params.r, params.stride, params.p, params.q) = (Int32(side), Int32(stride), Int32(count), Int32(count))
    let y = plan.transient("windows", [x.shape[0], count, count, x.shape[3]])
    try plan.windowMeans("windows", y: y, x: x, params, flop: x.count * side + y.count * side)
    return y
}

/// The parameters of an operation on images [N,H,W,C].
private func poolParams(_ x: Tensor, _ layer: String, _ operation: String) throws -> ck_pool_params {
    let shape = try x.shape(dimensions: 4, of: layer, operation).map(Int32.init)
    return ck_pool_params(
        n: shape[0], h: shape[1], w: shape[2], c: shape[3], r: 0, stride: 0, pad: 0, p: 0, q: 0)
}
