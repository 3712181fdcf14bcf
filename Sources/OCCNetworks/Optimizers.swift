import CKernels
import Foundation
import OCCEngine

/// How parameters follow their gradients.
public struct Optimizer: Codable, Sendable, Equatable {
    /// The rule by which a step follows from gradient and velocity.
    public enum Kind: String, Codable, CaseIterable, Sendable {
        /// Stochastic gradient descent with momentum.
        case sgd
        /// Layer-wise rates for large batches (You et al. 2017, arXiv 1708.03888).
        case lars
        /// Steps of one size, by running means of gradients and of their squares (Kingma & Ba, ICLR 2015);
        /// `momentum` is its beta 1.
        case adam
    }

    /// The rule that steps follow.
    public var kind = Kind.sgd
    /// The share of the velocity that a step keeps, in 0..<1.
    public var momentum = 0.9
    /// Whether a step looks ahead along the velocity (Nesterov 1983), as PyTorch's SGD does.
    public var nesterov = false
    /// The L2 penalty: weightDecay * w is added to the gradient of every trainable parameter, batch
    /// normalization and biases included, as the reference implementation of Sohn et al. does. LARS leaves
    /// those two out.
    public var weightDecay = 3e-4
    /// The trust coefficient of LARS.
    public var trust = 1e-3
    /// Adam's share of the mean of squared gradients that a step keeps, its beta 2.
    public var beta2 = 0.999

    /// Gradient descent with momentum 0.9, as Sohn et al. (ICLR 2021) train.
    public init() {}

    /// Appends the update of every parameter to a training plan.
    public func append(to plan: PlanBuilder) throws {
        func params(_ count: Int, weightDecay: Double) -> ck_optimizer_params {
            ck_optimizer_params(
                count: Int64(count), momentum: Float(momentum), weight_decay: Float(weightDecay),
                nesterov: nesterov ? 1 : 0, trust: Float(trust), beta2: Float(beta2))
        }
        let all = plan.allParameters
        switch kind {
        case .adam:
            try plan.adam(
                "all parameters", w: all.values, velocity: all.velocities, squares: all.squares,
                dw: all.gradients, params(all.values.count, weightDecay: weightDecay),
                flop: 12 * all.values.count)
            return
        case .sgd:
            try plan.sgd(
                "all parameters", w: all.values, velocity: all.velocities, dw: all.gradients,
                params(all.values.count, weightDecay: weightDecay), flop: 6 * all.values.count)
            return
        case .lars: break
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
    /// The curve after the warm-up.
    public enum Kind: String, Codable, CaseIterable, Sendable {
        /// The peak throughout.
        case constant
        /// Half a period of a cosine, from the peak to zero at the last step.
        case cosine
        /// The peak, and from each milestone on a tenth of the rate before it.
        case milestones
    }

    /// The curve after the warm-up.
    public var kind = Kind.cosine
    /// The rate after the warm-up, the highest of the run.
    public var peak = 0.01
    /// Steps of linear warm-up from zero to the peak.
    public var warmupSteps = 0
    /// Steps for which the cosine keeps its value (the reference updates once an epoch); 1: every step.
    public var holdSteps = 1
    /// The steps, from 0, that are the first ones at a tenth of the rate before, for `Kind.milestones`.
    public var milestones: [Int] = []

    /// A cosine from 0.01 without a warm-up.
    public init() {}

    /// The rate of step `step` (from 0) of `steps`. After the warm-up a cosine is 0.5 * peak * (1 + cos(pi *
    /// progress)), and milestones make it peak * 0.1^k, k of them at or before the step.
    public func rate(step: Int, of steps: Int) -> Double {
        if step < warmupSteps { return peak * Double(step + 1) / Double(warmupSteps) }
        switch kind {
        case .constant: return peak
        case .milestones: return peak * pow(0.1, Double(milestones.count { $0 <= step }))
        case .cosine: break
        }
        let hold = max(1, holdSteps), after = (step - warmupSteps) / hold * hold
        return 0.5 * peak * (1 + cos(.pi * Double(after) / Double(max(1, steps - warmupSteps))))
    }
}
