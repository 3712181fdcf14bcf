import OCCDetectors
import OCCEngine
import OneClass
import TestSupport
import Testing

/// The numbers of the formats of files: older programs refuse what they would misread, and read what they can.
@Suite struct FileFormatTests {
    /// A model of drawn weights, saved as a file of this name.
    private static func model(
        _ path: String, _ change: (inout RunConfiguration) throws -> Void
    ) throws -> OneClassModel {
        var c = RunConfiguration()
        (c.encoder, c.steps, c.maxTrain, c.maxTest) = (ResNet(.resnet10, width: 0.0625), 0, 24, 2)
        try change(&c)
        let split = try c.split(try ImageDataset.load("builtin:surface", imageSize: 64))
        let model = try OneClassModel.fit(split, configuration: c, device: try .cpu())
        try model.save(path)
        return model
    }

    /// What a reader of format 3 knows nothing of makes it 4; a file that was written as 3 is read as before.
    @Test(
        arguments: [
            ("whole images", "kde", nil, 3), ("patches", "kde", 32, 4), ("maps", "padim", nil, 4),
            ("patches without a threshold", "kde", 32, 3),
        ] as [(String, String, Int?, Int)])
    func aFileHasTheLowestFormatThatTellsAll(_ what: String, _ detector: String, _ patch: Int?, _ format: Int)
        throws
    {
        let folder = try TemporaryFolder(), path = folder.file("model.safetensors")
        let model = try Self.model(path) { c in
            (c.detector, c.patch) = (try Detectors.entry(detector), patch)
            if what.hasSuffix("threshold") { c.holdOut = 0 }
        }
        var file = try TensorFile(contentsOf: path)
        #expect(file.metadata["format"] == "occ-gpu model \(format)")
        file.metadata["format"] = "occ-gpu model 3"
        try file.write(to: path)
        let again = try OneClassModel.load(path)
        #expect(again.mapCalibration.threshold == model.mapCalibration.threshold)
        #expect(again.detector.state == model.detector.state)
        // It is not written on as what it was called.
        try again.save(path)
        #expect(try TensorFile(contentsOf: path).metadata["format"] == "occ-gpu model \(format)")
    }

    /// A file of a newer program says which program reads it, one of an older what makes it anew.
    @Test func otherFormatsSayWhatToDo() throws {
        let folder = try TemporaryFolder(), path = folder.file("d.safetensors")
        let rows = FeatureMatrix(rows: 9, columns: 2, values: (0..<18).map { Float($0 * $0 % 7) })
        var c = RunConfiguration()
        c.holdOut = 0
        let model = try FeatureModel(fitting: rows, configuration: c)
        try model.save(path)
        var file = try TensorFile(contentsOf: path)
        #expect(try file.metadata["format"] == "occ-gpu detector 1" && FeatureModel.load(path).columns == 2)
        for (format, words) in [
            (
                "occ-gpu detector 2",
                "which a newer occ-gpu wrote; this program reads format 1\n  Use the newer"
            ),
            (
                "occ-gpu detector 0",
                "which an older occ-gpu wrote; this program reads format 1\n  Fit it again"
            ),
            ("occ-gpu detector x", "is no detector of features"), ("", "is no detector of features"),
            ("occ-gpu model 3", "is a model of images"),
        ] {
            file.metadata["format"] = format
            try file.write(to: path)
            let error = #expect(throws: OCCError.self) { try FeatureModel.load(path) }
            #expect(error?.kind == .badData && error?.description.contains(words) == true, "\(format)")
            #expect(error?.message.hasPrefix("\(path): ") == true)
        }
        // What takes a model of images is told what the file scores, whatever its number.
        for format in ["occ-gpu detector 1", "occ-gpu detector 2"] {
            file.metadata["format"] = format
            try file.write(to: path)
            let error = #expect(throws: OCCError.self) { try OneClassModel.load(path) }
            #expect(error?.description.contains("which scores the rows of .npy files") == true)
        }
    }
}
