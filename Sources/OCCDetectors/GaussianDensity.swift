import CKernels
import Foundation
import OCCEngine

/// One full-covariance Gaussian on L2-normalised features (the reference's GDE: scikit-learn's
/// GaussianMixture of one component), its covariance shrunk towards a sphere where asked for: score = -log N(x; mean,
/// (1 - a) covariance + a tr(covariance)/D I + ridge I).
public struct GaussianDensity: OneClassClassifier {
    private let mean: [Double]
    /// Lower triangular, columns x columns.
    private let cholesky: [Double]
    private let logDeterminant: Double

    init(fitting features: FeatureMatrix, _ options: DetectorOptions) throws {
        let normalized = features.normalized().matrix, columns = normalized.columns
        var mean = [Double](repeating: 0, count: columns)
        var cholesky = [Double](repeating: 0, count: columns * columns)
        let status = ck_gaussian_fit(
            normalized.values, Int64(normalized.rows), Int64(columns), options.shrinkage ?? 0, options.ridge,
            &mean, &cholesky)
        guard status != .CK_NUMERICAL_ERROR else {
            throw OCCError(
                .badData, "gaussian: \(String(cString: ck_last_error()))",
                remedy: "Raise the ridge, or fit on more rows.")
        }
        try check(status, operation: "gaussian")
        self.init(mean: mean, cholesky: cholesky)
    }

    private init(mean: [Double], cholesky: [Double]) {
        self.mean = mean
        self.cholesky = cholesky
        logDeterminant = mean.indices.reduce(0) { $0 + log(cholesky[$1 * mean.count + $1]) }
    }

    public init(state: DetectorState) throws {
        let mean = try state.array("mean").values, cholesky = try state.array("cholesky").values
        guard cholesky.count == mean.count * mean.count,
            mean.indices.allSatisfy({ cholesky[$0 * mean.count + $0] > 0 })
        else { throw OCCError(.badData, "the detector's Cholesky factor is malformed") }
        self.init(mean: mean, cholesky: cholesky)
    }

    public var state: DetectorState {
        var state = DetectorState()
        state.set("mean", mean, shape: [mean.count])
        state.set("cholesky", cholesky, shape: [mean.count, mean.count])
        return state
    }

    public func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, mean.count)
        var distance = [Double](repeating: 0, count: features.rows)
        try check(
            ck_gaussian_distance(
                features.normalized().matrix.values, Int64(features.rows), Int64(mean.count), mean, cholesky,
                &distance,
                nil), operation: "gaussian")
        let constant = 0.5 * Double(mean.count) * log(2 * Double.pi) + logDeterminant
        return distance.map { 0.5 * $0 + constant }
    }

    public func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, mean.count)
        let (normalized, norms) = features.normalized()
        var distance = [Double](repeating: 0, count: features.rows)
        var gradient = [Double](repeating: 0, count: features.values.count)
        try check(
            ck_gaussian_distance(
                normalized.values, Int64(features.rows), Int64(mean.count), mean, cholesky, &distance,
                &gradient),
            operation: "gaussian")
        return throughNormalization(gradient, normalized, norms: norms)
    }
}
