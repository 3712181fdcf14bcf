import Foundation
import OCCDetectors
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Small whole runs.
@Suite struct TrainingTests {
    private static func configuration(_ method: any Method = RotationPrediction()) -> RunConfiguration {
        var c = RunConfiguration()
        c.method = method
        c.encoder = ResNet(.resnet10, width: 0.0625)
        c.head = method is GeometricTransformations || !method.defaults.headWidths.isEmpty ? [16, 8] : []
        if !method.trainsEncoder { c.detector = OwnScore() }
        if method.usesOutliers { c.outliers = "builtin:surface" }
        c.batch = 8
        c.steps = 6
        c.maxTrain = 64
        c.maxTest = 60
        return c
    }

    /// Whether the last ten losses are clearly below the first ten.
    private static func falls(_ losses: [Double]) -> Bool {
        let first = losses.prefix(10).reduce(0, +), last = losses.suffix(10).reduce(0, +)
        return last < 0.9 * first
    }

    private static let dataset = Result { try ImageDataset.load("builtin:shapes") }

    private static func split(_ c: RunConfiguration) throws -> OneClassSplit {
        try c.split(try dataset.get())
    }

    @Test(arguments: Methods.registry.names)
    func aRunLowersItsLoss(_ method: String) throws {
        var c = Self.configuration(try smallMethod(method))
        (c.learningRate, c.steps, c.augment) = (0.01, 60, "hflip")
        // Seventy-two classes take longer to tell apart than four.
        if method == "geometric" { (c.head, c.batch, c.learningRate, c.steps) = ([], 32, 0.1, 120) }
        // Pasted parts are small in these images, and hard to tell for a small network.
        if method == "cutpaste" { (c.batch, c.learningRate, c.steps) = (32, 0.1, 150) }
        c.optimizer = method == "flow" ? .adam : .sgd
        // Its loss is ten times the distances that are outside.
        if method == "deep-svdd-soft" { c.learningRate = 0.001 }
        let split = try Self.split(c)
        let trainer = try Trainer(
            configuration: c, images: split.train, outliers: split.outliers, device: try .cpu())
        var losses: [Double] = []
        #expect(try trainer.run(recordEvery: 1) { losses.append($0.loss) })
        #expect(losses.count == c.steps)
        #expect(Self.falls(losses), "\(losses)")
    }

    @Test(arguments: Methods.registry.names)
    func resumingIsBitForBit(_ method: String) throws {
        let c = Self.configuration(try smallMethod(method)), split = try Self.split(c),
            device = try Device.cpu()
        let whole = try Trainer(
            configuration: c, images: split.train, outliers: split.outliers, device: device)
        _ = try whole.run()
        let first = try Trainer(
            configuration: c, images: split.train, outliers: split.outliers, device: device)
        #expect(try first.run(shouldStop: { first.step == 3 }) == false)
        let saved = try TensorFile(bytes: try first.checkpoint().encoded(), name: "checkpoint")
        let second = try Trainer(
            configuration: c, images: split.train, outliers: split.outliers, device: device)
        try second.restore(saved, name: "checkpoint")
        #expect(second.step == 3)
        #expect(try second.run())
        #expect(try second.checkpoint() == whole.checkpoint())
    }

    @Test func anotherConfigurationIsRefusedByKey() throws {
        var c = Self.configuration()
        let images = try Self.split(c).train, device = try Device.cpu()
        let saved = try Trainer(configuration: c, images: images, device: device).checkpoint()
        c.momentum = 0.5
        let error = #expect(throws: OCCError.self) {
            try Trainer(configuration: c, images: images, device: device).restore(saved, name: "checkpoint")
        }
        #expect(error?.message.contains("momentum") == true)
    }

    /// A method whose rows are wrong in one way.
    private struct WrongRows: Method {
        enum Fault: String, CaseIterable, Sendable { case image, numbers, place }

        let fault: Fault
        let name = "wrong-rows"
        let summary = "Shows what is not there."
        static let settings: [Setting<WrongRows>] = []
        var defaults: TrainingDefaults { TrainingDefaults(headWidths: []) }
        let rowInputs = [RowInput("symmetry")]
        let copies = 2

        func row(index: Int, copy: Int, batch: Int) -> Int { fault == .place ? 0 : 2 * index + copy }
        func view(item: Int, copy: Int) -> BatchRow {
            BatchRow(
                image: fault == .image ? item + 1_000_000 : item, label: copy,
                inputs: fault == .numbers ? [] : [4 * copy])
        }
        func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
            let x = try dihedral(batch.images, transforms: batch.inputs["symmetry"], in: plan)
            let features = try batch.encoder(x, in: plan).pooled
            let logits = try ProjectionHead(widths: batch.headWidths, logits: 2)(features, in: plan)
            return TrainingOutputs(
                loss: try softmaxCrossEntropy(logits, labels: batch.labels, in: plan), features: features)
        }
    }

    @Test(arguments: WrongRows.Fault.allCases)
    private func rowsThatAreNotThereAreErrors(_ fault: WrongRows.Fault) throws {
        let c = Self.configuration(WrongRows(fault: fault))
        let trainer = try Trainer(configuration: c, images: try Self.split(c).train, device: try .cpu())
        let error = #expect(throws: OCCError.self) { try trainer.run() }
        #expect(error?.message.contains("wrong-rows") == true)
    }

    /// A detector of the configured one's name is fitted anew where its settings are others.
    @Test func comparedDetectorsHaveTheirOwnSettings() throws {
        let c = Self.configuration(), split = try Self.split(c)
        let model = try OneClassModel.fit(split, configuration: c)
        let fit = try model.features(of: split.detectorFit), other = KernelDensity(gamma: 1e3)
        let expected = try RankingMetrics(
            scores: other.fit(fit).scores(model.features(of: split.test)), labels: split.testLabels)
        let own = try RankingMetrics(scores: model.score(split.test), labels: split.testLabels)
        #expect(own.auroc != expected.auroc)
        #expect(try model.auroc(of: [other], on: split) == ["kde": expected.auroc])
        #expect(try model.auroc(of: [KernelDensity()], on: split) == ["kde": own.auroc])
    }

    /// LARS and Nesterov run whole steps; what they compute is tested by operation.
    @Test func otherOptimizersLowerTheLoss() throws {
        for kind in Optimizer.Kind.allCases {
            var c = Self.configuration()
            c.steps = 80
            c.augment = "none"
            c.optimizer = kind
            c.nesterov = kind == .sgd
            c.warmup = 5
            if kind == .lars { (c.learningRate, c.trust) = (1, 0.02) }
            let trainer = try Trainer(configuration: c, images: try Self.split(c).train, device: try .cpu())
            var losses: [Double] = []
            _ = try trainer.run(recordEvery: 1) { losses.append($0.loss) }
            #expect(Self.falls(losses), "\(kind) \(losses)")
        }
    }

    /// The first step from weights none of which is 0: w - rate (g + decay w), for the factors and offsets of batch
    /// normalization and for biases as for filters (util/train.py of Sohn et al., whose `regularize_bn` leaves none
    /// out).
    @Test func noParameterIsWithoutDecay() throws {
        var c = Self.configuration()
        (c.learningRate, c.weightDecay, c.math, c.schedule) = (0.125, 0.5, .strict, .constant)
        let trainer = try Trainer(configuration: c, images: try Self.split(c).train, device: try .cpu())
        let before = try trainer.program.exportWeights().map { weight in
            NamedWeights(
                name: weight.name, shape: weight.shape,
                values: weight.name.hasSuffix("running_var") ? weight.values : weight.values.map { $0 + 0.25 }
            )
        }
        try trainer.program.importWeights { name in before.first { $0.name == name } }
        try trainer.advance()
        let gradients = try trainer.program.exportGradients(), after = try trainer.program.exportWeights()
        for suffix in ["bn1.weight", "bn1.bias", "head.0.bn.bias", "head.embed.bias", "head.logits.bias"] {
            #expect(gradients.contains { $0.name.hasSuffix(suffix) }, "\(suffix)")
        }
        for gradient in gradients {
            let old = try #require(before.first { $0.name == gradient.name })
            let new = try #require(after.first { $0.name == gradient.name })
            for index in old.values.indices {
                let (w, g) = (Double(old.values[index]), Double(gradient.values[index]))
                let expected = w - 0.125 * (g + 0.5 * w)
                let error = abs(Double(new.values[index]) - expected)
                #expect(error <= 1e-6 * (abs(w) + abs(g)), "\(gradient.name)[\(index)]")
            }
        }
    }

    @Test func aDivergedRunStopsWithTheReason() throws {
        var c = Self.configuration()
        (c.steps, c.learningRate) = (200, 1e6)
        let trainer = try Trainer(configuration: c, images: try Self.split(c).train, device: try .cpu())
        let error = #expect(throws: OCCError.self) { try trainer.run() }
        #expect(error?.kind == .failure)
    }

    @Test(arguments: Detectors.registry.names)
    func modelsSurviveTheirFile(_ name: String) throws {
        let detector = try Detectors.registry.entry(name)
        var c = Self.configuration()
        (c.detector, c.falseAlarmRate) = (detector, 0.1)
        let split = try Self.split(c), folder = try TemporaryFolder()
        let model = try OneClassModel.fit(split, configuration: c)
        try model.save(folder.file("model.safetensors"))
        let loaded = try OneClassModel.load(folder.file("model.safetensors"))
        #expect(try loaded.score(split.test) == model.score(split.test))
        #expect(loaded.calibration == model.calibration)
        #expect(loaded.configuration == c.resolved)
        let own = try model.transformationScores(of: split.test)
        #expect(Set(own.keys) == ["upright", "product"])
        #expect(try loaded.transformationScores(of: split.test) == own)
        try loaded.save(folder.file("again.safetensors"))
        #expect(try readFile(folder.file("again.safetensors")) == readFile(folder.file("model.safetensors")))
        let evaluation = try Evaluation(loaded, on: split, rawPixels: name == "kde")
        #expect((0...1).contains(try #require(evaluation.auroc)))
        #expect(evaluation.normals + evaluation.outliers == 60)
    }

    @Test func damagedModelsAreErrors() throws {
        let c = Self.configuration(), folder = try TemporaryFolder(),
            path = folder.file("model.safetensors")
        try OneClassModel.fit(try Self.split(c), configuration: c).save(path)
        let whole = try TensorFile(contentsOf: path)
        func expectError(_ change: (inout TensorFile) -> Void) throws {
            var file = whole
            change(&file)
            try file.write(to: path)
            let error = #expect(throws: OCCError.self) { try OneClassModel.load(path) }
            #expect(error?.message.hasPrefix(path) == true, "\(error?.message ?? "")")
        }
        try expectError { $0.metadata = [:] }
        try expectError { $0.tensors["conv1.weight"] = nil }
        try expectError { $0.tensors["bn1.weight"] = .init([Float](repeating: .nan, count: 4), shape: [4]) }
        try expectError {
            $0.tensors["layer1.0.conv1.weight"] = .init([Float](repeating: 1, count: 4), shape: [4])
        }
        try expectError { $0.tensors["detector.support"] = nil }
        try expectError { $0.metadata["configuration"] = "{\"width\":-1}" }
        try expectError { $0.metadata["image_size"] = "1000000" }
    }

    /// Files of other formats are called what they are.
    @Test func otherFormatsAreNamed() throws {
        let c = Self.configuration(), folder = try TemporaryFolder(), path = folder.file("model.safetensors")
        try OneClassModel.fit(try Self.split(c), configuration: c).save(path)
        var file = try TensorFile(contentsOf: path)
        // The format before, as far as a model of defaults can tell.
        file.metadata["format"] = "occ-gpu model 2"
        file.metadata["alarm_score"] = nil
        try file.write(to: path)
        #expect(try OneClassModel.load(path).calibration.threshold != nil)
        for (format, word) in [("occ-gpu model 5", "a newer"), ("occ-gpu model 1", "an older")] {
            file.metadata["format"] = format
            try file.write(to: path)
            let error = #expect(throws: OCCError.self) { try OneClassModel.load(path) }
            #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
        }
    }

    // MARK: Run folders

    @Test func checkpointsSurviveDamage() throws {
        let folder = try TemporaryFolder(), directory = try RunDirectory(folder.file("run"))
        #expect(try directory.newestCheckpoint() == nil)
        func checkpoint(_ step: Int) -> TensorFile {
            TensorFile(
                metadata: ["step": "\(step)"],
                tensors: ["w": .init([Float](repeating: Float(step), count: 50), shape: [50])])
        }
        try directory.save(checkpoint(1))
        try directory.save(checkpoint(2))
        #expect(try directory.newestCheckpoint()?.file == checkpoint(2))
        // A flipped bit of the newest: the one before is taken, with a warning that names the file.
        var bytes = try readFile(directory.checkpoint)
        bytes[bytes.count - 10] ^= 4
        try Data(bytes).write(to: URL(fileURLWithPath: directory.checkpoint))
        let found = try #require(try directory.newestCheckpoint())
        #expect(found.file == checkpoint(1))
        #expect(found.warning?.contains(directory.checkpoint) == true)
        // Killed between the two renames of a save: only the previous one is there.
        unlink(directory.checkpoint)
        #expect(try directory.newestCheckpoint()?.file == checkpoint(1))
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: directory.previousCheckpoint))
        #expect(throws: OCCError.self) { try directory.newestCheckpoint() }
    }

    /// 2,000 damaged checkpoints: none is taken for a sound one.
    @Test func damagedCheckpointsAreErrors() throws {
        let folder = try TemporaryFolder(), directory = try RunDirectory(folder.file("run")),
            path = directory.checkpoint
        try directory.save(
            TensorFile(
                metadata: ["step": "3"], tensors: ["w": .init([Float](arrayLiteral: 1, 2, 3), shape: [3])]))
        let original = try readFile(path), sound = try RunDirectory.read(path)
        var taken = 0
        let result = fuzz(original, name: path) { bytes in
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            if try RunDirectory.read(path) != sound { taken += 1 }
        }
        #expect(result.failures == [])
        #expect(taken == 0)
    }

    @Test func aFolderBelongsToOneProcess() throws {
        let folder = try TemporaryFolder(), directory = try RunDirectory(folder.file("run"))
        #expect(throws: OCCError.self) { try RunDirectory(folder.file("run")) }
        withExtendedLifetime(directory) {}
    }

    @Test func logsAreContinuedWithoutRepeats() throws {
        let folder = try TemporaryFolder(), path = folder.file("metrics.jsonl")
        func record(_ step: Int, loss: Double = 1) -> StepRecord {
            StepRecord(
                step: step, totalSteps: 9, loss: loss, learningRate: 0.1,
                collapse: .init(spread: 1, effectiveRank: 2, gradientNorm: 3), imagesPerSecond: 4)
        }
        do {
            let log = try MetricsLog(path, resumingAt: 0)
            for step in 1...5 { try log.append(record(step, loss: step == 2 ? .nan : 1)) }
        }
        let torn = try readFile(path) + Array("{\"step\": 6, \"lo".utf8)
        try Data(torn).write(to: URL(fileURLWithPath: path))
        do {
            let log = try MetricsLog(path, resumingAt: 3)
            try log.append(record(4))
        }
        let lines = String(decoding: try readFile(path), as: UTF8.self).split(separator: "\n")
        let steps = try lines.map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])["step"]
                as? Int
        }
        #expect(steps == [1, 2, 3, 4])
    }

    @Test func protocolsContinue() throws {
        let folder = try TemporaryFolder(), device = try Device.cpu()
        var c = Self.configuration()
        c.steps = 2
        let run = ProtocolRun(
            dataset: try Self.dataset.get(), configuration: c,
            detectors: [KernelDensity(), GaussianDensity()], classes: nil,
            seeds: [1, 2],
            folder: folder.path)
        var started = 0
        let table = try run.run(device: device, started: { _, _, _, _ in started += 1 })
        #expect(started == 2)
        #expect(table.rows.map(\.name) == ["good"])
        #expect(table.mean.cells["kde"] == table.rows[0].cells["kde"])
        try FileManager.default.removeItem(atPath: folder.file("class-0-seed-2/result.json"))
        let again = try run.run(device: device, started: { _, _, _, _ in started += 1 })
        #expect(started == 3)
        #expect(try again.json() == table.json())
        #expect(table.text.contains("| good  |"))
        c.learningRate = 0.02
        let other = ProtocolRun(
            dataset: try Self.dataset.get(), configuration: c, detectors: [KernelDensity()], classes: nil,
            seeds: [1],
            folder: folder.path)
        #expect(throws: OCCError.self) { try other.run(device: device) }
    }
}
