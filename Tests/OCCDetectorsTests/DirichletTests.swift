import Foundation
import OCCDetectors
import OCCEngine
import TestSupport
import Testing

@Suite struct DirichletTests {
    /// Known values: -gamma, and digamma(1/2) = -gamma - 2 log 2; differences of log gamma elsewhere.
    @Test func digammaIsTheSlopeOfLogGamma() {
        let gamma = 0.57721566490153286
        #expect(abs(digamma(1) + gamma) < 1e-12)
        #expect(abs(digamma(0.5) + gamma + 2 * log(2)) < 1e-12)
        #expect(abs(trigamma(1) - Double.pi * Double.pi / 6) < 1e-12)
        for x in [0.01, 0.3, 2.5, 7, 40, 1e4] {
            let h = 1e-4 * x, slope = (lgamma(x + h) - lgamma(x - h)) / (2 * h)
            #expect(abs(digamma(x) - slope) <= 1e-5 * max(1, abs(slope)))
            #expect(abs(inverseDigamma(digamma(x)) - x) <= 1e-9 * x)
        }
    }

    /// A gamma variate, by Marsaglia and Tsang (2000).
    private func gammaVariate(_ shape: Double, _ random: inout CounterRandom) -> Double {
        guard shape >= 1 else { return gammaVariate(shape + 1, &random) * pow(random.uniform(), 1 / shape) }
        let d = shape - 1.0 / 3, c = 1 / (9 * d).squareRoot()
        while true {
            let x = random.normal(), v = pow(1 + c * x, 3)
            if v > 0, log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * log(v) { return d * v }
        }
    }

    /// Concentrations that samples were drawn with are found again.
    @Test(arguments: [[1.0, 1, 1], [0.3, 2, 9, 0.8], [40, 3, 7]])
    func knownConcentrationsAreFound(_ alpha: [Double]) throws {
        var random = CounterRandom(seed: 7, stream: 1), logs = [Double](repeating: 0, count: alpha.count)
        var means = logs
        let count = 20_000
        for _ in 0..<count {
            let g = alpha.map { gammaVariate($0, &random) }, sum = g.reduce(0, +)
            for k in alpha.indices {
                logs[k] += log(max(g[k] / sum, 1e-300)) / Double(count)
                means[k] += g[k] / sum / Double(count)
            }
        }
        let found = try Dirichlet(meanLogarithms: logs, means: means).alpha
        for (a, b) in zip(found, alpha) { #expect(abs(a - b) <= 0.04 * b, "\(found)") }
        // The likelihood's gradient vanishes there.
        let total = digamma(found.reduce(0, +))
        for (a, mean) in zip(found, logs) { #expect(abs(digamma(a) - total - mean) < 1e-6) }
    }

    @Test func badValuesAreErrors() {
        #expect(throws: OCCError.self) { try Dirichlet(meanLogarithms: [-.infinity, -1], means: [0, 1]) }
    }
}
