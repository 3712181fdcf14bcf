import OCCData
import OCCEngine
import OCCNetworks

/// What a run computes, before it has any memory: the plans of a training step and of scoring. A `Trainer`
/// loads and runs them; `occ-gpu plan` only looks.
public struct TrainingPlan {
    /// What is trained, and how.
    public let configuration: RunConfiguration
    /// The operations of a step.
    public let plan: Plan
    /// The number of optimizer steps of the run.
    public let totalSteps: Int
    /// The program that holds the plans.
    public let program: Program
    let scoring: ScoringPlans
    let tensors: Tensors

    /// The part of a batch that it computes; nil for all of it.
    let share: BatchShare?

    /// What the host writes before a step, and reads after it.
    struct Tensors {
        /// The training images, which stay on the device.
        let images: Tensor
        /// The image of each row, its label, its row inputs, and where its patch lies when the encoder sees
        /// patches.
        let indices: Tensor, labels: Tensor, inputs: RowInputTensors, corners: Tensor?
        let outputs: TrainingOutputs
        /// The square of the gradient's L2 norm.
        let squaredGradientNorm: Tensor
    }

    /// Builds the plans; no memory is allocated.
    ///
    /// - Parameters:
    ///   - images: how many there are to train on.
    ///   - side: theirs, in pixels.
    /// - Throws: `OCCError(.usage)` naming a setting that does not go with the others or the images.
    public init(
        _ configuration: RunConfiguration, images: Int, side: Int, device: Device
    ) throws {
        try self.init(configuration, images: images, side: side, device: device, activations: nil)
    }

    /// The same with activations of another type than the math mode means on the device (`Program`).
    package init(
        _ configuration: RunConfiguration, images: Int, side: Int, device: Device, activations: ElementType?
    ) throws {
        try configuration.validate()
        self.configuration = configuration
        totalSteps = configuration.totalSteps(images: images)
        guard totalSteps <= RunConfiguration.mostSteps else {
            throw OCCError(
                .usage,
                "\(setting: "epochs") on \(images) images are \(totalSteps) steps; a run has \(RunConfiguration.mostSteps) at most",
                remedy: "Give \(setting: "steps").")
        }
        try configuration.checkStep(side: configuration.patch ?? side)
        program = Program(device: device, math: configuration.math, activations: activations)
        let method = configuration.method
        let share = try device.communicator.flatMap { try Self.share(configuration, of: $0) }
        self.share = share
        let rows = configuration.itemsPerStep / (share?.ranks ?? 1) * method.copies
        let grid = try configuration.grid(side: side), augmentation = try configuration.augmentation
        (plan, tensors) = try program.add("train", .training, share: share) { plan in
            let data = try plan.input("data", [images, side, side, 3], type: .uint8)
            let indices = try plan.input("indices", [rows], type: .int32)
            let labels = try plan.input("labels", [rows], type: .int32)
            let inputs = try RowInputTensors(method.rowInputs, rows: rows, prefix: "", in: plan)
            let corners = try grid.map { _ in try plan.input("corners", [rows, 2], type: .int32) }
            let views = try gather(data, indices: indices, corners: corners, side: grid?.patch, in: plan)
            let batch = TrainingBatch(
                images: views, labels: labels, inputs: inputs, recipe: augmentation,
                encoder: configuration.encoder,
                headWidths: configuration.headWidths)
            let outputs = try method.build(batch, in: plan)
            plan.keep(outputs.loss)
            plan.keep(outputs.features)
            try plan.differentiate(outputs.loss)
            try averageOverRanks(outputs.loss, in: plan)
            try averageOverRanks(plan.allParameters.gradients, in: plan)
            let norm = try sumOfSquares(plan.allParameters.gradients, in: plan)
            plan.keep(norm)
            try configuration.optimizerInForce.append(to: plan)
            return Tensors(
                images: data, indices: indices, labels: labels, inputs: inputs, corners: corners,
                outputs: outputs, squaredGradientNorm: norm)
        }
        scoring = try ScoringPlans(configuration, program, side: side)
    }

    /// The part of a batch that falls to a rank; nil for one rank alone.
    ///
    /// - Throws: `OCCError(.usage)` where the batch cannot be shared out evenly.
    private static func share(_ configuration: RunConfiguration, of communicator: Communicator) throws
        -> BatchShare?
    {
        let ranks = communicator.ranks, batch = configuration.itemsPerStep, method = configuration.method
        guard ranks > 1 else { return nil }
        guard batch % ranks == 0, batch / ranks > 0 else {
            throw OCCError(
                .usage, "\(setting: "batch") \(batch) cannot be shared out evenly among \(ranks) ranks",
                remedy: "Choose a multiple of \(ranks).")
        }
        // Where each row of this rank's part is in the whole batch.
        let part = batch / ranks, first = part * communicator.rank
        var places = [Int](repeating: 0, count: part * method.copies)
        for index in 0..<part {
            for copy in 0..<method.copies {
                places[method.row(index: index, copy: copy, batch: part)] =
                    method.row(index: first + index, copy: copy, batch: batch)
            }
        }
        guard
            let share = BatchShare(
                rank: communicator.rank, of: ranks, rows: places.count,
                normalizesTogether: configuration.batchNorm == .synchronized, batchRow: { places[$0] })
        else {
            throw OCCError(
                .failure, "method \(method.name): its rows are in no order that ranks can share")
        }
        return share
    }

    /// The parameters of the encoder alone, without a head.
    var encoderLayout: ParameterLayout {
        get throws {
            let scratch = Program(device: try .cpu(), math: .strict)
            let side = configuration.patch ?? tensors.images.shape[1]
            _ = try scratch.add("encoder", .inference) { plan in
                let images = try plan.input("images", [1, side, side, 3], type: .float32)
                plan.keep(try configuration.encoder(images, in: plan).pooled)
            }
            return scratch.layout
        }
    }

    /// The number of views that go through the network in a step, on all ranks.
    public var imagesPerStep: Int { tensors.indices.count * (share?.ranks ?? 1) }
}
