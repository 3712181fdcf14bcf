import OCCEngine

/// A one-class classifier fitted on features of normal data. Higher score = more anomalous.
public protocol OneClassClassifier: Sendable {
    /// The score of each row. Memory does not grow with queries x training rows.
    func scores(_ features: FeatureMatrix) throws -> [Double]
    /// The same on a GPU where the detector can use one; elsewhere as `scores`.
    func scores(_ features: FeatureMatrix, on device: Device) throws -> [Double]
    /// d score / d features, one row an example; through the L2 normalisation where the detector normalises.
    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix
    /// All it needs to score again.
    var state: DetectorState { get }
}

extension OneClassClassifier {
    public func scores(_ features: FeatureMatrix, on device: Device) throws -> [Double] {
        try scores(features)
    }
}

/// A fitted detector as named arrays and numbers, for a model file.
public struct DetectorState: Sendable, Equatable {
    public struct Array: Sendable, Equatable {
        public let shape: [Int]
        public let values: [Double]
        /// Whether single precision holds the values exactly.
        public let isSingle: Bool
    }

    public var arrays: [String: Array] = [:]
    public var numbers: [String: Double] = [:]

    public init() {}

    public mutating func set(_ name: String, _ values: [Double], shape: [Int], isSingle: Bool = false) {
        arrays[name] = Array(shape: shape, values: values, isSingle: isSingle)
    }

    mutating func set(_ name: String, _ matrix: FeatureMatrix) {
        set(name, matrix.values.map(Double.init), shape: [matrix.rows, matrix.columns], isSingle: true)
    }

    func array(_ name: String) throws -> Array {
        guard let found = arrays[name], found.shape.reduce(1, *) == found.values.count, !found.values.isEmpty
        else {
            throw OCCError(.badData, "the detector's array '\(name)' is missing or malformed")
        }
        return found
    }

    func matrix(_ name: String) throws -> FeatureMatrix {
        let found = try array(name)
        guard found.shape.count == 2 else {
            throw OCCError(.badData, "the detector's array '\(name)' is no matrix")
        }
        return FeatureMatrix(
            rows: found.shape[0], columns: found.shape[1], values: found.values.map(Float.init))
    }

    func number(_ name: String) throws -> Double {
        guard let value = numbers[name], value.isFinite else {
            throw OCCError(.badData, "the detector's number '\(name)' is missing")
        }
        return value
    }
}

/// What a detector may be told.
public struct DetectorOptions: Codable, Sendable, Equatable {
    /// RBF width, exp(-gamma |a - b|^2); nil for 10 / (columns * variance) of the normalised training
    /// features (Sohn et al. 2021, ten times scikit-learn's `scale`).
    public var gamma: Double?
    /// OC-SVM and SVDD: the share of training rows allowed outside.
    public var nu = 0.5
    /// k-NN: the score is the mean cosine distance to this many neighbours.
    public var neighbours = 1
    /// Gaussian: the share of a sphere in the covariance, 0...1; -1 for Ledoit and Wolf's estimate of the best one.
    /// nil for 0, or for their estimate where each location has its own detector.
    public var shrinkage: Double?
    /// Gaussian: added to the covariance's diagonal.
    public var ridge = 1e-6
    /// OC-SVM and SVDD: the KKT gap to reach.
    public var tolerance = 1e-4
    /// Training rows beyond this many are left out, evenly.
    public var maximumRows = 20_000

    public init() {}
}

/// The detectors by name.
public enum DetectorKind: String, Codable, CaseIterable, Sendable {
    case kde, gaussian
    case ocsvmRBF = "ocsvm-rbf"
    case ocsvmLinear = "ocsvm-linear"
    case svdd, knn

    /// Fits the detector.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite, too few, or all the same.
    public func fit(_ features: FeatureMatrix, options: DetectorOptions = DetectorOptions()) throws
        -> any OneClassClassifier
    {
        try features.requireFinite()
        guard features.rows >= 2 else {
            throw OCCError(.badData, "\(rawValue): \(features.rows) training rows are too few to fit")
        }
        var rows = features
        if rows.rows > options.maximumRows {
            rows = rows.subset((0..<options.maximumRows).map { $0 * features.rows / options.maximumRows })
        }
        switch self {
        case .kde: return try KernelDensity(fitting: rows, options)
        case .gaussian: return try GaussianDensity(fitting: rows, options)
        case .ocsvmRBF: return try OneClassSVM(fitting: rows, kernel: .rbf, options)
        case .ocsvmLinear: return try OneClassSVM(fitting: rows, kernel: .linear, options)
        case .svdd: return try SupportVectorDataDescription(fitting: rows, options)
        case .knn: return try NearestNeighbours(fitting: rows, options)
        }
    }

    /// Fits a detector for each of `locations` locations; row i of the features is of location i mod `locations`.
    public func fit(_ features: FeatureMatrix, locations: Int, options: DetectorOptions = DetectorOptions())
        throws -> any OneClassClassifier
    {
        try LocationwiseDetector(fitting: features, self, locations: locations, options)
    }

    /// A fitted detector of so many locations from its state.
    public func restore(_ state: DetectorState, locations: Int) throws -> any OneClassClassifier {
        try LocationwiseDetector(state: state, kind: self, locations: locations)
    }

    /// A fitted detector from its state.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        switch self {
        case .kde: try KernelDensity(state: state)
        case .gaussian: try GaussianDensity(state: state)
        case .ocsvmRBF, .ocsvmLinear: try OneClassSVM(state: state)
        case .svdd: try SupportVectorDataDescription(state: state)
        case .knn: try NearestNeighbours(state: state)
        }
    }
}

/// The RBF width for normalised training features.
func defaultGamma(_ normalized: FeatureMatrix) throws -> Double {
    let variance = normalized.variance
    // Rounding alone leaves a variance of about 1e-16 where all rows are one.
    guard variance > 1e-12 else {
        throw OCCError(
            .badData,
            "the training features are all the same (variance \(variance)): the encoder has collapsed",
            remedy: "Train longer, with another seed, or with a lower learning rate.")
    }
    return 10 / (Double(normalized.columns) * variance)
}

/// Turns d/d(x / |x|) into d/dx: (g - u (u . g)) / |x|.
func throughNormalization(_ gradient: [Double], _ normalized: FeatureMatrix, norms: [Double]) -> FeatureMatrix
{
    var result = normalized
    let columns = normalized.columns
    for row in 0..<normalized.rows {
        let range = row * columns..<(row + 1) * columns
        let along = range.reduce(0.0) { $0 + gradient[$1] * Double(normalized.values[$1]) }
        for index in range {
            result.values[index] = Float(
                (gradient[index] - Double(normalized.values[index]) * along) / norms[row])
        }
    }
    return result
}

/// Checks the queries of a fitted detector.
func requireColumns(_ features: FeatureMatrix, _ columns: Int) throws {
    guard features.columns == columns else {
        throw OCCError(.badData, "features of \(features.columns) columns for a detector of \(columns)")
    }
    try features.requireFinite()
}
