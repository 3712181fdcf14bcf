import Foundation
import OCCEngine
import OCCNetworks
import TestSupport
import Testing

/// RealNVP against PyTorch (Tests/Fixtures/make_flow_fixtures.py), and its determinant against differences.
@Suite struct FlowTests {
    private struct Case: Decodable {
        let rows: Int, side: Int, scales: Int, blocks: Int, filters: Int
        let rate: Double
    }

    /// The script's formula for weights, in PyTorch's shapes.
    private static func importWeights(_ program: Program) throws {
        try program.importWeights { name in
            let own = try #require(program.layout[name]).tensor.shape
            let shape = own.count == 4 ? [own[0], own[3], own[1], own[2]] : own
            return NamedWeights(name: name, shape: shape, values: namedWeights(name, shape))
        }
    }

    @Test func agreesWithPyTorch() throws {
        let file = try TensorFile(contentsOf: fixturePath("flow-realnvp.safetensors"))
        let c = try JSONDecoder().decode(Case.self, from: Data(try #require(file.metadata["case"]).utf8))
        let flow = RealNVP(scales: c.scales, blocks: c.blocks, filters: c.filters)
        let program = Program(device: try .cpu(), math: .strict), shape = [c.rows, c.side, c.side, 3]
        let (train, (images, loss)) = try program.add("train", .training) { plan in
            let images = try plan.input("images", shape, type: .float32)
            let loss = try flow(images, in: plan).loss
            plan.keep(loss)
            try plan.differentiate(loss)
            try Optimizer().append(to: plan)
            return (images, loss)
        }
        let (score, bits) = try program.add("score", .inference) { plan in
            let bits = try flow(try plan.input("images", shape, type: .float32), in: plan).bits
            plan.keep(bits)
            return bits
        }
        try program.load()
        try Self.importWeights(program)
        try program.write(
            namedUniforms("images", images.count).map { Float(($0 * 256).rounded(.down) / 255) }, to: images)
        let expected = try #require(file.tensors["losses"]?.doubles)
        #expect(expected.count == 10)
        for (step, value) in expected.enumerated() {
            try program.setStep(seed: 1, step: step, learningRate: c.rate)
            try train.run()
            let got = Double(try program.read(loss, of: train)[0])
            #expect(abs(got - value) <= 1e-4 * value, "loss of step \(step): \(got), PyTorch \(value)")
            guard step == 0 else { continue }
            let gradients = try program.exportGradients()
            #expect(gradients.count == file.tensors.keys.count { $0.hasPrefix("grad/") })
            for found in gradients {
                let reference = try #require(file.tensors["grad/\(found.name)"], "\(found.name)")
                #expect(found.shape == reference.shape)
                let values = try #require(reference.floats).map(Double.init)
                let failure = difference(found.values.map(Double.init), values, tolerance: 1e-8)
                #expect(failure == nil, "gradient of \(found.name): \(failure ?? "")")
            }
        }
        try score.run()
        let reference = try #require(file.tensors["bits"]?.floats).map(Double.init)
        for (got, value) in zip(try program.read(bits, of: score).map(Double.init), reference) {
            #expect(abs(got - value) <= 1e-5 * value, "\(got) bits, PyTorch \(value)")
        }
    }

    /// The logarithm of the determinant of a matrix, by elimination with pivots.
    private static func logDeterminant(_ matrix: [[Double]]) -> Double {
        var rows = matrix, result = 0.0
        for i in rows.indices {
            let best = (i..<rows.count).max { abs(rows[$0][i]) < abs(rows[$1][i]) }!
            rows.swapAt(i, best)
            result += log(abs(rows[i][i]))
            for j in i + 1..<rows.count {
                let factor = rows[j][i] / rows[i][i]
                for k in i..<rows.count { rows[j][k] -= factor * rows[i][k] }
            }
        }
        return result
    }

    /// Couplings of both kinds around a squeeze, with smooth networks, on images of 4 x 4: what they say of the volume is
    /// the determinant of the Jacobian by differences.
    @Test func theDeterminantIsTheJacobians() throws {
        let size = 4 * 4 * 3, program = Program(device: try .cpu(), math: .strict)
        let (plan, (images, z, log)) = try program.add("flow", .inference) { plan in
            // A row for each value that is moved up, and as many down; the last is the image itself.
            let images = try plan.input("images", [2 * size + 1, 4, 4, 3], type: .float32)
            var state = FlowState(images)
            for index in 0..<4 {
                if index == 2 { state.x = try squeeze(state.x, in: plan) }
                let coupling = AffineCoupling(
                    "flow.\(index)", mask: index < 2 ? .checkerboard : .channels, keepsOther: index % 2 == 1)
                state = try coupling(state, in: plan) { kept in
                    let x = try tanh(
                        Conv2D("\(coupling.name).conv", channels: 8, kernel: 3)(kept, in: plan), in: plan)
                    return try Conv2D("\(coupling.name).out", channels: 2 * kept.shape[3], kernel: 1)(
                        x, in: plan)
                }
            }
            let log = try #require(state.logLikelihood)
            plan.keep(state.x)
            plan.keep(log)
            return (images, state.x, log)
        }
        try program.load()
        try Self.importWeights(program)
        let step: Float = 0x1p-7, image = namedUniforms("image", size).map { Float(2 * $0 - 1) }
        var values: [Float] = []
        for sign: Float in [1, -1] {
            for place in 0..<size {
                var moved = image
                moved[place] += sign * step
                values += moved
            }
        }
        try program.write(values + image, to: images)
        try plan.run()
        let all = try program.read(z, of: plan).map(Double.init)
        let jacobian = (0..<size).map { column in
            (0..<size).map { row in
                (all[column * size + row] - all[(size + column) * size + row]) / Double(2 * step)
            }
        }
        let expected = Self.logDeterminant(jacobian), got = Double(try program.read(log, of: plan).last!)
        #expect(abs(got) > 0.1)
        #expect(abs(got - expected) < 0.01, "\(got), by differences \(expected)")
    }

    /// The gradient with respect to the images goes through dequantization and all layers.
    @Test func gradientsOfImagesAreDifferences() throws {
        let program = Program(device: try .cpu(), math: .strict), shape = [2, 4, 4, 3], size = 48
        let flow = RealNVP(scales: 2, blocks: 1, filters: 4)
        let (plan, (images, loss, gradient)) = try program.add("explain", .inputGradient) { plan in
            let images = try plan.input("images", shape, type: .float32)
            plan.watch(images)
            let loss = try flow(images, in: plan).loss
            let gradient = try #require(try plan.differentiate(loss).gradient(of: images))
            plan.keep(loss)
            plan.keep(gradient)
            return (images, loss, gradient)
        }
        try program.load()
        try Self.importWeights(program)
        let point = namedUniforms("point", 2 * size).map { Float(0.2 + 0.6 * $0) }
        func evaluate(_ values: [Float]) throws -> Double {
            try program.write(values, to: images)
            try program.setStep(seed: 1, step: 0, learningRate: 0)
            try plan.run()
            return Double(try program.read(loss, of: plan)[0])
        }
        _ = try evaluate(point)
        let slopes = try program.read(gradient, of: plan)
        // Along the gradient, where the slope is its length.
        let length = slopes.reduce(0) { $0 + $1 * $1 }.squareRoot(), step: Float = 1e-3
        let high = try evaluate(zip(point, slopes).map { $0 + step * $1 / length })
        let low = try evaluate(zip(point, slopes).map { $0 - step * $1 / length })
        let slope = (high - low) / Double(2 * step)
        #expect(abs(slope - Double(length)) < 0.02 * Double(length), "\(slope) and \(length)")
    }
}
