import Foundation
import OCCData
import OCCDetectors
import OCCEngine

extension RunConfiguration {
    /// Whether models are judged by their maps too: of patches, or by a detector of maps.
    fileprivate var hasMaps: Bool { patch != nil || mapDetector != nil }
}

/// The papers' protocol: every class of a data set in turn as the normal one, or every category of a
/// collection of data sets, under several seeds; all in one process, each run in a folder of its own, so that
/// a stopped protocol continues. Models of whole images are judged by several detectors on the same features,
/// models of patches by their scores and maps.
public struct ProtocolRun {
    /// The result of one run.
    public struct Result: Codable, Sendable, Equatable {
        /// The normal class, or the category.
        public let name: String
        /// The seed of the run.
        public let seed: UInt64
        /// The values by column of the table: AUROC by detector, or image AUROC, pixel AUROC and AUPRO.
        public let values: [String: Double]
        /// What the run was made with: another configuration's result is not taken for it.
        public let configuration: RunConfiguration
        /// The settings of the detectors compared, by detector; without any for models of patches.
        public let detectors: [String: [String: JSONValue]]
        /// The digest of the images that it trained on; nil of a result that does not say.
        public let dataDigest: String?
        /// The number of images that it trained on; nil, as those that follow, of a result that does not say.
        public var trainingImages: Int?
        /// The number of images that it was tested on.
        public var testImages: Int?
        /// The number of optimizer steps.
        public var steps: Int?
        /// What augmentation meant when it was made (`AugmentationRecipe.version`); nil of a result that does not say.
        public var augmentation: Int?
        /// When and how the features collapsed, of a run whose values are those of chance for that; nil of others.
        public var collapse: String?

        package init(
            name: String, seed: UInt64, values: [String: Double], configuration: RunConfiguration,
            detectors: [String: [String: JSONValue]] = [:], dataDigest: String? = nil,
            trainingImages: Int? = nil, testImages: Int? = nil, steps: Int? = nil
        ) {
            (self.name, self.seed, self.values, self.configuration) = (name, seed, values, configuration)
            (self.detectors, self.dataDigest, self.steps) = (detectors, dataDigest, steps)
            (self.trainingImages, self.testImages) = (trainingImages, testImages)
            augmentation = AugmentationRecipe.version
        }
    }

    /// What is normal in a row of the table.
    public struct Task: Sendable {
        /// The normal class, or the category.
        public let name: String
        /// The start of its runs' folders' names.
        let folder: String
        let configuration: RunConfiguration
    }

    /// The part of a protocol's runs that one of several jobs does.
    public struct Shard: Sendable, Equatable {
        /// The job's number, from 1.
        public let number: Int
        /// How many jobs there are.
        public let count: Int

        /// Part `number` of `count`; nil where there is no such part.
        public init?(_ number: Int, of count: Int) {
            guard count >= 1, (1...count).contains(number) else { return nil }
            self.number = number
            self.count = count
        }

        /// The part in a list of runs that `runs` others come before.
        func after(_ runs: Int) -> Shard {
            Shard(((number - 1 - runs) % count + count) % count + 1, of: count)!
        }

        /// Whether the run in this place, from 0, is of the part.
        func has(_ place: Int) -> Bool { place % count == number - 1 }
    }

    /// The rows of the table, in order.
    public let tasks: [Task]
    /// What all runs share.
    public let configuration: RunConfiguration
    /// What is taken of each model.
    public let measures: [ProtocolMeasure]
    /// The table's columns.
    public var columns: [String] { measures.map(\.column) }
    /// The seeds that each task runs under.
    public let seeds: [UInt64]
    /// The folder that holds a folder for each run.
    public let folder: String
    /// The names of all classes of the data set, in the order of the labels; none of a collection.
    let classNames: [String]
    /// Seconds between checkpoints.
    public var checkpointInterval = 60.0
    /// Whether a run whose features collapse has the values of chance, as every detector ranks equal features; else it
    /// is a failure.
    public var countsCollapse = false
    /// The part of the runs that this process does, by itself; nil for all.
    public var shard: Shard?
    /// The processes that do the runs together, each what no other has begun.
    public var communicator: Communicator?
    private let load: (RunConfiguration) throws -> ImageDataset

    private init(
        _ tasks: [Task], _ configuration: RunConfiguration, _ measures: [ProtocolMeasure], _ seeds: [UInt64],
        _ folder: String, classNames: [String] = [],
        _ load: @escaping (RunConfiguration) throws -> ImageDataset
    ) {
        self.tasks = tasks
        self.classNames = classNames
        self.configuration = configuration
        self.measures = measures
        self.seeds = seeds
        self.folder = folder
        self.load = load
    }

    /// A protocol over the classes of a data set: detectors on the same features, or of a model of patches its own
    /// scores and maps.
    ///
    /// - Parameter classes: indices; nil for all.
    public init(
        dataset: ImageDataset, configuration: RunConfiguration, detectors: [any Detector], classes: [Int]?,
        seeds: [UInt64], folder: String
    ) {
        self.init(
            dataset: dataset, configuration: configuration,
            measures: Self.measures(configuration, detectors), classes: classes, seeds: seeds, folder: folder)
    }

    /// A protocol over the classes of a data set.
    ///
    /// - Parameters:
    ///   - measures: what is taken of each model; those of patches for a model of patches only, and the others for
    ///     others.
    ///   - classes: indices; nil for all.
    public init(
        dataset: ImageDataset, configuration: RunConfiguration, measures: [ProtocolMeasure], classes: [Int]?,
        seeds: [UInt64], folder: String
    ) {
        let classes = classes ?? Array(dataset.kind == .oneVersusRest ? 0..<dataset.classNames.count : 0..<1)
        let tasks = classes.map { label in
            var own = configuration
            own.normal = dataset.classNames[label]
            return Task(name: dataset.classNames[label], folder: "class-\(label)", configuration: own)
        }
        self.init(tasks, configuration, measures, seeds, folder, classNames: dataset.classNames) { _ in
            dataset
        }
    }

    /// A protocol over the categories of a collection; a data set is in memory while its runs last.
    public init(
        categories: [String], configuration: RunConfiguration, detectors: [any Detector], seeds: [UInt64],
        folder: String
    ) {
        self.init(
            categories: categories, configuration: configuration,
            measures: Self.measures(configuration, detectors), seeds: seeds, folder: folder)
    }

    /// A protocol over the categories of a collection; a data set is in memory while its runs last.
    ///
    /// - Parameters:
    ///   - measures: what is taken of each model; those of patches for a model of patches only, and the others for
    ///     others.
    ///   - adjusting: changes the configuration for a category.
    public init(
        categories: [String], configuration: RunConfiguration, measures: [ProtocolMeasure], seeds: [UInt64],
        folder: String, adjusting: (String, inout RunConfiguration) -> Void = { _, _ in }
    ) {
        let tasks = categories.map { name in
            var own = configuration
            own.data = "\(configuration.data)/\(name)"
            adjusting(name, &own)
            return Task(name: name, folder: name, configuration: own)
        }
        self.init(tasks, configuration, measures, seeds, folder) { try $0.dataset() }
    }

    private static func measures(_ configuration: RunConfiguration, _ detectors: [any Detector])
        -> [ProtocolMeasure]
    {
        !configuration.hasMaps ? detectors.map { .detector($0) } : ProtocolMeasure.ofPatches
    }

    /// Runs what has no result yet. A run that fails is in the table's `failures`, and the others go on.
    ///
    /// - Parameters:
    ///   - started: told of each run before it begins: its number, the count, its name and seed.
    ///   - record: told how the training goes.
    /// - Throws: `OCCError(.preempted)` after a save, when `StopSignals` asked to stop; what stands in the
    ///   way of every run, such as a folder that cannot be made or a result of another configuration.
    public func run(
        device: Device, started: (Int, Int, String, UInt64) -> Void = { _, _, _, _ in },
        notice: (String) -> Void = { _ in }, record: (StepRecord) -> Void = { _ in }
    ) throws -> ProtocolTable {
        try StopSignals.noting("What is done is kept: run the same command again to continue.") {
            try Work.track("protocol", "runs", total: tasks.count * seeds.count, hasParts: true) { work in
                try run(device: device, started: started, notice: notice, record: record, work)
            }
        }
    }

    private func run(
        device: Device, started: (Int, Int, String, UInt64) -> Void, notice: (String) -> Void,
        record: (StepRecord) -> Void, _ work: Work
    ) throws -> ProtocolTable {
        var failures: [ProtocolTable.Failure] = [], held: [RunDirectory] = []
        // What others had begun is looked at again: they may have been stopped.
        var waiting = Array(0..<tasks.count * seeds.count).filter { shard?.has($0) ?? true }
        while true {
            waiting = try pass(
                waiting, device: device, started: started, notice: notice, record: record, &failures, &held,
                work)
            guard let communicator else { break }
            // Together the ranks see whether a run is left that nobody does, such as one of a rank that stopped.
            let own = failures
            let lists = try communicator.gatherAll(Array(try JSONEncoder().encode(own)))
            failures = try lists.flatMap {
                try JSONDecoder().decode([ProtocolTable.Failure].self, from: Data($0))
            }
            waiting.removeAll { place in failures.contains { $0.isOf(run(at: place)) } }
            if try communicator.largest(Int32(waiting.count)) == 0 { break }
            // Each rank goes on with its own: all come together again next time.
            failures = own
            Thread.sleep(forTimeInterval: 0.2)
        }
        let places = 0..<tasks.count * seeds.count
        failures = places.flatMap { place in failures.filter { $0.isOf(run(at: place)) } }
        return table(communicator?.isFirst == false ? [] : try collected().results, failures)
    }

    /// Goes over runs in these places and does those that nobody has done or is at.
    ///
    /// - Returns: those that another process is at.
    private func pass(
        _ places: [Int], device: Device, started: (Int, Int, String, UInt64) -> Void,
        notice: (String) -> Void, record: (StepRecord) -> Void, _ failures: inout [ProtocolTable.Failure],
        _ held: inout [RunDirectory], _ work: Work
    ) throws -> [Int] {
        var busy: [Int] = [], loaded: (task: Int, dataset: ImageDataset)?
        for place in places {
            let (task, seed) = run(at: place), number = place / seeds.count
            if loaded?.task != number { loaded = nil }
            let configuration = configuration(of: task, seed)
            func split() throws -> OneClassSplit {
                if loaded == nil { loaded = (number, try load(configuration)) }
                return try configuration.split(loaded!.dataset)
            }
            let path = self.path(of: task, seed)
            let isAlone = communicator == nil && shard == nil
            let free = try isAlone ? RunDirectory(path) : RunDirectory(unlessTaken: path)
            guard let directory = free else {
                if communicator == nil {
                    notice("'\(task.name)', seed \(seed): another process is at it, in \(path)")
                }
                busy.append(place)
                continue
            }
            defer { work.advance() }
            let earlier = try result(at: directory.result, of: configuration, split)
            let missing = missing(in: earlier)
            if missing.isEmpty { continue }
            try StopSignals.check()
            started(place, tasks.count * seeds.count, task.name, seed)
            do {
                let split = try split()
                var trained = configuration
                trained.white = loaded!.dataset.white
                var run = TrainingRun(directory: directory, split: split, configuration: trained)
                run.checkpointInterval = checkpointInterval
                let model = try run.run(device: device, notice: notice, record: record)
                // What an earlier table took of the same model stays.
                let values = try values(missing, of: model, on: split)
                let result = Result(
                    name: task.name, seed: seed, values: (earlier?.values ?? [:]).merging(values) { $1 },
                    configuration: configuration,
                    detectors: (earlier?.detectors ?? [:]).merging(comparedSettings) { $1 },
                    dataDigest: model.dataDigest, trainingImages: split.train.count,
                    testImages: split.test.count,
                    steps: configuration.totalSteps(images: split.train.count))
                try write(result, to: directory)
            } catch let error as OCCError where countsCollapse && error.cause == .collapse {
                notice("'\(task.name)', seed \(seed), is at chance: \(error.message)")
                let split = try split()
                var result = Result(
                    name: task.name, seed: seed,
                    values: Dictionary(uniqueKeysWithValues: columns.map { ($0, 0.5) }),
                    configuration: configuration, detectors: comparedSettings,
                    dataDigest: split.trainingDigest, trainingImages: split.train.count,
                    testImages: split.test.count,
                    steps: configuration.totalSteps(images: split.train.count))
                result.collapse = error.message
                try write(result, to: directory)
            } catch let error as OCCError
                where ![.preempted, .deviceUnavailable, .cannotCreate].contains(error.kind)
            {
                notice("'\(task.name)', seed \(seed), failed: \(error)")
                failures.append(
                    ProtocolTable.Failure(
                        name: task.name, seed: seed, reason: error.message, code: error.kind.rawValue))
                // The other ranks need not fail as well.
                held.append(directory)
            }
        }
        return busy
    }

    private func write(_ result: Result, to directory: RunDirectory) throws {
        let encoder = JSONEncoder.sorted
        encoder.outputFormatting.insert(.prettyPrinted)
        try AtomicFile.write([UInt8](try encoder.encode(result)), to: directory.result)
    }

    /// The run in a place of the list, which has the seeds of each task together.
    private func run(at place: Int) -> (task: Task, seed: UInt64) {
        (tasks[place / seeds.count], seeds[place % seeds.count])
    }

    /// The configuration of a run.
    private func configuration(of task: Task, _ seed: UInt64) -> RunConfiguration {
        var configuration = task.configuration.resolved
        configuration.seed = seed
        return configuration
    }

    /// The images of a run.
    func split(of task: Task, _ seed: UInt64) throws -> OneClassSplit {
        let configuration = configuration(of: task, seed)
        return try configuration.split(try load(configuration))
    }

    /// The folder of a run.
    func path(of task: Task, _ seed: UInt64) -> String { "\(folder)/\(task.folder)-seed-\(seed)" }

    /// Reads the results that are there, of this part or any; nothing is trained.
    ///
    /// - Returns: the results, and the names and seeds of the runs that have none yet.
    public func collected() throws -> (results: [Result], missing: [(name: String, seed: UInt64)]) {
        var results: [Result] = [], missing: [(name: String, seed: UInt64)] = []
        for task in tasks {
            for seed in seeds {
                let configuration = configuration(of: task, seed)
                func split() throws -> OneClassSplit { try configuration.split(try load(configuration)) }
                if let known = try result(
                    at: "\(path(of: task, seed))/result.json", of: configuration, split),
                    self.missing(in: known).isEmpty
                {
                    results.append(known)
                } else {
                    missing.append((task.name, seed))
                }
            }
        }
        return (results, missing)
    }

    /// The table of these results.
    public func table(_ results: [Result], _ failures: [ProtocolTable.Failure] = []) -> ProtocolTable {
        ProtocolTable(
            method: configuration.method.name, columns: columns, names: tasks.map(\.name), results: results,
            failures: failures)
    }

    /// The measures that a result does not have; of no result all.
    private func missing(in result: Result?) -> [ProtocolMeasure] {
        guard let result else { return measures }
        // Maps have no values where there are no masks.
        guard !configuration.hasMaps else { return [] }
        return measures.filter { result.values[$0.column] == nil }
    }

    private func values(_ measures: [ProtocolMeasure], of model: OneClassModel, on split: OneClassSplit)
        throws -> [String: Double]
    {
        if configuration.hasMaps { return try patchValues(measures, of: model, on: split) }
        var result: [String: Double] = [:], byNormals: [Int?: [any Detector]] = [:]
        for case .detector(let detector, let normals) in measures {
            byNormals[normals, default: []].append(detector)
        }
        for (normals, detectors) in byNormals {
            let found = try model.auroc(of: detectors, on: split, cleanNormals: normals)
            for detector in detectors {
                let column = ProtocolMeasure.detector(detector, cleanNormals: normals).column
                result[column] = found[detector.name]
            }
        }
        let classifiers = measures.filter { if case .classifier = $0 { true } else { false } }
        guard !classifiers.isEmpty else { return result }
        let scores = try model.transformationScores(of: split.test)
        for case .classifier(let name) in classifiers {
            guard let own = scores[name] else {
                throw OCCError(
                    .usage, "the classifier of \(configuration.method.name) has no score '\(name)'",
                    remedy: "It has: \(scores.keys.sorted().joined(separator: ", ")).")
            }
            result[ProtocolMeasure.classifier(name).column] = try RankingMetrics(
                scores: own, labels: split.testLabels
            ).auroc
        }
        return result
    }

    private func patchValues(
        _ measures: [ProtocolMeasure], of model: OneClassModel, on split: OneClassSplit
    ) throws -> [String: Double] {
        let evaluation = try Evaluation(model, on: split)
        guard let auroc = evaluation.auroc else {
            throw OCCError(
                .badData,
                "\(model.configuration.data): a ranking needs both kinds of test images: there are "
                    + "\(evaluation.normals) normal and \(evaluation.outliers) anomalous ones")
        }
        // Without masks there is nothing to compare the maps with.
        let found: [(ProtocolMeasure, Double?)] = [
            (.patchImages, auroc), (.pixels, evaluation.pixelAUROC),
            (.regionOverlap, evaluation.aupro),
        ]
        let wanted = Set(measures.map(\.column))
        return Dictionary(
            uniqueKeysWithValues: found.compactMap { measure, value in
                wanted.contains(measure.column) ? value.map { (measure.column, $0) } : nil
            })
    }

    /// What decides the compared detectors' results, beside the configuration, by column.
    private var comparedSettings: [String: [String: JSONValue]] {
        var result: [String: [String: JSONValue]] = [:]
        for case .detector(let detector, let normals) in measures {
            result[ProtocolMeasure.detector(detector, cleanNormals: normals).column] = detector.settingValues
        }
        return result
    }

    /// The result of an earlier protocol, which may not have all measures; nil when there is none.
    private func result(
        at path: String, of configuration: RunConfiguration, _ split: () throws -> OneClassSplit
    ) throws -> Result? {
        guard let bytes = try readFileIfPresent(path) else { return nil }
        guard let result = try? JSONDecoder().decode(Result.self, from: Data(bytes)) else {
            throw OCCError(
                .badData, "\(path): is no result of a protocol", remedy: "Remove it to run that class again.")
        }
        var differences = configuration.differences(from: result.configuration)
        // The same images by another path are the same data.
        if differences == ["data"], let digest = result.dataDigest, try split().trainingDigest == digest {
            differences = []
        }
        guard differences.isEmpty else {
            throw OCCError(
                .usage,
                "\(path): was made with another configuration; these differ: \(differences.joined(separator: ", "))",
                remedy: "Choose another \(setting: "out").")
        }
        if configuration.augmentsImages, let written = result.augmentation,
            written != AugmentationRecipe.version
        {
            throw OCCError(
                .usage, "\(path): another version of occ-gpu made it, which augments images in another way",
                remedy: "Choose another \(setting: "out"), or remove it to run that class again.")
        }
        for (name, settings) in comparedSettings where result.values[name] != nil {
            // As text: what is read back has 3 for 3.0.
            let written = try result.detectors[name].map { try JSONValue.object($0).text() }
            guard try written == JSONValue.object(settings).text() else {
                throw OCCError(
                    .usage, "\(path): was made with other settings of the detector \(name)",
                    remedy: "Choose another \(setting: "out").")
            }
        }
        return result
    }
}
