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
        extractor: MapExtractor, features: [FeatureMatrix]
    ) {
        let program = Program(device: try .cpu(), math: .strict)
        let extractor = try MapExtractor(
            program, encoder: encoder, layers: StageNumbers([2, 3]), side: side,
            joining: { detector.joining(channels: $0, seed: 1) })
        try program.load()
        try program.initializeParameters(seed: 1)
        let shapes = Dictionary(
            uniqueKeysWithValues: try program.exportWeights().map { ($0.name, $0.shape) })
        try program.importWeights { name in shapes[name].map { weights(name, $0) } }
        return (
            extractor,
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
        let (extractor, found) = try Self.features(
            detector, [Self.images(Self.train, "train maps"), Self.images(Self.test, "test maps")])
        let shape = extractor.shape
        // Every seventh place of the first image's map.
        let own = stride(from: 0, to: shape.places, by: 7).flatMap { place in
            found[0].values[place * shape.channels..<(place + 1) * shape.channels].map(Double.init)
        }
        try Self.expectEqual(own, "\(name).joined")
        let fitted = try #require(try Self.fit(detector, extractor, found[0]) as? any MapClassifier)
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

    private static func fit(
        _ detector: any MapDetector, _ maps: MapExtractor, _ features: FeatureMatrix
    ) throws -> any OneClassClassifier {
        guard detector is PatchCore else {
            return try detector.on(maps.shape, joinedBy: maps.joining, seed: 1).fit(features)
        }
        // The script's share of all places, and the one that its choice begins with.
        return try PatchCore(coreset: 0.02).on(maps.shape, joinedBy: maps.joining, seed: 1)
            .fit(features, start: 100)
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
        (c.patch, c.imageSize) = (32, 64)
        #expect {
            try c.validate()
        } throws: { "\($0)".contains(name) && "\($0)".contains("patch") }
    }

    /// The channels that the seed draws, of maps as of each stage alone.
    @Test func someChannelsAreChosen() throws {
        let joining = PaDiM(channels: 5).joining(channels: 12, seed: 3), chosen = try #require(joining.chosen)
        #expect(chosen.count == 5 && chosen == Set(chosen).sorted() && chosen.allSatisfy { $0 < 12 })
        #expect(PaDiM(channels: 5).joining(channels: 12, seed: 4) != joining)
        #expect(PaDiM(channels: 12).joining(channels: 12, seed: 3).chosen == nil)
        func map(_ name: String, _ side: Int, _ channels: Int) -> FeatureMap {
            let values = namedUniforms(name, side * side * channels).map { Float($0) }
            return FeatureMap(rows: side, columns: side, channels: channels, values: values)
        }
        let stages = [map("first", 4, 8), map("second", 2, 4)]
        let all = MapJoining(interpolation: .nearest)(stages), some = joining(stages)
        #expect(all.channels == 12 && some.channels == 5)
        for place in 0..<16 {
            #expect((0..<5).allSatisfy { some.values[place * 5 + $0] == all.values[place * 12 + chosen[$0]] })
        }
    }

    /// Joining is linear: the product of a joined map with any weights is that of the stages with its gradients.
    @Test(arguments: [
        MapJoining(interpolation: .nearest, chosen: [1, 2, 6]),
        MapJoining(averages: true, interpolation: .bilinear),
    ]) func gradientsOfJoinedMapsAreTheAdjoint(_ joining: MapJoining) throws {
        let stages = [("first", 5, 4), ("second", 3, 5)].map { name, side, channels in
            FeatureMap(
                rows: side, columns: side, channels: channels,
                values: namedUniforms(name, side * side * channels).map { Float($0) })
        }
        var weights = joining(stages)
        func product(_ a: [Float], _ b: [Float]) -> Double {
            zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        let joined = weights.values
        weights.values = namedUniforms("weights", joined.count).map { Float($0 - 0.5) }
        let gradients = joining.gradients(
            of: weights, stages: stages.map { ($0.rows, $0.columns, $0.channels) })
        let own = zip(stages, gradients).reduce(0.0) { $0 + product($1.0.values, $1.1) }
        #expect(abs(own - product(joined, weights.values)) <= 1e-5 * abs(own))
    }

    /// Every partial derivative of the scores against a difference.
    @Test(arguments: Detectors.maps.map { $0.name }) func scoreGradientsAgreeWithDifferences(_ name: String)
        throws
    {
        let shape = MapShape(rows: 3, columns: 2, channels: 4, side: 12)
        let entry = try #require(try Detectors.entry(name) as? any MapDetector)
        let detector = entry is PatchCore ? PatchCore(coreset: 0.5, support: 4) : entry
        func features(_ name: String, _ rows: Int) -> FeatureMatrix {
            FeatureMatrix(rows: rows, columns: 24, values: namedUniforms(name, rows * 24).map { Float($0) })
        }
        let fitted = try detector.on(shape, joinedBy: MapJoining(interpolation: .nearest), seed: 1)
            .fit(features("fit", 9))
        var point = features("point", 2)
        // Far off at one place, so that no other pixel is the highest a step away.
        for row in 0..<2 { for column in 12..<16 { point.values[row * 24 + column] += 2 } }
        let gradient = try fitted.scoreGradient(point), step: Float = 1e-3
        for row in 0..<2 {
            let own = gradient.values[row * 24..<(row + 1) * 24].map(Double.init)
            let slopes = try (0..<24).map { column in
                func moved(_ by: Float) throws -> (place: Double, score: Double) {
                    var values = point.values
                    values[row * 24 + column] += by
                    let scores = try fitted.scores(FeatureMatrix(rows: 2, columns: 24, values: values))
                    return (Double(values[row * 24 + column]), scores[row])
                }
                let (above, below) = (try moved(step), try moved(-step))
                return (above.score - below.score) / (above.place - below.place)
            }
            let length = dot(own, own).squareRoot()
            for (column, slope) in slopes.enumerated() {
                #expect(abs(slope - own[column]) <= 0.01 * length, "\(name), \(column): \(slope), \(own)")
            }
            #expect(length > 0)
        }
    }

    /// The places that are kept are those of a plain search: again and again the one that is farthest from all before.
    @Test(arguments: [1, 3, 8]) func theCoresetIsGreedy(_ channels: Int) throws {
        let shape = MapShape(rows: 50, columns: 52, channels: channels, side: 100), images = 2
        let rows = images * shape.places, start = 4321
        // In clumps, most of which a new center is far from.
        let offsets = namedUniforms("offsets", rows * channels)
        let centers = namedUniforms("centers", 40 * channels)
        let values = (0..<rows * channels).map { index in
            Float(centers[index / channels % 40 * channels + index % channels] + 0.02 * offsets[index])
        }
        let features = FeatureMatrix(rows: images, columns: shape.places * channels, values: values)
        let fitted = try PatchCore(coreset: 0.02)
            .on(shape, joinedBy: MapJoining(interpolation: .nearest), seed: 1).fit(features, start: start)
        var chosen = [start], nearest = [Double](repeating: .infinity, count: rows)
        while chosen.count < rows / 50 {
            for row in 0..<rows {
                let own = row * channels, center = chosen.last! * channels
                let distance = (0..<channels).reduce(0.0) {
                    let gap = Double(values[own + $1]) - Double(values[center + $1])
                    return $0 + gap * gap
                }
                nearest[row] = min(nearest[row], distance)
            }
            chosen.append(nearest.indices.max { nearest[$0] < nearest[$1] }!)
        }
        let all = FeatureMatrix(rows: rows, columns: channels, values: values)
        #expect(try fitted.state.matrix("memory") == all.subset(chosen))
    }

    /// A model's score is explained through the joined maps, in one sum with its baseline.
    @Test(arguments: Detectors.maps.map { $0.name }) func scoresAreExplained(_ name: String) throws {
        var c = RunConfiguration()
        (c.encoder, c.layers, c.steps) = (ResNet(.resnet10, width: 0.0625), StageNumbers([1, 2]), 0)
        (c.detector, c.maxTrain, c.maxTest, c.math) = (try Detectors.entry(name), 16, 4, .strict)
        let split = try c.split(try ImageDataset.load("builtin:surface", imageSize: 64))
        let model = try OneClassModel.fit(split, configuration: c, device: try .cpu())
        let explainer = try Explainer(model), image = split.test.image(0)
        let why = try explainer.integratedGradients(of: image)
        let score = try model.score(split.test)[0]
        #expect(abs(why.score - score) <= 1e-5 * score)
        #expect(try #require(why.completenessError) <= 0.02 && why.map.count == 64 * 64)
        let heat = try explainer.gradCAM(of: image)
        #expect(heat.score == why.score && heat.map.allSatisfy { $0 >= 0 })
        #expect(throws: OCCError.self) { try Explainer(model, score: .classifier) }
    }

    /// Folds: every image calibrates, maps are the means of the folds', and what the file holds scores the same.
    @Test(arguments: Detectors.maps.map { $0.name }) func foldsCalibrate(_ name: String) throws {
        var c = RunConfiguration()
        (c.encoder, c.layers, c.steps) = (ResNet(.resnet10, width: 0.0625), StageNumbers([2]), 0)
        (c.detector, c.maxTrain, c.maxTest) = (try Detectors.entry(name), 12, 4)
        (c.calibration, c.folds, c.falseAlarmRate) = (.cross, 3, 0.2)
        let split = try c.split(try ImageDataset.load("builtin:surface", imageSize: 64))
        let model = try OneClassModel.fit(split, configuration: c, device: try .cpu())
        #expect(model.calibration.scores.count == split.train.count && model.localizes)
        let folder = try TemporaryFolder(), path = folder.file("model.safetensors")
        try model.save(path)
        let again = try OneClassModel.load(path, device: try .cpu())
        let found = try model.localize(split.test), loaded = try again.localize(split.test)
        #expect(zip(found, loaded).allSatisfy { $0.score == $1.score && $0.map == $1.map })
        #expect(try model.score(split.test) == found.map { $0.score })
        #expect(again.mapCalibration == model.mapCalibration && again.scale == model.scale)
        // The map's threshold is for its own highest pixels, and an ordinary place is none without distance.
        #expect(
            name == "padim"
                ? model.mapCalibration == model.calibration : model.mapCalibration != model.calibration)
        #expect(model.ordinaryScore > 0 && model.alarmScore > model.ordinaryScore)
    }
}
