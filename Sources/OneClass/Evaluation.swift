import Foundation
import OCCData
import OCCDetectors
import OCCEngine

/// The scores of a test set, and its maps where the model localises.
public struct ScoredTest: Sendable {
    public let scores: [Double]
    public let maps: [[Float]]?

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
    public let normalClass: String
    public let normals: Int, outliers: Int
    public let auroc: Double, averagePrecision: Double
    public let bestF1: Double, bestF1Threshold: Double
    public let falsePositiveRateAt95: Double
    /// The calibrated threshold; nil when there were too few held-out images for the rate.
    public let threshold: Double?
    /// The rate it promises, and what it does on the test set.
    public let falseAlarmRate: Double
    public let testFalseAlarms: Double, testDetections: Double
    /// AUROC of each class against the normal one.
    public let aurocByClass: [String: Double]
    /// AUROC of the scores of the method's own classifier, by their names.
    public let transformationAUROC: [String: Double]
    /// AUROC of the same detector on raw pixels: what learning a representation is worth.
    public let rawPixelAUROC: Double?
    /// Of a model of patches, where the test set has masks: how well its maps find the defects, and how well the
    /// distance of each pixel from its mean over the training images does.
    public let pixelAUROC: Double?, aupro: Double?, rawPixelPixelAUROC: Double?
    public let pixelBestF1: Double?, pixelBestF1Threshold: Double?

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
            try LocalizationMetrics(
                maps: masked.map(map), masks: masked.map { split.testMasks[$0]! }, width: split.test.side)
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

    /// As JSON with sorted keys.
    public func json() throws -> String {
        let encoder = JSONEncoder.sorted
        encoder.outputFormatting.insert(.prettyPrinted)
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// For a terminal.
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
    /// The test AUROC of several detectors, each fitted on the same features.
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
