import Foundation
import OCCDetectors
import OCCEngine
import OCCNetworks
import TestSupport
import Testing

/// DAGMM's parts on dense networks, against PyTorch (Tests/Fixtures/make_mixture_fixtures.py).
@Suite struct MixtureTests {
    private struct Case: Decodable {
        let rows: Int, columns: Int, code: Int, components: Int
        let widths: [Int]
        let rate: Double, energy: Double, penalty: Double, epsilon: Double
    }

    private static func weights(_ name: String, _ shape: [Int]) -> NamedWeights {
        let u = namedUniforms(name, shape.reduce(1, *))
        let limit = (6 / Double(shape.dropFirst().reduce(1, *))).squareRoot()
        let values = shape.count > 1 ? u.map { (2 * $0 - 1) * limit } : u.map { 0.2 * ($0 - 0.5) }
        return NamedWeights(name: name, shape: shape, values: values.map(Float.init))
    }

    /// The networks: rows [N,C] -> restored rows, points and memberships.
    private static func outputs(_ x: Tensor, _ c: Case, in plan: PlanBuilder) throws -> (
        restored: Tensor, z: Tensor, memberships: Tensor
    ) {
        let code = try tanh(try Dense("code", units: c.code, bias: true)(x, in: plan), in: plan)
        let restored = try Dense("restore", units: c.columns, bias: true)(code, in: plan)
        let z = try concatenate(
            code, try reconstructionFeatures(x, restored: restored, in: plan), in: plan)
        var h = z
        for (index, width) in c.widths.enumerated() {
            h = try tanh(try Dense("estimation.\(index)", units: width, bias: true)(h, in: plan), in: plan)
            h = try dropout(h, probability: 0.5, layer: index, in: plan)
        }
        let logits = try Dense("logits", units: c.components, bias: true)(h, in: plan)
        return (restored, z, try softmax(logits, in: plan))
    }

    @Test func agreesWithPyTorch() throws {
        let file = try TensorFile(contentsOf: fixturePath("mixture-dagmm.safetensors"))
        let c = try JSONDecoder().decode(Case.self, from: Data(try #require(file.metadata["case"]).utf8))
        let program = Program(device: try .cpu(), math: .strict)
        let (train, (rows, loss)) = try program.add("train", .training) { plan in
            let rows = try plan.input("rows", [c.rows, c.columns], type: .float32)
            let own = try Self.outputs(rows, c, in: plan)
            let mixture = MixtureLoss(energy: c.energy, penalty: c.penalty, epsilon: c.epsilon)
            let loss = try sumOfLosses(
                try meanSquaredError(own.restored, target: rows, in: plan),
                try mixture(own.z, memberships: own.memberships, in: plan).loss, in: plan)
            plan.keep(loss)
            try plan.differentiate(loss)
            try Optimizer().append(to: plan)
            return (rows, loss)
        }
        let (score, features) = try program.add("score", .inference) { plan in
            let own = try Self.outputs(
                try plan.input("rows", [c.rows, c.columns], type: .float32), c, in: plan)
            let features = try concatenate(own.z, own.memberships, in: plan)
            plan.keep(features)
            return features
        }
        try program.load()
        try program.importWeights { name in
            Self.weights(name, try #require(program.layout[name]).tensor.shape)
        }
        try program.write(namedUniforms("rows", rows.count).map(Float.init), to: rows)
        let expected = try #require(file.tensors["losses"]?.doubles)
        #expect(expected.count == 10)
        for (step, value) in expected.enumerated() {
            try program.setStep(seed: 1, step: step, learningRate: c.rate)
            try train.run()
            let got = Double(try program.read(loss, of: train)[0])
            #expect(abs(got - value) <= 1e-4 * abs(value), "loss of step \(step): \(got), PyTorch \(value)")
            guard step == 0 else { continue }
            let gradients = try program.exportGradients()
            #expect(gradients.count == file.tensors.keys.count { $0.hasPrefix("grad/") })
            for found in gradients {
                let values = try #require(file.tensors["grad/\(found.name)"]?.floats).map(Double.init)
                let failure = difference(found.values.map(Double.init), values, tolerance: 1e-8)
                #expect(failure == nil, "gradient of \(found.name): \(failure ?? "")")
            }
        }
        try score.run()
        let matrix = FeatureMatrix(
            rows: c.rows, columns: features.shape[1], values: try program.read(features, of: score))
        let detector = MixtureEnergy(components: c.components, epsilon: c.epsilon)
        let fitted = try detector.fit(matrix), scores = try fitted.scores(matrix)
        let energies = try #require(file.tensors["energies"]?.floats).map(Double.init)
        let scale = energies.map(abs).max()!
        for (got, value) in zip(scores, energies) {
            #expect(abs(got - value) <= 1e-5 * scale, "\(got), PyTorch \(value)")
        }
        #expect(try detector.restore(fitted.state).scores(matrix) == scores)
    }

    /// The slope of the energy is that of its differences, and memberships have none.
    @Test func energiesHaveGradients() throws {
        var random = TestRandom(5)
        let rows = FeatureMatrix(
            rows: 50, columns: 5,
            values: (0..<50).flatMap { _ -> [Float] in
                let share = Float(random.uniform())
                return random.normals(3) + [share, 1 - share]
            })
        let fitted = try MixtureEnergy(components: 2, epsilon: 1e-3).fit(rows)
        let gradient = try fitted.scoreGradient(rows)
        for row in 0..<5 {
            for column in 0..<5 {
                let step: Float = 0x1p-6
                func moved(_ by: Float) throws -> Double {
                    var one = rows.subset([row])
                    one.values[column] += by
                    return try fitted.scores(one)[0]
                }
                let slope = try (moved(step) - moved(-step)) / Double(2 * step)
                #expect(abs(slope - Double(gradient.values[row * 5 + column])) < 2e-3)
            }
        }
        #expect(throws: OCCError.self) { try MixtureEnergy(components: 5, epsilon: 1e-3).fit(rows) }
        #expect(throws: OCCError.self) {
            try MixtureEnergy(components: 3, epsilon: 1e-3).restore(fitted.state)
        }
    }
}
