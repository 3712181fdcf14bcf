import OCCEngine

/// How well scores put outliers (label 1) above normal examples (label 0). Each agrees with scikit-learn's
/// function of the same name, ties included.
///
/// All throw `OCCError(.badData)` when a score is NaN, or one of the two labels is missing: a ranking of one
/// class is undefined.
public struct RankingMetrics: Sendable {
    /// A point of the curves: everything scored at least `threshold` is called an outlier.
    public struct Point: Sendable, Equatable {
        /// The score from which on examples are called outliers.
        public let threshold: Double
        /// The outliers that score at least the threshold.
        public let truePositives: Int
        /// The normal examples that do.
        public let falsePositives: Int
    }

    /// The number of outliers.
    public let positives: Int
    /// The number of normal examples.
    public let negatives: Int
    /// The points by falling threshold; one for each distinct score.
    public let points: [Point]

    /// Ranks scores, higher for outliers, against labels: 1 for an outlier, 0 for a normal example.
    ///
    /// - Throws: `OCCError(.badData)` for a score that is NaN, another label, or only one of the two.
    public init(scores: [Double], labels: [Int]) throws {
        precondition(scores.count == labels.count)
        guard !scores.contains(where: \.isNaN) else { throw OCCError(.badData, "a score is not a number") }
        guard labels.allSatisfy({ $0 == 0 || $0 == 1 }) else {
            throw OCCError(.badData, "labels must be 0 or 1")
        }
        positives = labels.reduce(0, +)
        negatives = labels.count - positives
        guard positives > 0, negatives > 0 else {
            throw OCCError(
                .badData,
                "a ranking needs both kinds: there are \(negatives) normal examples and \(positives) outliers"
            )
        }
        var points: [Point] = [], caught = 0, alarms = 0
        let order = scores.indices.sorted { scores[$0] > scores[$1] }
        for (place, index) in order.enumerated() {
            if labels[index] == 1 { caught += 1 } else { alarms += 1 }
            // A tie is one point.
            if place + 1 < order.count, scores[order[place + 1]] == scores[index] { continue }
            points.append(Point(threshold: scores[index], truePositives: caught, falsePositives: alarms))
        }
        self.points = points
    }

    /// Area under the ROC curve: the chance that an outlier scores above a normal example, ties counting
    /// half.
    public var auroc: Double {
        var area = 0.0, before = (caught: 0, alarms: 0)
        for point in points {
            area +=
                Double(point.falsePositives - before.alarms) * Double(point.truePositives + before.caught) / 2
            before = (point.truePositives, point.falsePositives)
        }
        return area / (Double(positives) * Double(negatives))
    }

    /// Average precision: the sum of precision over recall steps, without interpolation.
    public var averagePrecision: Double {
        var sum = 0.0, before = 0
        for point in points {
            let precision = Double(point.truePositives) / Double(point.truePositives + point.falsePositives)
            sum += precision * Double(point.truePositives - before)
            before = point.truePositives
        }
        return sum / Double(positives)
    }

    /// The largest F1 over all thresholds, and the highest threshold that reaches it.
    public var bestF1: (value: Double, threshold: Double) {
        var best = (value: 0.0, threshold: Double.infinity)
        for point in points {
            let f1 =
                2 * Double(point.truePositives)
                / Double(point.truePositives + point.falsePositives + positives)
            if f1 > best.value { best = (f1, point.threshold) }
        }
        return best
    }

    /// The smallest false-positive rate among thresholds that catch at least `rate` of the outliers.
    public func falsePositiveRate(atTruePositiveRate rate: Double) -> Double {
        let point = points.first { Double($0.truePositives) >= rate * Double(positives) } ?? points.last!
        return Double(point.falsePositives) / Double(negatives)
    }
}
