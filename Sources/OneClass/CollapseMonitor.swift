import Foundation
import OCCEngine

/// How spread out a batch of features is, and when to give up.
///
/// A collapsed encoder maps every image to one point; its loss looks ordinary, and only the AUROC of 50 %
/// tells. Here the run stops with the reason instead.
public struct CollapseMonitor: Sendable {
    /// The state of one batch of features.
    public struct Reading: Sendable, Equatable {
        /// The root mean square distance of the features, by a scale, from their mean: 0 when all are one point, 1 when they
        /// cancel out. See `Scale`.
        public let spread: Double
        /// The participation ratio (sum l)^2 / sum l^2 of the covariance's eigenvalues l: from 1 (a line) to
        /// min(N - 1, D) for the N rows that are looked at.
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

    /// What features are divided by before their spread is measured.
    public enum Scale: Sendable {
        /// Each by its own norm: detectors of features see directions.
        case norms
        /// All by the root mean square of their norms: how long they are counts, as where a score is a distance.
        case rootMeanSquare
    }

    /// Readings in a row that must be bad.
    static let patience = 3
    static let smallestSpread = 1e-4
    static let smallestRank = 1.0001
    static let smallestGradient = 1e-12

    private var bad = 0

    /// A monitor that has seen nothing yet.
    public init() {}

    /// Rows that a reading looks at, at most: the cost grows with their square.
    static let rowLimit = 256

    /// Measures the spread and the rank of one batch of features, on at most 256 of its rows, evenly chosen.
    ///
    /// - Parameters:
    ///   - features: [rows, columns].
    ///   - scale: what they are divided by.
    public static func reading(
        features: [Float], rows: Int, gradientNorm: Double, scale kind: Scale = .norms
    ) -> Reading {
        let columns = features.count / rows, count = min(rows, rowLimit)
        let common = kind == .norms ? nil : rootMeanSquare(features, rows: rows, count: count)
        // Whole blocks of 4: rows and columns of zeros add nothing.
        let width = (columns + 3) / 4 * 4
        var centered = [Float](repeating: 0, count: (count + 3) / 4 * 4 * width)
        var mean = [Double](repeating: 0, count: width), sums = (trace: 0.0, squares: 0.0)
        features.withUnsafeBufferPointer { features in
            centered.withUnsafeMutableBufferPointer { x in
                mean.withUnsafeMutableBufferPointer { mean in
                    guard let start = x.baseAddress, let from = features.baseAddress else { return }
                    // Indices from a row's first value need no check for overflow, which would keep the loops from
                    // being vectorized.
                    for row in 0..<count {
                        let values = from + row * rows / count * columns, own = start + row * width
                        own.update(from: values, count: columns)
                        var norm = SIMD4<Double>.zero
                        for column in stride(from: 0, to: width, by: 4) {
                            let four = SIMD4(
                                Double(own[column]), Double(own[column + 1]), Double(own[column + 2]),
                                Double(own[column + 3]))
                            norm += four * four
                        }
                        let scale = 1 / max(common ?? norm.sum().squareRoot(), 1e-12)
                        for column in 0..<columns {
                            own[column] = Float(Double(own[column]) * scale)
                            mean[column] += Double(own[column])
                        }
                    }
                    for column in 0..<columns { mean[column] /= Double(count) }
                    for row in 0..<count {
                        let own = start + row * width
                        for column in 0..<columns { own[column] = Float(Double(own[column]) - mean[column]) }
                    }
                    sums = gramSums(UnsafeRawPointer(start), rows: x.count / width, width)
                }
            }
        }
        return Reading(
            spread: (sums.trace / Double(count)).squareRoot(),
            effectiveRank: sums.squares > 0 ? sums.trace * sums.trace / sums.squares : 0,
            gradientNorm: gradientNorm)
    }

    /// The root mean square of the norms of so many rows, evenly chosen.
    private static func rootMeanSquare(_ features: [Float], rows: Int, count: Int) -> Double {
        let columns = features.count / rows
        let squares = (0..<count).reduce(0.0) { sum, row in
            let first = row * rows / count * columns
            return features[first..<first + columns].reduce(sum) { $0 + Double($1) * Double($1) }
        }
        return (squares / Double(count)).squareRoot()
    }

    /// The trace of the Gram matrix X X', and the sum of its squares. It has the covariance's non-zero
    /// eigenvalues l: these are the sums of l and of l^2.
    ///
    /// - Parameters:
    ///   - x: floats, [rows, width], both multiples of 4.
    private static func gramSums(_ x: UnsafeRawPointer, rows: Int, _ width: Int)
        -> (trace: Double, squares: Double)
    {
        func four(_ row: Int, _ column: Int) -> SIMD4<Float> {
            let offset = (row &* width &+ column) &* MemoryLayout<Float>.stride
            return x.loadUnaligned(fromByteOffset: offset, as: SIMD4<Float>.self)
        }
        var trace = 0.0, squares = 0.0
        for i in stride(from: 0, to: rows, by: 2) {
            for j in stride(from: 0, through: i, by: 4) {
                // The dot products of rows i, i + 1 with j...j + 3.
                var a = SIMD4<Float>.zero, b = a, c = a, d = a, e = a, f = a, g = a, h = a
                for k in stride(from: 0, to: width, by: 4) {
                    let p = four(i, k), q = four(i + 1, k)
                    let r = four(j, k), s = four(j + 1, k), t = four(j + 2, k), u = four(j + 3, k)
                    a += p * r
                    b += p * s
                    c += p * t
                    d += p * u
                    e += q * r
                    f += q * s
                    g += q * t
                    h += q * u
                }
                func square(_ dot: SIMD4<Float>) -> Double { Double(dot.sum()) * Double(dot.sum()) }
                let first = square(a) + square(b) + square(c) + square(d)
                let second = square(e) + square(f) + square(g) + square(h)
                // What is left of the diagonal's blocks is right of it too.
                squares += (j + 4 <= i ? 2 : 1) * (first + second)
                if j == i { trace += Double(a.sum()) + Double(f.sum()) }
                if j + 2 == i { trace += Double(c.sum()) + Double(h.sum()) }
            }
        }
        return (trace, squares)
    }

    /// Takes in a reading; the reason to stop once several in a row were bad.
    ///
    /// - Parameter scale: what the features of the reading were divided by: features on a line are no directions, but
    ///   have distances.
    public mutating func check(_ reading: Reading, scale: Scale = .norms) -> String? {
        let reason: String? =
            if !reading.spread.isFinite {
                "the features are not finite: training has diverged"
            } else if !(reading.spread >= Self.smallestSpread) {
                "the features have collapsed to one point (spread \(reading.spread))"
            } else if scale == .norms, !(reading.effectiveRank >= Self.smallestRank) {
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
