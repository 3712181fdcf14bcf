import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Features as files: what an encoder gives, and detectors of others' features.
@Suite struct FeatureTests {
    private static func trained(_ options: [String]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let outcome = try run(
            ["train", "--data", folder.file("data"), "--out", folder.file("run")] + options, in: folder)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return folder
    }

    private static func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

    /// A detector that is fitted on the encoder's features gives the model's own scores, bit for bit, in the
    /// order of the images.
    @Test(arguments: ["kde", "knn", "knn-mahalanobis"])
    func embeddedFeaturesGiveTheModelsScores(_ detector: String) throws {
        let folder = try Self.trained(smallRun + ["--hold-out", "0", "--detector", detector])
        let model = ["--model", folder.file("run"), "--device", "cpu"]
        let normal = folder.file("normal.npy"), new = folder.file("new.npy"),
            file = folder.file("d.safetensors")
        let first = try run(["embed"] + model + ["--part", "train", "--out", normal], in: folder)
        #expect(first.status == 0, "\(first.errors)")
        try folder.write(Array("no picture".utf8), to: "data/test/good/broken.png")
        // The readable ones are written; the others are an error in the end.
        let second = try run(["embed"] + model + ["--out", new, folder.file("data/test")], in: folder)
        #expect(second.status == 65 && second.errors.contains("broken.png"), "\(second.errors)")
        #expect(second.output == "")
        let array = try NumPyArray(contentsOf: new)
        #expect(array.shape == [6, 32])
        let fitted = try run(
            ["fit", normal, "--detector", detector, "--hold-out", "0", "--out", file], in: folder)
        #expect(fitted.status == 0, "\(fitted.errors)")
        let ours = try run(["score", "--model", file, new], in: folder)
        let theirs = try run(["score"] + model + [folder.file("data/test")], in: folder)
        #expect(ours.status == 0, "\(ours.errors)")
        #expect(Self.lines(ours.output).count == 7)
        #expect(ours.output == theirs.output)
        // Without the file beside it, rows have numbers.
        try FileManager.default.removeItem(atPath: folder.file("new.paths.txt"))
        let numbered = try run(["score", "--model", file, "--format", "jsonl", new], in: folder)
        #expect(Self.lines(numbered.output).last?.contains("\"file\":\"\(new):5\"") == true)
    }

    /// Of a model of patches each patch has a row, from the top left.
    @Test func patchesHaveRows() throws {
        let folder = try Self.trained(smallPatches), out = folder.file("patches.npy")
        let outcome = try run(
            ["embed", "--model", folder.file("run"), "--part", "held-out", "--device", "cpu", "--out", out],
            in: folder)
        #expect(outcome.status == 0, "\(outcome.errors)")
        // 8 normal images, a quarter of them held out; patches of 16 every 8 in 32 pixels.
        let array = try NumPyArray(contentsOf: out)
        #expect(array.shape.first == 2 * 9)
        let names = Self.lines(
            String(decoding: try readFile(folder.file("patches.paths.txt")), as: UTF8.self))
        #expect(names.count == 18 && Set(names[0..<9]).count == 1 && Set(names[9..<18]).count == 1)
        #expect(names[0] != names[9])
        let model = try OneClassModel.load(folder.file("run/model.safetensors"))
        let images = try model.configuration.split(model.configuration.dataset()).calibration
        #expect(try model.features(of: images).values == array.values)
    }

    /// Rows on a line, by the nearest: distances and threshold are known without the program.
    @Test func thresholdsAreThoseOfHeldOutRows() throws {
        let folder = try TemporaryFolder()
        // Directions in the plane: the detector looks at these alone.
        func direction(_ degrees: Double) -> [Float] {
            [Float(cos(degrees * .pi / 180)), Float(sin(degrees * .pi / 180))]
        }
        let rows = (0..<40).map { Double($0) }
        try folder.write(NumPyArray(rows.flatMap(direction), shape: [40, 2]).encoded, to: "normal.npy")
        try folder.write(
            NumPyArray([20, 45, 130].flatMap(direction), shape: [3, 2]).encoded, to: "new.npy")
        let file = folder.file("model")
        let fitted = try run(
            ["fit", folder.file("normal.npy"), "--detector", "knn", "--hold-out", "0.25", "--out", file],
            in: folder)
        #expect(fitted.status == 0, "\(fitted.errors)")
        let model = try FeatureModel.load("\(file)/model.safetensors")
        #expect(model.columns == 2 && model.calibration.scores.count == 10)
        // Each score is that of an angle to the nearest of 30 rows: of a few degrees.
        #expect(model.calibration.threshold == model.calibration.scores.last)
        let outcome = try run(["score", "--model", file, folder.file("new.npy")], in: folder)
        let fields = Self.lines(outcome.output).dropFirst().map { $0.split(separator: ",").map(String.init) }
        #expect(fields.map { $0[3] } == ["false", "true", "true"], "\(outcome.output)")
        #expect(fields[2][2] == "\(1.0 / 11)")
        let scores = fields.compactMap { Double($0[1]) }
        #expect(scores.count == 3 && scores[0] < scores[1] && scores[1] < scores[2])
        let again = try run(
            [
                "score", "--model", file, "--threshold", "\(scores[1])", folder.file("new.npy"),
            ], in: folder)
        #expect(Self.lines(again.output).dropFirst().map { $0.hasSuffix("true") } == [false, false, true])
        // Folds hold nothing out.
        let cross = try run(
            [
                "fit", folder.file("normal.npy"), "--detector", "gaussian", "--calibration", "cross", "--out",
                folder.file("c.safetensors"),
            ], in: folder)
        #expect(cross.status == 0, "\(cross.errors)")
        let ensemble = try FeatureModel.load(folder.file("c.safetensors"))
        #expect(ensemble.calibration.scores.count == 40 && ensemble.detector is DetectorEnsemble)
    }

    /// Rows that are read as they are needed, and a count of those in memory at once.
    private final class CountedRows: FeatureSource {
        let matrix: FeatureMatrix
        private(set) var most = 0

        init(_ matrix: FeatureMatrix) { self.matrix = matrix }

        var rows: Int { matrix.rows }
        var columns: Int { matrix.columns }

        func subset(_ indices: some Collection<Int>) -> FeatureMatrix {
            most = max(most, indices.count)
            return matrix.subset(indices)
        }
    }

    /// A detector of rows that do not lie in memory is that of the matrix, and only what it keeps is read.
    @Test(arguments: [CalibrationKind.split, .cross])
    func rowsAreReadAsTheyAreNeeded(_ kind: CalibrationKind) throws {
        var random = CounterRandom(seed: 1, stream: 77), configuration = RunConfiguration()
        let matrix = FeatureMatrix(
            rows: 300, columns: 4, values: (0..<1200).map { _ in Float(random.uniform()) - 0.5 })
        (configuration.calibration, configuration.detectorRows) = (kind, 50)
        for detector: any Detector in [KernelDensity(), NearestNeighbors(neighbors: 3)] {
            configuration.detector = detector
            let whole = try FeatureModel(fitting: matrix, configuration: configuration)
            let source = CountedRows(matrix)
            let parts = try FeatureModel(fitting: source, configuration: configuration)
            #expect(parts.detector.state == whole.detector.state)
            #expect(parts.calibration.scores == whole.calibration.scores)
            // The held-out ones are scored some at a time, and these are few.
            let held = kind == .cross ? 300 / configuration.folds : whole.calibration.scores.count
            #expect(source.most == max(50, held))
            // By hand: evenly of those that are not held out.
            if kind == .split {
                #expect(try whole.detector.state.array("support").shape == [50, 4])
            }
        }
    }

    @Test func slipsAreNamed() throws {
        let folder = try Self.trained(smallRun)
        let model = folder.file("run")
        try folder.write(NumPyArray([1, 2, 3, .nan, 5, 6], shape: [3, 2]).encoded, to: "nan.npy")
        try folder.write(NumPyArray([1, 2, 3, 4, 5, 6], shape: [2, 3]).encoded, to: "wide.npy")
        try folder.write(NumPyArray([1, 2, 3, 4, 5, 7], shape: [3, 2]).encoded, to: "good.npy")
        try folder.write(NumPyArray([1, 2], shape: [2]).encoded, to: "flat.npy")
        #expect(
            try run(
                ["fit", folder.file("good.npy"), "--hold-out", "0", "--out", folder.file("d")], in: folder
            ).status
                == 0)
        let detector = folder.file("d"), out = folder.file("out.npy")
        let cases: [([String], Int32, String)] = [
            (["fit", folder.file("nan.npy"), "--out", out], 65, "row 1, column 1 is nan"),
            (["fit", folder.file("flat.npy"), "--out", out], 65, "flat.npy"),
            (["fit", folder.file("nowhere.npy"), "--out", out], 66, "nowhere.npy"),
            (["fit", "--out", out], 64, "one file"), (["fit", "x.npy"], 64, "--out"),
            (
                ["fit", folder.file("good.npy"), "--detector", "knn", "--neighbors", "9", "--out", out], 64,
                "--neighbors"
            ),
            (["score", "--model", detector, folder.file("wide.npy")], 65, "3 columns"),
            (["score", "--model", model, folder.file("good.npy")], 65, "model of images"),
            (["score", "--model", detector, folder.file("data/test")], 65, "not an occ-gpu model"),
            (["score", "--model", detector, folder.file("good.npy"), "a.png"], 64, "different models"),
            (["embed", "--model", model, "--out", folder.file("x.csv")], 64, ".npy"),
            (["embed", "--model", model, "--out", out, "--part", "test", "a.png"], 64, "--part"),
            (["embed", "--model", model, "--out", out, "--part", "all"], 64, "held-out"),
        ]
        for (arguments, status, word) in cases {
            let outcome = try run(arguments, in: folder)
            #expect(
                outcome.status == status && outcome.errors.contains(word), "\(arguments): \(outcome.errors)")
            #expect(!FileManager.default.fileExists(atPath: out))
        }
    }
}
