import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Models of patches: what they learn from, how they see an image, how they are kept.
@Suite struct LocalizationTests {
    private static func surface() throws -> OneClassSplit {
        var options = OneClassSplit.Options()
        (options.maxTrain, options.maxTest) = (60, 60)
        return try OneClassSplit(
            ImageDataset.load("builtin:surface", imageSize: 64), normal: nil, options: options)
    }

    private static func configuration() -> RunConfiguration {
        var c = RunConfiguration()
        c.data = "builtin:surface"
        (c.method, c.encoder, c.head) = (CutPastePrediction(.threeWay), ResNet(.resnet10, width: 0.25), [])
        (c.learningRate, c.weightDecay) = (0.01, 3e-4)
        (c.patch, c.stride, c.imageSize) = (32, 8, 64)
        (c.steps, c.batch, c.detector) = (6, 8, GaussianDensity(shrinkage: 0.1))
        return c
    }

    private static func model(_ change: (inout RunConfiguration) -> Void = { _ in }) throws -> OneClassModel {
        var c = configuration()
        change(&c)
        return try OneClassModel.fit(try surface(), configuration: c)
    }

    @Test func gridCoversTheImage() {
        for (side, patch, stride) in [(64, 32, 8), (64, 32, 7), (32, 32, 4), (128, 16, 16), (65, 32, 32)] {
            let grid = PatchGrid(side: side, patch: patch, stride: stride)
            let covered = Set(grid.rows.flatMap { $0..<$0 + patch })
            #expect(covered == Set(0..<side))
            #expect(Set(grid.rows).count == grid.rows.count)
        }
    }

    @Test func mapsKeepTheScale() {
        let grid = PatchGrid(side: 48, patch: 16, stride: 5)
        let flat = grid.map([Double](repeating: 2.5, count: grid.count)[...])
        #expect(flat.allSatisfy { abs($0 - 2.5) < 1e-5 })
        var scores = [Double](repeating: 0, count: grid.count)
        let cell = 3 * grid.rows.count + 4
        scores[cell] = 1
        let map = grid.map(scores[...])
        // Highest at the patch's center, zero outside of it.
        let peak = map.indices.max { map[$0] < map[$1] }!
        #expect(
            abs(peak / 48 - (grid.rows[3] + 8)) <= 1 && abs(peak % 48 - (grid.rows[4] + 8)) <= 1)
        for index in map.indices {
            let inside =
                (grid.rows[3]..<grid.rows[3] + 16).contains(index / 48)
                && (grid.rows[4]..<grid.rows[4] + 16).contains(index % 48)
            #expect(inside || map[index] == 0)
        }
    }

    /// A photograph larger than what the model was trained on, tile by tile, against its patches cut out.
    @Test func largeImagesAreTiled() throws {
        let model = try Self.model(), square = try #require(model.grid)
        let image = try ImageDataset.load("builtin:surface", imageSize: 128).test.images.image(80)
            .cropped(top: 0, left: 3, height: 128, width: 107)
        let found = try model.localize(image), grid = PatchGrid(height: 128, width: 107, patch: 32, stride: 8)
        #expect(found.map.count == 128 * 107)
        // Each patch in the corner of a picture of its own.
        let corner = grid.places(image: 0).map { window -> RGBImage in
            var pixels = [UInt8](repeating: 0, count: 64 * 64 * 3)
            for row in 0..<32 {
                let from = ((window.top + row) * 107 + window.left) * 3
                pixels.replaceSubrange(row * 192..<row * 192 + 96, with: image.pixels[from..<from + 96])
            }
            return RGBImage(width: 64, height: 64, pixels: pixels)
        }
        let scores = try corner.map { picture in
            try model.patchScores(of: ImageBatch(side: 64, pixels: picture.pixels))[0]
        }
        #expect(square.rows[0] == 0 && abs(found.score - scores.max()!) <= 1e-4 * abs(found.score))
        #expect(throws: OCCError.self) {
            try model.localize(image.cropped(top: 0, left: 0, height: 20, width: 90))
        }
        let located = try Self.model { $0.locations = .each }
        #expect(throws: OCCError.self) { try located.localize(image) }
    }

    /// Dense inference against cutting every patch out and embedding it as an image of its own.
    @Test func denseInferenceEqualsPatchByPatch() throws {
        let model = try Self.model(), images = try Self.surface().test.subset(0..<5)
        let grid = try #require(model.grid)
        let dense = try model.features(of: images)
        var whole = model.configuration
        (whole.patch, whole.stride, whole.imageSize) = (nil, nil, nil)
        var cut = ImageBatch(side: 32)
        for index in 0..<images.count {
            for top in grid.rows {
                for left in grid.rows {
                    let rows = (top..<top + 32).flatMap { row in
                        let start = (row * 64 + left) * 3
                        return Array(Array(images[index])[start..<start + 96])
                    }
                    cut = ImageBatch(side: 32, pixels: cut.pixels + rows)
                }
            }
        }
        let trainer = try Trainer(configuration: whole, images: cut, device: .cpu())
        let weights = Dictionary(uniqueKeysWithValues: try model.exportWeights().map { ($0.name, $0) })
        try trainer.program.importWeights { weights[$0] }
        let single = try trainer.features(of: cut)
        #expect(single.rows == dense.rows)
        for (a, b) in zip(dense.values, single.values) { #expect(abs(a - b) <= 1e-5 * max(1, abs(b))) }
    }

    @Test func savedModelsLocalizeAlike() throws {
        for locations in RunConfiguration.Locations.allCases {
            let model = try Self.model { $0.locations = locations }
            let folder = try TemporaryFolder(), images = try Self.surface().test.subset([0, 30, 50])
            try model.save(folder.file("model.safetensors"))
            let loaded = try OneClassModel.load(folder.file("model.safetensors"))
            let before = try model.localize(images), after = try loaded.localize(images)
            #expect(before.map(\.map) == after.map(\.map) && before.map(\.score) == after.map(\.score))
            #expect(try loaded.score(images) == after.map(\.score))
            #expect(loaded.scale == model.scale)
        }
    }

    /// Maps are calibrated by the highest pixels of the held-out images' maps, which are below their scores; in a file too.
    /// Where the threshold moves, maps stay.
    @Test func mapsHaveTheirThreshold() throws {
        let split = try Self.surface(), model = try Self.model()
        let held = try model.localize(split.calibration)
        let peaks = held.map { Double($0.map.max()!) }
        #expect(model.mapCalibration.scores == peaks.sorted())
        // A pixel is a mean of patches; at the rim it may be of the highest one alone.
        #expect(zip(held, peaks).allSatisfy { $0.score > $1 - 1e-5 * abs($1) })
        #expect(model.mapCalibration.threshold == model.alarmScore)
        #expect(try #require(model.calibration.threshold) > model.alarmScore)
        let folder = try TemporaryFolder(), path = folder.file("model.safetensors")
        try model.save(path)
        let again = try OneClassModel.load(path)
        #expect(again.mapCalibration == model.mapCalibration && again.alarmScore == model.alarmScore)
        try again.setThreshold(falseAlarmRate: 0.5)
        #expect(again.alarmScore < model.alarmScore && again.alarmScore == again.mapCalibration.threshold)
        #expect(try again.localize(split.calibration).map(\.map) == held.map(\.map))
        // Twice as far above an ordinary patch as the highest held-out score: so are pixels.
        let scores = again.calibration.scores, ordinary = again.ordinaryScore
        try again.setThreshold(2 * scores.last! - ordinary)
        #expect(abs(again.alarmScore - (2 * peaks.max()! - ordinary)) < 1e-6 * abs(again.alarmScore))
        // Without held-out images the threshold that a person states is that of maps too.
        var options = OneClassSplit.Options()
        (options.maxTrain, options.maxTest, options.holdOut) = (20, 4, 0)
        let bare = try OneClassModel.fit(
            OneClassSplit(
                ImageDataset.load("builtin:surface", imageSize: 64), normal: nil, options: options),
            configuration: Self.configuration())
        #expect(bare.mapCalibration.threshold == nil && bare.alarmScore > bare.ordinaryScore)
        let stated = bare.alarmScore * 2
        try bare.setThreshold(stated)
        #expect(bare.mapCalibration.threshold == stated && bare.alarmScore == stated)
    }

    /// The patches and what is pasted differ from step to step and follow from the seed.
    @Test(arguments: ["cutpaste", "cutpaste-scar", "cutpaste-3way", "rotation", "contrastive"])
    func patchTrainingFollowsTheSeed(_ name: String) throws {
        let method = try Methods.registry.entry(name)
        func run(_ seed: UInt64) throws -> [Double] {
            var c = Self.configuration()
            (c.method, c.seed, c.head) = (method, seed, [16])
            let trainer = try Trainer(configuration: c, images: try Self.surface().train, device: .cpu())
            var losses: [Double] = []
            _ = try trainer.run(recordEvery: 1) { losses.append($0.loss) }
            return losses
        }
        let first = try run(1)
        #expect(first == (try run(1)))
        #expect(first != (try run(2)))
        #expect(Set(first).count == first.count)
    }

    /// Li et al. learn from patches of 64 and score patches of 32, every 4 pixels of 256 (appendix A.5): 57 x 57 places. A
    /// small model learns from one side and scores another; its file remembers both.
    @Test func otherPatchesAreScoredThanLearnedFrom() throws {
        let experiment = try Experiment.registry.entry("cutpaste-localization")
        let published = try experiment.configuration(of: experiment.rows[0])
        let grid = try #require(try published.grid(side: 256))
        #expect(published.patch == 64 && grid.patch == 32 && grid.stride == 4)
        #expect(grid.rows.count == 57 && grid.columns.count == 57 && grid.rows.last == 224)
        var c = Self.configuration()
        (c.scorePatch, c.stride) = (16, nil)
        let plan = try TrainingPlan(c, images: 4, side: 64, device: .cpu()).plan
        #expect(plan.operations.first { $0.name == "cutpaste" }?.tensors[0]?.shape == [24, 32, 32, 3])
        let model = try OneClassModel.fit(try Self.surface(), configuration: c),
            images = try Self.surface().test
        #expect(model.grid == PatchGrid(side: 64, patch: 16, stride: 2))
        let folder = try TemporaryFolder(), path = folder.file("model.safetensors")
        try model.save(path)
        #expect(try OneClassModel.load(path).score(images) == model.score(images))
        // The weights are those that patches of 32 give; the scores are not those of such.
        let same = try Self.model()
        #expect(try same.exportWeights().map(\.values) == model.exportWeights().map(\.values))
        #expect(try same.score(images) != model.score(images))
    }

    @Test func patchesThatCannotBeScoredAreRefused() throws {
        func refusal(_ change: (inout RunConfiguration) -> Void) throws -> OCCError? {
            var c = Self.configuration()
            change(&c)
            return #expect(throws: OCCError.self) {
                try TrainingPlan(c, images: 4, side: 128, device: .cpu())
            }
        }
        // A model of whole images; patches that leave gaps; one larger than the image; one for the large stem, and one of
        // a decoder, which have other weights.
        for error in [
            try refusal { ($0.patch, $0.stride, $0.scorePatch) = (nil, nil, 32) },
            try refusal { ($0.scorePatch, $0.stride) = (16, 24) },
            try refusal { ($0.imageSize, $0.scorePatch) = (128, 136) },
            try refusal { ($0.imageSize, $0.scorePatch) = (128, 96) },
            try refusal { ($0.method, $0.detector, $0.scorePatch) = (AutoEncoder(), OwnScore(), 16) },
        ] {
            #expect(error?.kind == .usage)
            let text = "\(error?.message ?? "") \(error?.remedy ?? "")"
            #expect(text.contains("scorePatch") || text.contains("stride"), "\(text)")
        }
    }

    @Test func evaluationHasPixelMetrics() throws {
        let evaluation = try Evaluation(try Self.model(), on: try Self.surface(), rawPixels: true)
        let pixel = try #require(evaluation.pixelAUROC), pro = try #require(evaluation.aupro)
        #expect((0...1).contains(pixel) && (0...1).contains(pro))
        #expect(evaluation.rawPixelPixelAUROC != nil)
        #expect(try evaluation.json().contains("\"pixelAUROC\""))
        #expect(evaluation.untrainedAUROC == nil)
        #expect(!evaluation.warnings.contains { $0.contains("without training") })
    }

    /// The encoder as it was drawn: a model of no steps that is evaluated by itself.
    @Test func learningIsComparedWithNone() throws {
        let split = try Self.surface(), model = try Self.model(), drawn = try Self.model { $0.steps = 0 }
        let compared = try Evaluation(model, on: split, untrained: try model.untrained(on: split))
        let alone = try Evaluation(drawn, on: split)
        #expect(compared.untrainedAUROC == alone.auroc)
        #expect(compared.untrainedPixelAUROC == alone.pixelAUROC && compared.untrainedAUPRO == alone.aupro)
        #expect(compared.summary.contains("AUROC, untrained"))
        let same = try Evaluation(drawn, on: split, untrained: drawn)
        #expect(
            same.warnings.contains {
                $0.hasPrefix("without training the same model does as well on these test images;")
            })
    }

    /// Scores without meaning are called so: by Mann and Whitney's statistic 20 and 20 images have a deviation of
    /// sqrt(41 / 4800).
    @Test func chanceIsCalledSo() throws {
        let file =
            #"{"normalClass":"good","normals":20,"outliers":20,"calibration":"split","calibrationImages":9,"#
            + #""aurocByClass":{},"transformationAUROC":{},"rawPixelAUROC":0.6,"pixelAUROC":0.9,"#
            + #""rawPixelPixelAUROC":0.7,"auroc":"#
        func evaluation(_ auroc: Double) throws -> Evaluation {
            try JSONDecoder().decode(Evaluation.self, from: Data("\(file)\(auroc)}".utf8))
        }
        let poor = try evaluation(0.55), fair = try evaluation(0.7)
        let chance = try #require(poor.chanceAUROC)
        #expect(abs(chance - (0.5 + 1.959964 * (41.0 / 4800).squareRoot())) < 1e-12)
        #expect(poor.warnings.count == 2 && poor.warnings[0].contains("no better than chance"))
        #expect(poor.warnings[1].contains("raw pixels does as well on these test images, though not"))
        #expect(fair.warnings.isEmpty)
    }

    @Test func wrongSettingsAreNamed() throws {
        func message(_ change: (inout RunConfiguration) -> Void) -> String? {
            var c = Self.configuration()
            change(&c)
            do {
                try c.validate()
                _ = try c.grid(side: 64)
                return nil
            } catch { return "\(error)" }
        }
        #expect(message { _ in } == nil)
        #expect(message { $0.patch = 33 }?.contains("patch: 33") == true)
        #expect(message { $0.patch = 128 }?.contains("128 pixels in images of 64") == true)
        #expect(message { $0.stride = 40 }?.contains("stride 40") == true)
        #expect(
            message { ($0.patch, $0.stride, $0.locations) = (nil, nil, .each) }?.contains("location") == true)
        #expect(
            message { ($0.detector, $0.locations) = (SupportVectorDataDescription(), .each) }?.contains(
                "location") == true)
        let whole = try OneClassModel.fit(
            OneClassSplit(ImageDataset.load("builtin:shapes"), normal: nil),
            configuration: {
                var c = RunConfiguration()
                (c.encoder, c.head, c.steps, c.batch) = (ResNet(.resnet10, width: 0.125), [], 1, 4)
                return c
            }())
        #expect(throws: OCCError.self) { try whole.localize(ImageBatch(side: 32)) }
    }

    /// All categories of a collection in one table, with and without masks.
    @Test func protocolsRunOverCategories() throws {
        let folder = try TemporaryFolder(), surface = try ImageDataset.load("builtin:surface", imageSize: 64)
        for (category, shift) in [("cloth", 0), ("felt", 3)] {
            for index in 0..<6 {
                let train = surface.train.images.image(index + shift),
                    bad = surface.test.images.image(60 + 20 * index % 100)
                try folder.write(train.encodedPNG(), to: "data/\(category)/train/good/\(index).png")
                try folder.write(
                    surface.test.images.image(index).encodedPNG(),
                    to: "data/\(category)/test/good/\(index).png")
                try folder.write(bad.encodedPNG(), to: "data/\(category)/test/bad/\(index).png")
                guard category == "cloth" else { continue }
                let mask = surface.test.masks[60 + 20 * index % 100]!.flatMap {
                    [UInt8](repeating: 255 * $0, count: 3)
                }
                try folder.write(
                    RGBImage(width: 64, height: 64, pixels: mask).encodedPNG(),
                    to: "data/cloth/ground_truth/bad/\(index)_mask.png")
            }
        }
        var c = Self.configuration()
        (c.data, c.steps, c.holdOut) = (folder.file("data"), 1, 0.2)
        let run = ProtocolRun(
            categories: try ImageDataset.categories(c.data), configuration: c, detectors: [KernelDensity()],
            seeds: [1],
            folder: folder.file("runs"))
        let table = try run.run(device: .cpu())
        #expect(table.rows.map(\.name) == ["cloth", "felt"])
        #expect(table.columns == ["image AUROC", "pixel AUROC", "AUPRO"])
        #expect(table.rows[0].cells.count == 3 && table.rows[1].cells.keys.sorted() == ["image AUROC"])
        #expect(table.mean.cells["pixel AUROC"] == table.rows[0].cells["pixel AUROC"])
        #expect(try run.run(device: .cpu()).json() == table.json())
    }

    /// One file that asks for nothing else, with a text for each picture.
    @Test func reportsStandAlone() throws {
        let folder = try TemporaryFolder(), model = try Self.model(), split = try Self.surface()
        try model.save(folder.file("model.safetensors"))
        try folder.write(
            Array("{\"step\": 1, \"loss\": 2}\n{\"step\": 2, \"loss\": 1}\n".utf8), to: "metrics.jsonl")
        let scored = try ScoredTest(model, on: split)
        let evaluation = try Evaluation(model, on: split, scored: scored)
        let page = try Report(model, split, scored, evaluation).html(
            modelPath: folder.file("model.safetensors"), metricsPath: folder.file("metrics.jsonl"))
        #expect(
            !page.contains("http") && !page.contains("<script") && !page.contains(">nan")
                && !page.contains(",nan"))
        let pictures = page.components(separatedBy: "<img ").count - 1
        #expect(pictures == 18 && page.components(separatedBy: "<img alt=\"Image").count - 1 == pictures)
        #expect(page.contains(sha256(try readFile(folder.file("model.safetensors")))))
        #expect(page.components(separatedBy: "<svg role=\"img\"").count - 1 == 4)
        for name in Set(split.testClasses) { #expect(page.contains(name)) }
    }

    // MARK: Pictures

    @Test func colorsRiseEvenlyInLightness() {
        let luma = ColorMap.colors.map {
            0.2126 * Double($0.x) + 0.7152 * Double($0.y) + 0.0722 * Double($0.z)
        }
        #expect(zip(luma, luma.dropFirst()).allSatisfy { $1 >= $0 - 1 })
        #expect(luma[0] < 40 && luma[255] > 220)
        #expect(ColorMap[-1] == ColorMap.colors[0] && ColorMap[2] == ColorMap.colors[255])
    }

    @Test func smoothingKeepsTheSum() {
        var map = [Float](repeating: 0, count: 15 * 11)
        map[7 * 11 + 5] = 2
        let soft = Overlay.smoothed(map, width: 11, sigma: 1)
        #expect(abs(soft.reduce(0, +) - 2) < 1e-5 && soft.max()! == soft[7 * 11 + 5])
        #expect(soft[6 * 11 + 5] == soft[7 * 11 + 4] && soft[0] == 0)
        #expect(
            Overlay.smoothed([Float](repeating: 3, count: 20), width: 5, sigma: 2).allSatisfy {
                abs($0 - 3) < 1e-5
            })
    }

    @Test func mapsAsFiles() throws {
        let map: [Float] = [0, 0.25, 0.5, 2]
        let npy = Overlay.npy(map, width: 2)
        #expect(npy.starts(with: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0]))
        let header = Int(npy[8]) + Int(npy[9]) << 8
        #expect((10 + header) % 64 == 0 && npy.count == 10 + header + 16)
        #expect(npy.suffix(16).elementsEqual(map.withUnsafeBytes { Array($0) }))
        let png = try Overlay.png16(map, width: 2, range: 0...1)
        // Decoding scales 16 bits to 8.
        #expect(
            try RGBImage(bytes: png, name: "map").pixels.enumerated().filter { $0.offset % 3 == 0 }.map(
                \.element)
                == [0, 64, 128, 255])
        let picture = Overlay.picture(
            RGBImage(width: 2, height: 2, pixels: [UInt8](repeating: 100, count: 12)), map: map, range: 0...1,
            mask: [0, 0, 0, 1])
        #expect(picture.height == 256 && picture.width == 2 * 256 + 32)
    }
}
