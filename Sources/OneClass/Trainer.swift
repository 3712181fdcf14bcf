import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// What a training step reports.
public struct StepRecord: Sendable {
    /// The number of steps done.
    public let step: Int
    /// The number of steps of the run.
    public let totalSteps: Int
    /// The loss of the step.
    public let loss: Double
    /// The learning rate of the step.
    public let learningRate: Double
    /// The state of the features and the gradient, watched for collapse.
    public let collapse: CollapseMonitor.Reading
    /// The embeddings on the sphere, where the loss contrasts them in one piece; nil for other runs.
    public let sphere: SphereReading?
    /// Views through the network a second since the record before, what is done between the steps included.
    public let imagesPerSecond: Double

    /// A record of these values.
    public init(
        step: Int, totalSteps: Int, loss: Double, learningRate: Double, collapse: CollapseMonitor.Reading,
        sphere: SphereReading? = nil, imagesPerSecond: Double
    ) {
        self.step = step
        self.sphere = sphere
        self.totalSteps = totalSteps
        self.loss = loss
        self.learningRate = learningRate
        self.collapse = collapse
        self.imagesPerSecond = imagesPerSecond
    }
}

/// Learns the encoder: runs the steps, watches for collapse.
///
/// All of a run's state is the weights, the velocities and the step: batches and random numbers follow from
/// the seed and the step.
public final class Trainer {
    /// What is trained, and how, with the method's own choices filled in.
    public let configuration: RunConfiguration
    /// The plans that it runs.
    public let training: TrainingPlan
    /// The number of steps done.
    public private(set) var step = 0
    /// The number of steps of the run.
    public var totalSteps: Int { training.totalSteps }
    /// The program that holds the weights and the plans.
    public var program: Program { training.program }
    /// The operations of a step.
    public var plan: Plan { training.plan }

    /// The ranks that share its batches; nil where it trains alone.
    var communicator: Communicator? { program.device.communicator }

    private let method: any Method
    private let tensors: TrainingPlan.Tensors
    private let schedule: LearningRateSchedule
    /// Places that a patch's corner can have along one side.
    private let cornerRange: Int
    /// Images of its own; on the device those of something else come after them.
    private let ownImages: Int
    private var sampler: BatchSampler
    private var monitor = CollapseMonitor()
    /// Tells the images of the run from others.
    let dataDigest: String
    /// What the last step left, where it was computed in parts.
    private var partsResult: StepInParts.Result?
    /// Whether the loss on the device is of the last step.
    private var hasLoss = false
    /// The last signal that a rank was asked to stop by; 0 for none.
    var lastSignal: Int32 = 0

    /// Allocates a run's memory and draws its first weights.
    ///
    /// - Parameters:
    ///   - images: what the encoder learns from; they stay on the device.
    ///   - outliers: images of something else, for a method that is shown such.
    ///   - dataDigest: what a checkpoint must say of its data to be continued:
    ///     `OneClassSplit.trainingDigest`; nil for the digest of the images alone.
    public convenience init(
        configuration: RunConfiguration, images: ImageBatch, outliers: ImageBatch? = nil, device: Device,
        dataDigest: String? = nil
    ) throws {
        try self.init(
            configuration: configuration, images: images, outliers: outliers, device: device,
            dataDigest: dataDigest, activations: nil)
    }

    /// The same with activations of another type than the math mode means on the device (`Program`).
    package init(
        configuration: RunConfiguration, images: ImageBatch, outliers: ImageBatch? = nil, device: Device,
        dataDigest: String? = nil, activations: ElementType?
    ) throws {
        let own = dataDigest ?? images.digest
        self.dataDigest = outliers.map { sha256((own + $0.digest).utf8) } ?? own
        let configuration = configuration.resolved
        training = try TrainingPlan(
            configuration, images: images.count, outliers: outliers?.count ?? 0, side: images.side,
            device: device, activations: activations)
        guard configuration.method.usesOutliers == (outliers != nil) else {
            throw OCCError(
                .usage,
                "\(configuration.method.name) "
                    + (outliers == nil
                        ? "needs images of something else, and has none" : "takes no outliers"),
                remedy:
                    "Cut the data set by RunConfiguration.split(_:), which loads what \(setting: "outliers") names."
            )
        }
        if let outliers, outliers.side != images.side || outliers.count == 0 {
            throw OCCError(
                .badData,
                "\(setting: "outliers"): \(counted(outliers.count, "image")) of \(outliers.side) pixels a side",
                remedy: "Give images, of \(images.side) pixels a side as those to train on.")
        }
        try configuration.checkFit(
            images: configuration.labeledNormals ?? images.count,
            grid: configuration.grid(side: images.side), columns: training.scoring.features.featureCount)
        self.configuration = configuration
        method = configuration.method
        tensors = training.tensors
        ownImages = images.count
        schedule = configuration.learningRates(images: images.count)
        cornerRange = images.side - (configuration.patch ?? images.side) + 1
        sampler = BatchSampler(
            items: method.itemCount(images: images.count), batch: configuration.itemsPerStep,
            seed: configuration.seed)
        try program.load()
        try program.initializeParameters(seed: configuration.seed)
        if let path = configuration.weights {
            try GivenWeights(path).load(into: program, of: training.encoderLayout)
        }
        try program.write(
            outliers.map { images.pixels + $0.pixels } ?? images.pixels, to: tensors.images)
        try takeFirstPass(over: images)
    }

    /// Shows the method the images with the first weights, where it asks for that.
    package func takeFirstPass(over images: ImageBatch) throws {
        guard let method = method as? any FirstPass, let pass = training.firstPass else { return }
        let grid = try configuration.learnedGrid(side: images.side)
        let features = try pass.features(
            of: images, places: PatchPlace.evenly(atMost: configuration.detectorRows, of: images, grid: grid),
            program: program)
        for (name, values) in try method.statistics(of: features) {
            guard let statistic = program.layout[name], statistic.tensor.count == values.count else {
                throw OCCError(
                    .failure,
                    "method \(method.name): its first pass gives \(name), which its plan does not have")
            }
            try program.write(values, to: statistic.tensor)
        }
    }

    /// The number of views that go through the network in a step.
    public var imagesPerStep: Int { training.imagesPerStep }

    /// Runs steps until the end, or until `shouldStop` says so after a step.
    ///
    /// - Parameters:
    ///   - recordEvery: steps between reports.
    ///   - record: called with the state after such a step, and after the last one.
    /// - Returns: whether all steps are done.
    /// - Throws: `OCCError(.failure)` when the run diverges or collapses.
    public func run(
        recordEvery: Int = 10, record: (StepRecord) throws -> Void = { _ in },
        shouldStop: () throws -> Bool = { false }
    ) throws -> Bool {
        try Work.track("training", "steps", total: totalSteps, alreadyDone: step) { work in
            try run(recordEvery: recordEvery, record: record, shouldStop: shouldStop, work)
        }
    }

    private func run(
        recordEvery: Int, record: (StepRecord) throws -> Void, shouldStop: () throws -> Bool, _ work: Work
    ) throws -> Bool {
        var mark = (time: ContinuousClock.now, step: step)
        while step < totalSteps {
            let rate = try advance()
            work.advance()
            if step % max(1, recordEvery) == 0 || step == totalSteps {
                // What a reading and a record take is in the next rate.
                let now = ContinuousClock.now, seconds = (now - mark.time) / .seconds(1)
                let images = Double((step - mark.step) * imagesPerStep)
                mark = (now, step)
                let reading = try inspect(rate: rate, imagesPerSecond: images / max(seconds, 1e-9))
                work.detail = String(
                    format: "loss %.4f, rank %.1f, %.0f images/s", reading.loss,
                    reading.collapse.effectiveRank, reading.imagesPerSecond)
                try record(reading)
            }
            if step < totalSteps, try shouldStop() { return false }
        }
        return true
    }

    /// Takes one step and returns its learning rate.
    @discardableResult
    package func advance() throws -> Double {
        var rate = 0.0
        if let parts = training.parts {
            partsResult = try parts.run(program, gradient: plan, features: tensors.outputs.features) {
                rate = try stage(part: $0)
            }
        } else {
            rate = try stage()
            try plan.run()
        }
        step += 1
        hasLoss = true
        return rate
    }

    /// Writes what the next step reads, or a part of it; its learning rate.
    @discardableResult
    private func stage(part: Int = 0) throws -> Double {
        let items = ownItems(part), batch = items.count
        var rows = [BatchRow?](repeating: nil, count: batch * method.copies)
        for (index, item) in items.enumerated() {
            for copy in 0..<method.copies {
                let row = method.row(index: index, copy: copy, batch: batch)
                guard rows.indices.contains(row), rows[row] == nil else {
                    throw OCCError(
                        .failure, "method \(method.name): row \(row) is taken, or not of the batch")
                }
                rows[row] = try placed(
                    checked(method.view(item: item, copy: copy)), item: items.startIndex + index)
            }
        }
        let views = rows.compactMap { $0 }
        try program.write(views.map { Int32($0.image) }, to: tensors.indices)
        try program.write(views.map { Int32($0.label) }, to: tensors.labels)
        var next = 0
        for input in method.rowInputs {
            let values = views.flatMap { $0.inputs[next..<next + input.width].map { Int32($0) } }
            try program.write(values, to: tensors.inputs[input.name])
            next += input.width
        }
        if let corners = tensors.corners {
            try program.write(patchCorners(batch: batch, from: items.startIndex), to: corners)
        }
        let rate = schedule.rate(step: step, of: totalSteps)
        // How far the part's rows are from those of the first part.
        func row(_ index: Int) -> Int {
            method.row(index: index, copy: 0, batch: configuration.itemsPerStep)
        }
        try program.setStep(
            seed: configuration.seed, step: step, learningRate: rate,
            firstRow: row(items.startIndex) - row(items.startIndex - part * batch))
        return rate
    }

    /// The next step's items that fall to this rank, or a part of them.
    private func ownItems(_ part: Int) -> ArraySlice<Int> {
        let items = sampler.indices(step: step)
        let own = items.count / (training.share?.ranks ?? 1), count = own / (training.parts?.count ?? 1)
        let first = own * (training.share?.rank ?? 0) + part * count
        return items[first..<first + count]
    }

    /// A row whose outlier is drawn, from the seed, the step and the item's place in the whole batch.
    private func placed(_ row: BatchRow, item: Int) -> BatchRow {
        guard row.isOutlier else { return row }
        var random = CounterRandom(
            seed: configuration.seed, stream: RandomStream.outliers,
            counter: UInt64(step) << 32 | UInt64(item) << 1)
        let others = tensors.images.shape[0] - ownImages
        return BatchRow(
            image: ownImages + Int(random.uniform() * Double(others)), label: row.label, inputs: row.inputs)
    }

    /// A row as the method gives it: the plan reads its image and its numbers without looking.
    private func checked(_ row: BatchRow) throws -> BatchRow {
        let images = ownImages, width = method.rowInputs.reduce(0) { $0 + $1.width }
        guard (0..<images).contains(row.image) else {
            throw OCCError(
                .failure, "method \(method.name): shows image \(row.image), and there are \(images)")
        }
        guard row.inputs.count == width else {
            throw OCCError(
                .failure,
                "method \(method.name): gives a row \(row.inputs.count) numbers, and declares \(width)")
        }
        return row
    }

    /// The corner (row, column) of every row's patch: drawn from the seed, the step and the item, so that all
    /// views of an item show one patch.
    ///
    /// - Parameter first: the place of this rank's first item in the whole batch.
    private func patchCorners(batch: Int, from first: Int) -> [Int32] {
        var result = [Int32](repeating: 0, count: 2 * batch * method.copies)
        for index in 0..<batch {
            var random = CounterRandom(
                seed: configuration.seed, stream: RandomStream.corners,
                counter: UInt64(step) << 32 | UInt64(first + index) << 1)
            let corner = (0..<2).map { _ in Int32(random.uniform() * Double(cornerRange)) }
            for copy in 0..<method.copies {
                let row = method.row(index: index, copy: copy, batch: batch)
                (result[2 * row], result[2 * row + 1]) = (corner[0], corner[1])
            }
        }
        return result
    }

    /// The loss of the last step.
    package func loss() throws -> Double {
        try partsResult?.loss ?? Double(program.read(tensors.outputs.loss, of: plan)[0])
    }

    private func finiteLoss() throws -> Double {
        let loss = try loss()
        guard loss.isFinite else { throw divergence("the loss is \(loss)") }
        return loss
    }

    private func divergence(_ what: String) -> OCCError {
        OCCError(
            .failure, "step \(step): \(what); training has diverged",
            remedy: "Lower the \(setting: "learning-rate").")
    }

    private func inspect(rate: Double, imagesPerSecond: Double) throws -> StepRecord {
        let loss = try finiteLoss()
        // Of all ranks, so that all come to the same judgment; of the last part, where there are several.
        let own = try partsResult?.features ?? program.read(tensors.outputs.features, of: plan)
        let reading = CollapseMonitor.reading(
            features: try communicator?.gather(own) ?? own, rows: training.viewsAtOnce,
            gradientNorm: try training.squaredGradientNorm.value(in: program).squareRoot(),
            scale: tensors.outputs.scale)
        if let reason = monitor.check(reading, scale: tensors.outputs.scale) {
            throw OCCError(
                .failure, "step \(step): \(reason)",
                remedy: "Try another seed, a lower learning rate, or a shallower head.", cause: .collapse)
        }
        return StepRecord(
            step: step, totalSteps: totalSteps, loss: loss, learningRate: rate, collapse: reading,
            sphere: try sphereReading(), imagesPerSecond: imagesPerSecond)
    }

    /// Of this rank's embeddings of the last step.
    private func sphereReading() throws -> SphereReading? {
        guard training.parts == nil, let embeddings = tensors.outputs.embeddings else { return nil }
        return SphereReading(
            embeddings: try program.read(embeddings, of: plan), pairs: embeddings.shape[0] / 2)
    }

    // MARK: Checkpoints

    /// Copies weights, velocities and step; `restore` continues from them bit for bit.
    ///
    /// - Throws: `OCCError(.failure)` when the run has diverged: there is nothing to continue from.
    public func checkpoint() throws -> TensorFile {
        if hasLoss { _ = try finiteLoss() }
        var file = TensorFile()
        for weights in try program.exportWeights() {
            file.tensors[weights.name] = .init(weights.values, shape: weights.shape)
        }
        for weights in try program.exportVelocities() {
            file.tensors["velocity/\(weights.name)"] = .init(weights.values, shape: weights.shape)
        }
        for weights in try program.exportSquares() {
            file.tensors["squares/\(weights.name)"] = .init(weights.values, shape: weights.shape)
        }
        if let name = file.firstNotFinite { throw divergence("\(name) has values that are not finite") }
        file.metadata["step"] = String(step)
        file.metadata["data_digest"] = dataDigest
        file.metadata["configuration"] = try configuration.json()
        file.metadata["augmentation"] = String(AugmentationRecipe.version)
        return file
    }

    /// Why the steps after a checkpoint may not be those that its own program would take; nil where they are.
    func notice(on file: TensorFile) -> String? {
        let written = file.metadata["augmentation"].flatMap(Int.init) ?? 1
        guard written != AugmentationRecipe.version else { return nil }
        guard configuration.augmentsImages else { return nil }
        return "another version of occ-gpu wrote it, which augments images in another way; "
            + "the steps that are left are as this version takes them"
    }

    /// Continues from a checkpoint.
    ///
    /// The images count, not the path that they are read from.
    ///
    /// - Parameter name: what errors call the file.
    /// - Returns: whether the checkpoint says what images it is of; older ones do not.
    /// - Throws: `OCCError(.usage)` when the checkpoint is of another configuration, `.badData` when it is of
    ///   other images or does not fit.
    @discardableResult
    public func restore(_ file: TensorFile, name: String) throws -> Bool {
        guard let written = file.metadata["configuration"] else {
            throw OCCError(
                .badData, "\(name): is not a checkpoint",
                remedy: "Name a run's folder or checkpoint.safetensors.")
        }
        let digest = file.metadata["data_digest"]
        var differences = configuration.differences(
            from: try RunConfiguration(json: Array(written.utf8), name: name))
        if digest != nil { differences.removeAll { ["data", "outliers"].contains($0) } }
        guard differences.isEmpty else {
            throw OCCError(
                .usage,
                "\(name): was written with another configuration; these differ: \(differences.joined(separator: ", "))",
                remedy:
                    "Resume with the run's own config.json, choose another \(setting: "out"), or start over with \(setting: "resume") never \(setting: "overwrite")."
            )
        }
        guard digest == nil || digest == dataDigest else {
            throw OCCError(
                .badData,
                "\(name): was trained on other images; the training images in \(configuration.data) have changed since",
                remedy:
                    "Put the old images back, choose another \(setting: "out"), or start over with \(setting: "resume") never \(setting: "overwrite")."
            )
        }
        guard let text = file.metadata["step"], let saved = Int(text), (0...totalSteps).contains(saved) else {
            throw OCCError(.badData, "\(name): its step is missing or out of range")
        }
        try program.importWeights { file.weights($0, as: $0) }
        try program.importVelocities { file.weights("velocity/\($0)", as: $0) }
        try program.importSquares { file.weights("squares/\($0)", as: $0) }
        step = saved
        hasLoss = false
        return digest != nil
    }

    /// The scores of the method's own classifier, which needs no fit; empty for a method without such.
    package func transformationScores(of images: ImageBatch) throws -> [String: [Double]] {
        try training.scoring.transformationScores(of: images, state: DetectorState(), program: program)
    }

    /// Pools features of images, or of all their patches, in inference mode; [count, D].
    public func features(of images: ImageBatch) throws -> FeatureMatrix {
        let grid = try configuration.grid(side: images.side)
        return try training.scoring.features.features(
            of: images, places: PatchPlace.all(of: images, grid: grid), program: program)
    }
}

extension TensorFile {
    /// The first array with a value that is not finite, by name; nil where there is none.
    var firstNotFinite: String? {
        tensors.sorted { $0.key < $1.key }.first { _, entry in
            !(entry.floats?.allSatisfy(\.isFinite) ?? true)
                || !(entry.doubles?.allSatisfy(\.isFinite) ?? true)
        }?.key
    }

    /// A stored float tensor.
    func weights(_ key: String, as name: String) -> NamedWeights? {
        guard let entry = tensors[key], let values = entry.floats else { return nil }
        return NamedWeights(name: name, shape: entry.shape, values: values)
    }
}

extension Trainer {
    /// Measures the mean seconds that each operation of a training step takes, over `steps` steps.
    ///
    /// - Throws: `OCCError(.usage)` for a run without steps, whose plan is of fewer images than a batch.
    public func profile(steps: Int) throws -> [Double] {
        guard totalSteps > 0 else {
            throw OCCError(
                .usage, "\(setting: "steps") 0: there is no step to be timed",
                remedy: "Give \(setting: "steps") 1.")
        }
        var sum = [Double](repeating: 0, count: plan.operations.count)
        for _ in 0..<steps {
            try stage()
            for (index, seconds) in try plan.profile().enumerated() { sum[index] += seconds / Double(steps) }
            step += 1
        }
        return sum
    }
}
