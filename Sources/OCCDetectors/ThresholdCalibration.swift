import Foundation

/// A threshold from the scores of held-out normal examples, with a promise that holds for any sample size: if
/// new normal examples are exchangeable with the held-out ones, an alarm (score > threshold) comes with
/// probability at most
/// `falseAlarmRate` (split conformal prediction; Vovk et al. 2005, Lei et al. 2018).
public struct ThresholdCalibration: Sendable, Equatable {
    /// The held-out scores, rising.
    public let scores: [Double]
    /// The rate of alarms on normal examples that the threshold promises, above 0 and below 1.
    public let falseAlarmRate: Double
    /// A score above this is an alarm. Infinite when there are too few held-out examples for the rate: then
    /// nothing is.
    public let threshold: Double

    /// Puts the threshold at the rank of split conformal prediction.
    ///
    /// - Parameter scores: of normal examples that neither the encoder nor the detector was fitted on.
    public init(scores: [Double], falseAlarmRate: Double) {
        precondition(falseAlarmRate > 0 && falseAlarmRate < 1)
        self.scores = scores.sorted()
        self.falseAlarmRate = falseAlarmRate
        let rank = Self.rank(count: scores.count, falseAlarmRate)
        threshold = rank <= scores.count ? self.scores[rank - 1] : .infinity
    }

    /// The place of the threshold among n rising scores: ceil((n + 1)(1 - rate)). The slack keeps products
    /// such as 100 * 0.99 from rounding up.
    private static func rank(count: Int, _ rate: Double) -> Int {
        max(1, Int((Double(count + 1) * (1 - rate) - 1e-9).rounded(.up)))
    }

    /// The number of held-out examples the rate needs: 1 / rate - 1, rounded up.
    public var neededCount: Int { Int((1 / falseAlarmRate - 1 - 1e-9).rounded(.up)) }

    /// Whether there are enough held-out examples for a finite threshold.
    public var isSufficient: Bool { threshold.isFinite }

    /// The conformal p-value of a score: (1 + held-out scores at least as high) / (1 + held-out scores).
    /// Under exchangeability P(p <= a) <= a for a normal example.
    public func pValue(_ score: Double) -> Double {
        var low = 0, high = scores.count
        while low < high {
            let middle = (low + high) / 2
            if scores[middle] < score { low = middle + 1 } else { high = middle }
        }
        return Double(1 + scores.count - low) / Double(1 + scores.count)
    }

    /// Whether a score is an alarm.
    public func isAlarm(_ score: Double) -> Bool { score > threshold }
}
