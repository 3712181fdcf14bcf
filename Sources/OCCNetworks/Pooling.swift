import CKernels
import OCCEngine

/// Max pooling over kernel x kernel windows; [N,H,W,C] -> [N,P,Q,C].
public func maxPool(
    _ x: Tensor, kernel: Int, stride: Int, padding: Int, in plan: PlanBuilder
) -> Tensor {
    precondition(kernel * kernel <= 256, "the place of the maximum is stored in a byte")
    let p = (x.shape[1] + 2 * padding - kernel) / stride + 1,
        q = (x.shape[2] + 2 * padding - kernel) / stride + 1
    let y = plan.transient("maxpool", [x.shape[0], p, q, x.shape[3]])
    let argmax = plan.transient("maxpool places", y.shape, type: .uint8)
    var params = poolParams(x)
    (params.pool.r, params.pool.stride, params.pool.pad) = (Int32(kernel), Int32(stride), Int32(padding))
    (params.pool.p, params.pool.q) = (Int32(p), Int32(q))
    plan.append(
        .CK_KIND_max_pool_forward, "maxpool", [y, argmax, x], params, flop: y.count * kernel * kernel,
        output: y,
        from: [x]
    ) { [params] pass in
        guard let dy = pass.gradient(of: y) else { return }
        pass.contribute(to: x) { dx in
            plan.append(.CK_KIND_max_pool_backward, "maxpool", [dx, dy, argmax], params, flop: y.count)
        }
    }
    return y
}

/// The mean over an image's pixels; [N,H,W,C] -> [N,C].
public func globalAveragePool(_ x: Tensor, in plan: PlanBuilder) -> Tensor {
    let y = plan.transient("avgpool", [x.shape[0], x.shape[3]])
    let params = poolParams(x)
    plan.append(
        .CK_KIND_global_average_pool_forward, "avgpool", [y, x], params, flop: x.count, output: y, from: [x]
    ) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        pass.contribute(to: x) { dx in
            plan.append(.CK_KIND_global_average_pool_backward, "avgpool", [dx, dy], params, flop: x.count)
        }
    }
    return y
}

/// Each pixel repeated 2 x 2; [N,H,W,C] -> [N,2H,2W,C].
public func upsample(_ x: Tensor, in plan: PlanBuilder) -> Tensor {
    let y = plan.transient("upsample", [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], x.shape[3]])
    let params = poolParams(x)
    plan.append(.CK_KIND_upsample_forward, "upsample", [y, x], params, output: y, from: [x]) { pass in
        guard let dy = pass.gradient(of: y) else { return }
        pass.contribute(to: x) { dx in
            plan.append(.CK_KIND_upsample_backward, "upsample", [dx, dy], params, flop: y.count)
        }
    }
    return y
}

private func poolParams(_ x: Tensor) -> ck_operation_params {
    var params = ck_operation_params()
    params.pool.n = Int32(x.shape[0])
    params.pool.h = Int32(x.shape[1])
    params.pool.w = Int32(x.shape[2])
    params.pool.c = Int32(x.shape[3])
    return params
}
