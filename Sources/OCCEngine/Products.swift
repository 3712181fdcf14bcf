import CKernels

/// Appends log sum_j exp(scale x_i . s_j) of query rows x[N,D] over support rows s[M,D]; [N]. Memory is a
/// tile of the products.
public func logSumExpProducts(_ x: Tensor, _ s: Tensor, scale: Float, in plan: PlanBuilder) throws -> Tensor {
    let queries = try x.shape(dimensions: 2, of: "products", "log_sum_exp_products")
    let (n, d) = (queries[0], queries[1]), m = s.shape[0]
    let sums = plan.transient("log-sum-exp", [n])
    try plan.logSumExpProducts(
        "products", lse: sums, x: x, s: s,
        ck_products_params(
            n: Int32(n), m: Int32(m), d: Int32(d), scale: scale, math: plan.math.kernelValue),
        flop: 2 * n * m * d)
    return sums
}
