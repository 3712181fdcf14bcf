import CKernels
import Foundation
import OCCEngine

/// One full-covariance Gaussian on L2-normalized features (the reference's GDE: scikit-learn's
/// GaussianMixture of one component), its covariance shrunk toward a sphere where asked for: score = -log
/// N(x; mean, (1 - a) covariance + a tr(covariance)/D I + ridge I).
public struct GaussianDensity: Detector {
    /// The share a of a sphere in the covariance; -1 for Ledoit and Wolf's estimate of the best one (2004).
    /// nil for 0, or for their estimate where each location has its own detector.
    public var shrinkage: Double?
    /// What is added to the covariance's diagonal.
    public var ridge = 1e-6

    /// Whether scores are compared with those of other Gaussians: half the squared Mahalanobis distance is, as a place
    /// where features vary much is not anomalous by that; a density adds the logarithm of its volume.
    private var isOneOfMany = false
    /// Whether features are divided by their norm first.
    private var normalizes = true

    /// Gaussians of features as they are, for many places: with no share of a sphere in their covariances.
    static func ofRawFeatures(ridge: Double) -> GaussianDensity {
        var result = GaussianDensity(shrinkage: 0, ridge: ridge)
        result.normalizes = false
        return result
    }

    /// A Gaussian with these settings.
    public init(shrinkage: Double? = nil, ridge: Double = 1e-6) {
        self.shrinkage = shrinkage
        self.ridge = ridge
    }

    /// The name it is chosen by.
    public let name = "gaussian"
    /// What it is, in a line.
    public let summary = "One Gaussian with a full covariance on L2-normalized features."
    /// The shrinkage and the ridge.
    public static let settings = [
        Setting(
            "shrinkage", \GaussianDensity.shrinkage, "SHARE", range: .within(-1...1),
            "Share of a sphere in the covariance; below 0 for Ledoit and Wolf's estimate, which is what detectors for each location take by themselves."
        ),
        Setting(
            "ridge", \GaussianDensity.ridge, "R", range: .within(0...1000),
            "Added to the covariance's diagonal."),
    ]

    /// Estimates mean and covariance, and factors the covariance (Cholesky) in double precision.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite, fewer than two, or of a singular
    ///   covariance.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        let rows = normalizes ? try features.directions() : features, columns = rows.columns
        var mean = [Double](repeating: 0, count: columns)
        var cholesky = [Double](repeating: 0, count: columns * columns)
        let status = ck_gaussian_fit(
            rows.values, Int64(rows.rows), Int64(columns), shrinkage ?? 0, ridge, &mean, &cholesky)
        guard status != .CK_NUMERICAL_ERROR else {
            throw OCCError(
                .badData, "gaussian: \(String(cString: ck_last_error()))",
                remedy: "Raise \(setting: "ridge") or \(setting: "shrinkage"), or fit on more rows.")
        }
        try check(status, operation: name)
        return FittedGaussian(
            mean: mean, cholesky: cholesky, isDistance: isOneOfMany, normalizes: normalizes)
    }

    /// Checks that the covariance of so few rows can be regular.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    public func checkRows(_ rows: Int, columns: Int) throws {
        guard rows > columns || ridge > 0 || shrinkage ?? 0 != 0 else {
            throw OCCError(
                .usage,
                "\(setting: "ridge") 0: the covariance of \(rows) rows of \(columns) features is singular",
                remedy: "Leave \(setting: "ridge") out, or raise \(setting: "shrinkage").")
        }
    }

    /// The bytes of the covariance, of its factor, and of what is saved of it: three times columns x columns
    /// numbers of double precision.
    public func fittingMemory(rows: Int, columns: Int) -> Int { 24 * columns * columns }

    /// The Gaussian that a state was taken from: the arrays `mean` and `cholesky`, and the number `distance`, not 0
    /// where scores are distances.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let mean = try state.array("mean").values, cholesky = try state.array("cholesky").values
        guard cholesky.count == mean.count * mean.count,
            mean.indices.allSatisfy({ cholesky[$0 * mean.count + $0] > 0 })
        else { throw OCCError(.badData, "the detector's Cholesky factor is malformed") }
        return FittedGaussian(
            mean: mean, cholesky: cholesky, isDistance: state.numbers["distance"] ?? 0 != 0,
            normalizes: normalizes)
    }

    /// The same Gaussian at each location, whose score is half the squared Mahalanobis distance, as Defard et al.
    /// (2020) take its root: without the determinant's logarithm, which would favor places where features vary. Few
    /// rows need a regular covariance: Ledoit and Wolf's.
    public var forEachLocation: GaussianDensity? {
        var own = GaussianDensity(shrinkage: shrinkage ?? -1, ridge: ridge)
        (own.isOneOfMany, own.normalizes) = (true, normalizes)
        return own
    }
}

/// A fitted Gaussian.
struct FittedGaussian: OneClassClassifier {
    private let mean: [Double]
    /// Lower triangular, columns x columns.
    private let cholesky: [Double]
    private let isDistance: Bool
    private let normalizes: Bool
    /// What a score is above half the squared distance.
    private let constant: Double

    init(mean: [Double], cholesky: [Double], isDistance: Bool, normalizes: Bool) {
        self.normalizes = normalizes
        self.mean = mean
        self.cholesky = cholesky
        self.isDistance = isDistance
        let logDeterminant = mean.indices.reduce(0) { $0 + log(cholesky[$1 * mean.count + $1]) }
        constant = isDistance ? 0 : 0.5 * Double(mean.count) * log(2 * Double.pi) + logDeterminant
    }

    var state: DetectorState {
        var state = DetectorState()
        state.set("mean", mean, shape: [mean.count])
        state.set("cholesky", cholesky, shape: [mean.count, mean.count])
        if isDistance { state.numbers["distance"] = 1 }
        return state
    }

    func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, mean.count)
        var distance = [Double](repeating: 0, count: features.rows)
        try check(
            ck_gaussian_distance(
                (normalizes ? features.normalized().matrix : features).values, Int64(features.rows),
                Int64(mean.count), mean, cholesky, &distance, nil), operation: "gaussian")
        return distance.map { 0.5 * $0 + constant }
    }

    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, mean.count)
        let (normalized, norms) = normalizes ? features.normalized() : (features, [])
        var distance = [Double](repeating: 0, count: features.rows)
        var gradient = [Double](repeating: 0, count: features.values.count)
        try check(
            ck_gaussian_distance(
                normalized.values, Int64(features.rows), Int64(mean.count), mean, cholesky, &distance,
                &gradient),
            operation: "gaussian")
        guard normalizes else {
            return FeatureMatrix(
                rows: features.rows, columns: features.columns, values: gradient.map { Float($0) })
        }
        return throughNormalization(gradient, normalized, norms: norms)
    }
}
