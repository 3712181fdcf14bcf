import OCCEngine

/// A one-class classifier before it is fitted: which one, and its settings.
///
/// Built-in ones, and what a program registers, are in `Detectors.registry`. A fitted one is a
/// `OneClassClassifier`.
public protocol Detector: Configurable {
    /// Fits the classifier on features of normal examples, one row an example.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite, too few, or all the same.
    func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier
    /// The classifier that a state was taken from.
    ///
    /// - Throws: `OCCError(.badData)` naming what is missing or malformed.
    func restore(_ state: DetectorState) throws -> any OneClassClassifier
    /// Checks what follows from the numbers of rows and columns alone, before anything is trained for it. By
    /// default nothing.
    ///
    /// - Parameters:
    ///   - rows: it will be fitted on at most.
    ///   - columns: they have at least.
    /// - Throws: `OCCError(.usage)` naming the setting that does not go with them.
    func checkRows(_ rows: Int, columns: Int) throws
    /// The bytes that fitting takes besides its rows and copies of them, such as a covariance's. By default 0.
    func fittingMemory(rows: Int, columns: Int) -> Int
    /// The detector for where each location of an image has one of its own, which is fitted on as many rows
    /// as there are images; nil for one that is not for so few. By default nil.
    var forEachLocation: Self? { get }
}

extension Detector {
    /// Nothing to check.
    public func checkRows(_ rows: Int, columns: Int) throws {}
    /// Nothing besides the rows.
    public func fittingMemory(rows: Int, columns: Int) -> Int { 0 }
    /// No detector: it is not for single locations.
    public var forEachLocation: Self? { nil }
}

/// The detectors by name.
public enum Detectors {
    /// The detectors that are built in, and what a program registers.
    public static let registry = Registry<any Detector>(
        "detector",
        [
            KernelDensity(), GaussianDensity(), OneClassSVM(kernel: .rbf), OneClassSVM(kernel: .linear),
            SupportVectorDataDescription(), NearestNeighbors(), MahalanobisNearestNeighbors(), FlowDensity(),
        ]
    ) { $0.name }
}

/// A one-class classifier fitted on features of normal data. Higher score = more anomalous.
public protocol OneClassClassifier: Sendable {
    /// The score of each row. Memory does not grow with queries x training rows.
    func scores(_ features: FeatureMatrix) throws -> [Double]
    /// The same on a GPU where the detector can use one; elsewhere as `scores`.
    func scores(_ features: FeatureMatrix, on device: Device) throws -> [Double]
    /// The gradient d score / d features, one row an example; through the L2 normalization where the detector
    /// normalizes. By default an error: explanations need it, scores do not.
    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix
    /// All it needs to score again.
    var state: DetectorState { get }
}

extension OneClassClassifier {
    /// The scores as the CPU computes them.
    public func scores(_ features: FeatureMatrix, on device: Device) throws -> [Double] {
        try scores(features)
    }

    /// Throws `OCCError(.usage)`: the detector has no gradient.
    public func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        throw OCCError(.usage, "the detector has no gradient, and its scores cannot be explained by one")
    }
}

/// A fitted detector as named arrays and numbers, for a model file.
public struct DetectorState: Sendable, Equatable {
    /// An array of any shape, outermost extent first, in the precision that it was given in.
    public struct Array: Sendable, Equatable {
        private enum Storage: Sendable, Equatable {
            case single([Float]), double([Double])
        }

        /// The extents, outermost first.
        public let shape: [Int]
        private let storage: Storage

        /// An array of values in single precision, row-major.
        init(_ values: [Float], shape: [Int]) { (self.shape, storage) = (shape, .single(values)) }

        /// An array of values in double precision, row-major.
        init(_ values: [Double], shape: [Int]) { (self.shape, storage) = (shape, .double(values)) }

        /// The number of values.
        public var count: Int {
            switch storage {
            case .single(let values): values.count
            case .double(let values): values.count
            }
        }

        /// The values, row-major, in double precision: a copy of an array in single precision.
        public var values: [Double] {
            switch storage {
            case .single(let values): values.map(Double.init)
            case .double(let values): values
            }
        }

        /// The values, row-major, in single precision: rounded ones of an array in double precision.
        public var singles: [Float] {
            switch storage {
            case .single(let values): values
            case .double(let values): values.map(Float.init)
            }
        }

        /// Whether single precision holds the values exactly.
        public var isSingle: Bool { if case .single = storage { true } else { false } }

        /// The part at a place of the first extent.
        func part(_ index: Int) -> Array {
            let rest = Swift.Array(shape.dropFirst()), size = rest.reduce(1, *)
            let range = index * size..<(index + 1) * size
            return switch storage {
            case .single(let values): Array(Swift.Array(values[range]), shape: rest)
            case .double(let values): Array(Swift.Array(values[range]), shape: rest)
            }
        }
    }

    /// The arrays by name.
    public var arrays: [String: Array] = [:]
    /// The numbers by name.
    public var numbers: [String: Double] = [:]

    /// A state that holds nothing yet.
    public init() {}

    /// Keeps an array under a name.
    public mutating func set(_ name: String, _ values: [Double], shape: [Int], isSingle: Bool = false) {
        arrays[name] =
            isSingle ? Array(values.map(Float.init), shape: shape) : Array(values, shape: shape)
    }

    /// Keeps an array under a name, in single precision.
    public mutating func set(_ name: String, _ values: [Float], shape: [Int]) {
        arrays[name] = Array(values, shape: shape)
    }

    /// Keeps a matrix under a name, in single precision.
    public mutating func set(_ name: String, _ matrix: FeatureMatrix) {
        set(name, matrix.values, shape: [matrix.rows, matrix.columns])
    }

    /// The array of a name.
    ///
    /// - Throws: `OCCError(.badData)` when it is missing or malformed.
    public func array(_ name: String) throws -> Array {
        guard let found = arrays[name], found.shape.reduce(1, *) == found.count, found.count > 0 else {
            throw OCCError(.badData, "the detector's array '\(name)' is missing or malformed")
        }
        return found
    }

    /// The matrix of a name.
    ///
    /// - Throws: `OCCError(.badData)` when it is missing or malformed.
    public func matrix(_ name: String) throws -> FeatureMatrix {
        let found = try array(name)
        guard found.shape.count == 2 else {
            throw OCCError(.badData, "the detector's array '\(name)' is no matrix")
        }
        return FeatureMatrix(rows: found.shape[0], columns: found.shape[1], values: found.singles)
    }

    /// The number of a name.
    ///
    /// - Throws: `OCCError(.badData)` when it is missing or not finite.
    public func number(_ name: String) throws -> Double {
        guard let value = numbers[name], value.isFinite else {
            throw OCCError(.badData, "the detector's number '\(name)' is missing")
        }
        return value
    }
}

extension DetectorState {
    /// The number of a name, which is above 0.
    ///
    /// - Throws: `OCCError(.badData)` when it is missing or not above 0.
    func positive(_ name: String) throws -> Double {
        let value = try number(name)
        guard value > 0 else { throw OCCError(.badData, "the detector's number '\(name)' is \(value)") }
        return value
    }
}

/// The RBF width exp(-gamma |a - b|^2) for L2-normalized training features: 10 / (columns * variance), ten
/// times scikit-learn's `scale` (Sohn et al. 2021).
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

/// The RBF width's setting, which several detectors share.
func gammaSetting<Root>(_ path: WritableKeyPath<Root, Double?> & Sendable) -> Setting<Root> {
    Setting(
        "gamma", path, "G", range: .within(1e-6...1e6),
        "Width of the RBF kernel exp(-gamma |a - b|^2); by itself 10 / (columns * variance).")
}

/// Converts d/d(x / |x|) to d/dx: (g - u (u . g)) / |x|.
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
