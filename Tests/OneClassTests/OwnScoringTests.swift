import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// Methods that score by themselves, against PyTorch (Tests/Fixtures/make_method_fixtures.py): from equal
/// weights and images scores, ten losses, and the first step's gradients.
@Suite struct OwnScoringTests {
    private struct Case: Decodable {
        let optimizer: String
        let rate: Double, decay: Double
        let nu: Double?
        let head: [Int]?
    }

    private static let side = 32

    /// Whole numbers of 0...255 from a name, as the script has them.
    private static func pictures(_ name: String, _ count: Int) -> ImageBatch {
        let values = namedUniforms(name, count * side * side * 3)
        return ImageBatch(side: side, pixels: values.map { UInt8($0 * 256) })
    }

    private static func weights(_ name: String, _ shape: [Int]) -> NamedWeights {
        NamedWeights(name: name, shape: shape, values: namedWeights(name, shape))
    }

    private static func configuration(_ name: String, _ c: Case) throws -> RunConfiguration {
        var configuration = RunConfiguration()
        configuration.method = try Methods.registry.entry(name)
        configuration.encoder = LeNet(width: 0.125, outputs: 8)
        configuration.detector = configuration.method is any OwnScoring ? OwnScore() : KernelDensity()
        configuration.optimizer = Optimizer.Kind(rawValue: c.optimizer)
        configuration.learningRate = c.rate
        configuration.weightDecay = c.decay
        configuration.schedule = .constant
        configuration.augment = "none"
        configuration.head = c.head ?? []
        configuration.batch = 8
        configuration.steps = 10
        configuration.math = .strict
        if let nu = c.nu {
            #expect(try configuration.method.set(key: "nuOutside", to: .number(nu)))
            #expect(try configuration.method.set(key: "radiusEpochs", to: .integer(0)))
        }
        if configuration.method.usesOutliers { configuration.outliers = "builtin:surface" }
        return configuration
    }

    /// A fixture, and a trainer with its weights and images.
    private static func prepared(_ name: String) throws -> (TensorFile, Trainer) {
        let file = try TensorFile(contentsOf: fixturePath("method-\(name).safetensors"))
        let c = try JSONDecoder().decode(Case.self, from: Data(try #require(file.metadata["case"]).utf8))
        let configuration = try configuration(name, c)
        let trainer = try Trainer(
            configuration: configuration, images: pictures("images", 8),
            outliers: configuration.outliers == nil ? nil : pictures("outlier", 1), device: try .cpu())
        let program = trainer.program
        // Statistics stay as they are drawn; the center, which the first pass has found, is the script's.
        let drawn = Dictionary(uniqueKeysWithValues: try program.exportWeights().map { ($0.name, $0) })
        try program.importWeights { parameter in
            let known = try #require(drawn[parameter])
            let isConstant = program.layout[parameter]?.isStatistic == true && parameter != "svdd.center"
            return isConstant ? known : weights(parameter, known.shape)
        }
        return (file, trainer)
    }

    @Test(
        arguments: [
            "autoencoder", "deep-svdd", "deep-svdd-soft", "csi", "outlier-exposure", "rotation-exposed",
        ])
    func agreesWithPyTorch(_ name: String) throws {
        let (file, trainer) = try Self.prepared(name), configuration = trainer.configuration
        let images = Self.pictures("images", 8), others = Self.pictures("others", 4)
        let program = trainer.program
        let expected = try #require(file.tensors["scores"]?.doubles)
        let features = try trainer.features(of: others)
        let got: [Double]
        if let method = configuration.method as? any OwnScoring {
            got = try method.scoreDetector.fit(trainer.features(of: images)).scores(features)
        } else {
            got = try #require(try trainer.transformationScores(of: others)["upright"])
        }
        let scale = expected.map(abs).max() ?? 1
        for (a, b) in zip(got, expected) { #expect(abs(a - b) <= 1e-5 * scale, "score \(a), PyTorch \(b)") }
        let losses = try #require(file.tensors["losses"]?.doubles)
        for (step, value) in losses.enumerated() {
            try trainer.advance()
            let got = try trainer.loss()
            #expect(abs(got - value) <= 1e-4 * value, "loss of step \(step): \(got), PyTorch \(value)")
            guard step == 0 else { continue }
            for found in try program.exportGradients() {
                let norm = try #require(file.tensors["norm/\(found.name)"]?.floats, "\(found.name)")
                let values = found.values.map(Double.init), own = dot(values, values).squareRoot()
                #expect(abs(own - Double(norm[0])) <= 1e-4 * Double(norm[0]) + 1e-7, "norm of \(found.name)")
                guard let reference = file.tensors["grad/\(found.name)"], norm[0] > 1e-6 else { continue }
                #expect(found.shape == reference.shape)
                let failure = difference(
                    values, try #require(reference.floats).map(Double.init), tolerance: 1e-8)
                #expect(failure == nil, "gradient of \(found.name): \(failure ?? "")")
            }
        }
    }

    // MARK: Maps

    private static func surface(_ c: RunConfiguration) throws -> OneClassSplit {
        var c = c
        (c.maxTrain, c.maxTest, c.seed) = (40, 16, 1)
        return try c.split(try ImageDataset.load("builtin:surface", imageSize: side))
    }

    @Test func mapsAgreeWithPyTorch() throws {
        let (file, trainer) = try Self.prepared("autoencoder"), others = Self.pictures("others", 4)
        let model = try OneClassModel(trainer, split: try Self.surface(trainer.configuration))
        let found = try model.localize(others)
        let expected = try #require(file.tensors["maps"]?.floats).map(Double.init)
        let failure = difference(found.flatMap { $0.map.map(Double.init) }, expected, tolerance: 1e-10)
        #expect(failure == nil, "\(failure ?? "")")
        #expect(try found.map(\.score) == model.score(others))
    }

    private static func mapModel(
        _ method: any Method, _ change: (inout RunConfiguration) -> Void = { _ in }
    ) throws -> (model: OneClassModel, split: OneClassSplit) {
        var c = RunConfiguration()
        (c.method, c.detector, c.encoder, c.head) = (method, OwnScore(), ResNet(.resnet10, width: 0.0625), [])
        (c.data, c.imageSize, c.augment) = ("builtin:surface", side, "none")
        (c.steps, c.batch, c.learningRate, c.optimizer) = (10, 8, 1e-3, .adam)
        change(&c)
        let split = try surface(c)
        return (try OneClassModel.fit(split, configuration: c, device: try .cpu()), split)
    }

    /// Auto-encoders of whole images have maps, with a threshold of their own, as a file too.
    @Test(arguments: [AutoEncoder(code: 8), Denoising()] as [any Method])
    func autoEncodersLocalize(_ method: any Method) throws {
        let (model, split) = try Self.mapModel(method)
        #expect(model.localizes && model.grid == nil && model.mapUnit == .pixel)
        let evaluation = try Evaluation(model, on: split)
        #expect(evaluation.pixelAUROC != nil && evaluation.aupro != nil)
        let held = try model.localize(split.calibration).map { $0.map.max() ?? 0 }
        #expect(model.mapCalibration.scores == held.map(Double.init).sorted())
        #expect(model.mapCalibration.threshold == model.alarmScore)
        #expect(try model.calibration.scores == model.score(split.calibration).sorted())
        #expect(model.ordinaryScore > 0 && model.ordinaryScore < model.alarmScore)
        let folder = try TemporaryFolder(), path = folder.file("model.safetensors")
        try model.save(path)
        let again = try OneClassModel.load(path, device: try .cpu())
        #expect(again.mapCalibration == model.mapCalibration && again.scale == model.scale)
        let found = try model.localize(split.test), loaded = try again.localize(split.test)
        #expect(zip(found, loaded).allSatisfy { $0.score == $1.score && $0.map == $1.map })
        // What is moved for images moves for pixels; a score promises a rate.
        try again.setThreshold(falseAlarmRate: 0.5)
        let halves = again.mapCalibration
        #expect(halves.threshold == halves.scores[halves.promise.rank! - 1])
        #expect(try #require(halves.threshold) < model.alarmScore && again.alarmScore == halves.threshold)
        try again.setThreshold(again.calibration.scores.last!)
        #expect(again.alarmScore == model.mapCalibration.scores.last)
        // What one image of another size takes has no such model.
        let refused = #expect(throws: OCCError.self) { try model.localize(split.test.image(0)) }
        #expect(refused?.remedy?.contains("fullSize") == true)
    }

    /// Patches are scored as they are by every method; without images held out a scale is there.
    @Test func mapsOfPatchesStayThose() throws {
        let (patches, _) = try Self.mapModel(AutoEncoder(code: 8)) { ($0.patch, $0.stride) = (16, 8) }
        #expect(patches.localizes && patches.grid != nil && patches.mapUnit == .patch)
        #expect(patches.mapCalibration != patches.calibration)
        let (bare, split) = try Self.mapModel(AutoEncoder(code: 8)) { $0.holdOut = 0 }
        #expect(bare.mapCalibration.threshold == nil && bare.alarmScore > bare.ordinaryScore)
        #expect(try bare.localize(split.test).count == split.test.count)
        let (blind, own) = try Self.mapModel(AutoEncoder(code: 8)) { $0.detector = KernelDensity() }
        let refused = #expect(throws: OCCError.self) { try blind.localize(own.test) }
        #expect(!blind.localizes && refused?.remedy?.contains("autoencoder") == true)
    }

    // MARK: Features

    /// What `embed` writes is the encoder's, as a model with another detector has it; of a flow it is what it scores by.
    @Test(arguments: ["autoencoder", "csi", "deep-svdd"])
    func embeddingsAreTheEncoders(_ name: String) throws {
        let (model, split) = try Self.mapModel(try Methods.registry.entry(name)) {
            if name == "csi" { $0.head = [8, 4] }
        }
        let found = try model.embeddings(of: split.test)
        #expect(try model.embeddingCount() == found.columns && found.rows == split.test.count)
        var other = model.configuration
        other.detector = KernelDensity()
        let trainer = try Trainer(configuration: other, images: split.train, device: try .cpu())
        let weights = Dictionary(uniqueKeysWithValues: try model.exportWeights().map { ($0.name, $0) })
        let drawn = Dictionary(
            uniqueKeysWithValues: try trainer.program.exportWeights().map { ($0.name, $0) })
        try trainer.program.importWeights { weights[$0] ?? drawn[$0] }
        #expect(try trainer.features(of: split.test) == found)
        #expect(try model.features(of: split.test) != found)
    }

    @Test func aFlowHasNoEncoderToEmbed() throws {
        let (model, split) = try Self.mapModel(try smallMethod("flow"))
        let found = try model.embeddings(of: split.test)
        #expect(try found == model.features(of: split.test) && found.columns == 1)
        #expect(try model.embeddingCount() == 1)
    }

    // MARK: Deep SVDD

    /// The center is the mean of the network's first outputs, in inference mode, kept away from zero.
    @Test func theCenterIsTheFirstMean() throws {
        let file = try TensorFile(contentsOf: fixturePath("method-deep-svdd.safetensors"))
        let c = try JSONDecoder().decode(Case.self, from: Data(try #require(file.metadata["case"]).utf8))
        let images = Self.pictures("images", 8)
        let trainer = try Trainer(
            configuration: try Self.configuration("deep-svdd", c), images: images, device: try .cpu())
        let program = trainer.program
        let drawn = Dictionary(uniqueKeysWithValues: try program.exportWeights().map { ($0.name, $0) })
        try program.importWeights { name in
            let known = try #require(drawn[name])
            return program.layout[name]?.isStatistic == true ? known : Self.weights(name, known.shape)
        }
        try trainer.takeFirstPass(over: images)
        let center = try program.read(try #require(program.layout["svdd.center"]).tensor)
        let means = try #require(file.tensors["first"]?.floats)
        for (got, mean) in zip(center, means) {
            let expected = abs(mean) >= 0.1 ? mean : mean < 0 ? -0.1 : 0.1
            #expect(abs(got - expected) < 1e-5)
        }
    }

    /// With biases all outputs become one point whatever the image, and the run stops and says so (Ruff et al.,
    /// proposition 2); without biases, at the same settings, they stay apart. The decay of weights, which their loss has, brings
    /// it about in a few steps here.
    @Test func aHypersphereThatCollapsesIsNamed() throws {
        var c = RunConfiguration()
        (c.method, c.detector) = (DeepSVDD(), OwnScore())
        (c.normal, c.maxTrain, c.maxTest, c.batch) = ("0", 64, 20, 32)
        (c.optimizer, c.learningRate, c.weightDecay, c.steps) = (.sgd, 0.003, 1, 300)
        let split = try c.split(try ImageDataset.load("builtin:shapes"))
        for hasBiases in [true, false] {
            c.encoder = LeNet(width: 0.0625, outputs: 8, biases: hasBiases)
            let trainer = try Trainer(configuration: c, images: split.train, device: try .cpu())
            var spread = 0.0
            let run = Result { try trainer.run { spread = $0.collapse.spread } }
            // Distances of images that were not trained on, by their mean.
            let distances = try trainer.features(of: split.test).values.map(Double.init)
            let mean = distances.reduce(0, +) / Double(distances.count)
            let widest = distances.map { abs($0 - mean) / mean }.max() ?? 0
            if hasBiases {
                guard case .failure(let error as OCCError) = run else {
                    Issue.record("the run did not collapse")
                    continue
                }
                #expect(error.cause == .collapse && error.kind == .failure)
                #expect(error.message.contains("the features have collapsed to one point"))
                #expect(trainer.step < 300 && widest < 0.01, "distances differ by \(widest)")
            } else {
                #expect(try run.get() && trainer.step == 300)
                #expect(spread > 1e-3 && widest > 0.1, "spread \(spread), distances differ by \(widest)")
            }
        }
    }

    /// How long features are counts where a score is a distance, and not in directions.
    @Test func aLineHasDistances() {
        let lengths: [Float] = [2, 3, 4, 2, 3, 4, 2, 3, 4, 2, 3, 4]
        let line = lengths.flatMap { [$0, 2 * $0] }
        let directions = CollapseMonitor.reading(features: line, rows: 12, gradientNorm: 1)
        let distances = CollapseMonitor.reading(
            features: line, rows: 12, gradientNorm: 1, scale: .rootMeanSquare)
        #expect(directions.spread < 1e-6)
        // Lengths 2, 3, 4: a deviation of sqrt(2/3), of a root mean square of sqrt(29/3).
        #expect(abs(distances.spread - (2.0 / 29).squareRoot()) < 1e-6)
        #expect(abs(distances.effectiveRank - 1) < 1e-6)
        var monitor = CollapseMonitor()
        #expect((0..<5).allSatisfy { _ in monitor.check(distances, scale: .rootMeanSquare) == nil })
        #expect((0..<5).contains { _ in monitor.check(directions) != nil })
    }

    /// A detector of features takes them for scores only where there is one column, and a method without a
    /// score of its own has no such detector.
    @Test func ownScoresAreOfMethodsThatHaveSome() throws {
        #expect(throws: OCCError.self) {
            _ = try OwnScore().fit(FeatureMatrix(rows: 2, columns: 2, values: [1, 2, 3, 4]))
        }
        let one = FeatureMatrix(rows: 2, columns: 1, values: [3, 1])
        #expect(try OwnScore().fit(one).scores(one) == [3, 1])
        var c = RunConfiguration()
        c.detector = OwnScore()
        let error = #expect(throws: OCCError.self) { try c.validate() }
        #expect(error?.message.contains("no score of its own") == true)
        c.method = OutlierExposure()
        #expect(
            #expect(throws: OCCError.self) { try c.validate() }?.message.contains("something else") == true)
        c.outliers = "builtin:surface"
        try c.validate()
        c.method = DeepSVDD()
        #expect(throws: OCCError.self) { try c.validate() }
    }

    /// Two views of each of two instances at right angles.
    @Test func spheresAreMeasured() {
        let apart = SphereReading(embeddings: [1, 0, 0, 2, 0, 1, 3, 0], pairs: 2)
        #expect(abs(apart.alignment - 2) < 1e-6)
        #expect(abs(apart.uniformity + 4) < 1e-6)
        let together = SphereReading(embeddings: [1, 0, 2, 0, 3, 0, 1, 0], pairs: 2)
        #expect(together.alignment == 0 && together.uniformity == 0)
    }
}
