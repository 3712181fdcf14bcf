import CKernels
import OCCEngine

/// Compares every operation of a device with the CPU.
public enum SelfTest {
    /// An operation in a math mode, over all of its cases.
    public struct Row: Sendable {
        /// The operation, by its name in `CKernels`.
        public let operation: String
        /// How exactly it computed.
        public let math: MathMode
        /// The number of cases that ran.
        public internal(set) var cases = 0
        /// The largest normalized mean square error of a case.
        public internal(set) var error = 0.0
        /// The largest error of an element, as a share of its tensor's root mean square.
        public internal(set) var worst = 0.0
        /// The shortest run of the last timed case on the device; infinite where none was timed.
        public internal(set) var seconds = Double.infinity
        /// The shortest run of that case on the CPU.
        public internal(set) var referenceSeconds = Double.infinity
        /// What is wrong, by case.
        public internal(set) var failures: [String] = []
    }

    /// Runs the cases on both devices.
    ///
    /// - Parameter finished: called with each row when it is complete.
    @discardableResult
    public static func run(
        _ device: Device, against reference: Device, cases: [OperationCase], timed: [OperationCase] = [],
        modes: [MathMode] = MathMode.allCases, finished: (Row) -> Void = { _ in }
    ) -> [Row] {
        var rows: [Row] = []
        for kind in (0..<UInt32(CK_KIND_COUNT)).compactMap(ck_kind.init(rawValue:)) {
            let some = cases.filter { $0.kind == kind }, large = timed.filter { $0.kind == kind }
            for math in modes {
                var row = Row(operation: String(cString: ck_declaration_of(kind).pointee.name), math: math)
                for (index, operation) in (some + large).enumerated() where operation.runs(in: math) {
                    compare(
                        operation, math, device, reference, timed: index >= some.count || large.isEmpty, &row)
                }
                guard row.cases > 0 else { continue }
                rows.append(row)
                finished(row)
            }
        }
        return rows
    }

    private static func compare(
        _ operation: OperationCase, _ math: MathMode, _ device: Device, _ reference: Device, timed: Bool,
        _ row: inout Row
    ) {
        row.cases += 1
        do {
            let got = try operation.inMode(math).run(on: device.handle, timed: timed)
            let expected = try operation.inMode(.strict).run(on: reference.handle, timed: timed)
            row.failures += got.problems.map { "\(operation.name): \($0)" }
            if timed { (row.seconds, row.referenceSeconds) = (got.seconds, expected.seconds) }
            for (name, values) in expected.outputs {
                let tolerance =
                    4 * operation.tolerance(of: name) + OperationCase.roundingTolerance(math)
                let other = got.outputs[name] ?? []
                if let failure = difference(other, values, tolerance: tolerance) {
                    row.failures.append("\(operation.name), \(name): \(failure)")
                }
                let power = dot(values, values)
                guard power > 0, other.allSatisfy(\.isFinite) else { continue }
                let gaps = zip(other, values).map { $0 - $1 }
                row.error = max(row.error, dot(gaps, gaps) / power)
                let scale = (power / Double(values.count)).squareRoot()
                row.worst = max(row.worst, gaps.reduce(0) { max($0, abs($1)) } / scale)
            }
        } catch {
            row.failures.append("\(operation.name): \(error)")
        }
    }
}
