import Foundation
import OCCEngine

/// Several runs beside each other: in which settings they differ, and how they do. Runs that differ in their
/// seed alone are one configuration, with means and deviations.
public struct RunComparison: Sendable {
    /// The runs of one configuration, under their seeds.
    public struct Group: Sendable {
        /// The runs, in the order in which they were named.
        public let runs: [RunSummary]
        /// Its values of the settings that differ, by their JSON keys; none of a setting that its encoder,
        /// method or detector does not have.
        public let settings: [String: JSONValue]

        /// The mean over the runs that have a value; nil where none has.
        public func mean(of metric: RunSummary.Metric) -> Double? { cell(metric)?.mean }

        /// The sample deviation over the runs that have a value; nil for fewer than two.
        public func deviation(of metric: RunSummary.Metric) -> Double? {
            runs.count { $0.metrics[metric] != nil } > 1 ? cell(metric)?.deviation : nil
        }

        private func cell(_ metric: RunSummary.Metric) -> ProtocolTable.Cell? {
            let values = runs.compactMap { $0.metrics[metric] }
            return values.isEmpty ? nil : ProtocolTable.Cell(values)
        }

        func text(of metric: RunSummary.Metric) -> String {
            mean(of: metric).map { metric.text($0, deviation: deviation(of: metric)) } ?? ""
        }
    }

    /// The configurations, in the order in which their first runs were named.
    public let groups: [Group]
    /// The settings that differ between configurations, by their JSON keys, sorted.
    public let settings: [String]

    /// Compares runs.
    public init(_ runs: [RunSummary]) throws {
        let all = try runs.map { run -> [String: JSONValue] in
            var values = try run.configuration.resolved.settings
            values["seed"] = nil
            // What is not set is like what there is no such setting of.
            return values.filter { $0.value != .null }
        }
        let keys = Set(all.flatMap(\.keys)).sorted()
        settings = keys.filter { key in all.contains { $0[key] != all.first?[key] } }
        var groups: [(values: [String: JSONValue], runs: [RunSummary])] = []
        for (run, values) in zip(runs, all) {
            if let place = groups.firstIndex(where: { $0.values == values }) {
                groups[place].runs.append(run)
            } else {
                groups.append((values, [run]))
            }
        }
        let shown = Set(settings)
        self.groups = groups.map { group in
            Group(
                runs: group.runs,
                settings: group.values.filter { shown.contains($0.key) })
        }
    }

    /// The run folders that paths name: each itself, or those in it.
    ///
    /// - Throws: `OCCError(.noInput)` for a path that holds no run.
    public static func folders(_ paths: [String]) throws -> [String] {
        try paths.flatMap { path -> [String] in
            if pathExists("\(path)/config.json") { return [path] }
            let inside = try folderNames(path).map { "\(path)/\($0)" }
                .filter { pathExists("\($0)/config.json") }
            guard inside.isEmpty else { return inside }
            throw OCCError(
                .noInput, "\(path): holds no run: there is no config.json",
                remedy: "Name folders that train or protocol made.")
        }
    }

    // MARK: The table

    /// The metrics that some run has.
    var metrics: [RunSummary.Metric] {
        RunSummary.Metric.allCases.filter { metric in groups.contains { $0.mean(of: metric) != nil } }
    }

    /// The names of the columns: the runs, the number of seeds, the settings that differ, the metrics.
    var columns: [String] { ["run", "seeds"] + settings + metrics.map(\.title) }

    /// The rows, a configuration each.
    var rows: [[String]] {
        groups.map { group in
            [name(of: group), "\(group.runs.count)"] + settings.map { Self.text(group.settings[$0]) }
                + metrics.map { group.text(of: $0) }
        }
    }

    /// The first run of a configuration by the part of its path that not all have, and how many more there
    /// are.
    func name(of group: Group) -> String {
        let all = groups.flatMap(\.runs).map { $0.path.split(separator: "/").map(String.init) }
        let own = group.runs[0].path.split(separator: "/").map(String.init)
        let shared = own.indices.dropLast().prefix { place in
            all.allSatisfy { $0.count > place + 1 && $0[place] == own[place] }
        }.count
        let name = own.dropFirst(shared).joined(separator: "/")
        return (name.isEmpty ? group.runs[0].path : name)
            + (group.runs.count > 1 ? " and \(group.runs.count - 1) more" : "")
    }

    static func text(_ value: JSONValue?) -> String {
        switch value {
        case nil, .null: ""
        case .string(let text): text
        case .number(let number): String(format: "%.6g", number)
        case .some(let other): (try? other.text()) ?? ""
        }
    }

    /// The table in Markdown.
    public var text: String {
        let lines = [columns] + rows
        let widths = columns.indices.map { column in max(3, lines.map { $0[column].count }.max() ?? 0) }
        func line(_ cells: [String]) -> String {
            let padded = cells.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + space : space + cell
            }
            return "| \(padded.joined(separator: " | ")) |"
        }
        let rule = widths.enumerated().map { String(repeating: "-", count: $1 + 1) + ($0 == 0 ? "-" : ":") }
        return ([line(columns), "|\(rule.joined(separator: "|"))|"] + rows.map(line)).joined(separator: "\n")
    }

    // MARK: JSON

    private struct Document: Encodable {
        struct Spread: Encodable {
            let mean: Double, deviation: Double?
        }
        struct Run: Encodable {
            let path: String, seed: UInt64, metrics: [RunSummary.Metric: Double]
        }
        struct Configuration: Encodable {
            let settings: [String: JSONValue], metrics: [RunSummary.Metric: Spread], runs: [Run]
        }
        let settings: [String], configurations: [Configuration]
    }

    /// Encodes the comparison as JSON with sorted keys; AUROCs and AUPRO are shares.
    public func json() throws -> String {
        let configurations = groups.map { group in
            let means = RunSummary.Metric.allCases.compactMap { metric in
                group.mean(of: metric).map {
                    (metric, Document.Spread(mean: $0, deviation: group.deviation(of: metric)))
                }
            }
            return Document.Configuration(
                settings: group.settings, metrics: Dictionary(uniqueKeysWithValues: means),
                runs: group.runs.map {
                    Document.Run(path: $0.path, seed: $0.configuration.seed, metrics: $0.metrics)
                })
        }
        let encoder = JSONEncoder.sorted
        encoder.outputFormatting.insert(.prettyPrinted)
        let document = Document(settings: settings, configurations: configurations)
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }
}
