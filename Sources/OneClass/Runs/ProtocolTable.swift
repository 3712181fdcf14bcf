import Foundation

/// A protocol's results in the shape of the papers' tables.
public struct ProtocolTable: Codable, Sendable {
    /// The mean and the sample deviation over seeds, of AUROC.
    public struct Cell: Codable, Sendable, Equatable {
        /// The mean over seeds, a share.
        public let mean: Double
        /// The sample deviation over seeds; 0 for a single one.
        public let deviation: Double

        init(_ values: [Double]) {
            let mean = values.reduce(0, +) / Double(values.count)
            self.mean = mean
            let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            deviation = values.count > 1 ? (squares / Double(values.count - 1)).squareRoot() : 0
        }

        fileprivate init(mean: Double, deviation: Double) {
            self.mean = mean
            self.deviation = deviation
        }

        /// "91.3±0.3"
        var text: String { String(format: "%.1f±%.1f", 100 * mean, 100 * deviation) }
    }

    /// What a class or category gave.
    public struct Row: Codable, Sendable {
        /// The normal class, or the category.
        public let name: String
        /// The cells by column; none where a column has no value.
        public let cells: [String: Cell]
    }

    /// The method's name.
    public let method: String
    /// The names of the columns.
    public let columns: [String]
    /// The rows, in the order of the tasks.
    public let rows: [Row]
    /// The mean over classes; its deviation is the mean of the classes' deviations, as in the paper.
    public let mean: Row
    /// A run that gave nothing, and why.
    public struct Failure: Codable, Sendable, Equatable {
        /// The normal class, or the category.
        public let name: String
        /// The seed of the run.
        public let seed: UInt64
        /// Why, in words.
        public let reason: String
        /// The exit code of its kind.
        public let code: Int32

        package init(name: String, seed: UInt64, reason: String, code: Int32) {
            (self.name, self.seed, self.reason, self.code) = (name, seed, reason, code)
        }

        /// Whether it is of this run.
        func isOf(_ run: (task: ProtocolRun.Task, seed: UInt64)) -> Bool {
            (name, seed) == (run.task.name, run.seed)
        }
    }
    /// The runs that gave nothing, in order; the means are over the others.
    public let failures: [Failure]

    package init(
        method: String, columns: [String], names: [String], results: [ProtocolRun.Result],
        failures: [Failure] = []
    ) {
        self.method = method
        self.failures = failures
        self.columns = columns
        func row(_ name: String, _ cell: (String) -> Cell?) -> Row {
            let cells = columns.compactMap { column in cell(column).map { (column, $0) } }
            return Row(name: name, cells: Dictionary(uniqueKeysWithValues: cells))
        }
        let rows = names.map { name in
            row(name) { column in
                let values = results.filter { $0.name == name }.compactMap { $0.values[column] }
                return values.isEmpty ? nil : Cell(values)
            }
        }
        self.rows = rows
        mean = row("mean") { column in
            let cells = rows.compactMap { $0.cells[column] }
            guard !cells.isEmpty else { return nil }
            return Cell(
                mean: cells.reduce(0) { $0 + $1.mean } / Double(cells.count),
                deviation: cells.reduce(0) { $0 + $1.deviation } / Double(cells.count))
        }
    }

    /// The table in Markdown.
    public var text: String {
        let width = max(5, rows.map(\.name.count).max() ?? 0)
        func line(_ name: String, _ cells: [String]) -> String {
            let padded = zip(columns, cells).map { detector, cell in
                String(repeating: " ", count: max(0, max(detector.count, 9) - cell.count)) + cell
            }
            return "| "
                + ([name.padding(toLength: width, withPad: " ", startingAt: 0)] + padded).joined(
                    separator: " | ") + " |"
        }
        let rule =
            "|"
            + ([width] + columns.map { max($0.count, 9) }).map { String(repeating: "-", count: $0 + 2) }
            .joined(separator: "|") + "|"
        let list = failures.map { "'\($0.name)', seed \($0.seed), failed: \($0.reason)" }
        return
            ([line("class", columns), rule]
            + (rows + [mean]).map { row in
                let isFailed = row.cells.isEmpty && failures.contains { $0.name == row.name }
                return line(row.name, columns.map { row.cells[$0]?.text ?? (isFailed ? "failed" : "") })
            } + (list.isEmpty ? [] : [""] + list)).joined(separator: "\n")
    }

    /// Encodes the table as JSON with sorted keys.
    public func json() throws -> String {
        let encoder = JSONEncoder.sorted
        encoder.outputFormatting.insert(.prettyPrinted)
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
