import CUDAEmulation
import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// Encoders without padding: one pass over an image against its patches cut out.
@Suite struct DenseMapTests {
    struct Case: CustomStringConvertible, Sendable {
        let encoder: any Encoder
        let side: Int, patch: Int, stride: Int
        var layers: StageNumbers?
        /// Bytes of a pass: few of them make it tiles.
        var memory = DenseExtractor.memory

        var description: String { "\(encoder.name) \(side)/\(patch)/\(stride)/\(memory >> 20)" }
    }

    private static let small = ResNet(.resnet10, width: 0.25, padding: .none, stages: 3)
    private static let cases = [
        // A stride of the encoder's step, of a multiple of it, of a part of it, and of neither.
        Case(encoder: small, side: 96, patch: 32, stride: 4),
        Case(encoder: small, side: 96, patch: 32, stride: 16),
        Case(encoder: small, side: 96, patch: 32, stride: 2),
        Case(encoder: small, side: 64, patch: 40, stride: 9),
        // Many windows of the map to a patch; tiles; a single patch.
        Case(encoder: small, side: 128, patch: 64, stride: 8),
        Case(encoder: small, side: 128, patch: 32, stride: 4, memory: 1 << 20),
        Case(encoder: small, side: 96, patch: 32, stride: 6, memory: 1),
        Case(encoder: small, side: 64, patch: 64, stride: 64),
        Case(encoder: small, side: 96, patch: 32, stride: 2, layers: StageNumbers([1, 2, 3])),
        Case(encoder: small, side: 96, patch: 32, stride: 6, layers: StageNumbers([1, 3]), memory: 1 << 20),
        Case(encoder: ResNet(.resnet10, width: 0.125, padding: .none), side: 96, patch: 64, stride: 4),
        Case(
            encoder: ResNet(.resnet18, width: 0.125, padding: .none, stages: 2), side: 64, patch: 32,
            stride: 8),
        Case(
            encoder: ResNet(.resnet50, width: 0.125, padding: .none, stages: 2), side: 64, patch: 40,
            stride: 8),
        Case(
            encoder: WideResNet(depth: 10, widening: 2, width: 0.5, padding: .none, stages: 2), side: 64,
            patch: 32,
            stride: 4),
    ]

    /// Both extractors in one program, which share the weights. Strict sums are in one order everywhere, and differ
    /// by the mean over a patch's map alone; fast ones round by Winograd's tiles, which lie otherwise in a patch.
    @Test(arguments: cases) func onePassEqualsPatchByPatch(_ c: Case) throws {
        for (math, tolerance) in [(MathMode.strict, Float(1e-6)), (.fast, 2e-5)] {
            let program = Program(device: try .cpu(), math: math)
            let grid = PatchGrid(side: c.side, patch: c.patch, stride: c.stride)
            let dense = try DenseExtractor(
                program, encoder: c.encoder, layers: c.layers, grid: grid, memory: c.memory)
            let parts = try PartExtractor(
                program, encoder: c.encoder, layers: c.layers, side: c.side, patch: c.patch)
            try program.load()
            try program.initializeParameters(seed: 3)
            let images = try ImageDataset.load("builtin:surface", imageSize: c.side).test.images.subset([
                0, 70,
            ])
            let places = (0..<2).flatMap { grid.places(image: $0) }
            let found = try dense.features(of: images, places: places, program: program)
            let expected = try parts.features(of: images, places: places, program: program)
            #expect(found.rows == expected.rows && found.columns == expected.columns)
            let scale = expected.values.map(abs).max()!
            let error = zip(found.values, expected.values).map { abs($0 - $1) }.max()! / scale
            #expect(scale > 0 && error <= tolerance, "\(math): \(error)")
            // Some places alone are the same numbers.
            let few = [places[1], places[grid.count - 1], places[grid.count]]
            let some = try dense.features(of: images, places: few, program: program)
            for (row, number) in [1, grid.count - 1, grid.count].enumerated() {
                func own(_ matrix: FeatureMatrix, _ row: Int) -> ArraySlice<Float> {
                    matrix.values[row * matrix.columns..<(row + 1) * matrix.columns]
                }
                #expect(own(some, row) == own(found, number))
            }
        }
    }

    /// One pass on a GPU gives the features of one pass on the CPU: shifted passes, tiles, several layers.
    @Test(arguments: [(MathMode.strict, Float(1e-5)), (.fast, 5e-3), (.bf16, 5e-2)])
    func onePassIsTheSameOnAGPU(_ math: MathMode, _ tolerance: Float) throws {
        let encoder = ResNet(.resnet10, width: 0.0625, padding: .none, stages: 2)
        let images = try ImageDataset.load("builtin:surface", imageSize: 64).test.images.subset([0, 70])
        let grid = PatchGrid(side: 64, patch: 24, stride: 5)
        let places = (0..<2).flatMap { grid.places(image: $0) }
        let devices = [try Device.cpu(), try Device.cuda(0, driver: ck_emulated_driver())]
        let found = try devices.map { device in
            let program = Program(device: device, math: device.isGPU ? math : .strict)
            let dense = try DenseExtractor(
                program, encoder: encoder, layers: StageNumbers([1, 2]), grid: grid, memory: 1 << 19)
            try program.load()
            try program.initializeParameters(seed: 3)
            return try dense.features(of: images, places: places, program: program)
        }
        let scale = found[0].values.map(abs).max()!
        let error = zip(found[1].values, found[0].values).map { abs($0 - $1) }.max()! / scale
        #expect(scale > 0 && error <= tolerance, "\(error)")
    }

    /// What does not go together is said before anything is trained.
    @Test func wrongLayersAndDecodersAreRefused() throws {
        func message(_ change: (inout RunConfiguration) -> Void) -> String {
            var c = RunConfiguration()
            (c.method, c.encoder) = (CutPastePrediction(.threeWay), ResNet(.resnet10, width: 0.25, stages: 2))
            change(&c)
            do {
                _ = try TrainingPlan(c, images: 10, side: 64, device: .cpu())
                return ""
            } catch { return "\(error)" }
        }
        #expect(message { $0.layers = StageNumbers([1, 2]) } == "")
        #expect(message { $0.layers = StageNumbers([1, 3]) }.contains("there is no stage 3"))
        #expect(message { ($0.method, $0.encoder) = (Denoising(), Self.small) }.contains("without padding"))
        for numbers in [[], [0], [2, 1], [1, 1]] { #expect(StageNumbers(numbers) == nil) }
        #expect(StageNumbers(text: "1,3")?.numbers == [1, 3] && StageNumbers(text: "1,") == nil)
    }

    @Test func receptiveFieldsAreTheNetworks() {
        func field(_ encoder: any Encoder) -> [Int]? {
            encoder.receptiveFields.last.map { [$0.side, $0.step] }
        }
        #expect(field(ResNet(.resnet10, padding: .none)) == [49, 8])
        #expect(field(ResNet(.resnet10, padding: .none, stages: 3)) == [25, 4])
        #expect(field(ResNet(.resnet18, padding: .none)) == [109, 8])
        #expect(field(ResNet(.resnet18, padding: .none, stages: 3)) == [53, 4])
        #expect(field(ResNet(.resnet18)) == nil)
    }

    /// A patch smaller than what the encoder sees at once, before anything is trained.
    @Test func patchesBelowTheFieldAreRefused() throws {
        var c = RunConfiguration()
        (c.encoder, c.patch, c.stride) = (ResNet(.resnet10, padding: .none), 48, 8)
        (c.method, c.imageSize) = (CutPastePrediction(.threeWay), 96)
        #expect {
            _ = try TrainingPlan(c, images: 10, side: 96, device: .cpu())
        } throws: { error in
            let text = "\(error)"
            return text.contains("sees 49 pixels") && text.contains("56 or more")
        }
    }
}
