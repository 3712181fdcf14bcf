import Foundation
import OCCEngine

/// Where the scores come from that a threshold is calibrated by.
public enum CalibrationKind: String, CaseIterable, Sendable {
    /// Of images held out from encoder and detector: split conformal prediction.
    case split
    /// Of the training images, each by a detector fitted without its fold: cross-conformal prediction.
    case cross
}

/// What a threshold promises: it follows from the number of calibration scores and the rate asked for, before
/// any score is known.
///
/// If a new normal example is exchangeable with the n examples of the scores, it scores above the k-th of the
/// rising scores with probability at most (n + 1 - k) / (n + 1): the average over calibrations (Vovk et al.
/// 2005, Lei et al. 2018). The rate of the one calibration at hand is distributed as Beta(n + 1 - k, k) where
/// scores are distinct, and lower where they are not (Vovk, "Conditional validity of inductive conformal
/// predictors", 2012): `bound` is a quantile of that.
public struct FalseAlarmPromise: Sendable, Equatable {
    /// The rate aimed at where none is asked for.
    public static let target = 0.01

    /// The number of calibration scores, n.
    public let count: Int
    /// The rate asked for; nil for `target`, or what is attainable.
    public let asked: Double?
    /// Where the scores come from. With `cross` the promise is approximate.
    public let kind: CalibrationKind

    /// A promise for so many scores.
    ///
    /// - Parameter asked: above 0 and below 1; nil for the larger of `target` and the lowest attainable rate.
    public init(count: Int, asked: Double?, kind: CalibrationKind = .split) {
        precondition(asked.map { $0 > 0 && $0 < 1 } ?? true)
        self.count = count
        self.asked = asked
        self.kind = kind
    }

    /// The lowest rate that so many scores can promise, 1 / (n + 1).
    public var lowestRate: Double { 1 / Double(count + 1) }

    /// The number of scores that the rate asked for, or `target`, takes: 1 / rate - 1, rounded up.
    public var neededCount: Int { Int((1 / (asked ?? Self.target) - 1 - 1e-9).rounded(.up)) }

    /// Whether a rate was asked for that so few scores cannot promise.
    public var fallsShort: Bool { asked != nil && count < neededCount }

    /// The rate of false alarms that the threshold promises, on average at most: the one asked for, or the
    /// lowest attainable one; nil without scores.
    public var rate: Double? { count == 0 ? nil : max(asked ?? Self.target, lowestRate) }

    /// The place of the threshold among the rising scores, 1...n: ceil((n + 1)(1 - rate)); nil without
    /// scores. The slack keeps products such as 100 * 0.99 from rounding up.
    public var rank: Int? {
        rate.map { min(count, max(1, Int((Double(count + 1) * (1 - $0) - 1e-9).rounded(.up)))) }
    }

    /// The distribution of the rate over calibrations; nil where it is not known.
    private var rates: BetaDistribution? {
        guard kind == .split, let rank else { return nil }
        return BetaDistribution(a: Double(count + 1 - rank), b: Double(rank))
    }

    /// What the rate of the calibration at hand does not exceed, with this confidence; nil without scores,
    /// and with `cross`.
    public func bound(confidence: Double = 0.95) -> Double? { rates?.quantile(confidence) }

    /// The probability of as many false alarms or more in a test, over calibrations and tests, where its
    /// normal images are exchangeable with the calibration's; nil where it is not known.
    public func probability(of alarms: ObservedShare) -> Double? {
        guard let rates else { return nil }
        func log(_ j: Int) -> Double {
            let x = Double(j), n = Double(alarms.total)
            return -Foundation.log(n + 1) - BetaDistribution.logBeta(x + 1, n - x + 1)
                + BetaDistribution.logBeta(x + rates.a, n - x + rates.b)
                - BetaDistribution.logBeta(rates.a, rates.b)
        }
        return min(1, (alarms.count...alarms.total).reduce(0) { $0 + exp(log($1)) })
    }
}

extension FalseAlarmPromise {
    /// A share as a percentage with one decimal, or two digits where it is small.
    package static func percent(_ share: Double) -> String {
        String(format: share > 0 && share < 0.00095 ? "%.2g %%" : "%.1f %%", 100 * share)
    }

    /// What is promised, in words.
    public var summary: String {
        guard let rate else {
            return "no threshold: no images calibrate one, so that no alarm can be raised"
        }
        let average = "at most \(Self.percent(rate)) false alarms on average"
        guard let bound = bound() else {
            return
                "about \(average), by \(counted(count, "training image")) and detectors fitted without them"
        }
        return "\(average), \(Self.percent(bound)) with confidence 95 %, "
            + "by \(counted(count, "held-out image"))"
    }

    /// A threshold that a person stated, and what it promises, in words.
    package static func stated(_ threshold: Double, _ promise: FalseAlarmPromise) -> String {
        let rate =
            promise.count == 0 ? "nothing was held out to tell its false alarms by" : promise.summary
        return "\(threshold) as stated; \(rate)"
    }

    /// How far a rate that was asked for is missed, in words; nil where it is promised.
    public var shortfall: String? {
        guard fallsShort, let asked else { return nil }
        let image = kind == .split ? "held-out image" : "training image"
        return "\(Self.percent(asked)) was asked for, which takes \(counted(neededCount, image))"
    }
}
