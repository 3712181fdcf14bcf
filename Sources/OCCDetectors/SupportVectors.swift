import CKernels
import OCCEngine

/// How the solver of a support-vector detector ended.
public struct SolverReport: Sendable, Equatable {
    /// The number of pairs of multipliers that the solver updated.
    public let iterations: Int
    /// The dual objective, 1/2 a'Qa + p'a, with multipliers that sum to nu * rows.
    public let objective: Double
    /// The largest violation of the KKT conditions.
    public let gap: Double
    /// The number of training rows with a multiplier above zero.
    public let supportVectors: Int
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

    /// Minimizes 1/2 a'Ka over 0 <= a <= 1, sum a = nu * rows, until the largest violation of the KKT
    /// conditions is below `tolerance`.
    init(solving rows: FeatureMatrix, gamma: Double, nu: Double, tolerance: Double) throws {
        guard nu > 0, nu <= 1 else {
            throw OCCError(.usage, "\(setting: "nu") \(nu) is out of range: it is above 0, at most 1")
        }
        var multipliers = [Double](repeating: 0, count: rows.rows)
        var report = ck_solver_report()
        try check(
            ck_solve_one_class(
                rows.values, Int64(rows.rows), Int64(rows.columns), gamma, nu * Double(rows.rows),
                tolerance, Int64(max(10_000_000, 100 * rows.rows)), UInt64(Self.cacheBytes), &multipliers,
                &report), operation: "one-class solver")
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

    /// - Parameter gamma: as the state has it; 0 for the linear kernel.
    init(state: DetectorState, gamma: Double) throws {
        let rows = try state.matrix("support"), multipliers = try state.array("multipliers").values
        guard multipliers.count == rows.rows, multipliers.allSatisfy({ $0 > 0 }) else {
            throw OCCError(.badData, "the detector's multipliers do not fit, or are not above 0")
        }
        let iterations = try state.number("iterations")
        self.init(
            rows: rows, multipliers: multipliers, gamma: gamma, rho: try state.number("rho"),
            report: SolverReport(
                iterations: Int(exactly: iterations) ?? 0, objective: try state.number("objective"),
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

    /// Computes sum_j a_j k(x, x_j), and its gradient where wanted.
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

/// The settings of a dual's solver, which the support-vector detectors share.
func solverSettings<Root>(
    nu: WritableKeyPath<Root, Double> & Sendable, tolerance: WritableKeyPath<Root, Double> & Sendable
) -> [Setting<Root>] {
    [
        Setting("nu", nu, "SHARE", range: .within(0.0001...1), "Share of training rows allowed outside."),
        Setting(
            "tolerance", tolerance, "GAP", range: .within(1e-9...1),
            "Largest violation of the KKT conditions left."),
    ]
}
