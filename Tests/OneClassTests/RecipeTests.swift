import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// What train chooses by itself, and that it is chosen from normal images alone.
@Suite struct RecipeTests {
    private static let standard = Recipe.all[0]

    @Test func defectsAreLookedForInPatches() {
        let glance = DatasetGlance(hasDefects: true, side: 900)
        let chosen = Self.standard.configuration(for: glance).configuration
        #expect(chosen.imageSize == 256 && chosen.patch == 32 && chosen.stride == 8)
        #expect(chosen.method.name == "cutpaste-3way" && chosen.detector.name == "gaussian")
    }

    @Test(arguments: [(128, 128, 16), (100, 96, 16), (200, 192, 24), (4000, 256, 32), (64, 64, 16)])
    func imagesAndPatchesFollowTheSize(_ side: Int, _ images: Int, _ patch: Int) throws {
        let glance = DatasetGlance(hasDefects: true, side: side)
        let chosen = Self.standard.configuration(for: glance).configuration
        #expect(chosen.imageSize == images && chosen.patch == patch)
        try chosen.validate()
    }

    /// A map takes one pass, whatever the patches are.
    @Test(arguments: [(16, 2), (24, 2), (32, 3), (48, 3), (56, 4), (512, 4)])
    func encodersSeeNoMoreThanAPatch(_ patch: Int, _ stages: Int) throws {
        let chosen = Recipe.encoder(patch: patch)
        #expect(chosen.encoder.stages == stages && chosen.layers == StageNumbers(Array(1...stages)))
        #expect(try #require(chosen.encoder.receptiveFields.last).side <= patch)
    }

    @Test func classesAndSmallImagesAreSeenWhole() throws {
        for glance in [
            DatasetGlance(hasDefects: false, side: 32, isFixedSize: true),
            DatasetGlance(hasDefects: true, side: 40),
            DatasetGlance(hasDefects: false, side: 300),
        ] {
            let chosen = Self.standard.configuration(for: glance).configuration
            #expect(chosen.patch == nil)
            #expect((chosen.imageSize ?? 32) <= 64)
            try chosen.validate()
        }
    }

    @Test func everyRecipeIsValidAndFound() throws {
        for recipe in Recipe.all {
            #expect(try Recipe.named(recipe.name).name == recipe.name)
            for hasDefects in [false, true] {
                for side in [32, 64, 128, 256, 1000] {
                    let glance = DatasetGlance(hasDefects: hasDefects, side: side)
                    try recipe.configuration(for: glance).configuration.validate()
                }
            }
        }
        #expect(throws: SettingError.self) { try Recipe.named("quik") }
    }

    // MARK: What images show

    /// Images of a square on a ground, in one place or anywhere.
    private func squares(_ count: Int, seed: UInt64, anywhere: Bool) -> ImageBatch {
        var random = CounterRandom(seed: seed, stream: 1, counter: 0), pixels: [UInt8] = []
        for _ in 0..<count {
            let top = anywhere ? Int(random.uniform() * 48) : 24,
                left = anywhere ? Int(random.uniform() * 48) : 24
            let light = Int(random.uniform() * 60)
            for row in 0..<64 {
                for column in 0..<64 {
                    let isInside = (top..<top + 16).contains(row) && (left..<left + 16).contains(column)
                    let value = UInt8((isInside ? 150 : 40) + light + Int(random.uniform() * 20))
                    pixels += [value, value, value]
                }
            }
        }
        return ImageBatch(side: 64, pixels: pixels)
    }

    @Test func alignedObjectsAreToldFromOthers() {
        let aligned = Alignment.share(
            train: squares(20, seed: 1, anywhere: false), heldOut: squares(5, seed: 2, anywhere: false))
        let scattered = Alignment.share(
            train: squares(20, seed: 1, anywhere: true), heldOut: squares(5, seed: 2, anywhere: true))
        #expect(aligned > 0.9)
        #expect(scattered < 0.2)
        #expect(Alignment.share(train: ImageBatch(side: 64), heldOut: ImageBatch(side: 64)) == 0)
    }

    @Test(arguments: [("surface", false), ("part", false), ("wheel", true)])
    func builtinPicturesAreSeenForWhatTheyAre(_ name: String, _ isAligned: Bool) throws {
        let dataset = try ImageDataset.load("builtin:\(name)", imageSize: 64)
        let split = try OneClassSplit(dataset, normal: nil)
        #expect(PatchRecipe(split.train).isAligned == isAligned)
    }

    @Test func whatImagesShowDecides() throws {
        let glance = DatasetGlance(hasDefects: true, side: 64)
        let start = Self.standard.configuration(for: glance).configuration
        func chosen(_ scene: PatchRecipe, locations: Bool = true, detector: Bool = true) -> RunConfiguration {
            var c = start
            scene.apply(to: &c, locations: locations, detector: detector)
            return c
        }
        let aligned = PatchRecipe(squares(20, seed: 1, anywhere: false))
        let scattered = PatchRecipe(squares(20, seed: 1, anywhere: true))
        #expect(chosen(aligned).locations == .each && chosen(aligned).detector.name == "gaussian")
        #expect(
            chosen(scattered).locations == .shared && chosen(scattered).detector.name == "knn-mahalanobis")
        // What was asked for is not chosen.
        #expect(chosen(scattered, detector: false).detector.name == "gaussian")
        #expect(chosen(aligned, locations: false).locations == .shared)
    }

    // MARK: Budgets

    @Test(arguments: [("90s", 90.0), ("5m", 300), ("1.5h", 5400), ("12", 12), ("0.5m", 30)])
    func timesAreRead(_ text: String, _ seconds: Double) {
        #expect(TrainingBudget(text: text)?.seconds == seconds)
    }

    @Test(arguments: ["", "m", "-5m", "0", "nan", "inf", "1e99h", "5 m", "5min", "0x10", "1d"])
    func wrongTimesAreRefused(_ text: String) { #expect(TrainingBudget(text: text) == nil) }

    @Test func stepsFollowFromTheBudget() throws {
        let split = try OneClassSplit(ImageDataset.load("builtin:shapes"), normal: nil)
        var configuration = RunConfiguration()
        configuration.encoder = ResNet(.resnet10, width: 0.0625)
        configuration.head = []
        configuration.batch = 2
        let device = try Device.cpu()
        func steps(_ seconds: Double) throws -> Int {
            try TrainingBudget(seconds: seconds).steps(of: configuration, images: split.train, device: device)
        }
        #expect(try steps(1e-6) == 1)
        // Ten thousand times the time gives many more steps on any machine, however busy.
        #expect(try steps(100) > 20 * steps(0.01))
        configuration.epochs = 1
        #expect(try steps(1e6) == configuration.totalSteps(images: split.train.count))
    }
}
