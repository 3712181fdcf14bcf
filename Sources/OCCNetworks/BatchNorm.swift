import CKernels
import OCCEngine

/// Batch normalization over all but the last dimension (Ioffe & Szegedy 2015), with what follows it in a
/// residual network folded in: y = relu(norm(x) * gamma + beta + residual).
///
/// A training plan normalizes by the batch and updates the running statistics; any other plan uses the
/// running ones. Where several ranks share a batch, it is the whole batch, unless the share says otherwise
/// (`BatchShare.normalizesTogether`). Where a step is computed in parts, it is the part.
public struct BatchNorm: Sendable {
    /// The layer's name: parameters are `name.weight` and `name.bias`, statistics `name.running_mean` and
    /// `name.running_var`.
    public let name: String
    /// Whether a ReLU follows.
    public let relu: Bool
    /// What is added to the variance.
    public let epsilon: Float
    /// The share of the batch in the running statistics: running = (1 - momentum) * running + momentum *
    /// batch, as in PyTorch. Keras calls this 0.1 a 0.9.
    public let momentum: Float

    /// Whether factors and offsets are learned; else they stay 1 and 0.
    public let affine: Bool

    /// A layer for any number of channels.
    public init(
        _ name: String, relu: Bool, epsilon: Float = 1e-5, momentum: Float = 0.1, affine: Bool = true
    ) {
        self.affine = affine
        self.name = name
        self.relu = relu
        self.epsilon = epsilon
        self.momentum = momentum
    }

    /// Appends the layer to a plan: x [...,C] -> the same shape and type, `residual` of these added before the
    /// ReLU.
    public func callAsFunction(_ x: Tensor, residual: Tensor? = nil, in plan: PlanBuilder) throws -> Tensor {
        guard let channels = x.shape.last else {
            throw PlanError(layer: name, operation: "batchnorm", problem: .rank(expected: 1, given: []))
        }
        let (gamma, beta, runningMean, runningVariance) = try variables(channels: channels, in: plan)
        let y = plan.transient(name, x.shape, type: x.type)
        let params = ck_batchnorm_params(
            rows: Int64(x.count / channels), channels: Int32(channels), relu: relu ? 1 : 0, epsilon: epsilon,
            momentum: plan.part == .embedding ? 0 : momentum,
            ranks: Int32(plan.ranksTogether?.ranks ?? 0))
        let sources = [x, gamma, beta] + (residual.map { [$0] } ?? [])

        guard plan.purpose == .training else {
            try plan.batchnormInference(
                name, y: y, x: x, residual: residual, gamma: gamma, beta: beta, runningMean: runningMean,
                runningVariance: runningVariance, params, flop: 2 * x.count)
            plan.recordBackward(of: y, from: sources) { pass in
                guard let dy = pass.gradient(of: y) else { return }
                let dx = plan.transient("d \(x.name)", x.shape, type: x.type)
                let dresidual = Self.gradient(of: residual, in: plan)
                try plan.batchnormInferenceBackward(
                    name, dx: dx, dresidual: dresidual, dy: dy, y: y, gamma: gamma,
                    runningVariance: runningVariance, params, flop: x.count)
                if plan.isDifferentiable(x) { try pass.contribute(dx, to: x) }
                if let residual, let dresidual { try pass.contribute(dresidual, to: residual) }
            }
            return y
        }

        let mean = plan.transient("\(name) mean", [channels])
        let inverseDeviation = plan.transient("\(name) 1/std", [channels])
        let share = plan.ranksTogether.flatMap { $0.normalizesTogether ? $0 : nil }
        if let share {
            let own = plan.transient("\(name) moments", [2, channels])
            try plan.batchnormMoments(name, moments: own, x: x, params, flop: 4 * x.count)
            let moments = try gatherFromRanks(own, share, in: plan)
            try plan.batchnormNormalize(
                name, y: y, mean: mean, inverseDeviation: inverseDeviation, runningMean: runningMean,
                runningVariance: runningVariance, x: x, residual: residual, gamma: gamma, beta: beta,
                moments: moments, params, flop: 3 * x.count)
        } else {
            try plan.batchnormForward(
                name, y: y, mean: mean, inverseDeviation: inverseDeviation, runningMean: runningMean,
                runningVariance: runningVariance, x: x, residual: residual, gamma: gamma, beta: beta, params,
                flop: 7 * x.count)
        }
        plan.recordBackward(of: y, from: sources) { pass in
            guard let dy = pass.gradient(of: y) else { return }
            let dx = plan.transient("d \(x.name)", x.shape, type: x.type)
            let dresidual = Self.gradient(of: residual, in: plan)
            func gradient(_ parameter: Tensor) -> Tensor {
                affine
                    ? pass.gradient(ofParameter: parameter)!
                    : plan.transient("d \(parameter.name)", parameter.shape)
            }
            let dgamma = gradient(gamma), dbeta = gradient(beta)
            if let share {
                let own = plan.transient("\(name) sums", [2, channels])
                try plan.batchnormGradientSums(
                    name, dgamma: dgamma, dbeta: dbeta, sums: own, dy: dy, x: x, y: y, mean: mean,
                    inverseDeviation: inverseDeviation, params, flop: 4 * x.count)
                let sums = try gatherFromRanks(own, share, in: plan)
                try plan.batchnormGradient(
                    name, dx: dx, dresidual: dresidual, dy: dy, x: x, y: y, mean: mean,
                    inverseDeviation: inverseDeviation, gamma: gamma, sums: sums, params, flop: 6 * x.count)
            } else {
                try plan.batchnormBackward(
                    name, dx: dx, dgamma: dgamma, dbeta: dbeta, dresidual: dresidual, dy: dy, x: x, y: y,
                    mean: mean, inverseDeviation: inverseDeviation, gamma: gamma, params, flop: 10 * x.count)
            }
            if plan.isDifferentiable(x) { try pass.contribute(dx, to: x) }
            if let residual, let dresidual { try pass.contribute(dresidual, to: residual) }
        }
        return y
    }

    /// Declares the layer's parameters and statistics.
    func variables(channels: Int, in plan: PlanBuilder) throws -> (
        gamma: Tensor, beta: Tensor, runningMean: Tensor, runningVariance: Tensor
    ) {
        func own(_ name: String, _ start: Initializer) throws -> Tensor {
            affine ? try plan.parameter(name, [channels], start) : try plan.statistic(name, [channels], start)
        }
        return (
            try own("\(name).weight", .ones), try own("\(name).bias", .zeros),
            try plan.statistic("\(name).running_mean", [channels], .zeros),
            try plan.statistic("\(name).running_var", [channels], .ones)
        )
    }

    private static func gradient(of residual: Tensor?, in plan: PlanBuilder) -> Tensor? {
        guard let residual, plan.isDifferentiable(residual) else { return nil }
        return plan.transient("d \(residual.name)", residual.shape, type: residual.type)
    }
}
