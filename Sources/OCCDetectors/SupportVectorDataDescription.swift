import OCCEngine

/// Support vector data description (Tax & Duin 2004) with the RBF kernel on L2-normalized features: the
/// squared distance to the smallest sphere's center, score = 1 - 2 sum_i b_i k(x, x_i) + sum_ij b_i b_j
/// k(x_i, x_j), with the b summing to 1.
public struct SupportVectorDataDescription: Detector {
    /// The share of training rows allowed outside.
    public var nu = 0.5
    /// The RBF width; nil for 10 / (columns * variance) of the normalized training features.
    public var gamma: Double?
    /// The largest violation of the KKT conditions left.
    public var tolerance = 1e-4

    /// A description with nu 0.5 and the default kernel width by the features.
    public init() {}

    /// The name it is chosen by.
    public let name = "svdd"
    /// What it is, in a line.
    public let summary = "Support vector data description: the smallest sphere, with an RBF kernel."
    /// The settings nu, the tolerance, and the RBF kernel's width.
    public static let settings =
        solverSettings(nu: \SupportVectorDataDescription.nu, tolerance: \.tolerance) + [gammaSetting(\.gamma)]

    /// Solves the dual of the normalized training rows.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite, fewer than two, or all the same.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        let rows = try features.directions()
        // k(x, x) = 1, so the dual's linear term is constant and the multipliers are those of the OC-SVM.
        return try FittedDataDescription(
            SupportVectors(
                solving: rows, gamma: try gamma ?? defaultGamma(rows), nu: nu, tolerance: tolerance))
    }

    /// The description that a state was taken from.
    ///
    /// - Throws: `OCCError(.badData)` when an array or number is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        try FittedDataDescription(SupportVectors(state: state, gamma: try state.positive("gamma")))
    }
}

/// A fitted support vector data description.
package struct FittedDataDescription: OneClassClassifier {
    private let vectors: SupportVectors
    /// The squared norm of the center in the kernel's space.
    package let centerNorm: Double
    private let total: Double

    init(_ vectors: SupportVectors) throws {
        self.vectors = vectors
        total = vectors.multipliers.reduce(0, +)
        let sums = try vectors.kernelSums(vectors.rows, gradient: false).sums
        centerNorm = zip(sums, vectors.multipliers).reduce(0) { $0 + $1.0 * $1.1 } / (total * total)
    }

    package var state: DetectorState { vectors.state }

    package func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, vectors.rows.columns)
        let sums = try vectors.kernelSums(features.normalized().matrix, gradient: false).sums
        return sums.map { 1 - 2 * $0 / total + centerNorm }
    }

    package func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, vectors.rows.columns)
        let (normalized, norms) = features.normalized()
        let slopes = try vectors.kernelSums(normalized, gradient: true).gradient
        return throughNormalization(slopes.map { -2 * $0 / total }, normalized, norms: norms)
    }
}
