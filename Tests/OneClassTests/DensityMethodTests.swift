import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// The methods that score by a density: of images (flow), and of an auto-encoder's codes (dagmm).
@Suite struct DensityMethodTests {
    private static let dataset = Result { try ImageDataset.load("builtin:shapes") }

    private static func configuration(_ name: String) throws -> RunConfiguration {
        var c = RunConfiguration()
        c.method = try smallMethod(name)
        (c.encoder, c.head, c.augment) = (ResNet(.resnet10, width: 0.0625), [], "none")
        (c.detector, c.math, c.batch, c.steps, c.maxTrain, c.maxTest) = (OwnScore(), .strict, 8, 20, 64, 60)
        return c
    }

    private static func model(_ c: RunConfiguration) throws -> (model: OneClassModel, split: OneClassSplit) {
        let split = try c.split(try dataset.get())
        return (try OneClassModel.fit(split, configuration: c), split)
    }

    @Test(arguments: ["flow", "dagmm"])
    func theirScoresAreTheDetectors(_ name: String) throws {
        let (model, split) = try Self.model(try Self.configuration(name))
        let folder = try TemporaryFolder(), path = folder.file("model.safetensors")
        try model.save(path)
        let scores = try model.score(split.test)
        #expect(Set(scores).count > 1)
        #expect(try OneClassModel.load(path).score(split.test) == scores)
        // A row of features: the bits of an image, or its point and memberships.
        #expect(model.featureCount == (name == "flow" ? 1 : 5 + 2 + 3))
        if name == "flow" { #expect(try model.features(of: split.test).values.map(Double.init) == scores) }
    }

    /// A score is not of the images beside it.
    @Test(arguments: ["flow", "dagmm"])
    func companyDoesNotShow(_ name: String) throws {
        let (model, split) = try Self.model(try Self.configuration(name))
        let all = try model.score(split.test), some = try model.score(split.test.subset([7, 3]))
        for (a, b) in zip(some, [all[7], all[3]]) { #expect(abs(a - b) <= 1e-5 * max(1, abs(b))) }
    }

    /// The gradient through all of the network: along it, its length is the slope of the score.
    @Test(arguments: ["flow", "dagmm"])
    func scoresAreExplained(_ name: String) throws {
        let (model, split) = try Self.model(try Self.configuration(name)), explainer = try Explainer(model)
        let pixels = split.test.image(5).pixels.map { 0.1 + 0.8 * Float($0) / 255 }
        let gradient = try explainer.scoresAndGradients(pixels, count: 1, model.detector).gradients
        let length = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot(), step = 1e-2
        let moved = [1, -1].flatMap { sign in
            zip(pixels, gradient).map { $0 + Float(sign * step / length) * $1 }
        }
        let scores = try explainer.scoresAndGradients(moved, count: 2, model.detector).scores
        let slope = (scores[0] - scores[1]) / (2 * step)
        #expect(length > 0 && abs(length - slope) <= 0.05 * length, "\(length) and \(slope)")
    }

    @Test func whatDoesNotGoTogetherIsRefused() throws {
        var c = try Self.configuration("flow")
        c.detector = KernelDensity()
        #expect(throws: OCCError.self) { try c.validate() }
        c = try Self.configuration("flow")
        c.head = [16]
        #expect(throws: OCCError.self) { try c.validate() }
        c = try Self.configuration("dagmm")
        c.head = [16]
        #expect(throws: OCCError.self) { try c.validate() }
        c = try Self.configuration("flow")
        #expect(try c.method.set(name: "flow-scales", text: "6"))
        let error = #expect(throws: OCCError.self) {
            try TrainingPlan(c, images: 8, side: 36, device: try .choose("cpu"))
        }
        #expect(error?.message.contains("flowScales 6") == true, "\(error?.message ?? "no error")")
    }
}
