import OCCEngine
import OCCNetworks
import TestSupport
import Testing

/// Plans for inference, in which a convolution and its batch normalization are one operation, against plans for
/// gradients, in which they are two.
@Suite struct InferenceTests {
    static let encoders: [any Encoder] = [
        ResNet(.resnet10, width: 0.25), ResNet(.resnet50, width: 0.125),
        ResNet(.resnet18, width: 0.125, padding: .none, stages: 3), WideResNet(depth: 10, widening: 1),
    ]

    private func build(_ encoder: any Encoder, _ plan: PlanBuilder) throws -> (images: Tensor, maps: [Tensor])
    {
        let images = try plan.input("images", [5, 70, 70, 3], type: .float32)
        let output = try encoder(images, in: plan)
        output.stages.forEach(plan.keep)
        plan.keep(output.pooled)
        return (images, output.stages + [output.pooled])
    }

    @Test(arguments: encoders.indices, MathMode.allCases)
    func featuresAreThoseOfSeparateOperations(_ index: Int, _ math: MathMode) throws {
        let encoder = Self.encoders[index], program = Program(device: try .cpu(), math: math)
        let (separate, (images, expected)) = try program.add("separate", .inputGradient) {
            try build(encoder, $0)
        }
        let (fused, (_, maps)) = try program.add("fused", .inference) { try build(encoder, $0) }
        try program.load()
        try program.initializeParameters(seed: 5)
        var random = TestRandom(8)
        try program.write(random.uniforms(images.count), to: images)
        for parameter in program.layout.parameters where parameter.tensor.shape.count == 1 {
            let count = parameter.tensor.count, isCentered = !parameter.name.hasSuffix("running_mean")
            try program.write(
                isCentered ? random.uniforms(count).map { $0 + 0.5 } : random.normals(count, scale: 0.3),
                to: parameter.tensor)
        }
        try separate.run()
        let references = try expected.map { try program.read($0, of: separate).map(Double.init) }
        try fused.run()
        for (map, reference) in zip(maps, references) {
            // In every mode the sums are the same: what differs is at most the rounding of what follows them.
            let failure = difference(
                try program.read(map, of: fused).map(Double.init), reference, tolerance: 1e-12)
            #expect(failure == nil, "\(map.name): \(failure ?? "")")
        }
    }

    /// No convolution's result is normalized by an operation of its own, but for what is behind an addition.
    @Test(arguments: encoders.indices)
    func operationsAreCounted(_ index: Int) throws {
        let encoder = Self.encoders[index], program = Program(device: try .cpu())
        let plan = try program.add("fused", .inference) { _ = try build(encoder, $0) }.plan
        let separate = try Program(device: .cpu()).add("separate", .inputGradient) {
            _ = try build(encoder, $0)
        }.plan
        func count(_ name: String, _ plan: Plan) -> Int { plan.operations.count { $0.name == name } }
        let norms = count("batchnorm_inference", separate)
        #expect(
            count("conv2d_inference", plan) + count("conv2d_forward", plan)
                == count("conv2d_forward", separate))
        #expect(count("conv2d_inference", plan) + count("batchnorm_inference", plan) == norms)
        #expect(plan.flop == separate.flop)
        if encoder is ResNet {
            #expect(count("conv2d_inference", plan) == norms)
            #expect(plan.operations.first?.layer == "conv1")
        } else {
            #expect(count("conv2d_inference", plan) == 3)
            #expect(count("batchnorm_inference", plan) == 4)
        }
    }

    /// Models hold parameters in the order of their declaration, whichever plan comes first.
    @Test(arguments: encoders.indices)
    func parametersAreDeclaredInTheSameOrder(_ index: Int) throws {
        let orders = try [PlanBuilder.Purpose.training, .inputGradient, .inference].map { purpose in
            let program = Program(device: try .cpu())
            _ = try program.add("plan", purpose) { _ = try build(Self.encoders[index], $0) }
            return program.layout.parameters.map(\.name)
        }
        #expect(orders[0] == orders[1])
        #expect(orders[0] == orders[2])
    }
}
