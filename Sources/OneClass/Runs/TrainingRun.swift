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
        let trainer = try Trainer(
            configuration: configuration, images: split.train, device: device,
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
            notice("resuming at step \(trainer.step) of \(trainer.totalSteps)")
        }
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
                if StopSignals.requested != nil { return true }
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
            guard finished else {
                throw OCCError(
                    .preempted,
                    "stopped by signal \(StopSignals.requested ?? 0) at step \(trainer.step) of \(trainer.totalSteps); "
                        + "the checkpoint is saved", remedy: "Run the same command again to continue.")
            }
        }
        return try StopSignals.noting("The checkpoint is saved: run the same command again to continue.") {
            let model = try OneClassModel(trainer, split: split)
            try model.save(directory.model)
            return model
        }
    }
}
