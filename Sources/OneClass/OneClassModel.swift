import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// A fitted one-class model: encoder, detector, threshold; saved as one safetensors file that holds all it
/// takes to score an image.
public final class OneClassModel {
    /// What the model was trained with.
    public let configuration: RunConfiguration
    /// The name of the normal class.
    public let normalClass: String
    /// The side of the images it takes, in pixels.
    public let side: Int
    /// The classifier fitted on the encoder's features.
    public let detector: any OneClassClassifier
    /// The threshold, and the held-out scores that it comes from.
    public private(set) var calibration: ThresholdCalibration
    /// Where the patches lie, for a model of patches.
    public let grid: PatchGrid?
    /// The threshold for the pixels of maps: by the highest pixels of the held-out images' maps, as `calibration` is by
    /// their scores. A pixel's score is a mean of the patches around it, or the method's own, and so lower than the
    /// image's. It is `calibration` where there are no maps, or no held-out images.
    public var mapCalibration: ThresholdCalibration { peakCalibration ?? calibration }
    /// The score of an ordinary patch, or pixel of a map where there are no patches: the median over the calibration
    /// images, or without such over training images. 0 for a model of whole images without maps.
    public let ordinaryScore: Double
    /// What the middle of a picture's scale stands for: the threshold of maps, or where there is none, the highest
    /// pixel of some training images' maps.
    public private(set) var alarmScore: Double
    /// A patch's score above which the means of maps are of logarithms: the threshold that the model was made with, or
    /// without one the highest score of some training images.
    let unusualScore: Double
    /// The digest of the images that it was made from: `OneClassSplit.trainingDigest`; nil of a file that
    /// does not say.
    public let dataDigest: String?

    /// What the scores of held-out normal images follow that is no defect; empty of a model that was loaded.
    public let scoreBiases: [ScoreBias]

    /// What errors call it: the file.
    let name: String
    let program: Program
    let scoring: ScoringPlans
    let fitting: DetectorFitting
    /// What the method's own scores need to know of normal images.
    private let scoreState: DetectorState
    /// Of the highest pixels of the held-out images' maps; nil where scores stand for them.
    private var peakCalibration: ThresholdCalibration?
    /// The maps of a method that scores pixels itself.
    let ownMaps: OwnMaps?
    /// The encoder's features, once they were asked for of a method that scores by others.
    private var ownEmbedding: Embedding?

    // MARK: Fitting

    /// Trains an encoder on the split's training images, then fits detector and threshold.
    public static func fit(
        _ split: OneClassSplit, configuration: RunConfiguration, device: Device? = nil,
        record: (StepRecord) throws -> Void = { _ in }
    ) throws -> OneClassModel {
        let trainer = try Trainer(
            configuration: configuration, images: split.train, outliers: split.outliers,
            device: try device ?? .cpu())
        _ = try trainer.run(record: record)
        return try OneClassModel(trainer, split: split)
    }

    /// Fits detector and threshold on the encoder of a trainer.
    public init(_ trainer: Trainer, split: OneClassSplit) throws {
        name = "the model"
        dataDigest = split.trainingDigest
        configuration = trainer.configuration
        normalClass = split.normalClass
        side = split.train.side
        program = trainer.program
        scoring = trainer.training.scoring
        grid = try configuration.grid(side: side)
        fitting = DetectorFitting(
            configuration: configuration, extractor: scoring.features, program: program, grid: grid,
            name: name)
        let fit = split.detectorFit, held: [Double], heldImages: ImageBatch
        let survey = scoring.features is MapExtractor ? MapSurvey() : nil
        if configuration.calibration == .cross {
            let (ensemble, scores, order) = try fitting.crossFitted(on: fit, surveying: survey)
            (detector, held, heldImages) = (ensemble, scores, fit.subset(order))
        } else {
            detector = try fitting.detector(of: fit)
            (held, heldImages) = (
                try fitting.patchScores(of: split.calibration, detector, surveying: survey),
                split.calibration
            )
        }
        let heldScores = Self.maxima(held, grid)
        scoreBiases = ScoreBias.find(in: heldImages, scores: heldScores)
        calibration = ThresholdCalibration(
            scores: heldScores, falseAlarmRate: configuration.falseAlarmRate,
            kind: configuration.calibration)
        ownMaps = scoring.maps.map { [detector, program, name] in
            OwnMaps(extractor: $0, program: program, detector: detector, name: name)
        }
        // Pictures need a scale without calibration images too: some training images give it.
        let isHeld = heldImages.count > 0, shown = isHeld ? heldImages : Self.some(of: fit)
        var peaks: [Double] = []
        if let ownMaps {
            let found = try ownMaps.survey(of: shown)
            (ordinaryScore, unusualScore, peaks) = (found.ordinary, found.peaks.max()!, found.peaks)
        } else if let survey {
            if !isHeld { _ = try fitting.patchScores(of: shown, detector, surveying: survey) }
            peaks = survey.peaks
            (ordinaryScore, unusualScore) = (survey.ordinary, calibration.threshold ?? peaks.max()!)
        } else if let grid {
            let scores = isHeld ? held : try fitting.patchScores(of: shown, detector)
            let sorted = scores.sorted()
            ordinaryScore = sorted[sorted.count / 2]
            unusualScore = calibration.threshold ?? sorted.last!
            let scale = MapScale(ordinary: ordinaryScore, unusual: unusualScore)
            peaks = parallelMap(shown.count) { image in
                let own = scores[image * grid.count..<(image + 1) * grid.count]
                return Double(Self.map(own, grid, scale).max()!)
            }
            try DetectorFitting.requireFinite(peaks, name)
        } else {
            (ordinaryScore, unusualScore) = (0, calibration.threshold ?? 0)
        }
        alarmScore = unusualScore
        if let method = scoring.method, method.scoresAreFitted, let classifier = scoring.classifier {
            scoreState = try method.fitScores(
                classifier.probabilities(of: fit, method, program: program))
        } else {
            scoreState = DetectorState()
        }
        guard let highest = peaks.max() else { return }
        // A score says nothing of pixels that a method scores itself: without such images they have no threshold.
        if isHeld || ownMaps != nil {
            peakCalibration = ThresholdCalibration(
                scores: isHeld ? peaks : [], falseAlarmRate: configuration.falseAlarmRate,
                kind: configuration.calibration)
        }
        alarmScore = mapCalibration.threshold ?? highest
    }

    /// A few images, evenly chosen.
    private static func some(of images: ImageBatch) -> ImageBatch {
        let count = min(16, images.count)
        return images.subset((0..<count).map { $0 * images.count / count })
    }

    // MARK: Scoring

    /// Pools the encoder's features of images, or of all their patches; [count, D].
    public func features(of images: ImageBatch) throws -> FeatureMatrix {
        try scoring.features.features(
            of: images, places: PatchPlace.all(of: images, grid: grid), program: program)
    }

    /// The number of features that an image has, or each of its patches: D.
    public var featureCount: Int { scoring.features.featureCount }

    /// Pools the encoder's features of images, or of all their patches, [count, D]: also of a model whose method scores by
    /// itself, whose `features` are what it scores by. Where the method has no encoder, they are these.
    public func embeddings(of images: ImageBatch) throws -> FeatureMatrix {
        guard let embedding = try embedding() else { return try features(of: images) }
        return try embedding.extractor.features(
            of: images, places: PatchPlace.all(of: images, grid: grid), program: embedding.program)
    }

    /// The number of columns of `embeddings`.
    public func embeddingCount() throws -> Int { try embedding()?.extractor.featureCount ?? featureCount }

    /// The plan of the encoder's features, where the detector sees others.
    private func embedding() throws -> Embedding? {
        guard configuration.detector is OwnScore, configuration.method.trainsEncoder else { return nil }
        if let known = ownEmbedding { return known }
        let own = Program(device: device, math: configuration.math)
        let extractor = try ScoringPlans.encoderFeatures(configuration, own, side: side)
        try own.load()
        let weights = Dictionary(uniqueKeysWithValues: try exportWeights().map { ($0.name, $0) })
        try own.importWeights { weights[$0] }
        let made = Embedding(program: own, extractor: extractor)
        ownEmbedding = made
        return made
    }

    /// A program of the encoder's features alone.
    private struct Embedding {
        let program: Program
        let extractor: any FeatureExtractor
    }

    /// Scores images; higher is more anomalous. Of a model of patches, the highest of its patches' scores.
    public func score(_ images: ImageBatch) throws -> [Double] {
        Self.maxima(try patchScores(of: images), grid)
    }

    /// The score of each patch, image by image; of whole images one each.
    package func patchScores(of images: ImageBatch) throws -> [Double] {
        try fitting.patchScores(of: images, detector)
    }

    /// An image's highest score.
    private static func maxima(_ scores: [Double], _ grid: PatchGrid?) -> [Double] {
        guard let grid else { return scores }
        return stride(from: 0, to: scores.count, by: grid.count).map { scores[$0..<$0 + grid.count].max()! }
    }

    /// Scores images by the method's own classifier: lists by name, a score an image; empty for a method
    /// without such, and for models of patches.
    public func transformationScores(of images: ImageBatch) throws -> [String: [Double]] {
        let scores = try scoring.transformationScores(of: images, state: scoreState, program: program)
        for own in scores.values { try DetectorFitting.requireFinite(own, name) }
        return scores
    }

    // MARK: Threshold

    /// Moves the threshold to where its calibration scores promise another rate of false alarms; nothing is trained.
    ///
    /// - Throws: `OCCError(.usage)` for a rate that they cannot promise.
    public func setThreshold(falseAlarmRate rate: Double) throws {
        calibration = try calibration.at(falseAlarmRate: rate)
        movePeaks(to: rate)
    }

    /// The threshold of the highest pixels at a rate of false alarms, where there is one; and the middle of pictures.
    private func movePeaks(to rate: Double?) {
        if let peaks = peakCalibration {
            peakCalibration = ThresholdCalibration(
                scores: peaks.scores, falseAlarmRate: rate, kind: peaks.promise.kind)
        }
        alarmScore = mapCalibration.threshold ?? alarmScore
    }

    /// Moves the threshold to a score. That of the pixels of maps lies among the highest pixels of the held-out images'
    /// maps as the score lies among these images' scores; without held-out images it is the score.
    ///
    /// - Throws: `OCCError(.usage)` for one that all of its calibration scores are above.
    public func setThreshold(_ score: Double) throws {
        calibration = try calibration.at(threshold: score)
        if let peaks = peakCalibration, !peaks.scores.isEmpty {
            peakCalibration = try peaks.at(threshold: peak(at: score, among: peaks.scores))
        }
        alarmScore = mapCalibration.threshold ?? alarmScore
    }

    /// The highest pixel that goes with a score: between two calibration scores in proportion, and above all of them
    /// as far above what is ordinary.
    ///
    /// - Parameter peaks: of the images of the calibration scores, ascending as these are.
    private func peak(at score: Double, among peaks: [Double]) -> Double {
        let scores = calibration.scores, below = scores.lastIndex { $0 <= score } ?? 0
        guard below == scores.count - 1 else {
            let share = (score - scores[below]) / (scores[below + 1] - scores[below])
            return peaks[below] + share * (peaks[below + 1] - peaks[below])
        }
        // A method's own pixels are on another scale than its score: of errors, which are 0 at least.
        let ordinary = ownMaps == nil ? ordinaryScore : 0, highest = scores[below], peak = peaks[below]
        guard highest > ordinary, peak > ordinary else { return peak }
        return max(peak, ordinary + (peak - ordinary) * ((score - ordinary) / (highest - ordinary)))
    }

    // MARK: Images

    /// How image files become images that it takes.
    public var imageLoading: ImageLoading {
        var loading = configuration.imageLoading
        loading.side = side
        return loading
    }

    var device: Device { program.device }

    /// Copies every weight and statistic.
    package func exportWeights() throws -> [NamedWeights] { try program.exportWeights() }

    // MARK: Files

    private static let format = "occ-gpu model "
    /// The array of what calibrates the threshold of maps, where it is not that of scores.
    private static let peaksName = "calibration.peaks"
    /// The formats that are read: 2 since settings are flat, by one name each; 3 since a threshold can be calibrated
    /// across folds; 4 since detectors see maps of whole images, and maps have a threshold of their own.
    private static let formats = 2...4
    /// The format that its file has: the lowest whose readers take from it all that it says. A program that reads up to
    /// 3 would take a detector of maps for one of rows, and the threshold of scores for that of maps.
    private var formatNumber: Int { detector.mapping == nil && peakCalibration == nil ? 3 : 4 }

    /// Whether a text is the format of a model, of whatever number.
    static func isFormat(_ text: String) -> Bool { text.hasPrefix(format) }

    /// Whether a file says that it is a model.
    package static func isModel(_ file: TensorFile) -> Bool {
        file.metadata["format"].map(isFormat) ?? false
    }

    /// Checks the format that a file says it has.
    ///
    /// - Throws: `OCCError(.badData)` for a file that is no model, or of another format.
    private static func checkFormat(_ text: String?) throws {
        if let text, FeatureModel.isFormat(text) {
            throw OCCError(
                .badData,
                "is a detector of features, which scores the rows of .npy files, and not an occ-gpu model of images",
                remedy: "Give it features of the kind that it was fitted on, such as embed writes of images.")
        }
        guard let text, text.hasPrefix(format), let number = Int(text.dropFirst(format.count)) else {
            throw OCCError(
                .badData, "is not an occ-gpu model", remedy: "Name the model.safetensors of a run.")
        }
        guard formats.contains(number) else {
            throw OtherFormat(what: "a model", number: number, read: formats, again: "Train again.").error
        }
    }

    /// Writes the model whole or not at all.
    ///
    /// - Throws: `OCCError(.failure)` when it has values that are not finite: the training has diverged.
    public func save(_ path: String) throws {
        var file = TensorFile()
        for weights in try program.exportWeights() {
            file.tensors[weights.name] = .init(weights.values, shape: weights.shape)
        }
        file.set("detector", detector.state)
        file.set("scores", scoreState)
        file.tensors["calibration.scores"] = .init(calibration.scores, shape: [calibration.scores.count])
        if let peaks = peakCalibration {
            file.tensors[Self.peaksName] = .init(peaks.scores, shape: [peaks.scores.count])
        }
        file.metadata.merge(try metadata()) { $1 }
        if let tensor = file.firstNotFinite {
            throw OCCError(
                .failure,
                "\(path): is not written, as \(tensor) has values that are not finite; training has diverged",
                remedy: "Lower the \(setting: "learning-rate").")
        }
        try file.write(to: path)
    }

    /// What a file says of the model beside its arrays, by key.
    func metadata() throws -> [String: String] {
        var metadata = [
            "format": "\(Self.format)\(formatNumber)", "configuration": try configuration.json(),
            "normal_class": normalClass,
            "image_size": String(side),
            "preprocessing":
                "RGB, \(configuration.fit.rawValue) to image_size (triangle filter), divided by 255",
            "detector": configuration.detector.name,
            "threshold": calibration.threshold.map { String($0) } ?? "none",
            "false_alarm_rate": calibration.promise.rate.map { String($0) } ?? "none",
            "asked_false_alarm_rate": calibration.promise.asked.map { String($0) } ?? "none",
            "ordinary_score": String(ordinaryScore),
            "alarm_score": String(alarmScore),
        ]
        if localizes {
            metadata["map_threshold"] = mapCalibration.threshold.map { String($0) } ?? "none"
            metadata["map_scale_score"] = String(unusualScore)
        }
        metadata["data_digest"] = dataDigest
        return metadata
    }

    /// Loads a model file.
    ///
    /// - Throws: `OCCError(.noInput)` when there is none, `.badData` naming what is wrong with it.
    public static func load(_ path: String, device: Device? = nil) throws -> OneClassModel {
        try load(path, device: device, math: nil)
    }

    /// Loads a model file that is to compute in another mode than it was trained in.
    package static func load(_ path: String, device: Device?, math: MathMode?) throws -> OneClassModel {
        let file = try TensorFile(contentsOf: path)
        do {
            return try OneClassModel(file, device: try device ?? .cpu(), math: math, name: path)
        } catch let error as OCCError
            where [.badData, .usage].contains(error.kind) && !error.message.hasPrefix(path)
        {
            throw OCCError(.badData, "\(path): \(error.problem)", remedy: error.advice)
        }
    }

    /// The configuration in a model file. What only a newer version can have written is called so.
    private static func configuration(_ text: String, _ name: String) throws -> RunConfiguration {
        do {
            return try RunConfiguration(json: Array(text.utf8), name: name)
        } catch let error as OCCError where error.kind == .badData {
            throw OCCError(
                .badData, error.problem,
                remedy: "If the file is whole, a newer version of occ-gpu wrote it, or a program with parts "
                    + "of its own: use that one.")
        }
    }

    private init(_ file: TensorFile, device: Device, math: MathMode?, name: String) throws {
        try Self.checkFormat(file.metadata["format"])
        guard !TorchModule.isExported(file) else {
            throw OCCError(
                .badData,
                "holds the arrays of a module for PyTorch, which \(TorchModule.name).py beside it loads, and is no model",
                remedy: "Name the model.safetensors of the run that it was exported from.")
        }
        guard let text = file.metadata["configuration"], let normal = file.metadata["normal_class"],
            let size = file.metadata["image_size"].flatMap(Int.init), ImageDataset.isSide(size),
            let held = file.tensors["calibration.scores"]?.doubles, held.allSatisfy(\.isFinite),
            let ordinary = Double(file.metadata["ordinary_score"] ?? "0"), ordinary.isFinite,
            let alarm = Double(file.metadata["alarm_score"] ?? "0"), alarm.isFinite,
            let unusual = Double(file.metadata["map_scale_score"] ?? "\(alarm)"), unusual.isFinite
        else {
            throw OCCError(
                .badData, "is a damaged occ-gpu model", remedy: "Name the model.safetensors of a run.")
        }
        if let tensor = file.firstNotFinite {
            throw OCCError(.badData, "tensor \(tensor) has values that are not finite")
        }
        for (key, entry) in file.tensors where key.hasSuffix(".running_var") {
            guard entry.floats?.allSatisfy({ $0 >= 0 }) ?? true else {
                throw OCCError(.badData, "tensor \(key) has negative variances")
            }
        }
        self.name = name
        dataDigest = file.metadata["data_digest"]
        configuration = try Self.configuration(text, name)
        try configuration.validate()
        normalClass = normal
        side = size
        ordinaryScore = ordinary
        grid = try configuration.grid(side: side)
        program = Program(device: device, math: math ?? configuration.math)
        scoring = try ScoringPlans(configuration, program, side: side)
        try program.load()
        try program.importWeights { file.weights($0, as: $0) }
        let state = try file.state("detector")
        scoreState = try file.state("scores")
        fitting = DetectorFitting(
            configuration: configuration, extractor: scoring.features, program: program, grid: grid,
            name: name)
        detector = try fitting.restored(state)
        // A file of a version without such maps has nothing that says what is high in them.
        let peaks = file.tensors[Self.peaksName]?.doubles
        ownMaps =
            peaks == nil
            ? nil
            : scoring.maps.map { [detector, program] in
                OwnMaps(extractor: $0, program: program, detector: detector, name: name)
            }
        calibration = ThresholdCalibration(
            scores: held, falseAlarmRate: configuration.falseAlarmRate, kind: configuration.calibration)
        scoreBiases = []
        unusualScore = calibration.threshold ?? unusual
        // A file of a version without it has the threshold of scores for maps too.
        guard let peaks else {
            alarmScore = calibration.threshold ?? alarm
            return
        }
        guard peaks.isEmpty || peaks.count == held.count, peaks.allSatisfy(\.isFinite) else {
            throw OCCError(.badData, "\(Self.peaksName) is damaged", remedy: "Train again.")
        }
        let own = ThresholdCalibration(
            scores: peaks, falseAlarmRate: configuration.falseAlarmRate, kind: configuration.calibration)
        (peakCalibration, alarmScore) = (own, own.threshold ?? alarm)
    }
}
