import Foundation
import OCCEngine

/// What a reproduction gave: ours beside the published values, what it took, and which claims it confirms.
public struct ReproductionTable: Codable, Sendable {
    /// A value of ours beside the published one.
    public struct Cell: Codable, Sendable {
        /// The data set.
        public let dataset: String
        /// The row's name.
        public let row: String
        /// What the row is, for people.
        public let series: String
        /// The name that the points of its curve share.
        public let representation: String
        /// Where it lies on the curve; nil in a table.
        public let x: Double?
        /// What is measured: the column of a protocol's table.
        public let measure: String
        /// The normal class, or the category; nil for the mean over all that ran.
        public let name: String?
        /// The mean over seeds, a share; nil where there is no result.
        public let mean: Double?
        /// The sample deviation over seeds, of a mean over classes the mean of theirs; nil for a single seed.
        public let deviation: Double?
        /// The paper's value; nil where there is none.
        public let published: PublishedValue?
        /// How ours lies to it; nil where there is no result.
        public let agreement: Agreement?
    }

    /// What runs of some rows took.
    public struct Budget: Codable, Sendable {
        /// The rows.
        public var rows: [String]
        /// The data set.
        public let dataset: String
        /// The encoder's name.
        public let encoder: String
        /// Its width; nil for an encoder without that setting.
        public let width: Double?
        /// Steps of a run, at least and at most.
        public let steps: [Int]
        /// The steps that the experiment asks for by itself; nil where that is not known.
        public let fullSteps: Int?
        /// Images that a run trains on, at least and at most.
        public var trainingImages: [Int]
        /// Images that it is tested on, at least and at most.
        public var testImages: [Int]

        /// Whether runs of other rows took the same, but for images.
        func isAlike(_ other: Budget) -> Bool {
            (dataset, encoder, width, steps, fullSteps)
                == (other.dataset, other.encoder, other.width, other.steps, other.fullSteps)
        }

        /// Takes in the runs of other rows.
        mutating func merge(_ other: Budget) {
            func ends(_ all: [Int]) -> [Int] { all.isEmpty ? [] : [all.min()!, all.max()!] }
            rows += other.rows
            trainingImages = ends(trainingImages + other.trainingImages)
            testImages = ends(testImages + other.testImages)
        }
    }

    /// How a claim came out on a data set.
    public struct Verdict: Codable, Sendable {
        /// What is said.
        public let statement: String
        /// Where.
        public let source: String
        /// The data set.
        public let dataset: String
        /// How it came out at this budget.
        public let outcome: Claim.Outcome
        /// The sum that is above 0 if it is so, a share: mean over seeds; nil where it is not tested.
        public let sum: Double?
        /// The sum's sample deviation over seeds; nil for fewer than two.
        public let deviation: Double?
        /// The same sum of published values; nil where one is missing or of other classes.
        public let publishedSum: Double?
    }

    /// A run that gave nothing.
    public struct Failure: Codable, Sendable {
        /// The row.
        public let row: String
        /// The data set.
        public let dataset: String
        /// The run, and why.
        public let failure: ProtocolTable.Failure
    }

    /// The runs of a part, as they are.
    package struct Done {
        let part: Reproduction.Part
        let results: [ProtocolRun.Result]
        let missing: Int
        let failures: [ProtocolTable.Failure]

        package init(
            part: Reproduction.Part, results: [ProtocolRun.Result], missing: Int = 0,
            failures: [ProtocolTable.Failure] = []
        ) {
            (self.part, self.results, self.missing, self.failures) = (part, results, missing, failures)
        }
    }

    /// The experiment's name.
    public let experiment: String
    /// What it shows.
    public let summary: String
    /// Where it is published.
    public let source: String
    /// The settings that options gave in place of the experiment's, by name.
    public let overrides: [String: String]
    /// The seeds.
    public private(set) var seeds: [UInt64] = []
    /// All values: of a row and measure those of each class, then the mean.
    public private(set) var cells: [Cell] = []
    /// What it took.
    public private(set) var budgets: [Budget] = []
    /// The claims.
    public private(set) var verdicts: [Verdict] = []
    /// The runs that gave nothing; the means are over the others.
    public private(set) var failures: [Failure] = []
    /// The runs whose features collapsed, and which are at chance for that: their row, class, seed and how.
    public private(set) var collapses: [String] = []
    /// The number of runs without a result.
    public private(set) var missingRuns = 0
    /// What a reader must know.
    public let remarks: [String]
    /// Sections of HTML with pictures; in no file of JSON.
    var pictures: [String] = []
    /// What the curves are over; in no file of JSON.
    let axis: Experiment.Axis?
    let showsClasses: Bool
    private let claims: [Claim]

    private enum CodingKeys: String, CodingKey {
        case experiment, summary, source, overrides, seeds, cells, budgets, verdicts, failures, collapses,
            missingRuns, remarks
    }

    package init(_ experiment: Experiment, overrides: [String: String] = [:]) {
        self.overrides = overrides
        self.experiment = experiment.name
        (summary, source, remarks) = (experiment.summary, experiment.source, experiment.remarks)
        (axis, showsClasses, claims) = (experiment.axis, experiment.showsClasses, experiment.claims)
    }

    /// Reads the table without what only its experiment knows: its axis, and claims to come.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        experiment = try values.decode(String.self, forKey: .experiment)
        summary = try values.decode(String.self, forKey: .summary)
        source = try values.decode(String.self, forKey: .source)
        overrides = try values.decode([String: String].self, forKey: .overrides)
        seeds = try values.decode([UInt64].self, forKey: .seeds)
        cells = try values.decode([Cell].self, forKey: .cells)
        budgets = try values.decode([Budget].self, forKey: .budgets)
        verdicts = try values.decode([Verdict].self, forKey: .verdicts)
        failures = try values.decode([Failure].self, forKey: .failures)
        collapses = try values.decodeIfPresent([String].self, forKey: .collapses) ?? []
        missingRuns = try values.decode(Int.self, forKey: .missingRuns)
        remarks = try values.decode([String].self, forKey: .remarks)
        let known = Experiment.registry.entries.first { [experiment] in $0.name == experiment }
        (axis, showsClasses, claims) = (known?.axis, known?.showsClasses ?? false, [])
    }

    // MARK: Filling

    /// Adds the parts of a data set.
    package mutating func add(_ parts: [Done]) {
        for done in parts {
            seeds = done.part.run.seeds
            missingRuns += done.missing
            failures += done.failures.map {
                Failure(row: done.part.row.name, dataset: done.part.dataset, failure: $0)
            }
            for result in done.results {
                guard let collapse = result.collapse else { continue }
                collapses.append(
                    "\(done.part.row.name), '\(result.name)', seed \(result.seed), is at chance: \(collapse)")
            }
            addCells(of: done)
            addBudget(of: done)
        }
        guard let dataset = parts.first?.part.dataset else { return }
        for claim in claims where claim.datasets.isEmpty || claim.datasets.contains(dataset) {
            verdicts.append(verdict(of: claim, parts, dataset))
        }
    }

    private mutating func addCells(of done: Done) {
        let part = done.part, table = part.run.table(done.results)
        let isSingle = part.run.seeds.count == 1
        for measure in part.row.measures {
            func cell(_ row: ProtocolTable.Row, _ name: String?, _ published: PublishedValue?) -> Cell {
                let own = row.cells[measure.column]
                return Cell(
                    dataset: part.dataset, row: part.row.name, series: part.row.series,
                    representation: part.row.representation, x: part.row.x, measure: measure.column,
                    name: name, mean: own?.mean, deviation: isSingle ? nil : own?.deviation,
                    published: published, agreement: own.map { Agreement($0.mean, published) })
            }
            let published = Published(part, measure)
            for row in table.rows { cells.append(cell(row, row.name, published.value(of: row.name))) }
            cells.append(cell(table.mean, nil, published.mean(of: table.rows.map(\.name))))
        }
    }

    private mutating func addBudget(of done: Done) {
        func ends(_ key: KeyPath<ProtocolRun.Result, Int?>) -> [Int] {
            let all = done.results.compactMap { $0[keyPath: key] }
            return all.isEmpty ? [] : [all.min()!, all.max()!]
        }
        let encoder = done.part.run.configuration.encoder
        let width = encoder.settingValues["width"].flatMap { Double(json: $0) }
        let own = Budget(
            rows: [done.part.row.name], dataset: done.part.dataset, encoder: encoder.name, width: width,
            steps: ends(\.steps), fullSteps: done.part.fullSteps, trainingImages: ends(\.trainingImages),
            testImages: ends(\.testImages))
        if let place = budgets.firstIndex(where: own.isAlike) {
            budgets[place].merge(own)
        } else {
            budgets.append(own)
        }
    }

    private func verdict(of claim: Claim, _ parts: [Done], _ dataset: String) -> Verdict {
        func part(_ term: Claim.Term) -> Done? { parts.first { $0.part.row.name == term.row } }
        /// The mean over classes under a seed; nil unless all classes have a result.
        func value(_ term: Claim.Term, _ seed: UInt64) -> Double? {
            guard let done = part(term) else { return nil }
            let all = done.results.filter { $0.seed == seed }.compactMap { $0.values[term.column] }
            guard !all.isEmpty, all.count == done.part.run.tasks.count else { return nil }
            return all.reduce(0, +) / Double(all.count)
        }
        let seeds = parts.first?.part.run.seeds ?? []
        let sums = seeds.compactMap { seed in claim.sum { value($0, seed) } }
        let cell = sums.isEmpty ? nil : ProtocolTable.Cell(sums)
        let published = claim.sum { term in
            let own = cells.first {
                $0.dataset == dataset && $0.row == term.row && $0.measure == term.column && $0.name == nil
            }?.published
            return own.flatMap { $0.isComparable ? $0.mean : nil }
        }
        return Verdict(
            statement: claim.statement, source: claim.source, dataset: dataset,
            outcome: Claim.outcome(sums), sum: cell?.mean, deviation: sums.count > 1 ? cell?.deviation : nil,
            publishedSum: published)
    }

    /// Encodes the table as JSON with sorted keys; all values are shares.
    public func json() throws -> String {
        let encoder = JSONEncoder.sorted
        encoder.outputFormatting.insert(.prettyPrinted)
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

/// The published values of a row's measure.
private struct Published {
    let part: Reproduction.Part
    let measure: ProtocolMeasure

    init(_ part: Reproduction.Part, _ measure: ProtocolMeasure) {
        (self.part, self.measure) = (part, measure)
    }

    /// The score's name in the published tables; nil for what they do not have.
    private var score: String? {
        switch measure {
        case .detector(let detector, nil): detector.name
        case .classifier: "classifier"
        case .detector, .patchImages, .pixels, .regionOverlap: nil
        }
    }

    private var isOfDefects: Bool { part.dataset == Reproduction.mvtec }

    /// The value of a class, or a category; nil where there is none.
    func value(of name: String) -> PublishedValue? {
        guard let representation = part.row.published else { return nil }
        guard !isOfDefects else { return ofCategory(name) }
        guard let score,
            let all = PublishedValues.classes(part.dataset, representation, score),
            let index = part.run.classNames.firstIndex(of: name), all.indices.contains(index)
        else { return nil }
        return all[index]
    }

    private func ofCategory(_ name: String) -> PublishedValue? {
        switch (part.row.representation, measure) {
        case ("localization", .pixels), (_, .detector(_, nil)):
            PublishedValues.category(name, part.row.representation)
        default: nil
        }
    }

    /// The value of the mean over these classes: of all that of the paper, of some the mean of theirs, or what the paper
    /// has of all.
    func mean(of names: [String]) -> PublishedValue? {
        guard let representation = part.row.published else { return nil }
        let own = names.compactMap { value(of: $0) }
        guard !isOfDefects else {
            if let found = own.count == names.count ? PublishedValue.mean(of: own) : nil { return found }
            return ofAllCategories
        }
        guard let score, let all = PublishedValues.mean(part.dataset, representation, score) else {
            return nil
        }
        guard !part.isComplete else { return all }
        return own.count == names.count ? PublishedValue.mean(of: own) : all.ofOthers("of all classes")
    }

    /// What Sohn et al. have of all categories.
    private var ofAllCategories: PublishedValue? {
        guard let (images, pixels, isConfirmed) = PublishedValues.defects[part.row.representation] else {
            return nil
        }
        let text: Substring
        switch measure {
        case .patchImages: text = images
        case .pixels: text = pixels
        default: return nil
        }
        let found = PublishedValue(
            text, "the authors' slides", remark: isConfirmed ? nil : "known from the slides alone")
        return part.isComplete ? found : found?.ofOthers("of all 15 categories")
    }
}
