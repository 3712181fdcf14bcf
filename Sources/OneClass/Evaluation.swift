import Foundation
import OCCData
import OCCDetectors
import OCCEngine

/// The scores of a test set, and its maps where the model localizes.
public struct ScoredTest: Sendable {
    /// The score of each image; higher is more anomalous.
    public let scores: [Double]
    /// The map of each image, side * side scores; nil for a model of whole images.
    public let maps: [[Float]]?

    /// Scores the test images of a split.
    ///
    /// - Throws: `OCCError(.badData)` when there are none.
    public init(_ model: OneClassModel, on split: OneClassSplit) throws {
        guard split.test.count > 0 else {
            throw OCCError(
                .badData, "there are no test images", remedy: "Give the data set a test folder, or use score."
            )
        }
        let localized = try model.grid.map { _ in try model.localize(split.test) }
        scores = try localized?.map(\.score) ?? model.score(split.test)
        maps = localized?.map(\.map)
    }
}

/// How a model does on a test set.
public struct Evaluation: Codable, Sendable {
    /// The name of the normal class.
    public let normalClass: String
    /// The number of normal test images.
    public let normals: Int
    /// The number of anomalous test images.
    public let outliers: Int
    /// The area under the ROC curve of the scores.
    public let auroc: Double
    /// The average precision of the scores, outliers being the positives.
    public let averagePrecision: Double
    /// The largest F1 over all thresholds.
    public let bestF1: Double
    /// The highest threshold that reaches the largest F1.
    public let bestF1Threshold: Double
    /// The share of normal images that the threshold which catches 95 % of the outliers takes for outliers.
    public let falsePositiveRateAt95: Double
    /// The calibrated threshold; nil when there were too few held-out images for the rate.
    public let threshold: Double?
    /// The rate of false alarms that the threshold promises.
    public let falseAlarmRate: Double
    /// The share of normal test images above the threshold.
    public let testFalseAlarms: Double
    /// The share of outliers above the threshold.
    public let testDetections: Double
    /// The AUROC of each class against the normal one.
    public let aurocByClass: [String: Double]
    /// The AUROC of the scores of the method's own classifier, by their names.
    public let transformationAUROC: [String: Double]
    /// The AUROC of the same detector on raw pixels: what learning a representation is worth.
    public let rawPixelAUROC: Double?
    /// The AUROC of the pixels by the maps; nil, as all that follow, for a model of whole images or a test
    /// set without masks.
    public let pixelAUROC: Double?
    /// The area under the per-region-overlap curve of the maps, up to a false-positive rate of 0.3.
    public let aupro: Double?
    /// The AUROC of the pixels by their distance from their mean over the training images.
    public let rawPixelPixelAUROC: Double?
    /// The largest F1 of the pixels over all thresholds.
    public let pixelBestF1: Double?
    /// The highest threshold that reaches the largest F1 of the pixels.
    public let pixelBestF1Threshold: Double?

    /// Evaluates a model on the test images of a split.
    ///
    /// - Parameters:
    ///   - scored: the test set's scores, where they are known already.
    ///   - rawPixels: fits the detector on pixels too.
    public init(
        _ model: OneClassModel, on split: OneClassSplit, scored: ScoredTest? = nil, rawPixels: Bool = false
    ) throws {
        let scored = try scored ?? ScoredTest(model, on: split)
        let labels = split.testLabels, scores = scored.scores
        let metrics = try RankingMetrics(scores: scores, labels: labels)
        normalClass = model.normalClass
        normals = metrics.negatives
        outliers = metrics.positives
        auroc = metrics.auroc
        averagePrecision = metrics.averagePrecision
        (bestF1, bestF1Threshold) = metrics.bestF1
        falsePositiveRateAt95 = metrics.falsePositiveRate(atTruePositiveRate: 0.95)
        threshold = model.calibration.isSufficient ? model.calibration.threshold : nil
        falseAlarmRate = model.calibration.falseAlarmRate
        func share(of label: Int) -> Double {
            let chosen = scores.indices.filter { labels[$0] == label }
            return Double(chosen.count { model.calibration.isAlarm(scores[$0]) }) / Double(chosen.count)
        }
        testFalseAlarms = share(of: 0)
        testDetections = share(of: 1)
        var byClass: [String: Double] = [:]
        for name in Set(split.testClasses) where name != split.normalClass {
            let chosen = scores.indices.filter { labels[$0] == 0 || split.testClasses[$0] == name }
            byClass[name] = try RankingMetrics(
                scores: chosen.map { scores[$0] }, labels: chosen.map { labels[$0] }
            ).auroc
        }
        aurocByClass = byClass
        transformationAUROC = try model.transformationScores(of: split.test).mapValues {
            try RankingMetrics(scores: $0, labels: labels).auroc
        }
        rawPixelAUROC = rawPixels ? try RawPixels.auroc(model.configuration, split) : nil
        let masked = split.testMasks.indices.filter { split.testMasks[$0] != nil }
        func localization(_ map: (Int) -> [Float]) throws -> LocalizationMetrics {
            try Work.track("comparing \(masked.count) maps with masks") { _ in
                try LocalizationMetrics(
                    maps: masked.map(map), masks: masked.map { split.testMasks[$0]! }, width: split.test.side)
            }
        }
        let isMasked = masked.contains { split.testLabels[$0] == 1 }
        let found = try isMasked ? scored.maps.map { all in try localization { all[$0] } } : nil
        pixelAUROC = found?.auroc
        aupro = found?.aupro
        pixelBestF1 = found?.bestF1
        pixelBestF1Threshold = found?.bestF1Threshold
        if rawPixels, found != nil {
            let baseline = RawPixels.maps(split)
            rawPixelPixelAUROC = try localization { baseline[$0] }.auroc
        } else {
            rawPixelPixelAUROC = nil
        }
    }

    /// Encodes the evaluation as JSON with sorted keys.
    public func json() throws -> String {
        let encoder = JSONEncoder.sorted
        encoder.outputFormatting.insert(.prettyPrinted)
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// The evaluation for a terminal, in several lines.
    public var summary: String {
        func percent(_ value: Double) -> String { String(format: "%5.1f %%", 100 * value) }
        var lines = [
            "normal class '\(normalClass)': \(normals) normal and \(outliers) anomalous test images",
            "  AUROC              \(percent(auroc))",
        ]
        if let rawPixelAUROC { lines.append("  AUROC, raw pixels  \(percent(rawPixelAUROC))") }
        if let pixelAUROC, let aupro {
            lines.append("  pixel AUROC        \(percent(pixelAUROC))")
            if let rawPixelPixelAUROC {
                lines.append("  pixel AUROC, raw pixels \(percent(rawPixelPixelAUROC))")
            }
            lines.append("  AUPRO (30 % FPR)   \(percent(aupro))")
        }
        if !transformationAUROC.isEmpty {
            let all = transformationAUROC.sorted { $0.key < $1.key }.map { "\($0.key) \(percent($0.value))" }
            lines.append("  AUROC, the method's classifier: \(all.joined(separator: ", "))")
        }
        lines.append("  average precision  \(percent(averagePrecision))")
        lines.append("  best F1            \(percent(bestF1))")
        lines.append("  FPR at 95 % TPR    \(percent(falsePositiveRateAt95))")
        if threshold != nil {
            lines.append(
                "  threshold for \(percent(falseAlarmRate)) false alarms: \(percent(testFalseAlarms)) false alarms, "
                    + "\(percent(testDetections)) of the anomalies found")
        } else {
            lines.append(
                "  no threshold: too few held-out images for \(percent(falseAlarmRate)) false alarms")
        }
        let width = aurocByClass.keys.map(\.count).max() ?? 0
        for (name, value) in aurocByClass.sorted(by: { $0.key < $1.key }) {
            lines.append(
                "  AUROC against \(name.padding(toLength: width, withPad: " ", startingAt: 0))  \(percent(value))"
            )
        }
        return lines.joined(separator: "\n")
    }
}

extension OneClassModel {
    /// Finds the test AUROC of several detectors, each fitted on the same features.
    public func auroc(of detectors: [any Detector], on split: OneClassSplit) throws -> [String: Double] {
        let fit = try features(of: split.detectorFit).evenly(atMost: configuration.detectorRows)
        let test = try features(of: split.test)
        var result: [String: Double] = [:]
        for unfitted in detectors {
            // The configured one is fitted already; one of its name with other settings is another one.
            let own = configuration.detector
            let isOwn = unfitted.name == own.name && unfitted.settingValues == own.settingValues
            let fitted = isOwn ? detector : try unfitted.fit(fit)
            result[unfitted.name] = try RankingMetrics(
                scores: fitted.scores(test), labels: split.testLabels
            ).auroc
        }
        return result
    }
}
