import Foundation
import OCCEngine

/// The energy under a mixture of Gaussians whose parameters follow from memberships (Zong et al., ICLR 2018, equations 5 and
/// 6): a row has D values z and K memberships; score = -log sum_k phi_k N(z; mu_k, C_k).
///
/// It is not chosen by name: a method whose network gives the memberships has it as the detector of its own features.
public struct MixtureEnergy: Detector {
    /// Components, K.
    public let components: Int
    /// What is added to the variances.
    public let epsilon: Double

    /// The energy under so many components.
    public init(components: Int, epsilon: Double) {
        (self.components, self.epsilon) = (components, epsilon)
    }

    /// mixture.
    public let name = "mixture"
    /// What it is, in a line.
    public let summary = "The energy under a mixture of Gaussians, from memberships that a network gives."
    /// None.
    public static let settings: [Setting<MixtureEnergy>] = []

    /// Finds the shares, means and covariances of the components, in double precision.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite, fewer than two rows, or columns of memberships alone;
    ///   or where a covariance is not positive definite.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        let columns = features.columns, d = columns - components
        guard d >= 1 else {
            throw OCCError(.badData, "\(name): \(columns) columns for \(components) memberships and values")
        }
        func value(_ row: Int, _ column: Int) -> Double { Double(features.values[row * columns + column]) }
        var state = DetectorState(), shares: [Double] = [], means: [Double] = [], covariances: [Double] = []
        for k in 0..<components {
            let weights = (0..<features.rows).map { value($0, d + k) }
            let total = max(weights.reduce(0, +), 1e-30)
            shares.append(total / Double(features.rows))
            var mean = [Double](repeating: 0, count: d), covariance = [Double](repeating: 0, count: d * d)
            for (row, weight) in weights.enumerated() {
                for i in 0..<d { mean[i] += weight * value(row, i) / total }
            }
            for (row, weight) in weights.enumerated() {
                for i in 0..<d {
                    for j in 0..<d {
                        covariance[i * d + j] +=
                            weight * (value(row, i) - mean[i]) * (value(row, j) - mean[j]) / total
                    }
                }
            }
            for i in 0..<d { covariance[i * d + i] += epsilon }
            means += mean
            covariances += covariance
        }
        state.set("shares", shares, shape: [components])
        state.set("means", means, shape: [components, d])
        state.set("covariances", covariances, shape: [components, d, d])
        return try restore(state)
    }

    /// The mixture that a state was taken from: the arrays `shares`, `means` and `covariances`.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let shares = try state.array("shares").values, means = try state.array("means")
        let covariances = try state.array("covariances").values
        let d = means.shape.last ?? 0
        guard shares.count == components, means.shape == [components, d],
            covariances.count == components * d * d
        else { throw OCCError(.badData, "the detector's mixture is malformed") }
        let gaussians = try (0..<components).map { k in
            try WeightedGaussian(
                share: shares[k], mean: Array(means.values[k * d..<(k + 1) * d]),
                covariance: Array(covariances[k * d * d..<(k + 1) * d * d]))
        }
        return FittedMixture(gaussians: gaussians, state: state)
    }
}

/// A component, ready to be evaluated.
private struct WeightedGaussian: Sendable {
    let mean: [Double]
    /// Cholesky's factor of the covariance, lower triangular.
    private let factor: [Double]
    /// The log of the share and of what the exponential is divided by.
    private let constant: Double

    /// - Throws: `OCCError(.badData)` for a covariance that is not positive definite.
    init(share: Double, mean: [Double], covariance: [Double]) throws {
        let d = mean.count
        var factor = [Double](repeating: 0, count: d * d), logDeterminant = 0.0
        for i in 0..<d {
            for j in 0...i {
                let sum = (0..<j).reduce(covariance[i * d + j]) {
                    $0 - factor[i * d + $1] * factor[j * d + $1]
                }
                guard i != j || sum > 0 else {
                    throw OCCError(
                        .badData, "mixture: the covariance of a component is not positive definite",
                        remedy: "Fit on more images, or train longer.")
                }
                factor[i * d + j] = i == j ? sum.squareRoot() : sum / factor[j * d + j]
            }
            logDeterminant += log(factor[i * d + i])
        }
        (self.mean, self.factor) = (mean, factor)
        constant = log(share) - logDeterminant - 0.5 * Double(d) * log(2 * Double.pi)
    }

    /// The log of the share times the density at z, and C^-1 (z - mean).
    func logDensity(_ z: [Double]) -> (log: Double, solved: [Double]) {
        let d = mean.count
        var solved = zip(z, mean).map { $0 - $1 }
        for i in 0..<d {
            for j in 0..<i { solved[i] -= factor[i * d + j] * solved[j] }
            solved[i] /= factor[i * d + i]
        }
        let square = solved.reduce(0) { $0 + $1 * $1 }
        for i in (0..<d).reversed() {
            for j in i + 1..<d { solved[i] -= factor[j * d + i] * solved[j] }
            solved[i] /= factor[i * d + i]
        }
        return (constant - 0.5 * square, solved)
    }
}

/// A mixture whose parameters are known.
private struct FittedMixture: OneClassClassifier {
    let gaussians: [WeightedGaussian]
    let state: DetectorState

    /// The energy of a row, and its gradient by the row's columns, of which memberships have none.
    private func evaluate(_ features: ArraySlice<Float>) -> (energy: Double, gradient: [Float]) {
        let d = gaussians[0].mean.count, z = features.prefix(d).map(Double.init)
        let logs = gaussians.map { $0.logDensity(z) }, top = logs.map(\.log).max()!
        let sum = logs.reduce(0) { $0 + exp($1.log - top) }
        var gradient = [Double](repeating: 0, count: d)
        for own in logs {
            let share = exp(own.log - top) / sum
            for i in 0..<d { gradient[i] += share * own.solved[i] }
        }
        let rest = [Float](repeating: 0, count: features.count - d)
        return (-top - log(sum), gradient.map { Float($0) } + rest)
    }

    private func evaluate(_ features: FeatureMatrix) throws -> [(energy: Double, gradient: [Float])] {
        let columns = gaussians[0].mean.count + gaussians.count
        try requireColumns(features, columns)
        return (0..<features.rows).map { evaluate(features.values[$0 * columns..<($0 + 1) * columns]) }
    }

    func scores(_ features: FeatureMatrix) throws -> [Double] { try evaluate(features).map(\.energy) }

    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        FeatureMatrix(
            rows: features.rows, columns: features.columns,
            values: try evaluate(features).flatMap(\.gradient))
    }
}
