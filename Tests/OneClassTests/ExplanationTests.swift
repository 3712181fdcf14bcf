import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Gradients of scores through detector and network, and the explanations made of them.
@Suite struct ExplanationTests {
    private static func split() throws -> OneClassSplit {
        var options = OneClassSplit.Options()
        options.maxTrain = 120
        return try OneClassSplit(ImageDataset.load("builtin:shapes"), normal: nil, options: options)
    }

    /// Regular on few rows.
    private static let gaussian = GaussianDensity(ridge: 1e-3)

    private static func model(_ detector: any Detector, patch: Int? = nil) throws -> OneClassModel {
        var c = RunConfiguration()
        (c.encoder, c.head, c.steps, c.batch) = (ResNet(.resnet10, width: 0.125), [], 12, 8)
        (c.learningRate, c.detector, c.patch, c.math) = (0.03, detector, patch, .strict)
        c.augment = "hflip"
        return try OneClassModel.fit(try split(), configuration: c)
    }

    /// The slope along the gradient is its length: against a difference of scores.
    @Test(arguments: Detectors.registry.names) func gradientsAgreeWithDifferences(_ name: String) throws {
        let named = try Detectors.registry.entry(name)
        let model = try Self.model(named is GaussianDensity ? Self.gaussian : named),
            explainer = try Explainer(model)
        let image = try Self.split().test.image(5), pixels = image.pixels.map { Float($0) / 255 }
        let gradient = try explainer.scoresAndGradients(pixels, count: 1, model.detector).gradients
        let length = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot(), step = 4e-3
        let moved = [1, -1].flatMap { sign in
            zip(pixels, gradient).map { $0 + Float(sign * step / length) * $1 }
        }
        let scores = try explainer.scoresAndGradients(moved, count: 2, model.detector).scores
        let difference = (scores[0] - scores[1]) / (2 * step)
        #expect(abs(length - difference) <= 0.03 * length, "\(length) and \(difference)")
    }

    @Test func integratedGradientsSumToTheScore() throws {
        let model = try Self.model(KernelDensity()), split = try Self.split()
        for score in Explainer.Score.allCases {
            let explainer = try Explainer(model, score: score)
            for index in [0, 420] {
                let why = try explainer.integratedGradients(of: split.test.image(index))
                let total = why.map.reduce(0.0) { $0 + Double($1) }
                let difference = why.score - (try #require(why.baselineScore))
                #expect(try #require(why.completenessError) <= 0.01)
                #expect(abs(total - difference) <= 0.011 * abs(difference))
            }
        }
    }

    @Test func gradCAMIsAMapOfTheImage() throws {
        let model = try Self.model(Self.gaussian), image = try Self.split().test.image(310)
        for score in Explainer.Score.allCases {
            let why = try Explainer(model, score: score).gradCAM(of: image)
            #expect(why.map.count == 32 * 32 && why.map.allSatisfy { $0 >= 0 && $0.isFinite })
            #expect(why.map.contains { $0 > 0 })
        }
        let score = try model.score(ImageBatch(side: 32, pixels: image.pixels))[0]
        #expect(abs(try Explainer(model).gradCAM(of: image).score - score) <= 1e-4 * abs(score))
    }

    /// A model of patches: the highest-scoring patch is explained, the rest is zero.
    @Test func patchesAreExplainedWhereTheyAre() throws {
        let model = try Self.model(Self.gaussian, patch: 16), image = try Self.split().test.image(310)
        let why = try Explainer(model).integratedGradients(of: image)
        let score = try model.score(ImageBatch(side: 32, pixels: image.pixels))[0]
        #expect(abs(why.score - score) <= 1e-4 * abs(score))
        let rows = Set(why.map.indices.filter { why.map[$0] != 0 }.map { $0 / 32 })
        #expect(rows.max()! - rows.min()! < 16)
    }

    /// A drawn network has no biases, and its features grow with brightness: from black their direction never changes, and
    /// the path misses the score. From the patch's mean color it does not.
    @Test func drawnNetworksAreExplainedFromTheirColor() throws {
        var c = RunConfiguration()
        c.encoder = ResNet(.resnet10, width: 0.125, padding: .none, stages: 1)
        (c.layers, c.patch, c.stride, c.steps) = (StageNumbers([1]), 16, 8, 0)
        (c.detector, c.head, c.maxTrain, c.maxTest) = (NearestNeighbors(), [], 24, 8)
        let split = try c.split(try ImageDataset.load("builtin:surface", imageSize: 64))
        let model = try OneClassModel.fit(split, configuration: c, device: try .cpu())
        let explainer = try Explainer(model), image = split.test.image(5)
        #expect(explainer.usualBaseline == .mean)
        let why = try explainer.integratedGradients(of: image)
        #expect(why.baseline == .mean && why.map.contains { $0 != 0 })
        #expect(try #require(why.completenessError) <= 0.02)
        let black = try explainer.integratedGradients(of: image, from: .black)
        #expect(try #require(black.completenessError) > 0.1)
        let error = #expect(throws: OCCError.self) { try Explainer(model, score: .classifier) }
        #expect(
            error?.message.contains("not trained") == true || error?.message.contains("no classifier") == true
        )
    }

    /// DAGMM divides by the length of an image, which black has not: the path begins at the mean color.
    @Test func whatHasNoScoreAtBlackBeginsElsewhere() throws {
        var c = RunConfiguration()
        (c.method, c.detector, c.steps, c.batch) = (DAGMM(), OwnScore(), 4, 16)
        (c.maxTrain, c.maxTest) = (64, 8)
        let split = try c.split(try c.dataset())
        let model = try OneClassModel.fit(split, configuration: c, device: try .cpu())
        let explainer = try Explainer(model), image = split.test.image(0)
        let why = try explainer.integratedGradients(of: image, limit: 32)
        #expect(explainer.usualBaseline == .mean && why.baseline == .mean)
        let score = try model.score(split.test)[0]
        #expect(abs(why.score - score) <= 1e-4 * abs(score))
    }
}
