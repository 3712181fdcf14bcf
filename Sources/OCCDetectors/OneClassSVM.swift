import CKernels
import OCCEngine

/// How the solver of a support-vector detector ended.
public struct SolverReport: Sendable, Equatable {
    public let iterations: Int
    /// The dual objective, 1/2 a'Qa + p'a, with multipliers that sum to nu * rows.
    public let objective: Double
    /// The largest violation of the KKT conditions.
    public let gap: Double
    /// Training rows with a multiplier above zero.
    public let supportVectors: Int
}

/// The kernel of a support-vector detector.
public enum Kernel: Sendable, Equatable {
    /// exp(-gamma |a - b|^2) on L2-normalised features.
    case rbf
    /// a . b on the features as they are.
    case linear
}

/// The support rows and multipliers that a one-class dual leaves behind.
struct SupportVectors: Sendable {
    let rows: FeatureMatrix
    let multipliers: [Double]
    /// 0 for the linear kernel.
    let gamma: Double
    let rho: Double
    let report: SolverReport

    private static let cacheBytes = 512 << 20

    /// Minimises 1/2 a'Qa + p'a over 0 <= a <= 1, sum a = nu * rows, Q = factor * K.
    init(
        solving rows: FeatureMatrix, gamma: Double, factor: Double, linear: [Double]?,
        _ options: DetectorOptions
    ) throws {
        guard options.nu > 0, options.nu <= 1 else {
            throw OCCError(.usage, "nu \(options.nu) is outside 0...1")
        }
        var multipliers = [Double](repeating: 0, count: rows.rows)
        var report = ck_solver_report()
        try check(
            ck_solve_one_class(
                rows.values, Int64(rows.rows), Int64(rows.columns), gamma, factor, linear,
                options.nu * Double(rows.rows), options.tolerance, Int64(max(10_000_000, 100 * rows.rows)),
                UInt64(Self.cacheBytes), &multipliers, &report), operation: "one-class solver")
        let kept = multipliers.indices.filter { multipliers[$0] > 0 }
        self.init(
            rows: rows.subset(kept), multipliers: kept.map { multipliers[$0] }, gamma: gamma, rho: report.rho,
            report: SolverReport(
                iterations: Int(report.iterations), objective: report.objective, gap: report.gap,
                supportVectors: kept.count))
    }

    private init(rows: FeatureMatrix, multipliers: [Double], gamma: Double, rho: Double, report: SolverReport)
    {
        self.rows = rows
        self.multipliers = multipliers
        self.gamma = gamma
        self.rho = rho
        self.report = report
    }

    init(state: DetectorState) throws {
        let rows = try state.matrix("support"), multipliers = try state.array("multipliers").values
        guard multipliers.count == rows.rows else {
            throw OCCError(.badData, "the detector's multipliers do not fit")
        }
        self.init(
            rows: rows, multipliers: multipliers, gamma: try state.number("gamma"),
            rho: try state.number("rho"),
            report: SolverReport(
                iterations: Int(try state.number("iterations")), objective: try state.number("objective"),
                gap: try state.number("gap"), supportVectors: rows.rows))
    }

    var state: DetectorState {
        var state = DetectorState()
        state.set("support", rows)
        state.set("multipliers", multipliers, shape: [multipliers.count])
        state.numbers = [
            "gamma": gamma, "rho": rho, "iterations": Double(report.iterations),
            "objective": report.objective,
            "gap": report.gap,
        ]
        return state
    }

    /// sum_j a_j k(x, x_j), and its gradient where wanted.
    func kernelSums(_ queries: FeatureMatrix, gradient: Bool) throws -> (sums: [Double], gradient: [Double]) {
        var sums = [Double](repeating: 0, count: queries.rows)
        var slopes = [Double](repeating: 0, count: gradient ? queries.values.count : 0)
        func call(_ slopes: UnsafeMutablePointer<Double>?, _ sums: UnsafeMutablePointer<Double>) -> ck_status
        {
            ck_kernel_sum(
                queries.values, Int64(queries.rows), rows.values, multipliers, Int64(rows.rows),
                Int64(rows.columns),
                gamma, sums, slopes)
        }
        try check(gradient ? call(&slopes, &sums) : call(nil, &sums), operation: "kernel sum")
        return (sums, slopes)
    }
}

/// The one-class support vector machine (Schoelkopf et al. 2001): score = -sum_i a_i k(x, x_i),
/// scikit-learn's
/// `-score_samples`. The score is above -`rho` outside of the estimated support.
public struct OneClassSVM: OneClassClassifier {
    public let kernel: Kernel
    private let vectors: SupportVectors

    /// How the fit ended.
    public var report: SolverReport { vectors.report }
    /// The offset: a score of -rho lies on the boundary.
    public var rho: Double { vectors.rho }

    init(fitting features: FeatureMatrix, kernel: Kernel, _ options: DetectorOptions) throws {
        self.kernel = kernel
        let rows = kernel == .rbf ? features.normalized().matrix : features
        let gamma = kernel == .rbf ? try options.gamma ?? defaultGamma(rows) : 0
        vectors = try SupportVectors(solving: rows, gamma: gamma, factor: 1, linear: nil, options)
    }

    public init(state: DetectorState) throws {
        vectors = try SupportVectors(state: state)
        kernel = vectors.gamma > 0 ? .rbf : .linear
    }

    public var state: DetectorState { vectors.state }

    public func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, vectors.rows.columns)
        let queries = kernel == .rbf ? features.normalized().matrix : features
        return try vectors.kernelSums(queries, gradient: false).sums.map { -$0 }
    }

    public func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, vectors.rows.columns)
        guard kernel == .rbf else {
            let slopes = try vectors.kernelSums(features, gradient: true).gradient
            return FeatureMatrix(
                rows: features.rows, columns: features.columns, values: slopes.map { Float(-$0) })
        }
        let (normalized, norms) = features.normalized()
        let slopes = try vectors.kernelSums(normalized, gradient: true).gradient
        return throughNormalization(slopes.map { -$0 }, normalized, norms: norms)
    }
}

/// Support vector data description (Tax & Duin 2004) with the RBF kernel on L2-normalised features: the
/// squared distance to the smallest sphere's centre, score = 1 - 2 sum_i b_i k(x, x_i) + sum_ij b_i b_j
/// k(x_i, x_j), with the b summing to 1.
public struct SupportVectorDataDescription: OneClassClassifier {
    private let vectors: SupportVectors
    private let centreNorm: Double
    private let total: Double

    /// How the fit ended.
    public var report: SolverReport { vectors.report }

    init(fitting features: FeatureMatrix, _ options: DetectorOptions) throws {
        let rows = features.normalized().matrix
        // k(x, x) = 1, so the dual's linear term is constant and the multipliers are those of the OC-SVM.
        try self.init(
            SupportVectors(
                solving: rows, gamma: try options.gamma ?? defaultGamma(rows), factor: 1, linear: nil, options
            ))
    }

    private init(_ vectors: SupportVectors) throws {
        self.vectors = vectors
        total = vectors.multipliers.reduce(0, +)
        let sums = try vectors.kernelSums(vectors.rows, gradient: false).sums
        centreNorm = zip(sums, vectors.multipliers).reduce(0) { $0 + $1.0 * $1.1 } / (total * total)
    }

    public init(state: DetectorState) throws { try self.init(SupportVectors(state: state)) }

    public var state: DetectorState { vectors.state }

    public func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, vectors.rows.columns)
        let sums = try vectors.kernelSums(features.normalized().matrix, gradient: false).sums
        return sums.map { 1 - 2 * $0 / total + centreNorm }
    }

    public func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, vectors.rows.columns)
        let (normalized, norms) = features.normalized()
        let slopes = try vectors.kernelSums(normalized, gradient: true).gradient
        return throughNormalization(slopes.map { -2 * $0 / total }, normalized, norms: norms)
    }
}
