import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// What is kept of a run: finite checkpoints and models, of known images.
@Suite struct RunFilesTests {
    private static func configuration() -> RunConfiguration {
        var c = RunConfiguration()
        c.encoder = ResNet(.resnet10, width: 0.0625)
        (c.head, c.batch, c.steps, c.maxTrain, c.maxTest) = ([16], 8, 6, 32, 12)
        return c
    }

    private static let dataset = Result { try ImageDataset.load("builtin:shapes") }
    private static func split(_ c: RunConfiguration) throws -> OneClassSplit {
        try c.split(try dataset.get())
    }

    /// Whatever is saved can be gone on from, however seldom the loss is looked at.
    @Test(arguments: [1, 3, 1000])
    func divergedRunsKeepTheirLastFiniteCheckpoint(_ every: Int) throws {
        let folder = try TemporaryFolder(), directory = try RunDirectory(folder.file("run"))
        var c = Self.configuration()
        (c.steps, c.learningRate) = (200, 1e6)
        var run = TrainingRun(directory: directory, split: try Self.split(c), configuration: c)
        (run.checkpointInterval, run.recordEvery) = (0, every)
        let error = #expect(throws: OCCError.self) { try run.run(device: try .cpu()) }
        #expect(
            error?.kind == .failure && error?.message.contains("step ") == true, "\(error?.message ?? "")")
        for path in [directory.checkpoint, directory.previousCheckpoint] where pathExists(path) {
            let file = try RunDirectory.read(path)
            for (name, entry) in file.tensors {
                #expect(entry.floats?.allSatisfy(\.isFinite) == true, "\(path): \(name)")
            }
        }
        #expect(pathExists(directory.checkpoint))
        #expect(!pathExists(directory.model))
    }

    /// A checkpoint is written when the weights are finite still, and the loss is not.
    @Test func aCheckpointWithoutALossIsNotMade() throws {
        var c = Self.configuration()
        (c.steps, c.learningRate) = (200, 1e6)
        let trainer = try Trainer(configuration: c, images: try Self.split(c).train, device: try .cpu())
        var made = 0
        let error = #expect(throws: OCCError.self) {
            try trainer.run(
                recordEvery: 1_000_000,
                shouldStop: {
                    _ = try trainer.checkpoint()
                    made += 1
                    return false
                })
        }
        #expect(error?.kind == .failure)
        #expect(made < 199)
    }

    @Test func checkpointsKnowTheirImages() throws {
        let c = Self.configuration(), split = try Self.split(c), device = try Device.cpu()
        let trainer = try Trainer(configuration: c, images: split.train, device: device)
        var saved = try trainer.checkpoint()
        // The same images by another path.
        var moved = c
        moved.data = "elsewhere"
        let other = try Trainer(configuration: moved, images: split.train, device: device)
        #expect(try other.restore(saved, name: "checkpoint"))
        // One pixel of one image.
        var pixels = split.train.pixels
        pixels[pixels.count - 1] ^= 1
        let changed = try Trainer(
            configuration: c, images: ImageBatch(side: split.train.side, pixels: pixels), device: device)
        let error = #expect(throws: OCCError.self) { try changed.restore(saved, name: "checkpoint") }
        #expect(error?.kind == .badData && error?.message.contains("changed") == true)
        // An older checkpoint does not say; its path counts.
        saved.metadata["data_digest"] = nil
        #expect(try trainer.restore(saved, name: "checkpoint") == false)
        #expect(throws: OCCError.self) { try other.restore(saved, name: "checkpoint") }
        // The images that are held out count too.
        var less = c
        less.holdOut = 0.2
        #expect(try Self.split(less).trainingDigest != split.trainingDigest)
    }

    /// A run whose first steps were augmented by other formulas is continued, and says so; of images as they are,
    /// there is nothing to say.
    @Test(arguments: [true, false]) func checkpointsKnowTheirAugmentation(_ augments: Bool) throws {
        var c = Self.configuration()
        c.steps = 2
        if !augments { (c.method, c.augment, c.head) = (Denoising(), "none", []) }
        let split = try Self.split(c), device = try Device.cpu()
        func notices(_ change: (inout TensorFile) -> Void) throws -> [String] {
            let folder = try TemporaryFolder()
            let trainer = try Trainer(
                configuration: c, images: split.train, device: device, dataDigest: split.trainingDigest)
            _ = try trainer.run(shouldStop: { true })
            var saved = try trainer.checkpoint()
            change(&saved)
            let run = TrainingRun(
                directory: try RunDirectory(folder.file("run")), split: split, configuration: c)
            try run.directory.save(saved)
            var notices: [String] = []
            _ = try run.run(device: device, notice: { notices.append($0) })
            return notices.filter { $0.contains("augments") }
        }
        #expect(try notices { _ in } == [])
        #expect(try notices { $0.metadata["augmentation"] = nil }.count == (augments ? 1 : 0))
        #expect(try notices { $0.metadata["augmentation"] = "1" }.count == (augments ? 1 : 0))
    }

    /// The checkpoints that are there stay when the new one cannot be made.
    @Test func aFailedSaveLosesNothing() throws {
        let folder = try TemporaryFolder(), directory = try RunDirectory(folder.file("run"))
        func checkpoint(_ step: Int) -> TensorFile {
            TensorFile(
                metadata: ["step": "\(step)"], tensors: ["w": .init([Float](arrayLiteral: 1), shape: [1])])
        }
        for step in 1...3 { try directory.save(checkpoint(step)) }
        #expect(try RunDirectory.read(directory.previousCheckpoint) == checkpoint(2))
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
        #expect(names == [".lock", "checkpoint.previous.safetensors", "checkpoint.safetensors"])
        // A folder in the place of the one before: renaming fails.
        unlink(directory.previousCheckpoint)
        try FileManager.default.createDirectory(
            atPath: directory.previousCheckpoint + "/x", withIntermediateDirectories: true)
        #expect(throws: OCCError.self) { try directory.save(checkpoint(4)) }
        #expect(try RunDirectory.read(directory.checkpoint) == checkpoint(3))
    }

    /// Files are replaced where they are; devices are written to, and links stay.
    @Test func whatIsNoFileIsNotReplaced() throws {
        let folder = try TemporaryFolder(), file = try folder.write([1], to: "file")
        #expect(symlink(file, folder.file("link")) == 0)
        try AtomicFile.write([2, 3], to: folder.file("link"))
        #expect(try readFile(file) == [2, 3])
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.file("link")) == file)
        #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
        let reader = open(folder.file("pipe"), O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        try AtomicFile.write([4, 5, 6], to: folder.file("pipe"))
        var bytes = [UInt8](repeating: 0, count: 8)
        #expect(read(reader, &bytes, 8) == 3)
        let error = #expect(throws: OCCError.self) { try AtomicFile.write([1], to: folder.path) }
        #expect(error?.kind == .cannotCreate)
        // A pipe without a writer is no input to wait for.
        #expect(throws: OCCError.self) { try readFile(folder.file("pipe")) }
    }

    // MARK: Models

    /// A score that is not finite never comes out of a damaged model, nor out of weights that overflow.
    @Test(arguments: [
        "kde", "gaussian", "ocsvm-rbf", "ocsvm-linear", "svdd", "knn", "knn-mahalanobis", "patches",
    ])
    func damagedModelsGiveNoScoreThatIsNotFinite(_ name: String) throws {
        var c = Self.configuration()
        (c.steps, c.maxTrain, c.holdOut) = (1, 16, 0.01)
        if name == "patches" {
            c.method = CutPastePrediction(.rectangle)
            (c.patch, c.stride, c.locations, c.detector) = (16, 16, .each, GaussianDensity())
        } else {
            c.detector = try Detectors.registry.entry(name)
        }
        let split = try Self.split(c), folder = try TemporaryFolder(), path = folder.file("m.safetensors")
        try OneClassModel.fit(split, configuration: c).save(path)
        let images = split.test.subset(0..<2), original = try readFile(path),
            whole = try TensorFile(contentsOf: path)
        var wrong: [String] = [], scored = 0
        func attempt(_ bytes: [UInt8], _ what: String) throws {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            do {
                let model = try OneClassModel.load(path)
                var values = try model.score(images)
                values += try model.transformationScores(of: images).values.joined()
                if name == "patches" {
                    values += try model.localize(images).flatMap { $0.map.map(Double.init) }
                }
                scored += 1
                if !values.allSatisfy(\.isFinite) { wrong.append("\(what): \(values.prefix(4))") }
            } catch let error as OCCError {
                if !error.message.contains(path) { wrong.append("\(what): \(error.message)") }
            }
        }
        // Beyond the header: what the header says is checked by TensorFile's tests.
        let start = 8 + Int(original[0]) + Int(original[1]) << 8 + Int(original[2]) << 16
        var random = CounterRandom(seed: 7, stream: 0xDA3A)
        for index in 0..<12 {
            var bytes = original
            for _ in 0..<4 {
                let place = start + Int(random.uniform() * Double(bytes.count - start))
                bytes[place] ^= 1 << UInt8(random.uniform() * 8)
            }
            try attempt(bytes, "flipped \(index)")
        }
        // The encoder's are alike: every ninth of them, with one detector.
        let encoder = whole.tensors.keys.sorted().filter {
            !$0.hasPrefix("detector.") && !$0.hasPrefix("scores.")
        }
        let skipped = Set(encoder.enumerated().filter { name != "kde" || $0.offset % 9 != 0 }.map(\.element))
        for (tensor, entry) in whole.tensors.sorted(by: { $0.key < $1.key }) where !skipped.contains(tensor) {
            for value in [Float.nan, .infinity, 3e38, -3e38, -1, 0, 1e-38] {
                var file = whole
                let count = entry.shape.reduce(1, *)
                // As large as the type holds.
                let double = abs(value) > 1e38 ? Double(value) * 1e270 : Double(value)
                file.tensors[tensor] =
                    entry.doubles == nil
                    ? .init([Float](repeating: value, count: count), shape: entry.shape)
                    : .init([Double](repeating: double, count: count), shape: entry.shape)
                try attempt(try file.encoded(), "\(tensor) = \(value)")
            }
        }
        #expect(wrong == [])
        #expect(scored > 5)
    }
}
