import CKernels
import CUDAEmulation
import OCCDetectors
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Whole training runs on the emulated CUDA device, beside the CPU.
@Suite struct CUDATrainingTests {
    private static func configuration(_ method: any Method, _ math: MathMode) -> RunConfiguration {
        var c = RunConfiguration()
        (c.method, c.math) = (method, math)
        c.encoder = ResNet(.resnet10, width: 0.0625)
        c.head = method is GeometricTransformations || !method.defaults.headWidths.isEmpty ? [16, 8] : []
        if method.usesOutliers { c.outliers = "builtin:part" }
        // Adam's first steps are the gradients' signs, which rounding turns where a gradient is next to nothing.
        c.optimizer = .sgd
        if !method.trainsEncoder { c.detector = OwnScore() }
        // Four pairs are few to contrast, and their loss shows every rounding.
        (c.batch, c.steps) = (math == .bf16 && method is Contrastive ? 8 : 4, 5)
        // The covariances of fewer points than they have dimensions are regular by what is added alone.
        // Of few images, a ReLU next to zero is a good part of a gradient.
        if method is DAGMM || method.usesOutliers { c.batch = 16 }
        (c.maxTrain, c.maxTest) = (32, 20)
        // Large steps of so small a network amplify every rounding.
        (c.learningRate, c.weightDecay) = (1e-4, 3e-4)
        return c
    }

    private static let dataset = Result { try ImageDataset.load("builtin:shapes") }

    private static func losses(
        _ c: RunConfiguration, _ device: Device, activations: ElementType? = nil
    ) throws -> (values: [Double], trainer: Trainer) {
        let split = try c.split(try dataset.get())
        let trainer = try Trainer(
            configuration: c, images: split.train, outliers: split.outliers, device: device,
            activations: activations)
        var losses: [Double] = []
        _ = try trainer.run(recordEvery: 1) { losses.append($0.loss) }
        return (losses, trainer)
    }

    private static func gpu() throws -> Device { try .cuda(0, driver: ck_emulated_driver()) }

    /// The trained values.
    private static func weights(_ trainer: Trainer) throws -> [Double] {
        try trainer.program.layout.parameters.filter { !$0.isStatistic }
            .flatMap { try trainer.program.read($0.tensor).map(Double.init) }
    }

    /// The same draws, the same batches: what differs is the order of sums, and in the fast modes the
    /// rounding of factors. Losses are compared step by step, then what training has changed.
    @Test(
        arguments: Methods.registry.names.map { ($0, MathMode.strict) } + [
            ("contrastive", .fast), ("rotation", .bf16), ("contrastive", .bf16),
        ])
    func lossesFollowTheCPU(_ method: String, _ math: MathMode) throws {
        // Gradients of a network of 4 to 32 channels on 4 images; a wrong sign anywhere gives 1 and more.
        try Self.compare(
            Self.configuration(try smallMethod(method), math),
            losses: [MathMode.strict: 1e-3, .fast: 3e-2, .bf16: 3e-2][math]!,
            change: [MathMode.strict: 1e-2, .fast: 0.3, .bf16: 0.7][math]!)
    }

    /// The same with Adam, at the rate and with the decay of methods that are trained with it. Where a gradient is next to
    /// nothing rounding turns its sign, and with it Adam's step; the loss hardly sees that, as its slope is that gradient.
    @Test(arguments: Methods.registry.entries.filter { $0.defaults.optimizer == .adam }.map(\.name))
    func lossesOfAdamFollowTheCPU(_ method: String) throws {
        var c = Self.configuration(try smallMethod(method), .strict)
        (c.optimizer, c.learningRate, c.weightDecay, c.steps) = (nil, nil, nil, 10)
        // The energy of a few points under their own Gaussians moves by a tenth in such a step, and so do its roundings.
        if c.method is DAGMM { c.learningRate = 1e-4 }
        #expect(c.resolved.optimizer == .adam)
        try Self.compare(c, losses: 1e-3, change: 0.1)
    }

    /// Compares a run on the emulated device with the one in single precision on the CPU: the loss of each step, and what
    /// training has changed, relative to themselves.
    private static func compare(_ configuration: RunConfiguration, losses: Double, change: Double) throws {
        var c = configuration
        let (ours, gpu) = try Self.losses(c, try Self.gpu())
        c.math = .strict
        let (theirs, cpu) = try Self.losses(c, try .choose("cpu"))
        c.steps = 0
        let start = try weights(Self.losses(c, try .choose("cpu")).trainer)
        #expect(ours.count == configuration.steps && theirs.count == ours.count)
        for (a, b) in zip(ours, theirs) { #expect(abs(a - b) <= losses * abs(b), "\(ours) \(theirs)") }
        let ourChange = zip(try weights(gpu), start).map { $0 - $1 }
        let theirChange = zip(try weights(cpu), start).map { $0 - $1 }
        let gap = zip(ourChange, theirChange).map { $0 - $1 }
        let error = (dot(gap, gap) / dot(theirChange, theirChange)).squareRoot()
        #expect(error <= change, "what training changes is off by \(error) of itself")
    }

    /// Activations in bf16 on the CPU: what storing them so costs, without a GPU.
    @Test(arguments: ["contrastive", "rotation"])
    func lossesInBfloat16FollowSinglePrecision(_ method: String) throws {
        let c = Self.configuration(try Methods.registry.entry(method), .bf16), cpu = try Device.choose("cpu")
        let (half, trainer) = try Self.losses(c, cpu, activations: .bfloat16)
        let (single, _) = try Self.losses(c, cpu)
        #expect(trainer.program.activationType == .bfloat16)
        #expect(half.count == 5)
        #expect(half != single)
        for (a, b) in zip(half, single) { #expect(abs(a - b) <= 3e-2 * abs(b), "\(half) \(single)") }
    }

    /// The layers that are no convolutions, forward and backward, with activations in bf16 on both devices.
    @Test func layersAgreeInBfloat16() throws {
        var results: [[[Float]]] = []
        for device in [try Device.choose("cpu"), try Self.gpu()] {
            let program = Program(device: device, activations: .bfloat16)
            let (plan, (input, kept)) = try program.add("layers", .training) { plan in
                let input = try plan.input("images", [3, 9, 8, 16], type: .float32)
                plan.watch(input)
                let x = try plan.activations(input)
                let pooled = try maxPool(x, kernel: 3, stride: 2, padding: 1, in: plan)
                let a = try BatchNorm("a", relu: true)(pooled, in: plan)
                let b = try BatchNorm("b", relu: true)(a, residual: pooled, in: plan)
                let c = try crop(
                    upsample(add(relu(b, in: plan), a, in: plan), in: plan), border: 1, in: plan)
                let loss = try meanSquaredError(
                    try globalAveragePool(c, in: plan),
                    target: try plan.input("target", [3, 16], type: .float32), in: plan)
                let gradient = try plan.differentiate(loss).gradient(of: input)!
                try Optimizer().append(to: plan)
                [c, loss, gradient].forEach(plan.keep)
                return (input, [c, loss, gradient])
            }
            try program.load()
            try program.initializeParameters(seed: 1)
            var random = TestRandom(9)
            try program.write(random.normals(input.count), to: input)
            try plan.run()
            results.append(try kept.map { try program.read($0, of: plan) })
        }
        for (ours, theirs) in zip(results[1], results[0]) {
            #expect(difference(ours.map(Double.init), theirs.map(Double.init), tolerance: 1e-5) == nil)
        }
    }

    /// A checkpoint written on one device continues on the other, and back.
    @Test func checkpointsMoveBetweenDevices() throws {
        let c = Self.configuration(RotationPrediction(), .strict),
            images = try c.split(try Self.dataset.get()).train
        let cpu = try Device.choose("cpu"), gpu = try Self.gpu()
        let (whole, _) = try Self.losses(c, cpu)
        for (first, second) in [(cpu, gpu), (gpu, cpu)] {
            let before = try Trainer(configuration: c, images: images, device: first)
            #expect(try before.run(shouldStop: { before.step == 2 }) == false)
            let after = try Trainer(configuration: c, images: images, device: second)
            let saved = try TensorFile(bytes: try before.checkpoint().encoded(), name: "checkpoint")
            try after.restore(saved, name: "checkpoint")
            var losses: [Double] = []
            #expect(try after.run(recordEvery: 1) { losses.append($0.loss) })
            for (a, b) in zip(losses, whole.dropFirst(2)) { #expect(abs(a - b) <= 1e-4 * b) }
        }
    }

    /// The same seed gives the same bits, whatever order threads and blocks run in, with graphs and resumed.
    @Test func runsRepeatBitForBit() throws {
        let c = Self.configuration(Contrastive.distributionAugmented, .bf16)
        var emulation = ck_emulation_default
        defer {
            emulation = ck_emulation_default
            ck_emulation_set(&emulation)
        }
        let first = try Self.losses(c, try Self.gpu()).trainer.checkpoint()
        emulation.seed = 77
        ck_emulation_set(&emulation)
        let second = try Self.losses(c, try Self.gpu()).trainer.checkpoint()
        #expect(first == second)
    }

    /// Once its graph is made, a step costs one launch of it.
    @Test func aStepIsOneGraph() throws {
        let c = Self.configuration(Contrastive(), .fast)
        ck_emulation_reset_counts()
        let (_, trainer) = try Self.losses(c, try Self.gpu())
        // The first of five steps runs operation by operation.
        #expect(ck_emulation_count().graph_launches == 4)
        let products = ck_emulation_count().products
        try trainer.advance()
        #expect(ck_emulation_count().graph_launches == 5)
        #expect(ck_emulation_count().products == products)  // nothing is asked of cuBLASLt again
    }

    /// Density scores are computed where the features are.
    @Test func densityIsTheSameOnTheDevice() throws {
        var random = TestRandom(5)
        func features(_ rows: Int) -> FeatureMatrix {
            FeatureMatrix(rows: rows, columns: 6, values: random.normals(rows * 6, shift: 0.5))
        }
        let detector = try KernelDensity().fit(features(90)), queries = features(33)
        ck_emulation_reset_counts()
        let ours = try detector.scores(queries, on: try Self.gpu()), theirs = try detector.scores(queries)
        #expect(ck_emulation_count().products == 1)
        #expect(difference(ours, theirs, tolerance: 1e-11) == nil)
    }
}
