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
        let method = configuration.method, rows = configuration.itemsPerStep * method.copies
        let grid = try configuration.grid(side: side), augmentation = try configuration.augmentation
        (plan, tensors) = try program.add("train", .training) { plan in
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
            let norm = try sumOfSquares(plan.allParameters.gradients, in: plan)
            plan.keep(norm)
            try configuration.optimizerInForce.append(to: plan)
            return Tensors(
                images: data, indices: indices, labels: labels, inputs: inputs, corners: corners,
                outputs: outputs, squaredGradientNorm: norm)
        }
        scoring = try ScoringPlans(configuration, program, side: side)
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

    /// The number of views that go through the network in a step.
    public var imagesPerStep: Int { tensors.indices.count }
}
