/// A threshold from the scores of normal examples, with a promise that holds for any number of them: see
/// `FalseAlarmPromise`.
public struct ThresholdCalibration: Sendable, Equatable {
    /// The scores, rising.
    public let scores: [Double]
    /// What the threshold promises.
    public let promise: FalseAlarmPromise
    /// A score above this is an alarm; nil without scores, which say nothing about alarms.
    public let threshold: Double?

    /// Puts the threshold at the rank of conformal prediction.
    ///
    /// - Parameters:
    ///   - scores: of normal examples that the detector which gave them was not fitted on.
    ///   - asked: the rate of false alarms asked for; nil for the larger of 1 % and the lowest attainable.
    public init(scores: [Double], falseAlarmRate asked: Double?, kind: CalibrationKind = .split) {
        self.scores = scores.sorted()
        promise = FalseAlarmPromise(count: scores.count, asked: asked, kind: kind)
        threshold = promise.rank.map { [sorted = self.scores] in sorted[$0 - 1] }
    }

    /// The conformal p-value of a score: (1 + scores at least as high) / (1 + scores). Under exchangeability
    /// P(p <= a) <= a for a normal example. nil without scores.
    public func pValue(_ score: Double) -> Double? {
        guard !scores.isEmpty else { return nil }
        var low = 0, high = scores.count
        while low < high {
            let middle = (low + high) / 2
            if scores[middle] < score { low = middle + 1 } else { high = middle }
        }
        return Double(1 + scores.count - low) / Double(1 + scores.count)
    }

    /// Whether a score is an alarm; nil without a threshold.
    public func isAlarm(_ score: Double) -> Bool? { threshold.map { score > $0 } }
}
