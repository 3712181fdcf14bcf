import Foundation
import OCCData
import OCCEngine

/// A training run in a folder: resumes, logs, saves by time and on request, and leaves the model.
public struct TrainingRun {
    /// Where a run begins.
    public enum Resume: Sendable, Equatable {
        /// At the folder's newest sound checkpoint, where there is one.
        case auto
        /// At the start.
        case never
        /// At the checkpoint of another run: its folder, or a checkpoint file.
        case from(String)
    }

    /// The folder that the run's files go to.
    public let directory: RunDirectory
    /// The images.
    public let split: OneClassSplit
    /// What is trained, and how, with the method's own choices filled in.
    public let configuration: RunConfiguration
    /// Seconds between checkpoints.
    public var checkpointInterval = 60.0
    /// Steps between records.
    public var recordEvery = 10
    /// The folder of event files for TensorBoard; nil for none.
    public var tensorBoard: String?
    /// The ranks that train together, of which this is the first; the others call `follow`. nil for one process.
    public var communicator: Communicator?

    /// A run in a folder; nothing is read or written yet.
    public init(directory: RunDirectory, split: OneClassSplit, configuration: RunConfiguration) {
        self.directory = directory
        self.split = split
        self.configuration = configuration.resolved
    }

    /// Trains to the end, fits the detector, writes the model file, and returns the model.
    ///
    /// - Parameters:
    ///   - notice: told about resuming and saving.
    ///   - record: called with every record.
    /// - Throws: `OCCError(.preempted)` after a save, when `StopSignals` asked to stop.
    public func run(
        device: Device, resume: Resume = .auto, notice: (String) -> Void = { _ in },
        record: (StepRecord) -> Void = { _ in }
    ) throws -> OneClassModel {
        if let warning = directory.warning { notice("warning: \(warning)") }
        if let late = configuration.lateMilestone(images: split.train.count) { notice("warning: \(late)") }
        _ = try communicator?.share(Array("\(recordEvery)\n\(try configuration.json())".utf8))
        try communicator.map(device.join)
        defer { device.leaveRanks() }
        let trainer = try Trainer(
            configuration: configuration, images: split.train, outliers: split.outliers, device: device,
            dataDigest: split.trainingDigest)
        let checkpoint: RunDirectory.Checkpoint? =
            switch resume {
            case .auto: try directory.newestCheckpoint()
            case .never: nil
            case .from(let path): try RunDirectory.checkpoint(at: path)
            }
        if let found = checkpoint {
            if let warning = found.warning { notice("warning: \(warning); using \(found.path)") }
            let isChecked = try trainer.restore(found.file, name: found.path)
            if !isChecked { notice("\(found.path): does not say what images it was trained on") }
            if let other = trainer.notice(on: found.file) { notice("warning: \(found.path): \(other)") }
            notice("resuming at step \(trainer.step) of \(trainer.totalSteps)")
        }
        try trainer.agree(on: checkpoint?.file)
        try AtomicFile.write(
            Array((try configuration.json(pretty: true) + "\n").utf8), to: directory.configuration)
        let log = try MetricsLog(directory.metrics, resumingAt: trainer.step)
        let events = try tensorBoard.map { try TensorBoardLog($0, resumingAt: trainer.step) }
        try StopSignals.deferring {
            var saved = ContinuousClock.now, recorded = trainer.step
            let finished = try trainer.run(recordEvery: recordEvery) {
                // The rate is over the steps since the record before.
                let images = Double(($0.step - recorded) * trainer.imagesPerStep)
                recorded = $0.step
                try log.append($0, seconds: images / $0.imagesPerSecond)
                try events?.append($0)
                record($0)
            } shouldStop: {
                if try trainer.stopSignal() != nil { return true }
                if (ContinuousClock.now - saved) / .seconds(1) >= checkpointInterval {
                    try directory.save(try trainer.checkpoint())
                    saved = ContinuousClock.now
                }
                return false
            }
            if let why = trainer.plan.notCaptured {
                notice(
                    "warning: the steps ran operation by operation, which is slower, since no graph could be made: \(why)"
                )
            }
            try directory.save(try trainer.checkpoint())
            // The others stop when the checkpoint is there.
            try communicator?.meet()
            guard finished else { throw trainer.stopped }
        }
        device.leaveRanks()
        return try StopSignals.noting("The checkpoint is saved: run the same command again to continue.") {
            let model = try OneClassModel(trainer, split: split)
            try model.save(directory.model)
            return model
        }
    }
}

extension TrainingRun {
    /// Trains as one of several ranks, but the first: computes its part of each batch, and neither reads the run's
    /// folder nor writes to it.
    ///
    /// - Throws: `OCCError(.preempted)` when any rank was asked to stop, and the first has saved; `.badData` where this
    ///   rank finds other images than the first.
    public static func follow(_ communicator: Communicator, device: Device) throws {
        guard let given = try communicator.share(nil) else { return }
        // All ranks gather for a record: the steps between two, then the configuration.
        let lines = given.split(separator: UInt8(ascii: "\n"), maxSplits: 1)
        let recordEvery = Int(String(decoding: lines[0], as: UTF8.self)) ?? 1
        let configuration = try RunConfiguration(json: Array(lines[1]), name: "the configuration of rank 0")
        let split = try configuration.split(try configuration.dataset())
        try device.join(communicator)
        defer { device.leaveRanks() }
        let trainer = try Trainer(
            configuration: configuration, images: split.train, outliers: split.outliers, device: device,
            dataDigest: split.trainingDigest)
        try trainer.agree(on: nil)
        try StopSignals.deferring {
            let finished = try trainer.run(
                recordEvery: recordEvery, shouldStop: { try trainer.stopSignal() != nil })
            try communicator.meet()
            guard finished else { throw trainer.stopped }
        }
    }
}

extension Trainer {
    /// Begins at the same place on all ranks, from the first one's checkpoint, on the same images.
    ///
    /// - Parameter checkpoint: what this rank has been restored from; of the first rank only.
    /// - Throws: `OCCError(.badData)` where a rank has other images.
    func agree(on checkpoint: TensorFile?) throws {
        guard let communicator else { return }
        let digests = try communicator.gatherAll(Array(dataDigest.utf8))
        if let other = digests.firstIndex(where: { $0 != digests[0] }) {
            throw OCCError(
                .badData,
                "\(configuration.data): rank \(other) finds other training images there than rank 0",
                remedy:
                    "Give all nodes the same data set, by a file system that they share or by equal copies.")
        }
        let given = try communicator.share(try checkpoint?.encoded())
        if let given, !communicator.isFirst {
            let name = "the checkpoint of rank 0"
            try restore(try TensorFile(bytes: given, name: name), name: name)
        }
    }

    /// The signal that asked any rank to stop; nil for none so far. All ranks ask at the same step.
    func stopSignal() throws -> Int32? {
        let own = StopSignals.requested ?? 0
        lastSignal = try communicator?.largest(own) ?? own
        return lastSignal == 0 ? nil : lastSignal
    }

    /// What ends a run that was asked to stop, and has saved.
    var stopped: OCCError {
        OCCError(
            .preempted,
            "stopped by signal \(lastSignal) at step \(step) of \(totalSteps); the checkpoint is saved",
            remedy: "Run the same command again to continue.")
    }
}
