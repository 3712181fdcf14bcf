import OCCEngine

/// The one-class support vector machine (Schoelkopf et al. 2001): score = -sum_i a_i k(x, x_i),
/// scikit-learn's `-score_samples`. The score is above -`rho` outside of the estimated support.
public struct OneClassSVM: Detector {
    /// The kernel k.
    public enum Kernel: Sendable, Equatable {
        /// exp(-gamma |a - b|^2) on L2-normalized features.
        case rbf
        /// a . b on the features as they are.
        case linear
    }

    /// The kernel, which the name tells too.
    public let kernel: Kernel
    /// The share of training rows allowed outside.
    public var nu = 0.5
    /// The RBF width; nil for 10 / (columns * variance) of the normalized training features.
    public var gamma: Double?
    /// The largest violation of the KKT conditions left.
    public var tolerance = 1e-4

    /// A machine with these settings; `gamma` is of the RBF kernel, nil for the default by the features.
    public init(kernel: Kernel, nu: Double = 0.5, gamma: Double? = nil, tolerance: Double = 1e-4) {
        self.kernel = kernel
        self.nu = nu
        self.gamma = gamma
        self.tolerance = tolerance
    }

    /// The name of the kernel's machine: `ocsvm-rbf` or `ocsvm-linear`.
    public var name: String { kernel == .rbf ? "ocsvm-rbf" : "ocsvm-linear" }
    /// What it is, in a line.
    public var summary: String {
        "The one-class support vector machine with \(kernel == .rbf ? "an RBF" : "a linear") kernel."
    }
    /// The settings nu, the tolerance, and the RBF kernel's width.
    public static let settings =
        solverSettings(nu: \OneClassSVM.nu, tolerance: \.tolerance) + [gammaSetting(\.gamma)]
    /// The linear kernel has no width.
    public var unusedSettings: Set<String> { kernel == .rbf ? [] : ["gamma"] }

    /// Solves the dual of the training rows.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite, fewer than two, or all the same.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        let rows = kernel == .rbf ? try features.directions() : features
        return FittedOneClassSVM(
            vectors: try SupportVectors(
                solving: rows, gamma: kernel == .rbf ? try gamma ?? defaultGamma(rows) : 0, nu: nu,
                tolerance: tolerance))
    }

    /// The machine that a state was taken from.
    ///
    /// - Throws: `OCCError(.badData)` when an array or number is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let gamma = kernel == .rbf ? try state.positive("gamma") : try state.number("gamma")
        guard kernel == .rbf || gamma == 0 else {
            throw OCCError(.badData, "the detector's gamma is \(gamma), and its kernel is linear")
        }
        return FittedOneClassSVM(vectors: try SupportVectors(state: state, gamma: gamma))
    }
}

/// A fitted one-class support vector machine.
public struct FittedOneClassSVM: OneClassClassifier {
    let vectors: SupportVectors

    /// How the fit ended.
    public var report: SolverReport { vectors.report }
    /// The offset: a score of -rho lies on the boundary.
    public var rho: Double { vectors.rho }
    private var isLinear: Bool { vectors.gamma == 0 }

    /// The support rows, their multipliers, rho and gamma.
    public var state: DetectorState { vectors.state }

    /// The score -sum_i a_i k(x, x_i) of each row; above -rho outside of the support.
    public func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, vectors.rows.columns)
        let queries = isLinear ? features : features.normalized().matrix
        return try vectors.kernelSums(queries, gradient: false).sums.map { -$0 }
    }

    /// The gradient d score / d features, [rows, columns]; with the RBF kernel through the L2 normalization.
    public func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, vectors.rows.columns)
        guard !isLinear else {
            let slopes = try vectors.kernelSums(features, gradient: true).gradient
            return FeatureMatrix(
                rows: features.rows, columns: features.columns, values: slopes.map { Float(-$0) })
        }
        let (normalized, norms) = features.normalized()
        let slopes = try vectors.kernelSums(normalized, gradient: true).gradient
        return throughNormalization(slopes.map { -$0 }, normalized, norms: norms)
    }
}
