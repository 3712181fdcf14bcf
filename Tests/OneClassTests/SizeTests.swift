import CUDAEmulation
import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Images and patches of sides that are no powers of two: feature maps of odd sides, 3 x 3 and 5 x 5 at the end.
@Suite struct SizeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let method: String, encoder: String, side: Int, patch: Int?
        var testDescription: String { "\(method) \(encoder) \(side) \(patch.map(String.init) ?? "whole")" }
    }

    private static let cases = [
        Case(method: "rotation", encoder: "resnet10", side: 96, patch: nil),
        Case(method: "cutpaste", encoder: "resnet10", side: 64, patch: 24),
        Case(method: "cutpaste-3way", encoder: "resnet10", side: 96, patch: 72),
        Case(method: "denoising", encoder: "resnet10", side: 64, patch: 40),
        Case(method: "contrastive", encoder: "wide-resnet-16-4", side: 96, patch: nil),
        Case(method: "rotation", encoder: "wide-resnet-16-4", side: 32, patch: 24),
        Case(method: "geometric", encoder: "resnet50", side: 64, patch: 56),
    ]

    private static func configuration(_ wanted: Case) throws -> RunConfiguration {
        var c = RunConfiguration()
        c.method = try Methods.registry.entry(wanted.method)
        c.encoder = try Encoders.registry.entry(wanted.encoder)
        _ = try c.encoder.set(name: "width", text: wanted.encoder == "resnet10" ? "0.0625" : "0.03")
        c.head = wanted.method == "denoising" ? [] : [8]
        (c.batch, c.steps, c.learningRate) = (4, 3, 1e-4)
        // So narrow and so deep, its gradients change in their second digit where images change in their seventh.
        if wanted.encoder == "resnet50" { c.learningRate = 1e-6 }
        (c.patch, c.stride) = (wanted.patch, wanted.patch.map { $0 / 2 })
        (c.holdOut, c.falseAlarmRate) = (0.3, 0.3)
        return c
    }

    /// Gratings of many directions; every other test image has a patch of noise.
    private static func dataset(side: Int) -> ImageDataset {
        var random = TestRandom(5)
        func images(_ count: Int, spoiled: Bool) -> LabeledImages {
            var result = LabeledImages(side: side)
            var pixels: [UInt8] = []
            for image in 0..<count {
                let angle = 6.3 * random.uniform(), isSpoiled = spoiled && image % 2 == 1
                for row in 0..<side {
                    for column in 0..<side {
                        let wave = sin(0.4 * (cos(angle) * Double(row) + sin(angle) * Double(column)))
                        let inside = isSpoiled && row < side / 2 && column < side / 2
                        let value = inside ? random.uniform() : 0.5 + 0.4 * wave
                        pixels += [UInt8(255 * value), UInt8(200 * value), UInt8(60 + 100 * value)]
                    }
                }
                result.labels.append(isSpoiled ? 1 : 0)
                result.names.append("\(image)")
            }
            result.images = ImageBatch(side: side, pixels: pixels)
            return result
        }
        return ImageDataset(
            name: "gratings", kind: .normalAndAnomalous, classNames: ["good", "spoiled"],
            train: images(12, spoiled: false), test: images(4, spoiled: true))
    }

    private static func losses(_ c: RunConfiguration, _ split: OneClassSplit, _ device: Device) throws
        -> [Double]
    {
        let trainer = try Trainer(configuration: c, images: split.train, device: device)
        var losses: [Double] = []
        _ = try trainer.run(recordEvery: 1) { losses.append($0.loss) }
        return losses
    }

    @Test(arguments: cases)
    func trainAndScore(_ wanted: Case) throws {
        var c = try Self.configuration(wanted)
        let split = try c.split(Self.dataset(side: wanted.side)), folder = try TemporaryFolder()
        let model = try OneClassModel.fit(split, configuration: c)
        let scores = try model.score(split.test)
        #expect(scores.count == 4 && scores.allSatisfy { $0.isFinite }, "\(scores)")
        if wanted.patch != nil {
            let maps = try model.localize(split.test).map(\.map)
            #expect(
                maps.allSatisfy { map in
                    map.count == wanted.side * wanted.side && map.allSatisfy { $0.isFinite }
                })
        }
        try model.save(folder.file("model.safetensors"))
        let loaded = try OneClassModel.load(folder.file("model.safetensors"))
        #expect(loaded.side == wanted.side)
        #expect(try loaded.score(split.test) == scores)
        // Winograd's tiles beside the sums as they are defined.
        let fast = try Self.losses(c, split, .cpu())
        c.math = .strict
        for (a, b) in zip(fast, try Self.losses(c, split, .cpu())) { #expect(abs(a - b) <= 1e-3 * abs(b)) }
    }

    /// The emulated CUDA device, step by step beside the CPU.
    @Test(arguments: [cases[1], cases[2], cases[5]])
    func kernelsFollowTheCPU(_ wanted: Case) throws {
        var c = try Self.configuration(wanted)
        c.math = .strict
        let split = try c.split(Self.dataset(side: wanted.side))
        let gpu = try Self.losses(c, split, .cuda(0, driver: ck_emulated_driver()))
        let cpu = try Self.losses(c, split, .cpu())
        #expect(gpu.count == 3)
        for (a, b) in zip(gpu, cpu) { #expect(abs(a - b) <= 1e-3 * abs(b), "\(gpu) \(cpu)") }
    }

    @Test func sidesInBetweenAreRefused() {
        for (size, patch) in [(48, nil), (16, nil), (1056, nil), (64, 20), (64, 8), (64, 72)] as [(Int, Int?)]
        {
            var c = RunConfiguration()
            (c.imageSize, c.patch) = (size, patch)
            let error = #expect(throws: OCCError.self) { try c.validate() }
            #expect(error?.kind == .usage)
        }
        #expect(throws: OCCError.self) { try ImageDataset.load("builtin:shapes", imageSize: 40) }
    }
}
