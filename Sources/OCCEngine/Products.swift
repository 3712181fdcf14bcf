import CKernels

/// log sum_j exp(scale x_i . s_j) of query rows x[N,D] over support rows s[M,D]; [N]. Memory is a tile of the products.
public func logSumExpProducts(_ x: Tensor, _ s: Tensor, scale: Float, in plan: PlanBuilder) -> Tensor {
    let (n, m, d) = (x.shape[0], s.shape[0], x.shape[1])
    let sums = plan.transient("log-sum-exp", [n])
    var params = ck_operation_params()
    params.products = ck_products_params(
        n: Int32(n), m: Int32(m), d: Int32(d), scale: scale, math: plan.math.kernelValue)
    plan.append(.CK_KIND_log_sum_exp_products, "products", [sums, x, s], params, flop: 2 * n * m * d)
    return sums
}
