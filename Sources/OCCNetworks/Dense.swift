import CKernels
import OCCEngine

/// A fully connected layer: y[N,K] = x[N,C] w[K,C]^T (+ b[K]).
public struct Dense: Sendable {
    public let name: String
    public let units: Int
    public let bias: Bool

    public init(_ name: String, units: Int, bias: Bool) {
        self.name = name
        self.units = units
        self.bias = bias
    }

    public func callAsFunction(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
        let (n, c) = (x.shape[0], x.shape[1])
        let weight = try plan.parameter("\(name).weight", [units, c], .glorotUniform)
        let offset = bias ? try plan.parameter("\(name).bias", [units], .zeros) : nil
        let y = plan.transient(name, [n, units])
        var params = ck_operation_params()
        params.dense = ck_dense_params(
            n: Int32(n), c: Int32(c), k: Int32(units), math: plan.math.kernelValue)
        let flop = 2 * n * c * units
        plan.append(
            .CK_KIND_dense_forward, name, [y, x, weight, offset], params, flop: flop, output: y,
            from: [x, weight]
        ) { [params] pass in
            guard let dy = pass.gradient(of: y) else { return }
            if let dw = pass.gradient(ofParameter: weight) {
                let db = offset.flatMap { pass.gradient(ofParameter: $0) }
                plan.append(.CK_KIND_dense_backward_weight, name, [dw, db, dy, x], params, flop: flop)
            }
            pass.contribute(to: x) { dx in
                plan.append(.CK_KIND_dense_backward_data, name, [dx, dy, weight], params, flop: flop)
            }
        }
        return y
    }
}
