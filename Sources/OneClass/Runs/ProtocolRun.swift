import Foundation
import OCCData
import OCCDetectors
import OCCEngine

/// The papers' protocol: every class of a data set in turn as the normal one, under several seeds, several
/// detectors on the same features; all in one process, each run in a folder of its own, so that a stopped
/// protocol continues.
public struct ProtocolRun {
    /// One run's result.
    public struct Result: Codable, Sendable, Equatable {
        public let normalClass: String
        public let seed: UInt64
        /// AUROC by detector name.
        public let auroc: [String: Double]
        public let configuration: RunConfiguration
    }

    public let dataset: ImageDataset
    /// What all runs share; `normal` and `seed` are set for each.
    public let configuration: RunConfiguration
    public let detectors: [DetectorKind]
    public let classes: [Int]
    public let seeds: [UInt64]
    /// The folder that holds a folder for each run.
    public let folder: String
    public var checkpointInterval = 60.0

    /// - Parameter classes: indices; nil for all.
    public init(
        dataset: ImageDataset, configuration: RunConfiguration, detectors: [DetectorKind], classes: [Int]?,
        seeds: [UInt64],
        folder: String
    ) {
        self.dataset = dataset
        self.configuration = configuration
        self.detectors = detectors
        self.classes = classes ?? Array(dataset.kind == .oneVersusRest ? 0..<dataset.classNames.count : 0..<1)
        self.seeds = seeds
        self.folder = folder
    }

    /// Runs what has no result yet.
    ///
    /// - Parameters:
    ///   - started: told of each run before it begins: its number, the count, its class and seed.
    ///   - record: told how the training goes.
    /// - Throws: `OCCError(.preempted)` after a save, when `StopSignals` asked to stop.
    public func run(
        device: Device, started: (Int, Int, String, UInt64) -> Void = { _, _, _, _ in },
        notice: (String) -> Void = { _ in }, record: (StepRecord) -> Void = { _ in }
    ) throws -> ProtocolTable {
        var results: [Result] = []
        for (index, (label, seed)) in classes.flatMap({ label in seeds.map { (label, $0) } }).enumerated() {
            var configuration = configuration
            configuration.normal = dataset.classNames[label]
            configuration.seed = seed
            let path = "\(folder)/class-\(label)-seed-\(seed)"
            let directory = try RunDirectory(path)
            if let known = try result(at: "\(path)/result.json", of: configuration) {
                results.append(known)
                continue
            }
            started(index, classes.count * seeds.count, dataset.classNames[label], seed)
            let split = try configuration.split(dataset)
            var run = TrainingRun(directory: directory, split: split, configuration: configuration)
            run.checkpointInterval = checkpointInterval
            let model = try run.run(device: device, notice: notice, record: record)
            let result = Result(
                normalClass: split.normalClass, seed: seed, auroc: try model.auroc(of: detectors, on: split),
                configuration: configuration)
            let encoder = JSONEncoder.sorted
            encoder.outputFormatting.insert(.prettyPrinted)
            try AtomicFile.write([UInt8](try encoder.encode(result)), to: "\(path)/result.json")
            results.append(result)
        }
        return ProtocolTable(
            method: configuration.method, detectors: detectors,
            classNames: classes.map { dataset.classNames[$0] },
            results: results)
    }

    /// The result of an earlier protocol; nil when there is none, or not of all these detectors.
    private func result(at path: String, of configuration: RunConfiguration) throws -> Result? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        guard let result = try? JSONDecoder().decode(Result.self, from: Data(try readFile(path))) else {
            throw OCCError(
                .badData, "\(path): is no result of a protocol", remedy: "Remove it to run that class again.")
        }
        let differences = try configuration.differences(from: result.configuration)
        guard differences.isEmpty else {
            throw OCCError(
                .usage,
                "\(path): was made with another configuration; these differ: \(differences.joined(separator: ", "))",
                remedy: "Choose another --out.")
        }
        return detectors.allSatisfy { result.auroc[$0.rawValue] != nil } ? result : nil
    }
}

/// A protocol's results in the shape of the papers' tables.
public struct ProtocolTable: Codable, Sendable {
    /// Mean and sample deviation over seeds, of AUROC.
    public struct Cell: Codable, Sendable, Equatable {
        public let mean: Double, deviation: Double

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

    public struct Row: Codable, Sendable {
        public let name: String
        /// By detector.
        public let cells: [String: Cell]
    }

    public let method: RunConfiguration.MethodKind
    public let detectors: [String]
    public let rows: [Row]
    /// The mean over classes; its deviation is the mean of the classes' deviations, as in the paper.
    public let mean: Row

    init(
        method: RunConfiguration.MethodKind, detectors: [DetectorKind], classNames: [String],
        results: [ProtocolRun.Result]
    ) {
        self.method = method
        self.detectors = detectors.map(\.rawValue)
        let rows = classNames.map { name in
            let runs = results.filter { $0.normalClass == name }
            return Row(
                name: name,
                cells: Dictionary(
                    uniqueKeysWithValues: detectors.map { kind in
                        (kind.rawValue, Cell(runs.compactMap { $0.auroc[kind.rawValue] }))
                    }))
        }
        self.rows = rows
        mean = Row(
            name: "mean",
            cells: Dictionary(
                uniqueKeysWithValues: detectors.map { kind in
                    let cells = rows.map { $0.cells[kind.rawValue]! }
                    return (
                        kind.rawValue,
                        Cell(
                            mean: cells.reduce(0) { $0 + $1.mean } / Double(cells.count),
                            deviation: cells.reduce(0) { $0 + $1.deviation } / Double(cells.count))
                    )
                }))
    }

    /// As a Markdown table.
    public var text: String {
        let width = max(5, rows.map(\.name.count).max() ?? 0)
        func line(_ name: String, _ cells: [String]) -> String {
            let padded = zip(detectors, cells).map { detector, cell in
                String(repeating: " ", count: max(0, max(detector.count, 9) - cell.count)) + cell
            }
            return "| "
                + ([name.padding(toLength: width, withPad: " ", startingAt: 0)] + padded).joined(
                    separator: " | ") + " |"
        }
        let rule =
            "|"
            + ([width] + detectors.map { max($0.count, 9) }).map { String(repeating: "-", count: $0 + 2) }
            .joined(separator: "|") + "|"
        return
            ([line("class", detectors), rule]
            + (rows + [mean]).map { row in
                line(row.name, detectors.map { row.cells[$0]!.text })
            }).joined(separator: "\n")
    }

    /// As JSON with sorted keys.
    public func json() throws -> String {
        let encoder = JSONEncoder.sorted
        encoder.outputFormatting.insert(.prettyPrinted)
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
