import OCCData
import OCCEngine
import OCCNetworks

/// What a run computes, before it has any memory: the plans of a training step and of scoring. A `Trainer`
/// loads and runs them; `occ-gpu plan` only looks.
public struct TrainingPlan {
    /// What is trained, and how.
    public let configuration: RunConfiguration
    /// The operations of a step; those of a part's gradients where a step is computed in parts.
    public let plan: Plan
    /// The other plans of a step that is computed in parts; nil for one that is computed at once.
    let parts: StepInParts?
    /// The square of the L2 norm of the last step's gradient.
    let squaredGradientNorm: Reading
    /// The number of optimizer steps of the run.
    public let totalSteps: Int
    /// The program that holds the plans.
    public let program: Program
    let scoring: ScoringPlans
    let tensors: Tensors

    /// The plan of the method's first look at the images; nil for a method that takes none.
    let firstPass: PartExtractor?
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
    }

    /// A scalar that a plan keeps.
    struct Reading {
        let plan: Plan, tensor: Tensor

        func value(in program: Program) throws -> Double { Double(try program.read(tensor, of: plan)[0]) }
    }

    /// Builds the plans; no memory is allocated.
    ///
    /// - Parameters:
    ///   - images: how many there are to train on.
    ///   - outliers: how many there are of something else.
    ///   - side: theirs, in pixels.
    /// - Throws: `OCCError(.usage)` naming a setting that does not go with the others or the images.
    public init(
        _ configuration: RunConfiguration, images: Int, outliers: Int = 0, side: Int, device: Device
    ) throws {
        try self.init(
            configuration, images: images, outliers: outliers, side: side, device: device, activations: nil)
    }

    /// The same with activations of another type than the math mode means on the device (`Program`).
    package init(
        _ configuration: RunConfiguration, images: Int, outliers: Int = 0, side: Int, device: Device,
        activations: ElementType?
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
        let parts = try Self.parts(configuration, ranks: device.communicator?.ranks ?? 1)
        let share = try Self.share(configuration, of: device.communicator, parts: parts)
        self.share = share
        let items = configuration.itemsPerStep / (share?.ranks ?? 1) / parts
        // A step that is never done need not have the memory for its batch; the weights are the same.
        let rows = (totalSteps == 0 && share == nil && parts == 1 ? min(items, 2) : items) * method.copies
        try Self.requireSameWeights(configuration)
        let patch = try configuration.learnedGrid(side: side)?.patch
        let augmentation = try configuration.augmentation
        let optimizer = configuration.optimizerInForce
        func network(in plan: PlanBuilder) throws -> Tensors {
            let data = try plan.input("data", [images + outliers, side, side, 3], type: .uint8)
            let indices = try plan.input("indices", [rows], type: .int32)
            let labels = try plan.input("labels", [rows], type: .int32)
            let inputs = try RowInputTensors(method.rowInputs, rows: rows, prefix: "", in: plan)
            let corners = try patch.map { _ in try plan.input("corners", [rows, 2], type: .int32) }
            let views = try gather(data, indices: indices, corners: corners, side: patch, in: plan)
            let batch = TrainingBatch(
                images: views, labels: labels, inputs: inputs, recipe: augmentation,
                encoder: configuration.encoder,
                headWidths: configuration.headWidths,
                stepsPerEpoch: max(
                    1, method.itemCount(images: images) / configuration.itemsPerStep))
            let outputs = try method.build(batch, in: plan)
            plan.keep(outputs.features)
            if let embeddings = outputs.embeddings, parts == 1 { plan.keep(embeddings) }
            return Tensors(
                images: data, indices: indices, labels: labels, inputs: inputs, corners: corners,
                outputs: outputs)
        }
        /// Appends the step itself, from the gradients; returns the square of their norm.
        func update(in plan: PlanBuilder) throws -> Tensor {
            try averageOverRanks(plan.allParameters.gradients, in: plan)
            let norm = try sumOfSquares(plan.allParameters.gradients, in: plan)
            plan.keep(norm)
            try optimizer.append(to: plan)
            return norm
        }
        guard parts > 1 else {
            self.parts = nil
            let norm: Tensor
            (plan, (tensors, norm)) = try program.add("train", .training, share: share) { plan in
                let tensors = try network(in: plan), loss = tensors.outputs.loss
                plan.keep(loss)
                try plan.differentiate(loss)
                try averageOverRanks(loss, in: plan)
                return (tensors, try update(in: plan))
            }
            squaredGradientNorm = Reading(plan: plan, tensor: norm)
            scoring = try ScoringPlans(configuration, program, side: side)
            firstPass = try Self.firstPass(configuration, program, side: side)
            return
        }
        func embeddings(of plan: PlanBuilder) throws -> Tensor {
            guard let z = plan.comparedEmbeddings else {
                throw OCCError(
                    .usage,
                    "\(setting: "micro-batch"): \(method.name) has no loss that compares all of a batch",
                    remedy: "Use it with contrastive or da-contrastive; for others lower \(setting: "batch")."
                )
            }
            plan.keep(z)
            return z
        }
        let (embed, z) = try program.add("embed", .training, share: share, part: .embedding) { plan in
            _ = try network(in: plan)
            return try embeddings(of: plan)
        }
        let whole = [z.shape[0] * parts, z.shape[1]]
        let (compare, compared) = try program.add("compare", .training, share: share) { plan in
            let all = try plan.input("embeddings", whole, type: .float32)
            plan.watch(all)
            let loss = try method.compare(all, in: plan)
            let gradient = try plan.differentiate(loss).gradient(of: all)!
            try averageOverRanks(loss, in: plan)
            [loss, gradient].forEach(plan.keep)
            return (all: all, loss: loss, gradient: gradient)
        }
        let seed: Tensor
        (plan, (tensors, seed)) = try program.add("train", .training, share: share, part: .gradient) { plan in
            let tensors = try network(in: plan), z = try embeddings(of: plan)
            let seed = try plan.input("embedding gradients", z.shape, type: .float32)
            try plan.differentiate(z, seed: seed)
            let gradients = plan.allParameters.gradients
            try accumulate(gradients, in: try plan.gradientSum(), plan)
            return (tensors, seed)
        }
        let (step, (norm, sum)) = try program.add("update", .training, share: share) { plan in
            let sum = try plan.gradientSum()
            return (try update(in: plan), sum)
        }
        self.parts = StepInParts(
            count: parts, pairs: z.shape[0] / 2, embed: embed, embeddings: z, compare: compare,
            all: compared.all,
            loss: compared.loss, gradients: compared.gradient, seed: seed, sum: sum, update: step,
            squaredGradientNorm: norm)
        squaredGradientNorm = Reading(plan: step, tensor: norm)
        scoring = try ScoringPlans(configuration, program, side: side)
        firstPass = try Self.firstPass(configuration, program, side: side)
    }

    private static func firstPass(_ configuration: RunConfiguration, _ program: Program, side: Int) throws
        -> PartExtractor?
    {
        guard let method = configuration.method as? any FirstPass else { return nil }
        return try PartExtractor(
            program, encoder: configuration.encoder, side: side, patch: configuration.patch, firstOf: method,
            headWidths: configuration.headWidths)
    }

    /// Checks that what learns from patches of one side can see those of another.
    ///
    /// - Throws: `OCCError(.usage)` where weights are others there: of other shapes, such as those of a larger stem or of
    ///   a decoder.
    private static func requireSameWeights(_ configuration: RunConfiguration) throws {
        guard let learned = configuration.patch, let scored = configuration.scorePatch, scored != learned
        else { return }
        let scratch = Program(device: try .cpu(), math: .strict)
        do {
            for side in [learned, scored] {
                if configuration.detector is OwnScore, let own = configuration.method as? any OwnScoring {
                    _ = try PartExtractor(
                        scratch, encoder: configuration.encoder, side: side, patch: nil, ownOf: own,
                        headWidths: configuration.headWidths)
                    continue
                }
                _ = try scratch.add("patches of \(side)", .inference) { plan in
                    let images = try plan.input("images of \(side)", [1, side, side, 3], type: .float32)
                    plan.keep(try configuration.encoder(images, in: plan).pooled)
                }
            }
        } catch let error as OCCError where error.kind == .failure {
            throw OCCError(
                .usage,
                "\(setting: "score-patch") \(scored): \(configuration.method.name) with \(configuration.encoder.name) has "
                    + "other weights for patches of \(learned) (\(error.problem))",
                remedy:
                    "Leave it out, or choose sides nearer to each other or another \(setting: "encoder").")
        }
    }

    /// The number of parts that a rank's share of a batch goes through the network in.
    ///
    /// - Throws: `OCCError(.usage)` where these are not even.
    private static func parts(_ configuration: RunConfiguration, ranks: Int) throws -> Int {
        let items = configuration.itemsPerStep / ranks
        guard let pairs = configuration.microBatch, pairs < items else { return 1 }
        guard items % pairs == 0 else {
            throw OCCError(
                .usage, "\(setting: "micro-batch") \(pairs) does not go evenly into \(items) pairs of a step",
                remedy: "Choose a divisor of \(items).")
        }
        return items / pairs
    }

    /// Where the plan's rows are in the batch; nil where it has all of it.
    ///
    /// - Throws: `OCCError(.usage)` where the batch cannot be shared out evenly.
    private static func share(
        _ configuration: RunConfiguration, of communicator: Communicator?, parts: Int
    ) throws -> BatchShare? {
        let ranks = communicator?.ranks ?? 1, batch = configuration.itemsPerStep,
            method = configuration.method
        guard ranks * parts > 1 else { return nil }
        guard batch % ranks == 0, batch / ranks > 0 else {
            throw OCCError(
                .usage, "\(setting: "batch") \(batch) cannot be shared out evenly among \(ranks) ranks",
                remedy: "Choose a multiple of \(ranks).")
        }
        // Where each row of this rank's part is in the whole batch.
        let items = batch / ranks / parts, first = batch / ranks * (communicator?.rank ?? 0)
        var places = [Int](repeating: 0, count: items * method.copies)
        for index in 0..<items {
            for copy in 0..<method.copies {
                places[method.row(index: index, copy: copy, batch: items)] =
                    method.row(index: first + index, copy: copy, batch: batch)
            }
        }
        guard
            let share = BatchShare(
                rank: communicator?.rank ?? 0, of: ranks, rows: places.count,
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
    public var imagesPerStep: Int { viewsAtOnce * (parts?.count ?? 1) }
    /// The number of those that go through it at once.
    var viewsAtOnce: Int { tensors.indices.count * (share?.ranks ?? 1) }
}
