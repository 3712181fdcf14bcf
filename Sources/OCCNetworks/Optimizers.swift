import CKernels
import Foundation
import OCCEngine

/// How parameters follow their gradients.
public struct Optimizer: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, CaseIterable, Sendable {
        case sgd
        /// Layer-wise rates for large batches (You et al. 2017, arXiv 1708.03888).
        case lars
    }

    public var kind = Kind.sgd
    public var momentum = 0.9
    public var nesterov = false
    /// L2 penalty: weightDecay * w is added to the gradient of every trainable parameter, batch normalisation
    /// and biases included, as the reference implementation of Sohn et al. does. LARS leaves those two out.
    public var weightDecay = 3e-4
    /// LARS's trust coefficient.
    public var trust = 1e-3

    public init() {}

    /// Appends the update of every parameter to a training plan.
    public func append(to plan: PlanBuilder) throws {
        func params(_ count: Int, weightDecay: Double) -> ck_optimizer_params {
            ck_optimizer_params(
                count: Int64(count), momentum: Float(momentum), weight_decay: Float(weightDecay),
                nesterov: nesterov ? 1 : 0, trust: Float(trust))
        }
        guard kind == .lars else {
            let all = plan.allParameters
            try plan.sgd(
                "all parameters", w: all.values, velocity: all.velocities, dw: all.gradients,
                params(all.values.count, weightDecay: weightDecay), flop: 6 * all.values.count)
            return
        }
        for parameter in plan.layout.parameters where !parameter.isStatistic {
            let own = plan.trained(parameter), count = own.values.count
            if parameter.tensor.shape.count > 1 {
                try plan.lars(
                    parameter.name, w: own.values, velocity: own.velocities, dw: own.gradients,
                    params(count, weightDecay: weightDecay), flop: 10 * count)
            } else {
                try plan.sgd(
                    parameter.name, w: own.values, velocity: own.velocities, dw: own.gradients,
                    params(count, weightDecay: 0), flop: 10 * count)
            }
        }
    }
}

/// The learning rate over a run.
public struct LearningRateSchedule: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, CaseIterable, Sendable { case constant, cosine }

    public var kind = Kind.cosine
    public var peak = 0.01
    /// Steps of linear warm-up from zero.
    public var warmupSteps = 0
    /// Steps for which the cosine keeps its value (the reference updates once an epoch); 1: every step.
    public var holdSteps = 1

    public init() {}

    /// The rate of step `step` of `steps`: 0.5 * peak * (1 + cos(pi * progress)) after the warm-up.
    public func rate(step: Int, of steps: Int) -> Double {
        if step < warmupSteps { return peak * Double(step + 1) / Double(warmupSteps) }
        guard kind == .cosine else { return peak }
        let hold = max(1, holdSteps), after = (step - warmupSteps) / hold * hold
        return 0.5 * peak * (1 + cos(.pi * Double(after) / Double(max(1, steps - warmupSteps))))
    }
}
