import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// Detectors on feature maps against PyTorch with anomalib's formulas (Tests/Fixtures/make_feature_map_fixtures.py).
@Suite struct FeatureMapTests {
    private static let side = 64, train = 6, test = 2
    private static let encoder = ResNet(.resnet18, width: 0.0625)

    private static func fixture(_ name: String) throws -> [Double] {
        let file = try TensorFile(contentsOf: fixturePath("feature-maps.safetensors"))
        return try #require(file.tensors[name]?.floats).map(Double.init)
    }

    private static func images(_ count: Int, _ name: String) -> ImageBatch {
        ImageBatch(
            side: side, pixels: namedUniforms(name, count * side * side * 3).map { UInt8(256 * $0) })
    }

    /// The script's formula for weights, in PyTorch's shapes.
    private static func weights(_ name: String, _ shape: [Int]) -> NamedWeights {
        let u = namedUniforms(name, shape.reduce(1, *))
        let values: [Double]
        if name.hasSuffix("running_mean") || name.hasSuffix("running_var") {
            values = u.map { _ in name.hasSuffix("var") ? 1 : 0 }
        } else if shape.count > 1 {
            let limit = (6 / Double(shape.dropFirst().reduce(1, *))).squareRoot()
            values = u.map { (2 * $0 - 1) * limit }
        } else {
            values = u.map { name.hasSuffix("weight") ? 0.5 + $0 : 0.2 * ($0 - 0.5) }
        }
        return NamedWeights(name: name, shape: shape, values: values.map(Float.init))
    }

    /// The features of images as a detector joins them, and where they lie.
    private static func features(_ detector: any MapDetector, _ batches: [ImageBatch]) throws -> (
        shape: MapShape, features: [FeatureMatrix]
    ) {
        let program = Program(device: try .cpu(), math: .strict)
        let extractor = try MapExtractor(
            program, encoder: encoder, layers: StageNumbers([2, 3]), side: side, join: detector.join)
        try program.load()
        try program.initializeParameters(seed: 1)
        let shapes = Dictionary(
            uniqueKeysWithValues: try program.exportWeights().map { ($0.name, $0.shape) })
        try program.importWeights { name in shapes[name].map { weights(name, $0) } }
        return (
            extractor.shape,
            try batches.map { batch in
                let places = (0..<batch.count).map { PatchPlace(image: $0, top: 0, left: 0) }
                return try extractor.features(of: batch, places: places, program: program)
            }
        )
    }

    private static func expectEqual(_ found: [Double], _ name: String) throws {
        let failure = difference(found, try fixture(name), tolerance: 1e-4)
        #expect(failure == nil, "\(name): \(failure ?? "")")
    }

    @Test(arguments: Detectors.maps.map { $0.name }) func agreesWithAnomalib(_ name: String) throws {
        let detector = try #require(try Detectors.entry(name) as? any MapDetector)
        let (shape, found) = try Self.features(
            detector, [Self.images(Self.train, "train maps"), Self.images(Self.test, "test maps")])
        // Every seventh place of the first image's map.
        let own = stride(from: 0, to: shape.places, by: 7).flatMap { place in
            found[0].values[place * shape.channels..<(place + 1) * shape.channels].map(Double.init)
        }
        try Self.expectEqual(own, "\(name).joined")
        let fitted = try #require(try Self.fit(detector, shape, found[0]) as? any MapClassifier)
        let maps = try fitted.maps(found[1])
        try Self.expectEqual(maps.map { $0.score }, "\(name).scores")
        try Self.expectEqual(maps.flatMap { $0.map.map(Double.init) }, "\(name).maps")
        if name == "patchcore" {
            let rows = try Self.fixture("patchcore.chosen").map { Int($0) }
            let all = FeatureMatrix(
                rows: found[0].rows * shape.places, columns: shape.channels, values: found[0].values)
            #expect(try fitted.state.matrix("memory") == all.subset(rows))
        }
        let restored = try detector.restore(fitted.state)
        #expect(try restored.scores(found[1]) == fitted.scores(found[1]))
    }

    private static func fit(_ detector: any MapDetector, _ shape: MapShape, _ features: FeatureMatrix) throws
        -> any OneClassClassifier
    {
        guard detector is PatchCore else { return try detector.on(shape, seed: 1).fit(features) }
        // The script's share of all places, and the one that its choice begins with.
        return try PatchCore(coreset: 0.02).on(shape, seed: 1).fit(features, start: 100)
    }

    /// A model of a detector of maps, as a file and as it was fitted.
    @Test(arguments: Detectors.maps.map { $0.name }) func aLoadedModelMapsTheSame(_ name: String) throws {
        var c = RunConfiguration()
        (c.encoder, c.layers, c.steps) = (ResNet(.resnet10, width: 0.0625), StageNumbers([2, 3]), 0)
        (c.detector, c.maxTrain, c.maxTest) = (try Detectors.entry(name), 24, 4)
        let split = try c.split(try ImageDataset.load("builtin:surface", imageSize: 64))
        let model = try OneClassModel.fit(split, configuration: c, device: try .cpu())
        let folder = try TemporaryFolder(), path = folder.file("model.safetensors")
        try model.save(path)
        let again = try OneClassModel.load(path, device: try .cpu())
        let found = try model.localize(split.test), loaded = try again.localize(split.test)
        #expect(found.count == 4 && found.allSatisfy { $0.map.count == 64 * 64 })
        #expect(zip(found, loaded).allSatisfy { $0.score == $1.score && $0.map == $1.map })
        #expect(try again.score(split.test) == found.map { $0.score })
        #expect(try ScoredTest(again, on: split).maps?.count == 4)
        #expect(throws: OCCError.self) { try Explainer(again) }
        (c.patch, c.imageSize) = (32, 64)
        #expect {
            try c.validate()
        } throws: { "\($0)".contains(name) && "\($0)".contains("patch") }
    }

    /// Some channels are a detector of these channels alone.
    @Test func someChannelsAreChosen() throws {
        let shape = MapShape(rows: 2, columns: 1, channels: 12, side: 2)
        let values = namedUniforms("channels", 9 * 24).map { Float($0) }
        let features = FeatureMatrix(rows: 9, columns: 24, values: values)
        let fitted = try PaDiM(channels: 5).on(shape, seed: 3).fit(features)
        let chosen = try fitted.state.array("chosen").values.map { Int($0) }
        #expect(chosen.count == 5 && Set(chosen).count == 5 && chosen.allSatisfy { $0 < 12 })
        let own = (0..<18).flatMap { place in chosen.map { values[place * 12 + $0] } }
        let alone = FeatureMatrix(rows: 9, columns: 10, values: own)
        let few = MapShape(rows: 2, columns: 1, channels: 5, side: 2)
        let scores = try PaDiM(channels: 5).on(few, seed: 1).fit(alone).scores(alone)
        #expect(try fitted.scores(features) == scores)
        let other = try PaDiM(channels: 5).on(shape, seed: 4).fit(features).state.array("chosen").values
        #expect(other.map { Int($0) } != chosen)
    }
}
