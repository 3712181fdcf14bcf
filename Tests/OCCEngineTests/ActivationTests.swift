import CKernels
import OCCEngine
import OCCNetworks
import TestSupport
import Testing

/// Activations in bf16: where they are converted, and what is kept of them.
@Suite struct ActivationTests {
    /// Floats written to a bfloat16 tensor are rounded, and read as what they have become.
    @Test func tensorsAreRoundedAndRead() throws {
        let program = Program(device: try .cpu(), math: .bf16, activations: .bfloat16)
        let (plan, (x, y)) = try program.add("double", .inference) { plan in
            let x = try plan.input("x", [3], type: .bfloat16), y = try add(x, x, in: plan)
            plan.keep(y)
            return (x, y)
        }
        #expect(x.bytes == 6)
        #expect(plan.operations[0].bytes == 18)
        try program.load()
        try program.write([1 + 0x1p-8, -3, 0x1.01p0 + 0x1p-20] as [Float], to: x)
        try plan.run()
        #expect(try program.read(x) == [1, -3, 0x1.02p0])
        #expect(try program.read(y, of: plan) == [2, -6, 0x1.02p1])
    }

    /// A convolutional network and a head on it, with what follows it in single precision.
    private func build(_ plan: PlanBuilder) throws -> (
        images: Tensor, target: Tensor, loss: Tensor, gradient: Tensor
    ) {
        let images = try plan.input("images", [16, 16, 16, 3], type: .float32)
        plan.watch(images)
        let output = try ResNet(.resnet10, width: 0.125)(images, in: plan)
        let features = try output.features(StageNumbers([1, 4])!, in: plan) { map, _ in
            try globalAveragePool(map, in: plan)
        }
        let head = ProjectionHead(widths: [8, 4], logits: 0)
        let target = try plan.input("target", [16, 4], type: .float32)
        let loss = try meanSquaredError(
            try l2Normalize(try head(features, in: plan), in: plan), target: target, in: plan)
        plan.keep(loss)
        let gradient = try plan.differentiate(loss).gradient(of: images)!
        try Optimizer().append(to: plan)
        plan.keep(gradient)
        return (images, target, loss, gradient)
    }

    private func plan(_ activations: ElementType?, math: MathMode = .bf16, isJoined: Bool = false) throws -> (
        program: Program, plan: Plan,
        tensors: (images: Tensor, target: Tensor, loss: Tensor, gradient: Tensor)
    ) {
        let program = Program(device: try .cpu(), math: math, activations: activations)
        let (plan, tensors) = try program.add("train", .training) {
            let tensors = try build($0)
            if isJoined { $0.joinConvolutionsAndNormalizations() }
            return tensors
        }
        return (program, plan, tensors)
    }

    /// A first step, on weights, images and targets that are always the same.
    private static func run(_ program: Program, _ plan: Plan, images: Tensor, target: Tensor) throws {
        try program.load()
        try program.initializeParameters(seed: 3)
        var random = TestRandom(11)
        try program.write(random.uniforms(images.count), to: images)
        try program.write(random.normals(target.count), to: target)
        try program.setStep(seed: 1, step: 0, learningRate: 0.01)
        try plan.run()
    }

    private static let converts = ["to_bf16", "from_bf16"]

    /// On the CPU no math mode converts anything, and every number is single precision.
    @Test(arguments: MathMode.allCases)
    func singlePrecisionConvertsNothing(_ math: MathMode) throws {
        let plan = try plan(nil, math: math).plan
        #expect(!plan.operations.contains { Self.converts.contains($0.name) })
        #expect(!plan.operations.contains { $0.tensors.contains { $0?.type == .bfloat16 } })
    }

    /// In bf16 the same operations run, between one conversion of the images and one of their gradient.
    @Test func bfloat16ConvertsAtTheEdges() throws {
        let single = try plan(.float32, isJoined: true), half = try plan(.bfloat16)
        let names = half.plan.operations.map(\.name)
        #expect(names.filter { !Self.converts.contains($0) } == single.plan.operations.map(\.name))
        #expect(names.filter(Self.converts.contains) == ["to_bf16", "from_bf16"])
        #expect(half.tensors.gradient.type == .float32)
        for operation in half.plan.operations where operation.layer.hasPrefix("layer") {
            #expect(
                operation.tensors.contains { $0?.type == .bfloat16 },
                "\(operation.name) of \(operation.layer)")
        }
        for operation in half.plan.operations where operation.layer.hasPrefix("head") {
            #expect(!operation.tensors.contains { $0?.type == .bfloat16 })
        }
        #expect(half.plan.transientBytes < single.plan.transientBytes * 6 / 10)
    }

    /// Convolutions and batch normalization in one operation give the same but for the order of sums, and nothing else is
    /// left of either where there are both. Only the strict mode leaves them apart by itself.
    @Test func joinedOperationsAreTheSame() throws {
        var results: [[Float]] = [], names: [[String]] = []
        for isJoined in [false, true] {
            let (program, plan, tensors) = try plan(.float32, math: .strict, isJoined: isJoined)
            try Self.run(program, plan, images: tensors.images, target: tensors.target)
            var result = [
                try program.read(tensors.loss, of: plan), try program.read(tensors.gradient, of: plan),
            ]
            for parameter in program.layout.parameters { result.append(try program.read(parameter.tensor)) }
            results.append(result.flatMap { $0 })
            names.append(plan.operations.map(\.name))
        }
        #expect(
            difference(results[1].map(Double.init), results[0].map(Double.init), tolerance: 1e-10) == nil)
        #expect(try plan(.float32).plan.operations.map(\.name) == names[1])
        func count(_ name: String, _ isJoined: Int) -> Int { names[isJoined].count { $0 == name } }
        let convolutions = count("conv2d_forward", 0)
        #expect(count("conv2d_batchnorm_forward", 1) == convolutions && count("conv2d_forward", 1) == 0)
        // The gradient of the images, and those of the projections of shortcuts, pass into no batch normalization alone.
        #expect(count("conv2d_batchnorm_backward", 1) > convolutions / 2)
        #expect(
            count("conv2d_batchnorm_backward", 1) + count("conv2d_backward_data", 1)
                == count("conv2d_backward_data", 0))
        #expect(count("add", 1) < count("add", 0))
    }

    /// What rounding every activation does to a loss and to the gradient of the images.
    @Test func resultsStayClose() throws {
        var results: [(loss: [Float], gradient: [Float])] = []
        for type in [ElementType.float32, .bfloat16] {
            let (program, plan, tensors) = try plan(type)
            try Self.run(program, plan, images: tensors.images, target: tensors.target)
            results.append(
                (try program.read(tensors.loss, of: plan), try program.read(tensors.gradient, of: plan)))
        }
        #expect(abs(results[0].loss[0] - results[1].loss[0]) < 1e-2 * results[0].loss[0])
        // The mean square error, relative to the gradient's own: ten layers of 2^-8 each, and ReLUs that turn.
        #expect(
            difference(
                results[1].gradient.map(Double.init), results[0].gradient.map(Double.init), tolerance: 0.1)
                == nil)
        #expect(results[0].gradient != results[1].gradient)
    }

    /// A layer that takes single precision alone gets a copy, through which the gradient flows back.
    @Test func otherLayersGetCopies() throws {
        let program = Program(device: try .cpu(), math: .bf16, activations: .bfloat16)
        let (plan, gradient) = try program.add("mixed", .inputGradient) { plan in
            let x = try plan.activations(try plan.input("x", [4, 6], type: .float32))
            plan.watch(x)
            let y = try Dense("dense", units: 3, bias: false)(concatenate(x, x, in: plan), in: plan)
            return try plan.differentiate(y, seed: y).gradient(of: x)!
        }
        #expect(gradient.type == .bfloat16)
        #expect(
            plan.operations.map(\.name) == [
                "to_bf16", "from_bf16", "from_bf16", "concatenate", "dense_forward", "dense_backward_data",
                "concatenate_backward", "to_bf16", "to_bf16", "add",
            ])
    }
}
