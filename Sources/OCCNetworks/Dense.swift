import CKernels
import OCCEngine

/// A fully connected layer: y[N,K] = x[N,C] w[K,C]^T (+ b[K]).
public struct Dense: Sendable {
    /// The layer's name: parameters are `name.weight` and `name.bias`.
    public let name: String
    /// Outputs of the layer, K.
    public let units: Int
    /// Whether a bias is added.
    public let bias: Bool
    /// What its weights are before training.
    public let initializer: Initializer

    /// A layer of K = `units` outputs; it takes as many inputs as it is given.
    public init(_ name: String, units: Int, bias: Bool, initializer: Initializer = .glorotUniform) {
        self.initializer = initializer
        self.name = name
        self.units = units
        self.bias = bias
    }

    /// Appends the layer to a plan: x [N,C] -> [N,K].
    public func callAsFunction(_ x: Tensor, in plan: PlanBuilder) throws -> Tensor {
        let x = try plan.singlePrecision(x)
        let shape = try x.shape(dimensions: 2, of: name, "dense_forward"), (n, c) = (shape[0], shape[1])
        let weight = try plan.parameter("\(name).weight", [units, c], initializer)
        let offset = bias ? try plan.parameter("\(name).bias", [units], .zeros) : nil
        let y = plan.transient(name, [n, units])
        let params = ck_dense_params(
            n: Int32(n), c: Int32(c), k: Int32(units), math: plan.math.kernelValue)
        let flop = 2 * n * c * units
        try plan.denseForward(name, y: y, x: x, w: weight, b: offset, params, flop: flop)
        plan.recordBackward(of: y, from: [x, weight]) { pass in
            guard let dy = pass.gradient(of: y) else { return }
            if let dw = pass.gradient(ofParameter: weight) {
                let db = offset.flatMap { pass.gradient(ofParameter: $0) }
                try plan.denseBackwardWeight(name, dw: dw, db: db, dy: dy, x: x, params, flop: flop)
            }
            try pass.contribute(to: x) { dx in
                try plan.denseBackwardData(name, dx: dx, dy: dy, w: weight, params, flop: flop)
            }
        }
        return y
    }
}
