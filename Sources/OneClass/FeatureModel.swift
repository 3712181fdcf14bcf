import OCCData
import OCCDetectors
import OCCEngine

/// A detector of features that come from elsewhere, with its threshold: a model without an encoder.
///
/// What is fitted, held out and promised is as of `OneClassModel`, whose features are rows here.
public struct FeatureModel: Sendable {
    /// The detector and the settings of its calibration; the others are not used.
    public let configuration: RunConfiguration
    /// The number of features in a row.
    public let columns: Int
    /// The classifier, fitted.
    public let detector: any OneClassClassifier
    /// The threshold, and the scores of normal rows that it comes from.
    public private(set) var calibration: ThresholdCalibration

    // MARK: Fitting

    /// Fits a detector on rows of normal examples and calibrates its threshold, by rows that are held out at
    /// random or by folds.
    ///
    /// Of rows that do not lie in memory those are read that it is fitted on, `detectorRows` at most, and those that
    /// are held out, some at a time.
    ///
    /// - Parameter configuration: `detector`, `detectorRows`, `holdOut`, `calibration`, `folds`,
    ///   `falseAlarmRate` and `seed` are used.
    /// - Throws: `OCCError(.badData)` for too few rows, or what the detector cannot be fitted on; what reading them
    ///   does.
    public init(fitting features: some FeatureSource, configuration: RunConfiguration) throws {
        let c = configuration
        var held: [Int] = [], rows = Array(0..<features.rows)
        if c.calibration == .split {
            let count =
                c.holdOut.map { Int((Double(rows.count) * $0).rounded()) }
                ?? OneClassSplit.heldOut(of: rows.count)
            var random = CounterRandom(seed: c.seed, stream: RandomStream.split)
            let order = random.permutation(rows.count)
            (held, rows) = (order.suffix(count).sorted(), order.dropLast(count).sorted())
        }
        guard rows.count >= 2 else {
            throw OCCError(
                .badData, "\(features.rows) rows leave \(rows.count) to fit a detector on",
                remedy: "Give more rows, or a smaller \(setting: "hold-out").")
        }
        try c.checkFit(images: rows.count, grid: nil, columns: features.columns)
        func fit(_ some: [Int]) throws -> any OneClassClassifier {
            let chosen = FeatureMatrix.evenly(atMost: c.detectorRows, of: some)
            return try Work.track("fitting \(c.detector.name) on \(counted(chosen.count, "row"))") { _ in
                try c.detector.fit(features.subset(chosen))
            }
        }
        func heldOutScores(of some: [Int], by detector: any OneClassClassifier) throws -> [Double] {
            let portion = FeatureMatrix.portion(columns: features.columns)
            return try stride(from: 0, to: some.count, by: portion).flatMap { first in
                try detector.scores(features.subset(some[first..<min(first + portion, some.count)]))
            }
        }
        let scores: [Double]
        if c.calibration == .cross {
            let folds = DetectorEnsemble.folds(c.folds, of: features.rows, seed: c.seed)
            let ensemble = try DetectorEnsemble(count: c.folds) { fold in
                try fit(folds.indices.filter { folds[$0] != fold })
            }
            scores = try ensemble.members.enumerated().flatMap { fold, member in
                try heldOutScores(of: folds.indices.filter { folds[$0] == fold }, by: member)
            }
            detector = ensemble
        } else {
            detector = try fit(rows)
            scores = try heldOutScores(of: held, by: detector)
        }
        self.configuration = configuration
        columns = features.columns
        calibration = ThresholdCalibration(
            scores: try DetectorFitting.requireFinite(scores, "the detector"),
            falseAlarmRate: c.falseAlarmRate, kind: c.calibration)
    }

    // MARK: Scoring

    /// Scores rows; higher is more anomalous.
    ///
    /// - Throws: `OCCError(.badData)` for rows of another length.
    public func score(_ features: FeatureMatrix) throws -> [Double] {
        guard features.rows > 0 else { return [] }
        return try DetectorFitting.requireFinite(try detector.scores(features), "the detector")
    }

    /// Moves the threshold to where its calibration scores promise another rate of false alarms.
    ///
    /// - Throws: `OCCError(.usage)` for a rate that they cannot promise.
    public mutating func setThreshold(falseAlarmRate rate: Double) throws {
        calibration = try calibration.at(falseAlarmRate: rate)
    }

    /// Moves the threshold to a score.
    ///
    /// - Throws: `OCCError(.usage)` for one that all of its calibration scores are above.
    public mutating func setThreshold(_ score: Double) throws {
        calibration = try calibration.at(threshold: score)
    }

    // MARK: Files

    private static let format = "occ-gpu detector "
    /// Counts the format: a file has the lowest number whose readers take from it all that it says.
    private static let formatNumber = 1
    /// Whether a text is the format of a detector of features, of whatever number.
    static func isFormat(_ text: String) -> Bool { text.hasPrefix(format) }
    /// What its file keeps of the configuration beside the detector.
    private static let keys = [
        "detector", "detectorRows", "holdOut", "calibration", "folds", "falseAlarmRate", "seed",
    ]

    /// Writes the detector as a safetensors file, whole or not at all.
    public func save(_ path: String) throws {
        var file = TensorFile()
        file.set("detector", detector.state)
        file.tensors["calibration.scores"] = .init(calibration.scores, shape: [calibration.scores.count])
        let own = Set(Self.keys + configuration.detector.settingValues.keys)
        let values = try configuration.settings.filter { own.contains($0.key) }
        file.metadata.merge([
            "format": "\(Self.format)\(Self.formatNumber)",
            "configuration": try JSONValue.object(values).text(),
            "columns": String(columns),
        ]) { $1 }
        if let tensor = file.firstNotFinite {
            throw OCCError(.failure, "\(path): is not written, as \(tensor) has values that are not finite")
        }
        try file.write(to: path)
    }

    /// Loads such a file.
    ///
    /// - Throws: `OCCError(.noInput)` when there is none, `.badData` naming what is wrong with it.
    public static func load(_ path: String) throws -> FeatureModel {
        let file = try TensorFile(contentsOf: path)
        do {
            return try FeatureModel(file, name: path)
        } catch let error as OCCError
            where [.badData, .usage].contains(error.kind) && !error.message.hasPrefix(path)
        {
            throw OCCError(.badData, "\(path): \(error.problem)", remedy: error.advice)
        }
    }

    private init(_ file: TensorFile, name: String) throws {
        let format = file.metadata["format"] ?? ""
        guard Self.isFormat(format), let number = Int(format.dropFirst(Self.format.count)) else {
            throw OCCError(
                .badData,
                OneClassModel.isModel(file)
                    ? "is a model of images, and takes no features" : "is no detector of features",
                remedy: "Name a file that occ-gpu fit wrote.")
        }
        guard number == Self.formatNumber else {
            throw OtherFormat(
                what: "a detector of features", number: number, read: Self.formatNumber...Self.formatNumber,
                again: "Fit it again."
            ).error
        }
        guard let text = file.metadata["configuration"],
            let count = file.metadata["columns"].flatMap(Int.init),
            count > 0, let held = file.tensors["calibration.scores"]?.doubles, held.allSatisfy(\.isFinite)
        else { throw OCCError(.badData, "is a damaged detector", remedy: "Fit it again.") }
        if let tensor = file.firstNotFinite {
            throw OCCError(.badData, "tensor \(tensor) has values that are not finite")
        }
        let c = try RunConfiguration(json: Array(text.utf8), name: name)
        try c.validate()
        let state = try file.state("detector")
        configuration = c
        columns = count
        detector =
            c.calibration == .cross
            ? try DetectorEnsemble(state: state, count: c.folds) { try c.detector.restore($0) }
            : try c.detector.restore(state)
        calibration = ThresholdCalibration(
            scores: held, falseAlarmRate: c.falseAlarmRate, kind: c.calibration)
    }
}
