import OCCEngine
import OCCNetworks
import Testing

/// How the weights of a network begin, by its own declarations (released code of Sohn et al., model/resnet_util.py:
/// Keras' `VarianceScaling(2, "fan_out")` for convolutions, Glorot's uniform distribution for dense layers).
@Suite struct InitializerTests {
    /// The first weights of a ResNet-18 of a quarter of its width and of a head, in PyTorch's layout.
    private static func weights(seed: UInt64) throws -> [NamedWeights] {
        let program = Program(device: try .cpu(), math: .strict)
        _ = try program.add("network", .training) { plan in
            let images = try plan.input("images", [2, 32, 32, 3], type: .float32)
            let features = try ResNet(.resnet18, width: 0.25)(images, in: plan).pooled
            plan.keep(try ProjectionHead(widths: [256, 128], logits: 4)(features, in: plan))
        }
        try program.load()
        try program.initializeParameters(seed: seed)
        return try program.exportWeights()
    }

    private struct Moments {
        let mean: Double, variance: Double, largest: Double
        private let magnitudes: [Double]

        init(_ values: [Float]) {
            let x = values.map(Double.init), n = Double(x.count), mean = x.reduce(0, +) / n
            self.mean = mean
            variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
            magnitudes = x.map(abs)
            largest = magnitudes.max() ?? 0
        }

        /// The share of values that are nearer to 0 than a bound.
        func share(within bound: Double) -> Double {
            Double(magnitudes.count { $0 < bound }) / Double(magnitudes.count)
        }
    }

    /// Variance 2 over the fan-out k r s; a normal distribution of the deviation that leaves it when cut at two
    /// deviations, of which 0.6827 / 0.9545 lies within one.
    @Test func convolutionsAreCutNormals() throws {
        let filters = try Self.weights(seed: 3).filter { $0.shape.count == 4 && $0.values.count > 4000 }
        #expect(filters.count > 12)
        for weight in filters {
            let found = Moments(weight.values), n = Double(weight.values.count)
            let variance = 2 / Double(weight.shape[0] * weight.shape[2] * weight.shape[3])
            let deviation = variance.squareRoot() / 0.879_625_66
            // Five standard errors; a sample variance of a cut normal varies less than one of a normal.
            #expect(abs(found.mean) < 5 * (variance / n).squareRoot(), "\(weight.name)")
            #expect(abs(found.variance / variance - 1) < 5 * (2 / n).squareRoot(), "\(weight.name)")
            #expect(found.largest <= 2 * deviation * (1 + 1e-6) && found.largest > 1.9 * deviation)
            #expect(
                abs(found.share(within: deviation) - 0.7152) < 5 * (0.25 / n).squareRoot(), "\(weight.name)")
        }
    }

    /// Evenly in plus or minus the root of 6 over the sum of inputs and outputs.
    @Test func denseLayersAreUniform() throws {
        let weights = try Self.weights(seed: 3), dense = weights.filter { $0.shape.count == 2 }
        #expect(dense.map(\.shape) == [[256, 128], [128, 256], [4, 128]])
        for weight in dense {
            let found = Moments(weight.values), n = Double(weight.values.count)
            let limit = (6 / Double(weight.shape[0] + weight.shape[1])).squareRoot()
            #expect(abs(found.mean) < 5 * limit / (3 * n).squareRoot(), "\(weight.name)")
            #expect(abs(3 * found.variance / (limit * limit) - 1) < 5 / n.squareRoot(), "\(weight.name)")
            #expect(found.largest <= limit && found.largest > 0.95 * limit, "\(weight.name)")
            #expect(abs(found.share(within: limit / 2) - 0.5) < 2.5 / n.squareRoot(), "\(weight.name)")
        }
    }

    /// Factors of normalization are one; offsets, biases and running means zero.
    @Test func theRestIsOneOrZero() throws {
        let rest = try Self.weights(seed: 3).filter { $0.shape.count == 1 }
        #expect(
            rest.contains { $0.name.hasSuffix("bn1.weight") }
                && rest.contains { $0.name == "head.logits.bias" })
        for weight in rest {
            let isOne = weight.name.hasSuffix(".weight") || weight.name.hasSuffix("running_var")
            #expect(weight.values.allSatisfy { $0 == (isOne ? 1 : 0) }, "\(weight.name)")
        }
    }

    /// The draw follows the seed and the name: no two arrays alike, and another seed gives others.
    @Test func drawsFollowTheSeed() throws {
        let first = try Self.weights(seed: 3), again = try Self.weights(seed: 3),
            other = try Self.weights(seed: 4)
        let drawn = first.indices.filter { first[$0].shape.count > 1 }
        #expect(first.map(\.values) == again.map(\.values))
        #expect(drawn.allSatisfy { first[$0].values != other[$0].values })
        #expect(Set(drawn.map { Array(first[$0].values.prefix(8)) }).count == drawn.count)
    }
}
