import Foundation
import OCCEngine
import OCCNetworks
import TestSupport
import Testing

/// Whole models against PyTorch (Tests/Fixtures/make_model_fixtures.py): from equal weights and images, ten
/// losses, the first step's gradients, features in inference mode after them, and before them the gradient
/// with respect to the images.
@Suite struct PyTorchFixtureTests {
    private struct Case: Decodable {
        let depth: String
        let width: Double, rate: Double
        let side: Int, rows: Int, logits: Int
        let head: [Int]
        let objective: String
    }

    private static func weights(_ name: String, _ shape: [Int]) -> NamedWeights {
        NamedWeights(name: name, shape: shape, values: namedWeights(name, shape))
    }

    /// All in strict mode; the fast one, whose rounding a small network's ten steps can amplify a
    /// thousandfold, is held to the first step.
    @Test(
        arguments: ["rotation", "contrastive", "simclr", "bottleneck", "large-stem", "wide"],
        MathMode.allCases)
    func agreesWithPyTorch(_ name: String, _ math: MathMode) throws {
        let file = try TensorFile(contentsOf: fixturePath("model-\(name).safetensors"))
        let c = try JSONDecoder().decode(Case.self, from: Data(try #require(file.metadata["case"]).utf8))
        var named = try Encoders.registry.entry(c.depth)
        #expect(try named.set(key: "width", to: .number(c.width)))
        let encoder = named, head = ProjectionHead(widths: c.head, logits: c.logits)
        let program = Program(device: try .cpu(), math: math)
        let shape = [c.rows, c.side, c.side, 3]
        let (train, (images, labels, loss)) = try program.add("train", .training) { plan in
            let images = try plan.input("images", shape, type: .float32)
            let labels = try plan.input("labels", [c.rows], type: .int32)
            let output = try head(try encoder(images, in: plan).pooled, in: plan)
            let loss: Tensor
            if c.objective == "cross-entropy" {
                loss = try softmaxCrossEntropy(output, labels: labels, in: plan)
            } else {
                let form = try #require(ContrastiveForm(rawValue: c.objective))
                loss = try ntXent(try l2Normalize(output, in: plan), temperature: 0.2, form: form, in: plan)
            }
            plan.keep(loss)
            try plan.differentiate(loss)
            try Optimizer().append(to: plan)
            return (images, labels, loss)
        }
        let (explain, (features, seed, gradient)) = try program.add("explain", .inputGradient) { plan in
            let images = try plan.input("images", shape, type: .float32)
            plan.watch(images)
            let features = try encoder(images, in: plan).pooled
            let seed = try plan.input("seed", features.shape, type: .float32)
            let gradient = try #require(try plan.differentiate(features, seed: seed).gradient(of: images))
            plan.keep(features)
            plan.keep(gradient)
            return (features, seed, gradient)
        }
        let (embed, pooledAtInference) = try program.add("embed", .inference) { plan in
            let images = try plan.input("images", shape, type: .float32)
            let features = try encoder(images, in: plan).pooled
            plan.keep(features)
            return features
        }
        try program.load()
        try program.importWeights { name in
            let shape = try #require(program.layout[name]).tensor.shape
            return Self.weights(name, shape.count == 4 ? [shape[0], shape[3], shape[1], shape[2]] : shape)
        }
        try program.write(namedUniforms("images", images.count).map(Float.init), to: images)
        try program.write((0..<Int32(c.rows)).map { $0 % 4 }, to: labels)
        try program.write(namedUniforms("seed", seed.count).map(Float.init), to: seed)

        try explain.run()
        let last = try program.read(gradient, of: explain).suffix(c.side * c.side * 3).map(Double.init)
        let slope = try #require(file.tensors["input_gradient"]?.floats).map(Double.init)
        let gap = difference(Array(last), slope, tolerance: 1e-4)
        #expect(gap == nil, "gradient of the images: \(gap ?? "")")

        let expected = try #require(file.tensors["losses"]?.doubles)
        for (step, value) in expected.enumerated() {
            try program.setStep(seed: 1, step: step, learningRate: c.rate)
            try train.run()
            let got = Double(try program.read(loss, of: train)[0])
            guard step == 0 || math == .strict else { continue }
            #expect(abs(got - value) <= 1e-4 * value, "loss of step \(step): \(got), PyTorch \(value)")
            guard step == 0 else { continue }
            let gradients = try program.exportGradients()
            #expect(gradients.count == file.tensors.keys.count { $0.hasPrefix("grad/") })
            for found in gradients {
                let reference = try #require(file.tensors["grad/\(found.name)"], "\(found.name)")
                #expect(found.shape == reference.shape)
                let values = try #require(reference.floats).map(Double.init)
                // A bias before a batch normalization, say, has no gradient but rounding.
                guard dot(values, values).squareRoot() > 1e-6 else { continue }
                let failure = difference(found.values.map(Double.init), values, tolerance: 1e-4)
                #expect(failure == nil, "gradient of \(found.name): \(failure ?? "")")
            }
        }
        try explain.run()
        try embed.run()
        let reference = try #require(file.tensors["features"]?.floats).map(Double.init)
        guard math == .strict else { return }
        for (tensor, plan) in [(features, explain), (pooledAtInference, embed)] {
            let pooled = try program.read(tensor, of: plan).map(Double.init)
            let failure = difference(pooled, reference, tolerance: 1e-4)
            #expect(failure == nil, "features by \(plan.name): \(failure ?? "")")
        }
    }
}
