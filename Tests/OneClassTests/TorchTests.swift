import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// The PyTorch modules of models: what they have in them, and what is refused. `bench/peers/check_torch.py` runs them.
@Suite struct TorchTests {
    private static func module(_ change: (inout RunConfiguration) -> Void = { _ in }) throws -> (
        text: String, arrays: TensorFile, model: OneClassModel
    ) {
        let model = try ONNXTests.model(change), folder = try TemporaryFolder()
        let files = try model.writeTorch(to: folder.path)
        return (
            String(decoding: try readFile(files[0]), as: UTF8.self), try TensorFile(contentsOf: files[1]),
            model
        )
    }

    private static let changes =
        ONNXTests.changes + [
            { ($0.detector, $0.layers) = (PaDiM(channels: 9), StageNumbers([1, 2])) },
            { ($0.detector, $0.layers) = (PatchCore(coreset: 0.02), StageNumbers([2, 3])) },
            {
                ($0.detector, $0.layers, $0.calibration) = (PatchCore(coreset: 0.02, support: 1), nil, .cross)
            },
        ]

    /// Every array that the text takes is in the file, and the other way around; lines are what people read.
    @Test(arguments: 0..<changes.count) func modulesAreWhole(_ number: Int) throws {
        let (text, arrays, model) = try Self.module(Self.changes[number])
        var encoder = Set(text.matches(of: #/w\("([^"]+)"\)/#).map { "encoder.\($0.1)" })
        // A normalization's name stands before its epsilon.
        for layer in Set(text.matches(of: #/, "([^"]+)", [0-9.e-]+/#).map(\.1)) {
            for part in ["weight", "bias", "running_mean", "running_var"] {
                encoder.insert("encoder.\(layer).\(part)")
            }
        }
        #expect(Set(arrays.tensors.keys.filter { $0.hasPrefix("encoder.") }) == encoder && encoder.count > 10)
        let count = (model.detector as? DetectorEnsemble)?.members.count ?? 1
        let detector = Set(text.matches(of: #/\bd\.(\w+)/#).map(\.1))
        let expected = (0..<count).flatMap { index in detector.map { "detectors.\(index).\($0)" } }
        #expect(
            Set(arrays.tensors.keys.filter { $0.hasPrefix("detectors.") }) == Set(expected)
                && !detector.isEmpty)
        #expect((arrays.tensors["map.down"] != nil) == model.localizes)
        #expect(text.contains("self.map.down") == model.localizes)
        #expect(arrays.tensors["calibration"]?.doubles == model.calibration.scores)
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 120 })
        #expect(text.hasSuffix("\n") && text.utf8.allSatisfy { $0 == 10 || (32...126).contains($0) })
    }

    @Test func withoutThresholdThereIsNoAlarm() throws {
        let (text, arrays, _) = try Self.module { $0.holdOut = 0 }
        #expect(
            text.contains("THRESHOLD = None") && !text.contains("found[\"anomalous\"]")
                && !text.contains("p_value"))
        #expect(arrays.tensors["calibration"] == nil)
    }

    /// Nothing that a class is called gets out of its quotes.
    @Test func textsAreLiterals() {
        #expect(TorchModule.literal("metal nut") == "\"metal nut\"")
        #expect(TorchModule.literal("a\"b\\c\n") == "\"a\\U00000022b\\U0000005cc\\U0000000a\"")
        #expect(TorchModule.literal("é😀") == "\"\\U000000e9\\U0001f600\"")
    }

    @Test func whatCannotBeWrittenIsRefusedByName() throws {
        let folder = try TemporaryFolder()
        let noisy = try ONNXTests.model { $0.encoder = ONNXTests.Noisy() }
        let operation = #expect(throws: OCCError.self) { try noisy.writeTorch(to: folder.file("a")) }
        #expect(operation?.kind == .usage && operation?.message.contains("gaussian_noise") == true)
        let first = try ONNXTests.model { $0.detector = ONNXTests.FirstFeature() }
        let detector = #expect(throws: OCCError.self) { try first.writeTorch(to: folder.file("a")) }
        #expect(detector?.kind == .usage && detector?.message.contains("first-feature") == true)
        #expect(!pathExists(folder.file("a")))
    }
}
