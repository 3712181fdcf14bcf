import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// What calibrates a model, and what is said where little is known.
@Suite struct CalibrationTests {
    private static let shapes = Result { try ImageDataset.load("builtin:shapes") }
    private static let surface = Result { try ImageDataset.load("builtin:surface", imageSize: 64) }

    private static func configuration(patches: Bool = false) -> RunConfiguration {
        var c = RunConfiguration()
        (c.encoder, c.head, c.batch, c.steps) = (ResNet(.resnet10, width: 0.0625), [8], 8, 2)
        (c.maxTrain, c.maxTest) = (40, 40)
        guard patches else { return c }
        (c.data, c.imageSize, c.method, c.patch, c.stride) = (
            "builtin:surface", 64, CutPastePrediction(.rectangle), 32, 16
        )
        c.detector = GaussianDensity(shrinkage: 0.1)
        return c
    }

    private static func dataset(_ c: RunConfiguration) throws -> ImageDataset {
        try (c.patch == nil ? shapes : surface).get()
    }

    private static func reloaded(_ model: OneClassModel) throws -> OneClassModel {
        let folder = try TemporaryFolder()
        try model.save(folder.file("model.safetensors"))
        return try OneClassModel.load(folder.file("model.safetensors"))
    }

    // MARK: Company

    /// An image's score has the same bits alone, among others, and wherever it stands among them.
    @Test(arguments: [false, true], [0.0625, 0.25])
    func companyDoesNotShow(_ patches: Bool, _ width: Double) throws {
        var c = Self.configuration(patches: patches)
        c.encoder = ResNet(.resnet10, width: width)
        let split = try c.split(try Self.dataset(c)), model = try OneClassModel.fit(split, configuration: c)
        let some = split.test.subset(0..<(patches ? 19 : 40)), together = try model.score(some)
        for image in [0, 1, 7, 15, 16, some.count - 1] {
            #expect(try model.score(some.subset([image])) == [together[image]], "image \(image)")
        }
        // One image at every place of a batch.
        let places = try model.score(some.subset((0..<67).map { _ in 3 }))
        #expect(places == [Double](repeating: together[3], count: 67))
        #expect(try model.score(some.subset(3..<some.count)) == Array(together[3...]))
    }

    // MARK: Thresholds

    /// Every model with a held-out image has a threshold, whatever was asked for.
    @Test func fewImagesGiveAThreshold() throws {
        var c = Self.configuration()
        (c.holdOut, c.falseAlarmRate) = (0.02, 1e-3)
        let split = try c.split(try Self.dataset(c)), model = try OneClassModel.fit(split, configuration: c)
        let count = split.calibration.count
        #expect(count > 0 && count < 100)
        #expect(model.calibration.threshold == model.calibration.scores.last)
        let evaluation = try Evaluation(try Self.reloaded(model), on: split)
        #expect(evaluation.askedFalseAlarmRate == 1e-3)
        #expect(evaluation.falseAlarmRate == 1 / Double(count + 1))
        let bound = try #require(evaluation.falseAlarmBound)
        #expect(abs(bound - (1 - pow(0.05, 1 / Double(count)))) < 1e-12)
        #expect(evaluation.summary.contains("was asked for, which takes 999"))
        let interval = try #require(evaluation.testFalseAlarmsInterval)
        #expect(try (interval[0]...interval[1]).contains(#require(evaluation.testFalseAlarms)))
    }

    @Test(arguments: [false, true]) func nothingHeldOutGivesNone(_ patches: Bool) throws {
        var c = Self.configuration(patches: patches)
        c.holdOut = 0
        let split = try c.split(try Self.dataset(c))
        let model = try Self.reloaded(try OneClassModel.fit(split, configuration: c))
        #expect(model.calibration.threshold == nil && model.calibration.isAlarm(1e9) == nil)
        // Pictures have a scale nevertheless.
        if patches { #expect(model.alarmScore > model.ordinaryScore) }
        let scored = try ScoredTest(model, on: split)
        let evaluation = try Evaluation(model, on: split, scored: scored)
        #expect(evaluation.threshold == nil && evaluation.testFalseAlarms == nil && evaluation.auroc != nil)
        #expect(evaluation.falseAlarmRate == nil && evaluation.summary.contains("no threshold"))
        #expect(try !evaluation.json().contains("\"threshold\""))
    }

    /// Only images of the size that was calibrated can be alarms.
    @Test func otherSizesHaveNoAlarm() throws {
        let c = Self.configuration(patches: true), split = try c.split(try Self.dataset(c)),
            model = try OneClassModel.fit(split, configuration: c)
        let image = split.test.image(0)
        #expect(try model.localize(image).isCalibrated)
        #expect(try model.localize(split.test.subset([0]))[0].isCalibrated)
        #expect(try !model.localize(image.enlarged(to: 128)).isCalibrated)
    }

    // MARK: Folds

    @Test(arguments: [false, true]) func foldsCalibrate(_ patches: Bool) throws {
        var c = Self.configuration(patches: patches)
        (c.calibration, c.folds) = (.cross, 3)
        let split = try c.split(try Self.dataset(c))
        #expect(split.calibration.count == 0 && split.train.count == 40)
        let model = try OneClassModel.fit(split, configuration: c)
        #expect(model.calibration.scores.count == 40 && model.calibration.promise.kind == .cross)
        let ensemble = try #require(model.detector as? DetectorEnsemble)
        // The scores are those of the detector that has not seen the image.
        let folds = DetectorEnsemble.folds(3, of: 40, seed: c.seed)
        let expected = try (0..<3).flatMap { fold -> [Double] in
            let rows = try model.features(of: split.train.subset(folds.indices.filter { folds[$0] == fold }))
            let scores = try ensemble.members[fold].scores(rows), each = model.grid?.count ?? 1
            return stride(from: 0, to: scores.count, by: each).map { scores[$0..<$0 + each].max()! }
        }
        #expect(model.calibration.scores == expected.sorted())
        let loaded = try Self.reloaded(model)
        #expect(try loaded.score(split.test) == model.score(split.test))
        #expect(loaded.calibration == model.calibration)
        let evaluation = try Evaluation(loaded, on: split)
        #expect(evaluation.calibration == "cross" && evaluation.falseAlarmBound == nil)
        #expect(evaluation.testFalseAlarms != nil)
        c.folds = 30
        #expect(throws: OCCError.self) { try OneClassModel.fit(split, configuration: c) }
    }

    /// A detector for each place, in folds.
    @Test func foldsCalibrateLocations() throws {
        var c = Self.configuration(patches: true)
        (c.calibration, c.folds, c.locations) = (.cross, 4, .each)
        let split = try c.split(try Self.dataset(c)), model = try OneClassModel.fit(split, configuration: c)
        let loaded = try Self.reloaded(model), image = split.test.subset([1])
        #expect(try loaded.localize(image)[0].map == model.localize(image)[0].map)
    }

    // MARK: One kind of images

    private enum Kind: CaseIterable { case normal, anomalous, none }

    /// What can be said of such a test set is said, the rest is absent.
    @Test(arguments: Kind.allCases, [false, true])
    private func testsOfOneKind(_ kind: Kind, _ patches: Bool) throws {
        let c = Self.configuration(patches: patches)
        let whole = try Self.dataset(c)
        let wanted = whole.test.labels.indices.filter {
            kind != .none && (whole.test.labels[$0] == 0) == (kind == .normal)
        }.prefix(20)
        var test = LabeledImages(side: whole.side)
        test.images = whole.test.images.subset(wanted)
        for (place, index) in wanted.enumerated() {
            test.labels.append(whole.test.labels[index])
            test.names.append(whole.test.names[index])
            test.masks[place] = whole.test.masks[index]
        }
        let dataset = ImageDataset(
            name: "part", kind: .normalAndAnomalous, classNames: whole.classNames, train: whole.train,
            test: test)
        let split = try c.split(dataset), model = try OneClassModel.fit(split, configuration: c)
        let scored = try ScoredTest(model, on: split)
        let evaluation = try Evaluation(model, on: split, scored: scored, rawPixels: true)
        #expect(evaluation.auroc == nil && evaluation.rawPixelAUROC == nil && evaluation.aurocByClass.isEmpty)
        #expect(evaluation.transformationAUROC.isEmpty)
        #expect((evaluation.testFalseAlarms != nil) == (kind == .normal))
        #expect((evaluation.testDetections != nil) == (kind == .anomalous))
        #expect(evaluation.threshold != nil)
        #expect((evaluation.pixelAUROC != nil) == (kind == .anomalous && patches))
        let json = try evaluation.json()
        #expect(!json.contains("\"auroc\"") && !json.contains("null"))
        #expect(!evaluation.summary.contains("\n  AUROC") && evaluation.summary.contains("\n  threshold"))
        let folder = try TemporaryFolder()
        try model.save(folder.file("model.safetensors"))
        let page = try Report(model, split, scored, evaluation).html(
            modelPath: folder.file("model.safetensors"))
        #expect(page.contains("AUROC") == (kind == .anomalous && patches) && !page.contains("<h2>Curves"))
        #expect(page.contains("<h2>Scores by class") == (kind != .none))
        #expect(!page.contains(">nan") && page.contains("<h2>Threshold"))
    }
}

/// The texts of the report's charts: none lies on another, and none leaves its chart.
@Suite struct ChartTests {
    private struct Box {
        let left, right, top, bottom: Double
        let words: String
    }

    /// Where the texts of a chart are, by a font of 13 pixels whose characters are 7.2 wide on average.
    private static func boxes(_ chart: Substring) throws -> [Box] {
        try chart.matches(
            of: /<text (?:class="\w+" )?x="([-.\d]+)" y="([-.\d]+)" text-anchor="(\w+)">([^<]*)<\/text>/
        ).map { match in
            let words = match.4.replacing("&lt;", with: "<").replacing("&amp;", with: "&")
            let x = try #require(Double(match.1)), y = try #require(Double(match.2))
            let width = 7.2 * Double(words.count)
            let left = match.3 == "start" ? x : match.3 == "end" ? x - width : x - width / 2
            return Box(left: left, right: left + width, top: y - 11, bottom: y + 3, words: String(words))
        }
    }

    @Test(arguments: [1e-6, 0.3, 123_456.0]) func textsKeepApart(_ unit: Double) throws {
        var c = RunConfiguration()
        (c.encoder, c.head, c.batch, c.steps) = (ResNet(.resnet10, width: 0.0625), [8], 8, 0)
        (c.maxTrain, c.maxTest) = (40, 120)
        let split = try c.split(try ImageDataset.load("builtin:shapes"))
        let model = try OneClassModel.fit(split, configuration: c), folder = try TemporaryFolder()
        try model.save(folder.file("model.safetensors"))
        let lines = (1...40).map { "{\"step\": \(1234 * $0), \"loss\": \(unit * Double($0) * 0.0217)}\n" }
        try folder.write(Array(lines.joined().utf8), to: "metrics.jsonl")
        let scored = try ScoredTest(model, on: split)
        let page = try Report(model, split, scored, Evaluation(model, on: split, scored: scored)).html(
            modelPath: folder.file("model.safetensors"), metricsPath: folder.file("metrics.jsonl"))
        let charts = page.matches(
            of: /<svg role="img" viewBox="0 0 (\d+) (\d+)".*?<\/svg>/.dotMatchesNewlines())
        #expect(charts.count == 4)
        for chart in charts {
            let width = try #require(Double(chart.1)), height = try #require(Double(chart.2))
            let boxes = try Self.boxes(chart.0)
            #expect(boxes.count > 5 && boxes.count == chart.0.components(separatedBy: "<text").count - 1)
            for (index, box) in boxes.enumerated() {
                #expect(
                    box.left >= 0 && box.right <= width && box.top >= 0 && box.bottom <= height,
                    "\(box)")
                for other in boxes[..<index] {
                    let apart =
                        box.left >= other.right || other.left >= box.right || box.top >= other.bottom
                        || other.top >= box.bottom
                    #expect(apart, "\(box) \(other)")
                }
            }
        }
    }
}
