import Foundation
import OCCData
import OCCDetectors
import OCCEngine

/// The scores of a test set, and its maps where the model localizes.
public struct ScoredTest: Sendable {
    /// The score of each image; higher is more anomalous.
    public let scores: [Double]
    /// The map of each image, side * side scores; nil for a model without maps.
    public let maps: [[Float]]?

    /// Scores the test images of a split, if any.
    public init(_ model: OneClassModel, on split: OneClassSplit) throws {
        let localized = model.localizes ? try model.localize(split.test) : nil
        scores = try localized?.map(\.score) ?? model.score(split.test)
        maps = localized?.map(\.map)
    }
}

/// How a model does on a test set, as far as its images say: a ranking takes both kinds, false alarms take
/// normal images.
public struct Evaluation: Codable, Sendable {
    /// The name of the normal class.
    public let normalClass: String
    /// The number of normal test images.
    public let normals: Int
    /// The number of anomalous test images.
    public let outliers: Int
    /// The area under the ROC curve of the scores; nil, as all that compares the two kinds, without both.
    public let auroc: Double?
    /// The average precision of the scores, outliers being the positives.
    public let averagePrecision: Double?
    /// The largest F1 over all thresholds.
    public let bestF1: Double?
    /// The highest threshold that reaches the largest F1.
    public let bestF1Threshold: Double?
    /// The share of normal images that the threshold which catches 95 % of the outliers takes for outliers.
    public let falsePositiveRateAt95: Double?
    /// Where the calibration's scores come from: `split` or `cross`.
    public let calibration: String
    /// The number of scores that calibrate the threshold.
    public let calibrationImages: Int
    /// The threshold; nil, as all that follows from it, without calibration images.
    public let threshold: Double?
    /// Whether a person stated the threshold itself; nil where it was calibrated.
    public let thresholdIsStated: Bool?
    /// The rate of false alarms that was asked for; nil where none was.
    public let askedFalseAlarmRate: Double?
    /// The rate of false alarms that the threshold promises, on average over calibrations.
    public let falseAlarmRate: Double?
    /// What this threshold's rate of false alarms does not exceed, with confidence 95 %; nil where only the
    /// average is promised.
    public let falseAlarmBound: Double?
    /// The share of normal test images above the threshold.
    public let testFalseAlarms: Double?
    /// Clopper and Pearson's interval of 95 % for the rate behind that share: its ends.
    public let testFalseAlarmsInterval: [Double]?
    /// The probability of so many false alarms or more, if the test's normal images are like those of the
    /// calibration.
    public let testFalseAlarmsPValue: Double?
    /// The share of outliers above the threshold.
    public let testDetections: Double?
    /// Clopper and Pearson's interval of 95 % for the rate behind that share.
    public let testDetectionsInterval: [Double]?
    /// The AUROC of each class against the normal one.
    public let aurocByClass: [String: Double]
    /// The AUROC of the scores of the method's own classifier, by their names.
    public let transformationAUROC: [String: Double]
    /// The AUROC of the same detector on raw pixels: what a representation is worth.
    public let rawPixelAUROC: Double?
    /// The detector that was fitted on raw pixels: the model's, or for a model of patches `kde`.
    public let rawPixelDetector: String?
    /// The side in pixels of the images that it was fitted on: the model's, or 32 where those are too large for it.
    public let rawPixelSide: Int?
    /// The AUROC of the same model without training, its encoder as it was drawn: what learning is worth.
    public let untrainedAUROC: Double?
    /// The AUROC of the pixels by the maps of that model.
    public let untrainedPixelAUROC: Double?
    /// The area under the per-region-overlap curve of the maps of that model.
    public let untrainedAUPRO: Double?
    /// The AUROC of the pixels by the maps; nil, as all that follow, for a model without maps or a test set
    /// without masks.
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
    ///   - untrained: what to compare with beside: `OneClassModel.untrained(on:)`.
    public init(
        _ model: OneClassModel, on split: OneClassSplit, scored: ScoredTest? = nil, rawPixels: Bool = false,
        untrained: OneClassModel? = nil
    ) throws {
        let scored = try scored ?? ScoredTest(model, on: split)
        let labels = split.testLabels, scores = scored.scores
        normalClass = model.normalClass
        normals = labels.count { $0 == 0 }
        outliers = labels.count - normals
        let isRanked = normals > 0 && outliers > 0
        let metrics = isRanked ? try RankingMetrics(scores: scores, labels: labels) : nil
        auroc = metrics?.auroc
        averagePrecision = metrics?.averagePrecision
        bestF1 = metrics?.bestF1.value
        bestF1Threshold = metrics?.bestF1.threshold
        falsePositiveRateAt95 = metrics?.falsePositiveRate(atTruePositiveRate: 0.95)
        let promise = model.calibration.promise
        calibration = promise.kind.rawValue
        calibrationImages = promise.count
        threshold = model.calibration.threshold
        thresholdIsStated = model.calibration.isStated ? true : nil
        askedFalseAlarmRate = model.calibration.isStated ? nil : promise.asked
        falseAlarmRate = promise.rate
        falseAlarmBound = promise.bound()
        func alarms(of label: Int) -> ObservedShare? {
            let chosen = scores.indices.filter { labels[$0] == label }
            guard !chosen.isEmpty, model.calibration.threshold != nil else { return nil }
            let alarms = chosen.count { model.calibration.isAlarm(scores[$0]) == true }
            return ObservedShare(count: alarms, of: chosen.count)
        }
        func ends(_ share: ObservedShare?) -> [Double]? {
            (share?.interval()).map { [$0.lowerBound, $0.upperBound] }
        }
        let falseAlarms = alarms(of: 0), detections = alarms(of: 1)
        testFalseAlarms = falseAlarms?.value
        testFalseAlarmsInterval = ends(falseAlarms)
        testFalseAlarmsPValue = falseAlarms.flatMap { promise.probability(of: $0) }
        testDetections = detections?.value
        testDetectionsInterval = ends(detections)
        var byClass: [String: Double] = [:]
        for name in Set(split.testClasses) where isRanked && name != split.normalClass {
            let chosen = scores.indices.filter { labels[$0] == 0 || split.testClasses[$0] == name }
            byClass[name] = try RankingMetrics(
                scores: chosen.map { scores[$0] }, labels: chosen.map { labels[$0] }
            ).auroc
        }
        aurocByClass = byClass
        transformationAUROC =
            isRanked
            ? try model.transformationScores(of: split.test).mapValues {
                try RankingMetrics(scores: $0, labels: labels).auroc
            } : [:]
        let drawn = try isRanked ? untrained.map { try ScoredTest($0, on: split) } : nil
        untrainedAUROC = try drawn.map { try RankingMetrics(scores: $0.scores, labels: labels).auroc }
        let pixels = try rawPixels && isRanked ? RawPixels.compare(model.configuration, split) : nil
        rawPixelAUROC = pixels?.auroc
        rawPixelDetector = pixels?.detector
        rawPixelSide = pixels?.side
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
        let drawnMaps = try found == nil ? nil : drawn?.maps.map { all in try localization { all[$0] } }
        untrainedPixelAUROC = drawnMaps?.auroc
        untrainedAUPRO = drawnMaps?.aupro
        if rawPixels, found != nil {
            let baseline = RawPixels.maps(split)
            rawPixelPixelAUROC = try localization { baseline[$0] }.auroc
        } else {
            rawPixelPixelAUROC = nil
        }
    }

    /// What the threshold is and promises, in words.
    var thresholdSummary: String {
        guard thresholdIsStated == true, let threshold else { return promise.summary }
        return FalseAlarmPromise.stated(threshold, promise)
    }

    /// Encodes the evaluation as JSON with sorted keys.
    public func json() throws -> String {
        let encoder = JSONEncoder.sorted
        encoder.outputFormatting.insert(.prettyPrinted)
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// What the calibration promises.
    var promise: FalseAlarmPromise {
        FalseAlarmPromise(
            count: calibrationImages, asked: thresholdIsStated == true ? falseAlarmRate : askedFalseAlarmRate,
            kind: CalibrationKind(rawValue: calibration) ?? .split)
    }

    /// The evaluation for a terminal, in several lines.
    public var summary: String {
        let percent = { FalseAlarmPromise.percent($0) }
        var lines: [String] = []
        func line(_ name: String, _ value: String?) {
            guard let value else { return }
            lines.append(
                "  \(name.padding(toLength: max(name.count, 17), withPad: " ", startingAt: 0))  \(value)")
        }
        func share(_ name: String, _ value: Double?) {
            line(name, value.map { String(format: "%5.1f %%", 100 * $0) })
        }
        lines.append(
            normals + outliers == 0
                ? "normal class '\(normalClass)': no test images"
                : "normal class '\(normalClass)': \(normals) normal and \(outliers) anomalous test images")
        share("AUROC", auroc)
        share("AUROC, untrained", untrainedAUROC)
        line(
            "AUROC, raw pixels",
            rawPixelAUROC.map {
                String(format: "%5.1f %%", 100 * $0) + (rawPixelRemark.map { ", \($0)" } ?? "")
            })
        share("pixel AUROC", pixelAUROC)
        share("pixel AUROC, untrained", untrainedPixelAUROC)
        share("pixel AUROC, raw pixels", rawPixelPixelAUROC)
        share("AUPRO (30 % FPR)", aupro)
        share("AUPRO, untrained", untrainedAUPRO)
        if !transformationAUROC.isEmpty {
            let all = transformationAUROC.sorted { $0.key < $1.key }.map { "\($0.key) \(percent($0.value))" }
            lines.append("  AUROC, the method's classifier: \(all.joined(separator: ", "))")
        }
        share("average precision", averagePrecision)
        share("best F1", bestF1)
        share("FPR at 95 % TPR", falsePositiveRateAt95)
        line("threshold", [thresholdSummary, promise.shortfall].compactMap { $0 }.joined(separator: "; "))
        line("false alarms", falseAlarmText)
        line("anomalies found", Self.text(testDetections, testDetectionsInterval, of: outliers))
        let width = aurocByClass.keys.map(\.count).max() ?? 0
        for (name, value) in aurocByClass.sorted(by: { $0.key < $1.key }) {
            share("AUROC against \(name.padding(toLength: width, withPad: " ", startingAt: 0))", value)
        }
        return lines.joined(separator: "\n")
    }

    /// What was compared with, in words: "kde on images of 32 x 32"; nil where it was not.
    var rawPixelRemark: String? {
        guard let detector = rawPixelDetector, let side = rawPixelSide else { return nil }
        return "\(detector) on images of \(side) x \(side)"
    }

    /// The AUROC that scores without any meaning exceed in one of forty test sets of this size (the normal approximation
    /// of Mann and Whitney's statistic, 1947); nil without images of both kinds.
    public var chanceAUROC: Double? {
        guard normals > 0, outliers > 0 else { return nil }
        let deviation = (Double(normals + outliers + 1) / (12 * Double(normals) * Double(outliers)))
            .squareRoot()
        return min(1, 0.5 + 1.959964 * deviation)
    }

    /// What speaks against the model, a sentence each: scores no better than chance, and simpler ones that do as well.
    public var warnings: [String] {
        var result: [String] = []
        if let auroc, let chance = chanceAUROC, auroc <= chance {
            let percent = { FalseAlarmPromise.percent($0) }
            result.append(
                "an AUROC of \(percent(auroc)) is no better than chance: on so few test images scores without meaning reach up to \(percent(chance))"
            )
        }
        if let what = Self.asWell((auroc, rawPixelAUROC), (pixelAUROC, rawPixelPixelAUROC)) {
            result.append("the distance of raw pixels does as well \(what)")
        }
        if let what = Self.asWell((auroc, untrainedAUROC), (pixelAUROC, untrainedPixelAUROC)) {
            result.append("without training the same model does as well \(what); --steps 0 leaves it out")
        }
        return result
    }

    /// Where another model's AUROC is no lower, in words; nil where it is lower, or there is none.
    private static func asWell(
        _ images: (own: Double?, other: Double?), _ pixels: (own: Double?, other: Double?)
    ) -> String? {
        func isNoLower(_ pair: (own: Double?, other: Double?)) -> Bool? {
            guard let own = pair.own, let other = pair.other else { return nil }
            return other >= own
        }
        switch (isNoLower(images), isNoLower(pixels)) {
        case (true, true), (true, nil): return "on these test images"
        case (true, false): return "on these test images, though not on their pixels"
        case (false, true), (nil, true): return "on the pixels of these test images, though not on the images"
        default: return nil
        }
    }

    /// The false alarms in words, and how they go with the promise.
    var falseAlarmText: String? {
        guard let text = Self.text(testFalseAlarms, testFalseAlarmsInterval, of: normals) else { return nil }
        guard let p = testFalseAlarmsPValue, let rate = falseAlarmRate, let share = testFalseAlarms,
            share > rate
        else { return text }
        let cases = p < 1e-4 ? "less than 0.01 %" : FalseAlarmPromise.percent(p)
        return text + "; by chance alone so many come in \(cases) of cases"
    }

    /// A share with its count and interval: "10.0 %, 6 of 60 (95 % interval: 3.8 % to 20.5 %)".
    static func text(_ share: Double?, _ interval: [Double]?, of total: Int) -> String? {
        guard let share, let interval, interval.count == 2 else { return nil }
        let count = Int((share * Double(total)).rounded()), percent = { FalseAlarmPromise.percent($0) }
        return "\(percent(share)), \(count) of \(total) "
            + "(95 % interval: \(percent(interval[0])) to \(percent(interval[1])))"
    }
}

extension OneClassModel {
    /// Fits the same model without training: its encoder as it is drawn from the seed, its own detector and
    /// threshold.
    public func untrained(on split: OneClassSplit) throws -> OneClassModel {
        var own = configuration
        own.steps = 0
        return try OneClassModel.fit(split, configuration: own, device: device)
    }

    /// Whether all patches of an image take one pass of the encoder.
    public var mapsInOnePass: Bool { grid != nil && !configuration.encoder.receptiveFields.isEmpty }

    /// Finds the test AUROC of several detectors, each fitted on the same features.
    ///
    /// - Parameter normals: fit them on so many of the training images that are normal for certain; nil for those that
    ///   the model's own detector was fitted on.
    /// - Throws: `OCCError(.usage)` where there are fewer normal images.
    public func auroc(
        of detectors: [any Detector], on split: OneClassSplit, cleanNormals normals: Int? = nil
    ) throws -> [String: Double] {
        let images = try normals.map { try split.cleanNormals($0) } ?? split.detectorFit
        let fit = try features(of: images).evenly(atMost: configuration.detectorRows)
        let test = try features(of: split.test)
        var result: [String: Double] = [:]
        for unfitted in detectors {
            // The configured one is fitted already; one of its name with other settings is another one.
            let own = configuration.detector
            let isOwn =
                normals == nil && unfitted.name == own.name
                && unfitted.settingValues == own.settingValues
            let fitted = isOwn ? detector : try unfitted.fit(fit)
            result[unfitted.name] = try RankingMetrics(
                scores: fitted.scores(test), labels: split.testLabels
            ).auroc
        }
        return result
    }
}
