import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// What `export` writes, and how it checks an ONNX file: by a library of `Tests/ONNXRuntimeShim/shim.c`, which gives the
/// scores that it is told. `bench/peers/check_onnx.py` has ONNX Runtime itself.
@Suite struct ExportTests {
    /// A folder with a trained run, and the library in `runtime/lib`.
    private static func prepared(_ options: [String] = smallRun) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let trained = try run(
            ["train", "--data", folder.file("data"), "--out", folder.file("run")] + options, in: folder)
        try #require(trained.status == 0, "\(trained.errors)")
        let source = URL(fileURLWithPath: fixturePath("")).deletingLastPathComponent()
            .appendingPathComponent("ONNXRuntimeShim/shim.c").path
        let compile = "-shared -fPIC -o runtime/lib/libonnxruntime.so.9 '\(source)'"
        let built = try shell(
            "mkdir -p runtime/lib; clang \(compile) || cc \(compile) || gcc \(compile)", in: folder)
        try #require(built.status == 0, "\(built.errors)")
        return folder
    }

    /// What the model says of the images that a file is checked on.
    private static func scores(_ folder: TemporaryFolder) throws -> [Double] {
        let model = try OneClassModel.load(
            folder.file("run/model.safetensors"), device: .cpu(), math: .strict)
        return try model.checkImages().map { try model.score($0) }
    }

    private static func export(
        _ folder: TemporaryFolder, scores: [Double], more: [String: String] = [:]
    ) throws -> Outcome {
        let environment = [
            "OCC_ONNXRUNTIME_PATH": folder.file("nothing") + ":" + folder.file("runtime"),
            "SHIM_VERSION": "1.99.0",
            "SHIM_SCORES": scores.map { "\($0)" }.joined(separator: " "), "SHIM_LOG": folder.file("log"),
        ]
        return try run(
            ["export", "--model", folder.file("run"), "--onnx", folder.file("model.onnx")], in: folder,
            environment: environment.merging(more) { $1 })
    }

    @Test func filesAreCheckedBeforeTheyAreThere() throws {
        let folder = try Self.prepared(), right = try Self.scores(folder)
        #expect(Set(right).count > 1)
        let checked = try Self.export(folder, scores: right)
        #expect(checked.status == 0, "\(checked.errors)")
        #expect(
            checked.errors.contains(
                "checked by ONNX Runtime 1.99.0 on \(right.count) drawn images: differs from the model by 0.0e+00"
            ),
            "\(checked.errors)")
        let log = String(decoding: try readFile(folder.file("log")), as: UTF8.self)
        #expect(log.hasSuffix("environment, 0 alive\n"), "all that was made is released: \(log)")
        let before = try readFile(folder.file("model.onnx"))

        // A hundred-thousandth of the larger of 1 and the score is allowed, and twice as much is not.
        func moved(_ shares: Double) -> [Double] {
            var scores = right
            scores[right.count - 1] += shares * 1e-5 * max(1, abs(scores[right.count - 1]))
            return scores
        }
        #expect(try Self.export(folder, scores: moved(0.9)).status == 0)
        #expect(unlink(folder.file("model.onnx")) == 0)
        for wrong in [moved(2), [Double.nan] + right.dropFirst()] {
            let refused = try Self.export(folder, scores: wrong)
            #expect(refused.status == 1 && refused.errors.contains("they differ by more than 1e-05"))
            #expect(refused.errors.contains(folder.file("model.onnx")))
            #expect(!pathExists(folder.file("model.onnx")))
        }
        let refused = try Self.export(folder, scores: right, more: ["SHIM_REFUSES": "no such operator"])
        #expect(refused.status == 1 && refused.errors.contains("ONNX Runtime 1.99.0: no such operator"))
        #expect(refused.errors.contains("Set OCC_ONNXRUNTIME_PATH to the folder of another version"))
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(!left.contains { $0.hasPrefix("model.onnx") }, "\(left)")

        // A library that is too old is none.
        let old = try Self.export(folder, scores: [], more: ["SHIM_VERSION": "1.11.1"])
        #expect(
            old.status == 0 && old.errors.contains("1.11.1 is not ONNX Runtime 1.12 or later"),
            "\(old.errors)")
        #expect(old.errors.contains("not checked") && old.errors.contains("OCC_ONNXRUNTIME_PATH"))
        #expect(try readFile(folder.file("model.onnx")) == before)

        // One that cannot be loaded is named, with why.
        try folder.write([1], to: "broken/libonnxruntime.so")
        let nowhere = folder.file("nowhere")
        let broken = try Self.export(
            folder, scores: [],
            more: [
                "OCC_ONNXRUNTIME_PATH": folder.file("broken"), "VIRTUAL_ENV": nowhere, "HOME": nowhere,
            ])
        #expect(broken.status == 0 && broken.errors.contains("not checked"), "\(broken.errors)")
        #expect(
            broken.errors.contains("cannot be loaded: \(folder.file("broken/libonnxruntime.so"))"),
            "\(broken.errors)")
    }

    @Test func mapsAreCheckedToo() throws {
        let folder = try Self.prepared(smallPatches), right = try Self.scores(folder)
        for (pixels, words) in [(32 * 32, "they differ"), (16, "16 elements of type 1, where 1024")] {
            let refused = try Self.export(folder, scores: right, more: ["SHIM_PIXELS": "\(pixels)"])
            #expect(refused.status == 1 && refused.errors.contains(words), "\(refused.errors)")
            #expect(!pathExists(folder.file("model.onnx")))
        }
    }

    @Test func torchModulesAreWritten() throws {
        let folder = try Self.prepared()
        let wrote = try run(
            ["export", "--model", folder.file("run"), "--torch", folder.file("a/b")], in: folder)
        #expect(wrote.status == 0 && wrote.errors.contains("a/b/occ_model.py"), "\(wrote.errors)")
        let text = String(decoding: try readFile(folder.file("a/b/occ_model.py")), as: UTF8.self)
        #expect(text.contains("def load("))
        let arrays = try TensorFile(contentsOf: folder.file("a/b/occ_model.safetensors"))
        #expect(arrays.tensors["encoder.conv1.weight"] != nil && arrays.metadata["normal_class"] != nil)
        // The arrays are no model, and an error says which file is.
        for command in [["score", "data"], ["localize", "--out", "p"]] {
            let words =
                [command[0], "--model", folder.file("a/b/occ_model.safetensors")] + command.dropFirst()
            let refused = try run(words, in: folder)
            #expect(
                refused.status == 65 && refused.errors.contains("module for PyTorch"), "\(refused.errors)")
            #expect(refused.errors.contains("Name the model.safetensors of the run"), "\(refused.errors)")
        }
        let neither = try run(["export", "--model", folder.file("run")], in: folder)
        #expect(neither.status == 64 && neither.errors.contains("--onnx or --torch"))
    }
}
