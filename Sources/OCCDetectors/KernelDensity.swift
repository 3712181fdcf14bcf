import CKernels
import OCCEngine

/// Kernel density on L2-normalized features (Sohn et al. 2021, section 3.1):
/// score(x) = -(1 / gamma) log sum_i exp(2 gamma x . x_i), an affine map of the negative log density.
public struct KernelDensity: Detector {
    /// The RBF width; nil for 10 / (columns * variance) of the normalized training features.
    public var gamma: Double?

    /// A density with an RBF kernel of this width; nil for the default by the features.
    public init(gamma: Double? = nil) { self.gamma = gamma }

    /// The name it is chosen by.
    public let name = "kde"
    /// What it is, in a line.
    public let summary = "Kernel density with an RBF kernel on L2-normalized features."
    /// The kernel's width.
    public static let settings = [gammaSetting(\KernelDensity.gamma)]

    /// Keeps the normalized training rows and settles gamma.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite, fewer than two, or all the same.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        let support = try features.directions()
        return FittedKernelDensity(support: support, gamma: try gamma ?? defaultGamma(support))
    }

    /// The density that a state was taken from: the arrays `support` and the number `gamma`.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        FittedKernelDensity(support: try state.matrix("support"), gamma: try state.positive("gamma"))
    }

    /// The same density at each location.
    public var forEachLocation: KernelDensity? { self }
}

/// A fitted kernel density.
struct FittedKernelDensity: OneClassClassifier {
    let support: FeatureMatrix
    let gamma: Double

    var state: DetectorState {
        var state = DetectorState()
        state.set("support", support)
        state.numbers["gamma"] = gamma
        return state
    }

    private func logSums(_ normalized: FeatureMatrix) throws -> [Double] {
        var sums = [Double](repeating: 0, count: normalized.rows)
        try check(
            ck_log_sum_exp_products(
                normalized.values, Int64(normalized.rows), support.values, Int64(support.rows),
                Int64(support.columns),
                2 * gamma, &sums), operation: "kde")
        return sums
    }

    func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, support.columns)
        return try logSums(features.normalized().matrix).map { -$0 / gamma }
    }

    func scores(_ features: FeatureMatrix, on device: Device) throws -> [Double] {
        guard device.isGPU, features.rows > 0 else { return try scores(features) }
        try requireColumns(features, support.columns)
        let program = Program(device: device, math: .strict)
        let (plan, (queries, rows, sums)) = try program.add("kde", .inference) { plan in
            let queries = try plan.input("queries", [features.rows, support.columns], type: .float32)
            let rows = try plan.input("support", [support.rows, support.columns], type: .float32)
            let sums = try logSumExpProducts(queries, rows, scale: Float(2 * gamma), in: plan)
            plan.keep(sums)
            return (queries, rows, sums)
        }
        try program.load()
        try program.write(features.normalized().matrix.values, to: queries)
        try program.write(support.values, to: rows)
        try plan.run()
        return try program.read(sums, of: plan).map { -Double($0) / gamma }
    }

    /// The gradient d score / d u = -2 sum_i softmax_i(2 gamma u . x_i) x_i for the normalized u.
    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, support.columns)
        let (normalized, norms) = features.normalized()
        let sums = try logSums(normalized)
        var mean = [Float](repeating: 0, count: normalized.values.count)
        try check(
            ck_softmax_mean(
                normalized.values, Int64(normalized.rows), support.values, Int64(support.rows),
                Int64(support.columns),
                2 * gamma, sums, &mean), operation: "kde")
        return throughNormalization(mean.map { -2 * Double($0) }, normalized, norms: norms)
    }
}
