import Foundation

/// The beta distribution on 0...1, of two numbers above 0: what the rate at an order statistic follows, and
/// the share behind a count.
package struct BetaDistribution: Sendable {
    package let a: Double
    package let b: Double

    package init(a: Double, b: Double) {
        self.a = a
        self.b = b
    }

    /// P(X <= x), the regularized incomplete beta function.
    package func cumulative(_ x: Double) -> Double {
        guard x > 0 else { return 0 }
        guard x < 1 else { return 1 }
        // The fraction converges fast on this side of the mean; the other side is the mirrored one.
        return x < (a + 1) / (a + b + 2)
            ? Self.lowerTail(x, 1 - x, a, b) : 1 - Self.lowerTail(1 - x, x, b, a)
    }

    /// The x with P(X <= x) = p, by bisection down to neighboring numbers.
    package func quantile(_ p: Double) -> Double {
        guard p > 0 else { return 0 }
        guard p < 1 else { return 1 }
        var low = 0.0, high = 1.0
        while true {
            let middle = low + (high - low) / 2
            guard middle > low, middle < high, high - low > 1e-300 else { return middle }
            if cumulative(middle) < p { low = middle } else { high = middle }
        }
    }

    /// The continued fraction of the incomplete beta function, by Lentz's method (Didonato and Morris 1992,
    /// equation 17).
    private static func lowerTail(_ x: Double, _ y: Double, _ a: Double, _ b: Double) -> Double {
        let tiny = 1e-300
        func safe(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
        var c = 1.0, d = 1 / safe(1 - (a + b) * x / (a + 1)), fraction = d
        for step in 1...100_000 {
            let m = Double(step)
            let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            d = 1 / safe(1 + even * d)
            c = safe(1 + even / c)
            fraction *= d * c
            let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            d = 1 / safe(1 + odd * d)
            c = safe(1 + odd / c)
            fraction *= d * c
            if abs(d * c - 1) < 1e-15 { break }
        }
        return exp(a * log(x) + b * log(y) - logBeta(a, b)) * fraction / a
    }

    /// The logarithm of the beta function.
    static func logBeta(_ a: Double, _ b: Double) -> Double { lgamma(a) + lgamma(b) - lgamma(a + b) }
}

/// What a count of `count` among `total` says about the share behind it.
public struct ObservedShare: Sendable, Equatable {
    /// How many were counted.
    public let count: Int
    /// Of how many; above 0.
    public let total: Int

    /// A count of 0...total.
    public init(count: Int, of total: Int) {
        precondition(total > 0 && (0...total).contains(count))
        self.count = count
        self.total = total
    }

    /// The share itself.
    public var value: Double { Double(count) / Double(total) }

    /// Clopper and Pearson's interval (1934): it holds the share behind the count with this confidence at
    /// least.
    public func interval(confidence: Double = 0.95) -> ClosedRange<Double> {
        let tail = (1 - confidence) / 2, k = Double(count), n = Double(total)
        let low = count == 0 ? 0 : BetaDistribution(a: k, b: n - k + 1).quantile(tail)
        let high = count == total ? 1 : BetaDistribution(a: k + 1, b: n - k).quantile(1 - tail)
        return low...high
    }
}
