import Foundation

extension RunComparison {
    /// Writes the comparison as one HTML page that needs nothing else: the table, and beside each other the
    /// learning curves of each configuration. Those of one method have the same axes.
    public func html() -> String {
        let title = "Comparison of \(groups.reduce(0) { $0 + $1.runs.count }) runs"
        return """
            <!doctype html><html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width,initial-scale=1">
            <title>\(title)</title><link rel="icon" href="data:,"><style>\(reportStyle)</style></head><body>
            <a class="skip" href="#content">Skip to the results</a><main id="content">
            <p class="soft">Anomaly detection, several runs</p><h1>\(title)</h1>
            <p class="soft">Settings that differ, and how the runs do: AUROC and AUPRO in percent; where there are \
            several seeds, their mean and deviation.</p>
            \(table)
            \(curves)
            \(runs)
            </main></body></html>

            """
    }

    private static func row(_ cells: [String], _ tag: String, of scope: String) -> String {
        let rest = cells.dropFirst().map {
            tag == "th" ? "<th scope=\"col\">\(escaped($0))</th>" : "<td>\(escaped($0))</td>"
        }
        return "<tr><th scope=\"\(scope)\">\(escaped(cells[0]))</th>\(rest.joined())</tr>"
    }

    private var table: String {
        """
        <div class="scroll"><table><thead>\(Self.row(columns, "th", of: "col"))</thead>\
        <tbody>\(rows.map { Self.row($0, "td", of: "row") }.joined())</tbody></table></div>
        """
    }

    /// A chart for each configuration that has a curve, with a line for each seed.
    private var curves: String {
        let methods = Dictionary(grouping: groups) { $0.runs[0].configuration.method.name }
        let charts = groups.compactMap { group -> String? in
            let alike = methods[group.runs[0].configuration.method.name] ?? [group]
            let points = alike.flatMap { $0.runs.flatMap(\.losses) }
            let lines = group.runs.filter { $0.losses.count > 1 }.map { run in
                Chart.Line(
                    points: Self.thinned(run.losses).map { (x: Double($0.step), y: $0.loss) }, style: "line1")
            }
            guard !lines.isEmpty, let last = points.map(\.step).max(), let highest = points.map(\.loss).max()
            else { return nil }
            let name = name(of: group)
            let chart = Chart.lines(
                lines, x: ("step", Double(max(last, 1))), y: ("loss", max(highest, 1e-9)),
                description: "Loss of \(name) over the steps of training")
            let settings = settings.compactMap { key in
                group.settings[key].map { "\(key) \(Self.text($0))" }
            }
            let words = ([name] + settings).joined(separator: ", ")
            return "<figure>\(chart)<figcaption>\(escaped(words))</figcaption></figure>"
        }
        return charts.isEmpty
            ? "" : "<h2>Loss</h2><div class=\"pair\">\(charts.joined(separator: "\n"))</div>"
    }

    /// At most some hundred points are drawn, the last one among them.
    private static func thinned(_ all: [RunSummary.Point]) -> [RunSummary.Point] {
        let count = min(all.count, 400)
        return (0..<count).map { all[count == 1 ? 0 : $0 * (all.count - 1) / (count - 1)] }
    }

    /// Every run by itself.
    private var runs: String {
        let metrics = metrics
        let rows = groups.flatMap(\.runs).map { run in
            Self.row(
                [run.path, "\(run.configuration.seed)"]
                    + metrics.map { metric in
                        run.metrics[metric].map { metric.text($0, deviation: nil) } ?? ""
                    },
                "td", of: "row")
        }
        let head = Self.row(["run", "seed"] + metrics.map(\.title), "th", of: "col")
        return """
            <h2>Runs</h2><div class="scroll"><table><thead>\(head)</thead><tbody>\(rows.joined())</tbody></table></div>
            """
    }
}
