import Foundation
import OCCEngine

/// How spread out a batch of features is, and when to give up.
///
/// A collapsed encoder maps every image to one point; its loss looks ordinary, and only the AUROC of 50 %
/// tells. Here the run stops with the reason instead.
public struct CollapseMonitor: Sendable {
    /// The state of one batch of features.
    public struct Reading: Sendable, Equatable {
        /// The root mean square distance of the L2-normalized features from their mean: 0 when all are one
        /// point, 1 when they cancel out.
        public let spread: Double
        /// The participation ratio (sum l)^2 / sum l^2 of the covariance's eigenvalues l: from 1 (a line) to
        /// min(N - 1, D).
        public let effectiveRank: Double
        /// The L2 norm of the gradient of all parameters.
        public let gradientNorm: Double

        /// A reading of these values.
        public init(spread: Double, effectiveRank: Double, gradientNorm: Double) {
            self.spread = spread
            self.effectiveRank = effectiveRank
            self.gradientNorm = gradientNorm
        }
    }

    /// Readings in a row that must be bad.
    static let patience = 3
    static let smallestSpread = 1e-4
    static let smallestRank = 1.0001
    static let smallestGradient = 1e-12

    private var bad = 0

    /// A monitor that has seen nothing yet.
    public init() {}

    /// Measures the spread and the rank of one batch of features.
    ///
    /// - Parameter features: [rows, columns].
    public static func reading(features: [Float], rows: Int, gradientNorm: Double) -> Reading {
        let columns = features.count / rows
        var x = features.map(Double.init)
        var mean = [Double](repeating: 0, count: columns)
        for row in 0..<rows {
            let range = row * columns..<(row + 1) * columns
            let norm = max(x[range].reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
            for (column, index) in range.enumerated() {
                x[index] /= norm
                mean[column] += x[index] / Double(rows)
            }
        }
        for index in x.indices { x[index] -= mean[index % columns] }
        // The Gram matrix has the covariance's non-zero eigenvalues.
        var trace = 0.0, squares = 0.0
        for i in 0..<rows {
            for j in 0...i {
                var dot = 0.0
                for column in 0..<columns { dot += x[i * columns + column] * x[j * columns + column] }
                if i == j { trace += dot }
                squares += (i == j ? 1 : 2) * dot * dot
            }
        }
        return Reading(
            spread: (trace / Double(rows)).squareRoot(),
            effectiveRank: squares > 0 ? trace * trace / squares : 0,
            gradientNorm: gradientNorm)
    }

    /// Takes in a reading; the reason to stop once several in a row were bad.
    public mutating func check(_ reading: Reading) -> String? {
        let reason: String? =
            if !(reading.spread >= Self.smallestSpread) {
                "the features have collapsed to one point (spread \(reading.spread))"
            } else if !(reading.effectiveRank >= Self.smallestRank) {
                "the features have collapsed to a line (effective rank \(reading.effectiveRank))"
            } else if !(reading.gradientNorm >= Self.smallestGradient) {
                "the gradient has vanished (norm \(reading.gradientNorm))"
            } else {
                nil
            }
        bad = reason == nil ? 0 : bad + 1
        return bad >= Self.patience ? reason : nil
    }
}
