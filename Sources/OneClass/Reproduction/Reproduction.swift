import Foundation
import OCCData
import OCCEngine

/// An experiment on data: trains what it takes, each run in a folder of its own, and puts ours beside the published
/// values.
///
/// The folder of a run follows from its configuration alone, so that two experiments in one folder share what is the same.
public struct Reproduction {
    /// A row of the experiment on a data set.
    package struct Part {
        let row: Experiment.Row
        /// `ImageDataset.name`, or the name of the folder of categories.
        let dataset: String
        /// Whether the runs are of all classes that the data set has.
        let isComplete: Bool
        let run: ProtocolRun
        /// The steps that the experiment asks for by itself; nil where that depends on images that are not loaded.
        let fullSteps: Int?

        package init(
            row: Experiment.Row, dataset: String, isComplete: Bool, run: ProtocolRun, fullSteps: Int?
        ) {
            (self.row, self.dataset, self.isComplete) = (row, dataset, isComplete)
            (self.run, self.fullSteps) = (run, fullSteps)
        }
    }

    /// What is reproduced.
    public let experiment: Experiment
    /// The rows, each with its configuration and the one it has without options.
    let rows: [(row: Experiment.Row, configuration: RunConfiguration, full: RunConfiguration)]
    /// The settings that options give in place of the experiment's, by name.
    public let overrides: [String: String]
    /// The data sets: folders, or `builtin:NAME`.
    public let data: [String]
    /// The classes, or categories, by name or index; nil for all.
    public var classes: [String]?
    /// The seeds that everything runs under.
    public var seeds: [UInt64] = [1]
    /// The folder that holds everything.
    public let folder: String
    /// Seconds between checkpoints.
    public var checkpointInterval = 60.0
    /// The processes that do the runs together; nil for one.
    public var communicator: Communicator?
    /// The part of the runs that this process does, of all rows and data sets; nil for all. Pictures are drawn when the
    /// results are collected.
    public var shard: ProtocolRun.Shard?

    /// An experiment on data sets; nothing is read or trained yet.
    ///
    /// - Parameters:
    ///   - rows: names of rows or curves; nil for all.
    ///   - overrides: settings of all rows by name, as a command line has them.
    ///   - budget: the share of the steps, above 0 and at most 1; nil for all.
    ///   - folder: where the runs go; those that are there are not done again.
    /// - Throws: `OCCError(.usage)` for a row that there is not, or a setting that does not go with it.
    public init(
        _ experiment: Experiment, data: [String], rows: [String]? = nil, overrides: [String: String] = [:],
        budget: Double? = nil, folder: String
    ) throws {
        self.experiment = experiment
        (self.data, self.overrides) = (data, overrides)
        self.folder = folder
        if let budget, !(budget > 0 && budget <= 1) {
            throw OCCError(.usage, "\(setting: "budget") \(budget): it is above 0, at most 1")
        }
        self.rows = try experiment.rows(named: rows).filter { row in
            guard row.takesWeights, overrides["weights"] == nil else { return true }
            guard rows == nil else {
                throw OCCError(
                    .usage, "\(row.name) begins with given weights",
                    remedy: "Give them by \(setting: "weights"), or leave the row out.")
            }
            return false
        }.map { row in
            let full = try experiment.configuration(of: row)
            return (
                row, try experiment.configuration(of: row, overriding: overrides, budget: budget), full
            )
        }
        for (row, configuration, _) in self.rows {
            guard row.measures.allSatisfy({ $0.isOfPatches == (configuration.patch != nil) }) else {
                throw OCCError(
                    .usage, "\(experiment.name) is of whole images", remedy: "Leave \(setting: "patch") out.")
            }
            for case .detector(_, let normals?) in row.measures {
                guard let most = configuration.maxTrain, most < normals else { continue }
                throw OCCError(
                    .usage,
                    "\(experiment.name) fits detectors on \(normals) clean normal images, and \(setting: "max-train") is \(most)",
                    remedy: "Raise \(setting: "max-train").")
            }
        }
    }

    /// The names of the rows, in order.
    public var rowNames: [String] { rows.map(\.row.name) }

    /// Checks what can be checked before data is read: that there is memory for every row.
    public func check(_ device: Device) throws {
        for (_, configuration, _) in rows { try TrainingPlan.check(configuration, device: device) }
    }

    /// The folder of a configuration's runs on a data set: its method, and a digest of all that its classes and seeds
    /// share.
    private func path(_ configuration: RunConfiguration, _ dataset: String) throws -> String {
        var shared = configuration.resolved
        (shared.data, shared.normal, shared.seed) = ("", nil, 1)
        let digest = sha256(try shared.json().utf8).prefix(10)
        let name = String(dataset.map { $0.isLetter || $0.isNumber || "-_.".contains($0) ? $0 : "-" })
        return "\(folder)/\(name)/\(shared.method.name)-\(digest)"
    }

    // MARK: Data

    /// The parts on a data set, which is loaded unless it is a folder of categories.
    private func parts(_ location: String) throws -> [Part] {
        let categories = try ImageDataset.categories(location)
        let location = location.count > 1 && location.hasSuffix("/") ? String(location.dropLast()) : location
        let name = fileName(location)
        if categories.isEmpty, case .categories = experiment.data, PublishedValues.categories.contains(name) {
            // One of the collection.
            return try parts(parentFolder(location), [name])
        }
        guard categories.isEmpty else { return try parts(location, categories) }
        guard let first = rows.first else { return [] }
        var loaded = first.configuration
        loaded.data = location
        let dataset = try loaded.dataset()
        try check(dataset, location)
        let indices = try classes?.map(dataset.classIndex)
        let most = dataset.kind == .oneVersusRest ? dataset.classNames.count : 1
        let counts = (indices ?? Array(0..<most)).map { label in
            dataset.train.labels.count { $0 == label }
        }
        let images = counts.reduce(0, +) / max(1, counts.count)
        return try rows.map { row, configuration, full in
            var own = configuration
            own.data = location
            return Part(
                row: row, dataset: dataset.name, isComplete: indices.map { Set($0).count == most } ?? true,
                run: ProtocolRun(
                    dataset: dataset, configuration: own, measures: row.measures, classes: indices,
                    seeds: seeds, folder: try path(own, dataset.name)),
                fullSteps: row.isUntrained ? 0 : full.totalSteps(images: images))
        }
    }

    private func parts(_ location: String, _ categories: [String]) throws -> [Part] {
        guard case .categories = experiment.data else {
            throw OCCError(
                .usage, "\(location): is a folder of categories; \(experiment.name) is of one data set",
                remedy: "Name one of them: \(location)/\(categories[0]).")
        }
        if let unknown = classes?.first(where: { !categories.contains($0) }) {
            throw OCCError(
                .usage, "\(location) has no category '\(unknown)'",
                remedy: "Its categories are: \(categories.joined(separator: ", ")).")
        }
        let chosen = classes ?? categories
        // The values are of MVTec AD, whatever its folder is called.
        let name =
            Set(categories).isSubset(of: PublishedValues.categories) ? Self.mvtec : fileName(location)
        return try rows.map { row, configuration, full in
            var own = configuration
            own.data = location
            return Part(
                row: row, dataset: name, isComplete: chosen.count == PublishedValues.categories.count,
                run: ProtocolRun(
                    categories: chosen, configuration: own, measures: row.measures, seeds: seeds,
                    folder: try path(own, name), adjusting: experiment.adjusting),
                fullSteps: full.steps)
        }
    }

    /// What a folder of its categories is called.
    static let mvtec = "MVTec AD"

    private func check(_ dataset: ImageDataset, _ location: String) throws {
        switch experiment.data {
        case .any: return
        case .classes:
            guard Set(dataset.train.labels).count < 2 else { return }
            throw OCCError(
                .usage,
                "\(experiment.name) needs training images of several classes, and \(location) has one",
                remedy: "Give \(setting: "data") such as Fashion-MNIST or CIFAR-10.")
        case .named(let name):
            guard dataset.name != name else { return }
            let other = Experiment.registry.entries.first {
                if case .named(let own) = $0.data { own == dataset.name } else { false }
            }
            throw OCCError(
                .usage, "\(experiment.name) is of \(name), and \(location) is \(dataset.name)",
                remedy: other.map { "For \(dataset.name) there is \($0.name)." } ?? "Give another data set.")
        case .categories:
            guard dataset.kind == .oneVersusRest else { return }
            throw OCCError(
                .usage, "\(experiment.name) needs images with defects, and \(location) has classes",
                remedy: "Name a folder of MVTec AD's layout, or one that holds several.")
        }
    }

    // MARK: Running

    /// Trains what is not there yet, and takes all that the table needs; what was interrupted goes on.
    ///
    /// - Parameters:
    ///   - isCollecting: train nothing; the table has the results that are there.
    ///   - started: told of each run before it begins: the row, and its number, count, class and seed as a text.
    /// - Throws: `OCCError(.preempted)` after a save, when `StopSignals` asked to stop; what stands in the way of
    ///   every run.
    public func run(
        device: Device, collecting isCollecting: Bool = false,
        started: (String) -> Void = { _ in }, notice: (String) -> Void = { _ in },
        record: (StepRecord) -> Void = { _ in }
    ) throws -> ReproductionTable {
        var table = ReproductionTable(experiment, overrides: overrides), runsBefore = 0
        for location in data {
            let parts = try parts(location)
            var done: [ReproductionTable.Done] = []
            for part in parts {
                var run = part.run
                run.checkpointInterval = checkpointInterval
                run.countsCollapse = part.row.mayCollapse
                run.communicator = communicator
                run.shard = shard?.after(runsBefore)
                runsBefore += run.tasks.count * seeds.count
                let name = part.row.name
                var failures: [ProtocolTable.Failure] = []
                if !isCollecting {
                    failures = try run.run(
                        device: device,
                        started: { index, count, task, seed in
                            started(
                                "\(part.dataset), \(name): run \(index + 1) of \(count), '\(task)', seed \(seed)"
                            )
                        }, notice: notice, record: record
                    ).failures
                }
                guard communicator?.isFirst != false else { continue }
                let found = try run.collected()
                done.append(
                    ReproductionTable.Done(
                        part: part, results: found.results, missing: found.missing.count, failures: failures))
            }
            table.add(done)
            let drawsPictures = isCollecting || shard == nil && communicator?.isFirst != false
            if let kind = experiment.pictures, drawsPictures {
                table.pictures += try PictureRows(kind, parts, seed: seeds[0], device: device).sections
            }
        }
        return table
    }
}
