import OCCData
import OCCEngine
import TestSupport
import Testing

@Suite struct OneClassSplitTests {
    /// Every image carries its own number, so that where it went can be told.
    private func dataset(classes: Int = 3, each: Int = 100, test: Int = 20) -> ImageDataset {
        func images(_ count: Int, first: Int) -> LabeledImages {
            var result = LabeledImages(side: 2)
            var pixels: [UInt8] = []
            for index in 0..<count * classes {
                let number = first + index
                pixels += [UInt8(number & 255), UInt8(number >> 8)] + [UInt8](repeating: 0, count: 10)
                result.labels.append(index % classes)
                result.names.append("\(number)")
            }
            result.images = ImageBatch(side: 2, pixels: pixels)
            return result
        }
        return ImageDataset(
            name: "numbers", kind: .oneVersusRest, classNames: (0..<classes).map { "c\($0)" },
            train: images(each, first: 0), test: images(test, first: 10_000))
    }

    private func numbers(_ batch: ImageBatch) -> [Int] {
        (0..<batch.count).map { Int(batch[$0].first!) + Int(batch[$0].dropFirst().first!) << 8 }
    }

    @Test func partsAreDisjointAndNormal() throws {
        let split = try OneClassSplit(dataset(), normal: "1")
        #expect((split.train.count, split.calibration.count, split.test.count) == (75, 25, 60))
        let all = numbers(split.train) + numbers(split.calibration)
        #expect(Set(all).count == 100)
        #expect(all.allSatisfy { $0 % 3 == 1 })
        #expect(split.testLabels.count { $0 == 0 } == 20)
        #expect(split.normalClass == "c1")
    }

    /// What is held out by itself: enough to promise something, and never so much that too little is left.
    @Test func heldOutFollowsTheNumber() throws {
        for (count, held) in [
            (0, 0), (2, 0), (3, 1), (11, 2), (32, 8), (60, 15), (209, 52), (396, 99), (990, 99), (6000, 600),
            (60_000, 1000),
        ] {
            #expect(OneClassSplit.heldOut(of: count) == held, "\(count)")
        }
        let all = (0..<20_000).map { OneClassSplit.heldOut(of: $0) }
        #expect(zip(all, all.dropFirst()).allSatisfy { $0 <= $1 })
        var options = OneClassSplit.Options()
        options.holdOut = 0
        #expect(try OneClassSplit(dataset(), normal: "1", options: options).calibration.count == 0)
        options.holdOut = 0.1
        #expect(try OneClassSplit(dataset(), normal: "1", options: options).calibration.count == 10)
    }

    @Test func contaminationAddsTheShareOfOutliers() throws {
        var options = OneClassSplit.Options()
        options.contamination = 0.1
        options.labeledNormals = 50
        let split = try OneClassSplit(dataset(), normal: "c0", options: options)
        let outliers = numbers(split.train).count { $0 % 3 != 0 }
        #expect((split.train.count, outliers) == (83, 8))
        #expect(split.detectorFit.count == 50)
        #expect(numbers(split.detectorFit).allSatisfy { $0 % 3 == 0 })
        #expect(numbers(split.calibration).allSatisfy { $0 % 3 == 0 })
    }

    @Test func seedsChooseAndRepeat() throws {
        var options = OneClassSplit.Options()
        options.maxTrain = 40
        options.maxTest = 30
        let a = try OneClassSplit(dataset(), normal: "0", options: options)
        let b = try OneClassSplit(dataset(), normal: "0", options: options)
        options.seed = 2
        let c = try OneClassSplit(dataset(), normal: "0", options: options)
        #expect(a.train == b.train && a.test == b.test)
        #expect(a.train != c.train)
        #expect((a.train.count, a.test.count) == (40, 30))
    }

    @Test func impossibleSplitsAreErrors() {
        #expect(throws: OCCError.self) { try OneClassSplit(dataset(), normal: nil) }
        #expect(throws: OCCError.self) { try OneClassSplit(dataset(), normal: "seven") }
        #expect(throws: OCCError.self) { try OneClassSplit(dataset(each: 1), normal: "0") }
        var options = OneClassSplit.Options()
        options.labeledNormals = 1000
        #expect(throws: OCCError.self) { try OneClassSplit(dataset(), normal: "0", options: options) }
        options = OneClassSplit.Options()
        options.contamination = 0.5
        #expect(throws: OCCError.self) {
            try OneClassSplit(dataset(classes: 1), normal: "0", options: options)
        }
    }
}

/// What the symmetries of the square do, by pictures.
@Suite struct SymmetryTests {
    /// In the order of the released code of Sohn et al. (data/cifar.py, `geotrans_array_deterministic`): each
    /// rotation, counter-clockwise, and it mirrored left to right.
    @Test func theEightAreThePapers() throws {
        let names = [
            "abc/def/ghi",  // as it is
            "cba/fed/ihg",  // mirrored
            "cfi/beh/adg",  // rotated by 90 degrees
            "ifc/heb/gda",  // the same, mirrored
            "ihg/fed/cba",  // rotated by 180 degrees
            "ghi/def/abc",  // the same, mirrored: upside down
            "gda/heb/ifc",  // rotated by 270 degrees
            "adg/beh/cfi",  // the same, mirrored
        ]
        func letters(_ text: String) -> [Float] { text.utf8.filter { $0 != 0x2F }.map { Float($0) } }
        let program = Program(device: try .cpu(), math: .strict)
        let (plan, (images, transforms, y)) = try program.add("symmetries", .inference) { plan in
            let images = try plan.input("images", [8, 3, 3, 3], type: .float32)
            let transforms = try plan.input("transforms", [8], type: .int32)
            let y = try dihedral(images, transforms: transforms, in: plan)
            plan.keep(y)
            return (images, transforms, y)
        }
        try program.load()
        let picture = letters(names[0]).flatMap { [$0, 2 * $0, 3 * $0] }
        try program.write((0..<8).flatMap { _ in picture }, to: images)
        try program.write((0..<8).map { Int32($0) }, to: transforms)
        try plan.run()
        let values = try program.read(y, of: plan)
        for (index, name) in names.enumerated() {
            let got = Array(values[27 * index..<27 * index + 27])
            #expect(got == letters(name).flatMap { [$0, 2 * $0, 3 * $0] }, "transform \(index)")
        }
    }
}

@Suite struct AugmentationRecipeTests {
    @Test(arguments: [
        "cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2+blur0.5", "none", "hflip", "jitter_c0.3",
        "hflip+solarize0.2",
        "blur1+cnr0.08",
        "jitter_b0.1_h0.5+gray0",
    ])
    func printsBackIdentically(_ text: String) throws {
        #expect(try AugmentationRecipe(text).description == text)
    }

    /// What the released code of Sohn et al. does to training images: its scripts' string less the blur, which
    /// returns them unchanged.
    @Test func theStandardRecipeIsWhatWasRun() throws {
        #expect(
            AugmentationRecipe.standard.steps == [
                .crop(minimum: 0.5), .flip,
                .jitter(brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.4),
                .gray(probability: 0.2),
            ])
    }

    /// SimCLR's kernel: a tenth of the side, made odd.
    @Test(arguments: [(32, 3), (64, 7), (96, 9), (256, 25)])
    func blurringKernelsGrowWithTheImage(_ side: Int, _ taps: Int32) throws {
        let program = Program(device: try .cpu(), math: .strict)
        let plan = try program.add("blur", .inference) { plan in
            let images = try plan.input("images", [1, side, side, 3], type: .float32)
            plan.keep(try AugmentationRecipe("blur0.5")(images, in: plan))
        }.plan
        #expect(plan.operations.map(\.params.image.taps) == [taps])
    }

    @Test func stepsAreTyped() throws {
        #expect(
            try AugmentationRecipe("cnr0.5+jitter_s0.2").steps == [
                .crop(minimum: 0.5), .jitter(brightness: 0, contrast: 0, saturation: 0.2, hue: 0),
            ])
    }

    @Test(arguments: [
        "", "cnr", "cnr0", "cnr2", "hflip+", "flip", "jitter_b0.4_b0.3", "jitter_x1", "gray-1", "blurnan",
        "jitter_h0.6",
        "cnr0.5 + hflip", "gray1e400",
    ])
    func mistakesAreErrors(_ text: String) {
        let error = #expect(throws: OCCError.self) { try AugmentationRecipe(text) }
        #expect(error?.kind == .usage)
    }
}
