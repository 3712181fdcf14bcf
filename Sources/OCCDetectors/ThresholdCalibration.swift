import OCCEngine

/// A threshold from the scores of normal examples, with a promise that holds for any number of them: see
/// `FalseAlarmPromise`.
public struct ThresholdCalibration: Sendable, Equatable {
    /// The scores, rising.
    public let scores: [Double]
    /// What the threshold promises.
    public let promise: FalseAlarmPromise
    /// A score above this is an alarm; nil without scores, which say nothing about alarms, unless it was stated.
    public let threshold: Double?
    /// Whether a person stated the threshold itself.
    public let isStated: Bool

    /// Puts the threshold at the rank of conformal prediction.
    ///
    /// - Parameters:
    ///   - scores: of normal examples that the detector which gave them was not fitted on.
    ///   - asked: the rate of false alarms asked for; nil for the larger of 1 % and the lowest attainable.
    public init(scores: [Double], falseAlarmRate asked: Double?, kind: CalibrationKind = .split) {
        self.scores = scores.sorted()
        promise = FalseAlarmPromise(count: scores.count, asked: asked, kind: kind)
        threshold = promise.rank.map { [sorted = self.scores] in sorted[$0 - 1] }
        isStated = false
    }

    /// The threshold of the same scores at another rate of false alarms.
    ///
    /// - Parameter rate: above 0 and below 1.
    /// - Throws: `OCCError(.usage)` for a rate below what so many scores can promise, and without scores.
    public func at(falseAlarmRate rate: Double) throws -> ThresholdCalibration {
        let new = ThresholdCalibration(scores: scores, falseAlarmRate: rate, kind: promise.kind)
        guard !scores.isEmpty else {
            throw OCCError(
                .usage, "\(setting: "false-alarm-rate") \(rate): the model keeps no scores of normal images",
                remedy: "Train with images held out, or state a \(setting: "threshold").")
        }
        guard !new.promise.fallsShort else {
            let lowest = (promise.lowestRate * 10_000).rounded(.up) / 10_000  // this one can be asked for
            throw OCCError(
                .usage,
                "\(setting: "false-alarm-rate") \(rate): the model keeps the scores of \(counted(scores.count, "normal image")), "
                    + "which can promise \(lowest) at the least; this rate takes "
                    + "\(new.promise.neededCount)",
                remedy: "Ask for a higher rate, or train with more images held out (\(setting: "hold-out")).")
        }
        return new
    }

    /// A threshold that a person states. With m of the n scores above it, it promises what the threshold at the rate
    /// (m + 1) / (n + 1) does, as it lies no lower than that; without scores nothing.
    ///
    /// - Throws: `OCCError(.usage)` for a threshold below all scores, by which every normal image is an alarm.
    public func at(threshold: Double) throws -> ThresholdCalibration {
        let above = scores.count { $0 > threshold }
        guard let lowest = scores.first, let highest = scores.last else {
            return ThresholdCalibration(scores: [], promise: promise, threshold: threshold)
        }
        guard above < scores.count else {
            throw OCCError(
                .usage,
                "\(setting: "threshold") \(threshold): all \(scores.count) scores of normal images that the model "
                    + "keeps are above it, so that every image would be an alarm",
                remedy: "They are \(lowest) to \(highest).")
        }
        let rate = Double(above + 1) / Double(scores.count + 1)
        return ThresholdCalibration(
            scores: scores, promise: FalseAlarmPromise(count: scores.count, asked: rate, kind: promise.kind),
            threshold: threshold)
    }

    /// A threshold that was stated.
    private init(scores: [Double], promise: FalseAlarmPromise, threshold: Double) {
        self.scores = scores
        self.promise = promise
        self.threshold = threshold
        isStated = true
    }

    /// What the threshold promises, in words.
    public var summary: String {
        guard isStated, let threshold else { return promise.summary }
        return FalseAlarmPromise.stated(threshold, promise)
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
