import Foundation

/// The table for people.
extension ReproductionTable {
    /// The data sets, in order.
    var datasets: [String] {
        cells.map(\.dataset).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// The seeds in words.
    var seedWords: String {
        "seed\(seeds.count == 1 ? "" : "s") \(seeds.map(String.init).joined(separator: ", "))"
    }

    /// The values that are shown of a data set.
    func shown(_ dataset: String) -> [Cell] {
        let own = cells.filter { $0.dataset == dataset }
        guard showsClasses else { return own.filter { $0.name == nil } }
        // The mean of a single class says nothing new, unless the paper has another value for it.
        let isSingle = Set(own.compactMap(\.name)).count == 1
        return own.filter { $0.name != nil || !isSingle || $0.published?.isComparable == false }
    }

    /// The columns' names.
    var columns: [String] {
        ["row", "score"] + (showsClasses ? ["class"] : []) + ["ours", "published", "difference", ""]
    }

    /// The texts of a value.
    func row(_ cell: Cell) -> [String] {
        let difference = cell.published.flatMap { published in
            published.isComparable ? cell.mean.map { Self.signed($0 - published.mean) } : nil
        }
        return [title(cell), cell.measure] + (showsClasses ? [cell.name ?? "mean"] : []) + [
            cell.mean.map { Self.text($0, cell.deviation) } ?? "none",
            cell.published.map { Self.text($0.mean, $0.spread) + (mark($0).map { " \($0)" } ?? "") } ?? "",
            difference ?? "", cell.agreement?.rawValue ?? "",
        ]
    }

    /// What a row is: the representation, and its place on the curve.
    func title(_ cell: Cell) -> String {
        guard let x = cell.x, let axis else { return cell.series }
        return "\(cell.series), \(Self.number(x * axis.factor))\(axis.unit)"
    }

    static func number(_ value: Double) -> String { String(format: "%g", value) }
    static func signed(_ share: Double) -> String { String(format: "%+.1f", 100 * share) }
    static func text(_ mean: Double, _ spread: Double?) -> String {
        String(format: "%.1f", 100 * mean) + (spread.map { String(format: "±%.1f", 100 * $0) } ?? "")
    }

    /// The remarks on published values, in the order of their marks.
    var notes: [String] {
        cells.filter { showsClasses || $0.name == nil }.compactMap { $0.published?.remark }
            .reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// The mark of a value's remark: [1] for the first.
    private func mark(_ value: PublishedValue) -> String? {
        value.remark.flatMap { notes.firstIndex(of: $0) }.map { "[\($0 + 1)]" }
    }

    /// Where the published values are from.
    var sources: [String] {
        let all = cells.filter { showsClasses || $0.name == nil }.compactMap { $0.published?.source }
        return all.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// What the marks and signs mean, and what a reader must know, a line each.
    var explanations: [String] {
        let published = cells.filter { showsClasses || $0.name == nil }.compactMap(\.published)
        let kinds = Set(published.filter { $0.spread != nil }.map(\.spreadKind))
        let spread =
            switch kinds {
            case []: ""
            case [.standardError]: " ± is a standard error over seeds; 'within' is within it."
            default: " ± is a deviation over seeds; 'within' is within it."
            }
        return
            (sources.isEmpty
            ? ["No value is published for this."]
            : [
                "Published: \(sources.joined(separator: "; ")).\(spread)",
                published.contains { $0.spreadKind == .deviation } ? PublishedValues.origin : nil,
            ].compactMap { $0 })
            + notes.enumerated().map { "[\($0 + 1)] \($1)." } + remarks
    }

    // MARK: Budgets and claims

    /// What the runs of a data set took, and which settings are not the experiment's, a line each.
    func budgetLines(_ dataset: String) -> [String] {
        let others = overrides.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        return budgets.filter { $0.dataset == dataset }.map(words)
            + (others.isEmpty ? [] : ["Other than in the experiment: \(others.joined(separator: ", "))"])
    }

    private static func range(_ ends: [Int]) -> String {
        guard let first = ends.first, let last = ends.last else { return "no" }
        func grouped(_ number: Int) -> String {
            let digits = Array(String(number))
            return digits.indices.map { index in
                (index > 0 && (digits.count - index) % 3 == 0 ? "," : "") + String(digits[index])
            }.joined()
        }
        return first == last ? grouped(first) : "\(grouped(first)) to \(grouped(last))"
    }

    /// A budget in words.
    func words(_ budget: Budget) -> String {
        let width = budget.width.map { " of width \(Self.number($0))" } ?? ""
        var steps = "\(Self.range(budget.steps)) steps"
        if let full = budget.fullSteps, full > 0, let most = budget.steps.last {
            let share = String(format: "%.2g", 100 * Double(most) / Double(full))
            steps += most == full ? ", all" : " (\(share) % of the experiment's \(Self.range([full])))"
        }
        let images =
            "\(Self.range(budget.trainingImages)) training and \(Self.range(budget.testImages)) test images"
        // A curve stands for its points where all of them are there.
        let own = cells.filter { $0.dataset == budget.dataset && $0.name == nil }
        let names = budget.rows.map { row in
            let curve = own.first { $0.row == row }?.representation ?? row
            let points = Set(own.filter { $0.representation == curve }.map(\.row))
            return points.isSubset(of: budget.rows) ? curve : row
        }.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let whose = budgets.count == 1 ? "" : "\(names.joined(separator: ", ")): "
        return "\(whose)\(budget.encoder)\(width), \(steps); \(images)"
    }

    /// A claim and how it came out, in words.
    func words(_ verdict: Verdict) -> String {
        var numbers: [String] = []
        if let sum = verdict.sum {
            let spread = verdict.deviation.map { String(format: "±%.1f", 100 * $0) } ?? " with one seed"
            numbers.append("\(Self.signed(sum))\(spread)")
        }
        if let published = verdict.publishedSum { numbers.append("published: \(Self.signed(published))") }
        let ends = numbers.isEmpty ? "" : " (\(numbers.joined(separator: "; ")))"
        return "\(verdict.outcome.rawValue): \(verdict.statement)\(ends)"
    }

    /// The table in Markdown, with budgets, claims and explanations.
    public var text: String {
        var sections = ["\(experiment): \(summary)\n\(source)"]
        for dataset in datasets {
            let own = shown(dataset).map(row), lines = [columns] + own
            let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
            let words = showsClasses ? 3 : 2
            func line(_ cells: [String]) -> String {
                let padded = cells.enumerated().map { column, cell in
                    let space = String(repeating: " ", count: widths[column] - cell.count)
                    return column < words || column == cells.count - 1 ? cell + space : space + cell
                }
                return "| \(padded.joined(separator: " | ")) |"
            }
            let rule = widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|")
            let names = cells.filter { $0.dataset == dataset }.compactMap(\.name)
                .reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
            let what = names.count > 12 ? "\(names.count) classes" : names.joined(separator: ", ")
            sections.append(
                """
                \(dataset): \(what); \(seedWords); AUROC in %

                \(line(columns))
                |\(rule)|
                \(own.map(line).joined(separator: "\n"))
                """)
            sections.append(
                "Budget\n"
                    + budgetLines(dataset).map { "  \($0)" }.joined(separator: "\n"))
            let verdicts = verdicts.filter { $0.dataset == dataset }
            if !verdicts.isEmpty {
                sections.append(
                    "Claims, at this budget\n"
                        + verdicts.map { "  \(self.words($0))" }.joined(separator: "\n"))
            }
        }
        sections.append(explanations.joined(separator: "\n"))
        let list = failures.map {
            "\($0.row), '\($0.failure.name)', seed \($0.failure.seed), failed: \($0.failure.reason)"
        }
        if !collapses.isEmpty { sections.append(collapses.joined(separator: "\n")) }
        if !list.isEmpty { sections.append(list.joined(separator: "\n")) }
        return sections.joined(separator: "\n\n")
    }
}
