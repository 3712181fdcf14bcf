import Foundation
import OCCEngine

/// A Dirichlet distribution over K probabilities, fitted by maximum likelihood (Minka 2000, "Estimating a Dirichlet
/// distribution", section 1).
public struct Dirichlet: Sendable, Equatable {
    /// The concentrations, K of them, above 0.
    public let alpha: [Double]

    /// The distribution of known concentrations.
    public init(alpha: [Double]) { self.alpha = alpha }

    /// Fits the concentrations to the mean logarithms of observed probabilities, which are all that the likelihood depends on:
    /// its maximum is where digamma(alpha_k) - digamma(sum alpha) = mean log p_k.
    ///
    /// - Parameters:
    ///   - meanLogarithms: mean log p_k over the observations.
    ///   - means: mean p_k, where the iteration starts.
    /// - Throws: `OCCError(.badData)` for values that are not finite.
    public init(meanLogarithms: [Double], means: [Double]) throws {
        guard (meanLogarithms + means).allSatisfy(\.isFinite) else {
            throw OCCError(.badData, "the probabilities of the training images are not finite")
        }
        // Wicker et al. (2008): the start has the means' proportions, and a total that makes the likelihood about right.
        let classes = Double(means.count)
        let floored = means.map { max($0, 1e-12) }
        let excess = zip(floored, meanLogarithms).reduce(0) { $0 + $1.0 * (log($1.0) - $1.1) }
        let total = max(1e-3, min(1e6, (classes - 1) * 0.5772156649015329 / max(excess, 1e-9)))
        var alpha = floored.map { max(1e-6, $0 * total) }
        for _ in 0..<1000 {
            let sum = digamma(alpha.reduce(0, +))
            let next = meanLogarithms.map { inverseDigamma(sum + $0) }
            let change = zip(next, alpha).map { abs($0 - $1) / $1 }.max() ?? 0
            alpha = next
            if change < 1e-9 { break }
        }
        self.alpha = alpha
    }
}

/// d log gamma(x) / dx for x > 0: the recurrence up to 10, then the asymptotic series (Abramowitz & Stegun 6.3.18).
package func digamma(_ x: Double) -> Double {
    var x = x, result = 0.0
    while x < 10 {
        result -= 1 / x
        x += 1
    }
    let s = 1 / (x * x)
    let series = s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s / 132))))
    return result + log(x) - 0.5 / x - series
}

/// The derivative of `digamma` (Abramowitz & Stegun 6.4.12).
package func trigamma(_ x: Double) -> Double {
    var x = x, result = 0.0
    while x < 10 {
        result += 1 / (x * x)
        x += 1
    }
    let s = 1 / (x * x)
    let series = 1.0 / 6 - s * (1.0 / 30 - s * (1.0 / 42 - s * (1.0 / 30 - s * 5 / 66)))
    return result + 1 / x + s / 2 + s / x * series
}

/// The x > 0 with digamma(x) = y, by Newton's method from Minka's start (2000, appendix C).
package func inverseDigamma(_ y: Double) -> Double {
    var x = y >= -2.22 ? exp(y) + 0.5 : -1 / (y + 0.5772156649015329)
    for _ in 0..<8 {
        let step = (digamma(x) - y) / trigamma(x)
        x = max(x - step, x / 10)
        if abs(step) <= 1e-14 * x { break }
    }
    return x
}
