import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// A fitted one-class model: encoder, detector, threshold; saved as one safetensors file that holds all it
/// takes to score an image.
public final class OneClassModel {
    public let configuration: RunConfiguration
    /// The name of the normal class.
    public let normalClass: String
    /// Side of the images it takes, in pixels.
    public let side: Int
    public let detector: any OneClassClassifier
    public let calibration: ThresholdCalibration
    /// Where the patches lie, for a model of patches.
    public let grid: PatchGrid?
    /// The score of an ordinary patch: the median over the calibration images. 0 for a model of whole images.
    public let ordinaryScore: Double

    let program: Program
    let extractor: FeatureExtractor
    private let classifier: FeatureExtractor?

    // MARK: Fitting

    /// Trains an encoder on the split's training images, then fits detector and threshold.
    public static func fit(
        _ split: OneClassSplit, configuration: RunConfiguration, device: Device? = nil,
        record: (StepRecord) throws -> Void = { _ in }
    ) throws -> OneClassModel {
        let trainer = try Trainer(
            configuration: configuration, images: split.train, device: try device ?? .cpu())
        _ = try trainer.run(record: record)
        return try OneClassModel(trainer, split: split)
    }

    /// Fits detector and threshold on the encoder of a trainer.
    public init(_ trainer: Trainer, split: OneClassSplit) throws {
        configuration = trainer.configuration
        normalClass = split.normalClass
        side = split.train.side
        program = trainer.program
        extractor = trainer.extractor
        classifier = trainer.classifier
        let grid = try configuration.grid(side: side)
        self.grid = grid
        let fit = split.detectorFit, options = configuration.detectorOptions
        var windows = Window.all(of: fit, grid: grid)
        if configuration.locations == .each, let grid {
            try Self.requireMemory(
                images: fit.count, grid, columns: configuration.network.featureCount)
            detector = try configuration.detector.fit(
                extractor.features(of: fit, windows: windows, program: program), locations: grid.count,
                options: options)
        } else {
            // A detector takes so many rows: the features of others are not computed.
            let count = windows.count, rows = min(count, options.maximumRows)
            windows = (0..<rows).map { windows[$0 * count / rows] }
            detector = try configuration.detector.fit(
                extractor.features(of: fit, windows: windows, program: program), options: options)
        }
        let held = try Self.windowScores(of: split.calibration, detector, extractor, program, grid)
        calibration = ThresholdCalibration(
            scores: Self.maxima(held, grid), falseAlarmRate: configuration.falseAlarmRate)
        ordinaryScore = grid == nil || held.isEmpty ? 0 : held.sorted()[held.count / 2]
    }

    /// Features of every patch of every image, and a covariance for every location.
    private static func requireMemory(images: Int, _ grid: PatchGrid, columns: Int) throws {
        let needed = grid.count * columns * (4 * images + 24 * columns),
            free = try Device.availableHostMemory()
        guard needed <= free else {
            throw OCCError(
                .deviceUnavailable,
                "a detector for each of \(grid.count) locations needs \(formatBytes(needed)); \(formatBytes(free)) are free",
                remedy: "Raise --stride, lower --width, or use --locations shared.")
        }
    }

    // MARK: Scoring

    /// Pooled features of images, or of all their patches; [count, D].
    public func features(of images: ImageBatch) throws -> FeatureMatrix {
        try extractor.features(of: images, windows: Window.all(of: images, grid: grid), program: program)
    }

    /// Anomaly scores, one an image; higher is more anomalous. Of a model of patches, the highest of its patches'.
    public func score(_ images: ImageBatch) throws -> [Double] {
        Self.maxima(try windowScores(of: images), grid)
    }

    /// The score of each window, image by image.
    package func windowScores(of images: ImageBatch) throws -> [Double] {
        try Self.windowScores(of: images, detector, extractor, program, grid)
    }

    /// The score of each window, image by image; a few images' features at a time.
    private static func windowScores(
        of images: ImageBatch, _ detector: any OneClassClassifier, _ extractor: FeatureExtractor,
        _ program: Program, _ grid: PatchGrid?
    ) throws -> [Double] {
        let portion = grid == nil ? 1024 : 16
        return try stride(from: 0, to: images.count, by: portion).flatMap { first in
            let some = images.subset(first..<min(first + portion, images.count))
            return try detector.scores(
                extractor.features(of: some, windows: Window.all(of: some, grid: grid), program: program),
                on: program.device)
        }
    }

    /// An image's highest score.
    private static func maxima(_ scores: [Double], _ grid: PatchGrid?) -> [Double] {
        guard let grid else { return scores }
        return stride(from: 0, to: scores.count, by: grid.count).map { scores[$0..<$0 + grid.count].max()! }
    }

    /// The two end-to-end scores of a rotation classifier (Golan & El-Yaniv 2018, as in the reference code of
    /// Sohn et al.).
    public struct RotationScores: Sendable {
        /// 1 - p(0 degrees | x).
        public let upright: [Double]
        /// 1 - prod_r p(r | x turned by r).
        public let product: [Double]
    }

    /// nil for a model that was not trained to predict rotations of whole images.
    public func rotationScores(_ images: ImageBatch) throws -> RotationScores? {
        guard let classifier else { return nil }
        var upright: [Double] = [], logProducts = [Double](repeating: 0, count: images.count)
        for rotation in 0..<4 {
            let p = try classifier.probabilities(of: images, transform: 2 * rotation, program: program)
            for row in 0..<images.count {
                logProducts[row] += log(max(Double(p[4 * row + rotation]), 1e-300))
            }
            if rotation == 0 { upright = (0..<images.count).map { 1 - Double(p[4 * $0]) } }
        }
        return RotationScores(upright: upright, product: logProducts.map { -expm1($0) })
    }

    var device: Device { program.device }

    /// Every weight and statistic.
    package func exportWeights() throws -> [NamedWeights] { try program.exportWeights() }

    // MARK: Files

    private static let format = "occ-gpu model 1"

    /// Writes the model whole or not at all.
    public func save(_ path: String) throws {
        var file = TensorFile()
        for weights in try program.exportWeights() {
            file.tensors[weights.name] = .init(weights.values, shape: weights.shape)
        }
        let state = detector.state
        for (name, array) in state.arrays {
            file.tensors["detector.\(name)"] =
                array.isSingle
                ? .init(array.values.map(Float.init), shape: array.shape)
                : .init(array.values, shape: array.shape)
        }
        file.tensors["calibration.scores"] = .init(calibration.scores, shape: [calibration.scores.count])
        file.metadata = [
            "format": Self.format, "configuration": try configuration.json(), "normal_class": normalClass,
            "image_size": String(side),
            "preprocessing": "RGB, resized to image_size (triangle filter), divided by 255",
            "detector": configuration.detector.rawValue,
            "detector_numbers": String(decoding: try JSONEncoder.sorted.encode(state.numbers), as: UTF8.self),
            "threshold": calibration.isSufficient ? String(calibration.threshold) : "none",
            "false_alarm_rate": String(calibration.falseAlarmRate),
            "ordinary_score": String(ordinaryScore),
        ]
        try file.write(to: path)
    }

    /// Loads a model file.
    ///
    /// - Throws: `OCCError(.noInput)` when there is none, `.badData` naming what is wrong with it.
    public static func load(_ path: String, device: Device? = nil) throws -> OneClassModel {
        let file = try TensorFile(contentsOf: path)
        do {
            return try OneClassModel(file, device: try device ?? .cpu(), name: path)
        } catch let error as OCCError
            where [.badData, .usage].contains(error.kind) && !error.message.hasPrefix(path)
        {
            throw OCCError(.badData, "\(path): \(error.message)", remedy: error.remedy)
        }
    }

    private init(_ file: TensorFile, device: Device, name: String) throws {
        guard file.metadata["format"] == Self.format, let text = file.metadata["configuration"],
            let normal = file.metadata["normal_class"],
            let size = file.metadata["image_size"].flatMap(Int.init),
            [32, 64, 128, 256].contains(size),
            let numbersText = file.metadata["detector_numbers"],
            let numbers = try? JSONDecoder().decode([String: Double].self, from: Data(numbersText.utf8)),
            let held = file.tensors["calibration.scores"]?.doubles, held.allSatisfy(\.isFinite),
            let ordinary = Double(file.metadata["ordinary_score"] ?? "0"), ordinary.isFinite
        else {
            throw OCCError(
                .badData, "is not an occ-gpu model", remedy: "Name the model.safetensors of a run.")
        }
        configuration = try RunConfiguration(json: Array(text.utf8), name: name)
        try configuration.validate()
        normalClass = normal
        side = size
        ordinaryScore = ordinary
        grid = try configuration.grid(side: side)
        program = Program(device: device, math: configuration.math)
        (extractor, classifier) = try configuration.extractors(program, side: side)
        try program.load()
        try program.importWeights { file.weights($0, as: $0) }
        var state = DetectorState()
        state.numbers = numbers
        for (name, entry) in file.tensors where name.hasPrefix("detector.") {
            guard let values = entry.doubles ?? entry.floats?.map(Double.init), values.allSatisfy(\.isFinite)
            else {
                throw OCCError(.badData, "tensor \(name) has values that are not finite numbers")
            }
            state.set(
                String(name.dropFirst("detector.".count)), values, shape: entry.shape,
                isSingle: entry.type == .float32)
        }
        detector =
            configuration.locations == .each
            ? try configuration.detector.restore(state, locations: grid?.count ?? 1)
            : try configuration.detector.restore(state)
        calibration = ThresholdCalibration(scores: held, falseAlarmRate: configuration.falseAlarmRate)
    }
}
