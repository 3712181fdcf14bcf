import Foundation

/// The table as a page.
extension ReproductionTable {
    /// Writes one HTML page that needs nothing else: figure, table, budgets, claims, and what a reader must know.
    public func html() -> String {
        let sections = datasets.map { dataset in
            let verdicts = verdicts.filter { $0.dataset == dataset }.map(words)
            return """
                <h2>\(escaped(dataset))</h2>
                \(pictures.isEmpty ? figures(dataset) : "")
                \(list("Budget", budgetLines(dataset)))
                \(list("Claims, at this budget", verdicts))
                \(table(dataset))
                """
        }
        let failed = failures.map {
            "\($0.row), '\($0.failure.name)', seed \($0.failure.seed), failed: \($0.failure.reason)"
        }
        return """
            <!doctype html><html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width,initial-scale=1">
            <title>\(escaped(experiment))</title><link rel="icon" href="data:,"><style>\(reportStyle)</style></head><body>
            <a class="skip" href="#content">Skip to the results</a><main id="content">
            <p class="soft">Reproduction of \(escaped(source))</p><h1>\(escaped(String(summary.dropLast())))</h1>
            <p class="soft">AUROC in percent, \(seedWords)\(seeds.count > 1 ? "; ± is the deviation over seeds" : "").</p>
            \(pictures.joined(separator: "\n"))
            \(sections.joined(separator: "\n"))
            \(list("Collapsed runs", collapses))
            \(list("Failed runs", failed))
            \(list("Where the published values are from, and what is not known", explanations))
            </main></body></html>

            """
    }

    private func list(_ title: String, _ items: [String]) -> String {
        guard !items.isEmpty else { return "" }
        return "<h3>\(title)</h3><ul>\(items.map { "<li>\(escaped($0))</li>" }.joined())</ul>"
    }

    private func estimate(_ mean: Double?, _ spread: Double?) -> Chart.Estimate? {
        mean.map { Chart.Estimate(value: 100 * $0, spread: spread.map { 100 * $0 }) }
    }

    private func estimates(_ cell: Cell) -> (ours: Chart.Estimate?, published: Chart.Estimate?) {
        let value = cell.published.flatMap { $0.isComparable ? $0 : nil }
        return (estimate(cell.mean, cell.deviation), estimate(value?.mean, value?.spread))
    }

    private func figures(_ dataset: String) -> String {
        let cells = shown(dataset)
        let note = "Diamonds are published values, where there are some."
        func unique(_ names: [String]) -> [String] {
            names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        }
        // All charts of a data set have one axis.
        let ticks = Chart.axis(
            of: cells.map(estimates).flatMap { [$0.ours, $0.published] }.compactMap { $0 })
        let isSingle = Set(cells.compactMap(\.name)).count == 1
        let charts: [(String, String)]
        if let axis {
            // A color for each representation, dashes for all measures but the first.
            let measures = unique(cells.map(\.measure))
            let series = unique(cells.map(\.series)).enumerated().flatMap { color, name in
                measures.map { measure in
                    Chart.Series(
                        name: "\(name), \(measure)", color: color, isDashed: measure != measures[0],
                        points: cells.filter { ($0.series, $0.measure) == (name, measure) }.map { cell in
                            let (ours, published) = estimates(cell)
                            return (x: cell.x ?? 0, ours: ours, published: published)
                        })
                }
            }
            let chart = Chart.curves(
                series, x: (axis.name + (axis.unit == " %" ? ", %" : ""), axis.factor, axis.isLogarithmic),
                y: "AUROC, %", description: summary)
            charts = [(chart, note)]
        } else if showsClasses {
            charts = unique(cells.map { "\($0.series), \($0.measure)" }).map { name in
                let rows = cells.filter {
                    "\($0.series), \($0.measure)" == name && ($0.name != nil || !isSingle)
                }.map { cell in
                    let (ours, published) = estimates(cell)
                    return (name: cell.name ?? "mean", ours: ours, published: published)
                }
                return (Chart.rows(rows, ticks: ticks, x: "AUROC, %", description: name), "\(name). \(note)")
            }
        } else {
            let rows = cells.map { cell in
                let (ours, published) = estimates(cell)
                return (name: "\(cell.series), \(cell.measure)", ours: ours, published: published)
            }
            charts = [(Chart.rows(rows, ticks: ticks, x: "AUROC, %", description: summary), note)]
        }
        let figures = charts.filter { !$0.0.isEmpty }.map {
            "<figure>\($0)<figcaption>\(escaped($1))</figcaption></figure>"
        }
        return figures.isEmpty ? "" : "<div class=\"pair\">\(figures.joined())</div>"
    }

    private func table(_ dataset: String) -> String {
        let head = columns.map { "<th scope=\"col\">\(escaped($0))</th>" }.joined()
        let lines = shown(dataset).map { cell in
            let texts = row(cell).map(escaped)
            return "<tr><th scope=\"row\">\(texts[0])</th>"
                + texts.dropFirst().map { "<td>\($0)</td>" }.joined() + "</tr>"
        }
        return
            "<div class=\"scroll\"><table><thead><tr>\(head)</tr></thead><tbody>\(lines.joined())</tbody></table></div>"
    }
}
