import OCCEngine

/// The score that a method gives images itself, as a detector: features of one column, which is the score.
/// Nothing is fitted; what is calibrated and promised is as for every detector.
public struct OwnScore: Detector {
    /// The detector, which has no settings.
    public init() {}

    /// The name it is chosen by.
    public let name = "own"
    /// What it is, in a line.
    public let summary = "The score of the method itself, such as a reconstruction's error; without a fit."
    /// None.
    public static let settings: [Setting<OwnScore>] = []

    /// Takes features of one column for scores.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite or have more columns.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        guard features.columns == 1 else {
            throw OCCError(
                .badData,
                "\(name) takes features of one column, which are scores, not of \(features.columns)",
                remedy: "Choose another \(setting: "detector").")
        }
        try features.requireFinite()
        return RowScore(columns: 1, score: { Double($0[0]) }, gradient: { _ in [1] })
    }

    /// The detector again; its state is empty.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        RowScore(columns: 1, score: { Double($0[0]) }, gradient: { _ in [1] })
    }
}

/// A score that is a function of a row of features, with nothing that is fitted.
public struct RowScore: OneClassClassifier {
    private let columns: Int
    private let score: @Sendable ([Float]) -> Double
    private let gradient: @Sendable ([Float]) -> [Float]

    /// - Parameters:
    ///   - columns: of a row.
    ///   - score: higher is more anomalous.
    ///   - gradient: its derivatives by the columns.
    public init(
        columns: Int, score: @escaping @Sendable ([Float]) -> Double,
        gradient: @escaping @Sendable ([Float]) -> [Float]
    ) {
        self.columns = columns
        self.score = score
        self.gradient = gradient
    }

    /// Empty.
    public var state: DetectorState { DetectorState() }

    /// The function's value of each row.
    public func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, columns)
        return (0..<features.rows).map { score(row($0, of: features)) }
    }

    /// The function's derivatives at each row.
    public func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, columns)
        let values = (0..<features.rows).flatMap { gradient(row($0, of: features)) }
        return FeatureMatrix(rows: features.rows, columns: columns, values: values)
    }

    private func row(_ index: Int, of features: FeatureMatrix) -> [Float] {
        Array(features.values[index * columns..<(index + 1) * columns])
    }
}
