import Foundation
import OCCData
import OCCEngine
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Folders as people have them: nothing in them is left out without a word.
@Suite struct FolderTests {
    private func picture(_ value: UInt8, side: Int = 8) throws -> [UInt8] {
        var pixels = [UInt8](repeating: value, count: side * side * 3)
        pixels[0] = value ^ 255
        return try RGBImage(width: side, height: side, pixels: pixels).encodedPNG()
    }

    /// A mask whose upper half is a defect of this value.
    private func mask(_ value: UInt8 = 255, side: Int = 8) throws -> [UInt8] {
        let half = side * side * 3 / 2
        let pixels = [UInt8](repeating: value, count: half) + [UInt8](repeating: 0, count: half)
        return try RGBImage(width: side, height: side, pixels: pixels).encodedPNG()
    }

    private func folder(_ names: [String]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (index, name) in names.enumerated() {
            try folder.write(try picture(UInt8(index)), to: name)
        }
        return folder
    }

    // MARK: What is found

    @Test func imagesInSubfoldersBelongToTheirClass() throws {
        let folder = try folder(["train/good/a.png", "train/good/day2/b.png", "train/good/day2/night/c.PNG"])
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.train.names.map(fileName) == ["a.png", "b.png", "c.PNG"])
        #expect(dataset.account.count(.nested) == 2)
        #expect(dataset.summary.contains("day2"))
    }

    @Test(arguments: [
        ("gut", "schlecht"), ("iO", "niO"), ("Bon", "Mauvais"), ("conforme", "non_conforme"), ("良品", "不良品"),
        ("accept", "reject"), ("OK", "KO"),
    ])
    func normalImagesAreKnownInOtherLanguages(_ normal: String, _ other: String) throws {
        let names = (0..<5).map { "\(normal)/\($0).png" } + ["\(other)/a.png"]
        let folder = try folder(names), dataset = try ImageDataset.load(folder.path)
        #expect(dataset.kind == .normalAndAnomalous && dataset.classNames == [normal, other])
        #expect(dataset.train.names.count == 4 && dataset.test.names.count == 2)
    }

    @Test(arguments: [("Train", "Test"), ("TRAIN", "test"), ("training", "testing"), ("train", "Validation")])
    func partsAreKnownInAnyCase(_ train: String, _ test: String) throws {
        let folder = try folder(["\(train)/Good/a.png", "\(test)/Good/b.png", "\(test)/Bad/c.png"])
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.kind == .normalAndAnomalous && dataset.classNames == ["Good", "Bad"])
        #expect(dataset.train.names.map(fileName) == ["a.png"])
        #expect(dataset.test.names.map(fileName) == ["b.png", "c.png"])
        #expect(dataset.account.count(.unused) == 0)
    }

    @Test func categoriesAndClassesAreKnownInAnyCase() throws {
        let several = try folder([
            "bottle/Train/good/a.png", "bottle/Test/good/b.png", "cable/TRAIN/good/c.png",
        ])
        #expect(try ImageDataset.categories(several.path) == ["bottle", "cable"])
        // Beside other classes, and without a part for testing, Train is one of them.
        let classes = try folder(["Bus", "Car", "Train"].flatMap { ["\($0)/a.png", "\($0)/b.png"] })
        #expect(try ImageDataset.load(classes.path).classNames == ["Bus", "Car", "Train"])
    }

    /// Images that are called defective are for testing, wherever they lie; names that say nothing are classes.
    @Test func defectsBesideTrainingImagesAreForTesting() throws {
        let whole = try folder(["train/OK/a.png", "train/NG/b.png", "test/OK/c.png", "test/NG/d.png"])
        let dataset = try ImageDataset.load(whole.path)
        #expect(dataset.kind == .normalAndAnomalous && dataset.classNames == ["OK", "NG"])
        #expect(dataset.train.names.map(fileName) == ["a.png"])
        #expect(Set(dataset.test.names.map(fileName)) == ["b.png", "c.png", "d.png"])
        #expect(dataset.summary.contains("train/NG"))
        // A mask is of the image in test, though one in train has its name.
        try whole.write(try picture(9), to: "train/NG/d.png")
        try whole.write(try mask(), to: "ground_truth/NG/d.png")
        let judged = try ImageDataset.load(whole.path)
        let tested = judged.test.names.indices.filter { judged.test.masks[$0] != nil }
        #expect(tested.map { judged.test.names[$0] } == [whole.file("test/NG/d.png")])
        #expect(judged.account.count(.noMask) == 2 && judged.account.count(.unusedMask) == 0)
        let part = try folder(["train/OK/a.png", "train/NG/b.png"])
        let untested = try ImageDataset.load(part.path)
        #expect(untested.test.names.map(fileName) == ["b.png"])
        let others = try folder(["train/ok/a.png", "train/cat/b.png"])
        let classes = try ImageDataset.load(others.path)
        #expect(classes.kind == .oneVersusRest && classes.train.names.count == 2)
    }

    @Test func namesOfOneCharacterAreNames() throws {
        let folder = try folder(["train/0/a.png", "train/1/b.png", "test/0/c.png", "test/1/d.png"])
        try folder.write([], to: "train/0/x")
        #expect(try ImageDataset.load(folder.path).classNames == ["0", "1"])
        let found = try expandImagePaths([folder.path])
        #expect(found.images.map(fileName) == ["c.png", "d.png", "a.png", "b.png"])
        #expect(found.account.count(.noImage) == 1)
    }

    @Test func whatIsHiddenIsLeftOutEverywhere() throws {
        let folder = try folder([
            "train/good/a.png", "train/good/._a.png", "train/.cache/b.png", "train/good/.deep/c.png",
            "test/.x/d.png",
        ])
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.train.names.map(fileName) == ["a.png"])
        #expect(dataset.test.labels == [])
        #expect(dataset.classNames == ["good"])
        #expect(dataset.account.count(.hidden) == 2)  // of those in the class's folder
    }

    @Test func otherFilesAreCountedByKind() throws {
        let folder = try folder(["good/a.png", "good/b.gif", "good/c.heic", "good/d.txt", "good/Thumbs.db"])
        #expect(mkfifo(folder.file("good/pipe.png"), 0o600) == 0)
        #expect(symlink("nowhere.png", folder.file("good/link.png")) == 0)
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.account.read == 1)
        #expect(dataset.account.count(.otherFormat) == 2)
        #expect(dataset.account.count(.noImage) == 2)
        #expect(dataset.account.count(.special) == 1)
        #expect(dataset.account.count(.brokenLink) == 1)
        for name in ["b.gif", "Thumbs.db", "pipe.png", "link.png"] {
            #expect(dataset.summary.contains(name), "\(name)")
        }
    }

    @Test func linksAreFollowedAndLoopsEnd() throws {
        let folder = try folder(["images/a.png", "elsewhere/b.png"])
        #expect(symlink("../elsewhere", folder.file("images/more")) == 0)
        #expect(symlink("..", folder.file("images/up")) == 0)
        let found = try expandImagePaths([folder.file("images")])
        // Up is the folder of both, whose `images` is where the walk began.
        #expect(Set(found.images.map(fileName)) == ["a.png", "b.png"])
        #expect(found.account.count(.loop) >= 1)
    }

    @Test func nameBytesSurvive() throws {
        // Latin-1, a truncated sequence, a surrogate, and a private character that stands for a byte here.
        let names: [[UInt8]] = [
            [0x63, 0xE9], [0xE2, 0x82], [0xED, 0xA0, 0x80, 0x61], Array("\u{EF80}".utf8), [0xFF, 0x62],
            Array("é€😀".utf8), Array("e\u{301}".utf8),
        ]
        for bytes in names { #expect(PathText.encode(PathText.decode(bytes)) == bytes) }
        let folder = try TemporaryFolder(), image = try picture(1)
        for bytes in names {
            let path = PathText.decode(Array("\(folder.path)/".utf8) + bytes + Array(".png".utf8))
            let descriptor = PathText.with(path) { creat($0, 0o644) }
            #expect(write(descriptor, image, image.count) == image.count)
            close(descriptor)
        }
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.account.read == names.count)
        #expect(
            Set(dataset.train.names.map { PathText.encode(withoutExtension(fileName($0))) }) == Set(names))
    }

    @Test(arguments: [
        ("a/b.tar.gz", "b.tar.gz", "gz", "a/b.tar", "a"), ("x", "x", "", "x", "."),
        ("/x", "x", "", "/x", "/"),
        ("a.b/c", "c", "", "a.b/c", "a.b"), ("d/.png", ".png", "", "d/.png", "d"),
        ("é.PNG", "é.PNG", "PNG", "é", "."),
    ])
    func pathsHaveParts(_ path: String, _ name: String, _ ending: String, _ stem: String, _ parent: String) {
        #expect(fileName(path) == name)
        #expect(fileExtension(path) == ending)
        #expect(withoutExtension(path) == stem)
        #expect(parentFolder(path) == parent)
    }

    /// What occ-gpu drew of images is not taken for images, nor is a folder of masks beside images.
    @Test func drawnPicturesAreLeftOut() throws {
        let drawn = [
            "overlay.png", "mask.png", "map.png", "integrated-gradients.png", "grad-cam.png",
        ].map { "pictures/a-0123456789ab.\($0)" }
        let images = [
            "a.png", "b.png", "day/c.png", "a-0123456789ab.png", "a-0123456789ag.mask.png", "x.mask.png",
        ]
        let folder = try folder(images + drawn + ["masks/a.png", "b-0123456789ab.overlay.png"])
        let dataset = try ImageDataset.load(folder.path)
        #expect(Set(dataset.train.names.map { relativeName($0, folder) }) == Set(images))
        #expect(dataset.account.count(.drawn) == 6 && dataset.account.count(.unusedMask) == 1)
        #expect(try expandImagePaths([folder.path]).images.count == images.count + 1)
    }

    /// A folder of masks is found whatever the case of its name; of two one is used, and nothing of the other is lost.
    @Test func masksAreFoundInAnyCase() throws {
        let one = try folder(["a.png", "b.png", "Masks/a.png", "gt/b.png"])
        let flat = try ImageDataset.load(one.path)
        #expect(flat.train.names.map(fileName) == ["a.png", "b.png", "b.png"])
        #expect(flat.account.count(.unusedMask) == 1 && flat.account.count(.nested) == 1)
        let two = try folder(["good/a.png", "good/b.png", "good/c.png", "bad/d.png", "gt/bad/d.png"])
        try two.write(try mask(), to: "Ground_Truth/bad/d.png")
        let found = try ImageDataset.load(two.path)
        #expect(found.classNames == ["good", "bad"] && !found.test.masks.isEmpty)
        #expect(found.account.count(.unused) == 1)
    }

    private func relativeName(_ path: String, _ folder: TemporaryFolder) -> String {
        String(path.dropFirst(folder.path.count + 1))
    }

    // MARK: Classes

    @Test func aNumberNamesTheFolder() throws {
        let folder = try folder(
            ["0", "1", "2", "10", "11"].flatMap { ["train/\($0)/a.png", "test/\($0)/b.png"] })
        let dataset = try ImageDataset.load(folder.path)
        for name in dataset.classNames { #expect(dataset.classNames[try dataset.classIndex(name)] == name) }
        #expect(throws: OCCError.self) { try dataset.classIndex("4") }
    }

    @Test func classNamesMatchInEveryNormalForm() throws {
        let folder = try folder(["train/caf\u{E9}/a.png", "test/cafe\u{301}/b.png", "test/bad/c.png"])
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.test.labels == [0, 1])
    }

    @Test func normalImagesMayHaveTwoNames() throws {
        let folder = try folder(["train/ok/a.png", "test/good/b.png", "test/bad/c.png"])
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.test.labels.sorted() == [0, 1])
        #expect(dataset.account.remarks.contains { $0.contains("test/good") })
    }

    @Test func trainMayHoldImagesDirectly() throws {
        let folder = try folder([
            "train/a.png", "train/b.png", "test/good/c.png", "test/bad/d.png", "stray.png",
        ])
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.classNames == ["good", "bad"])
        #expect((dataset.train.labels, dataset.test.labels) == ([0, 0], [0, 1]))
        #expect(dataset.account.count(.unused) == 1)
    }

    @Test func foldersThatTheLayoutDoesNotUseAreNamed() throws {
        let folder = try folder([
            "train/good/a.png", "validation/good/b.png", "test/good/c.png", "test/d.png",
        ])
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.account.count(.unused) == 2)
        #expect(dataset.summary.contains("validation"))
    }

    @Test func classesWithoutASplitAreSplit() throws {
        let names = (0..<10).flatMap { ["normal/\($0).png", "broken/\($0).png"] }
        let folder = try folder(names), dataset = try ImageDataset.load(folder.path)
        #expect(dataset.kind == .normalAndAnomalous)
        #expect(dataset.classNames == ["normal", "broken"])
        #expect(dataset.train.labels.count == 8)
        #expect(dataset.test.labels.count { $0 == 0 } == 2 && dataset.test.labels.count { $0 == 1 } == 10)
        #expect(dataset.summary.contains("normal is taken for the normal class, by its name"))
        #expect(dataset.summary.contains("all images of broken are for testing"))
    }

    @Test(arguments: [("good", "bad"), ("OK", "NOK"), ("pass", "fail"), ("normal", "anomaly")])
    func goodBesideBad(_ good: String, _ bad: String) throws {
        let folder = try folder((0..<5).flatMap { ["\(bad)/\($0).png", "\(good)/\($0).png"] })
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.kind == .normalAndAnomalous && dataset.classNames == [good, bad])
        #expect((dataset.train.labels, dataset.test.labels) == ([0, 0, 0, 0], [0, 1, 1, 1, 1, 1]))
    }

    @Test func badAloneIsWarnedOf() throws {
        let folder = try folder(["bad/a.png", "bad/b.png"])
        #expect(try ImageDataset.load(folder.path).summary.contains("warning: the images of bad are all"))
        let classes = try self.folder(["a/0.png", "a/1.png", "b/0.png", "b/1.png"])
        #expect(try ImageDataset.load(classes.path).kind == .oneVersusRest)
    }

    // MARK: Masks

    @Test(arguments: [
        "ground_truth/bad/0_mask.png", "ground_truth/bad/0.png", "ground_truth/bad/0_mask.PNG",
        "ground_truth/bad/0/000.png", "masks/bad/0.png", "ground_truth/bad/0_gt.png",
        "ground_truth/Bad/0.Png",
    ])
    func masksAreFound(_ name: String) throws {
        let folder = try folder(["train/good/a.png", "test/good/0.png", "test/bad/0.png"])
        try folder.write(try mask(), to: name)
        let dataset = try ImageDataset.load(folder.path, imageSize: 32)
        #expect(
            dataset.test.masks == [1: [UInt8](repeating: 1, count: 512) + [UInt8](repeating: 0, count: 512)])
        #expect(dataset.account.count(.unusedMask) == 0)
    }

    @Test func masksOfVisAAsPublished() throws {
        let folder = try TemporaryFolder()
        for index in 0..<5 {
            try folder.write(try picture(UInt8(index)), to: "Data/Images/Normal/\(index).png")
            try folder.write(try picture(UInt8(90 + index)), to: "Data/Images/Anomaly/\(index).png")
            try folder.write(try mask(3), to: "Data/Masks/Anomaly/\(index).png")
        }
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.classNames == ["Normal", "Anomaly"])
        #expect(dataset.test.masks.count == 5)
    }

    @Test func severalMasksOfAnImageAreOne() throws {
        let folder = try folder(["train/good/a.png", "test/bad/0.png"])
        try folder.write(try mask(), to: "ground_truth/bad/0/000.png")
        let whole = try RGBImage(width: 8, height: 8, pixels: [UInt8](repeating: 255, count: 192))
            .encodedPNG()
        try folder.write(whole, to: "ground_truth/bad/0/001.png")
        #expect(try ImageDataset.load(folder.path, imageSize: 32).test.masks[0]?.contains(0) == false)
    }

    @Test func masksThatAreNotUsedAreNamed() throws {
        let folder = try folder(["train/good/a.png", "test/bad/0.png", "test/bad/1.png", "test/bad/2.png"])
        try folder.write(try mask(), to: "ground_truth/bad/0_mask.png")
        try folder.write(try mask(0), to: "ground_truth/bad/1_mask.png")
        try folder.write(try mask(), to: "ground_truth/bad/other_mask.png")
        let account = try ImageDataset.load(folder.path).account
        #expect(
            account.count(.unusedMask) == 1 && account.count(.emptyMask) == 1 && account.count(.noMask) == 2)
    }

    /// What is wrong with masks is known as soon as the data set is read.
    @Test func masksThatDoNotFitAreNamed() throws {
        let folder = try folder(["train/good/a.png", "test/bad/0.png", "test/bad/1.png"])
        let broken = try folder.write([1, 2, 3], to: "ground_truth/bad/0_mask.png")
        #expect(throws: OCCError.self) { try ImageDataset.load(folder.path, maxUnreadable: 0) }
        try folder.write(try mask(side: 16), to: "ground_truth/bad/0_mask.png")
        let account = try ImageDataset.load(folder.path).account
        #expect(account.count(.maskSize) == 1 && account.count(.noMask) == 1)
        #expect(account.kinds[.maskSize]?.first == ["\(broken) (16 x 16, its image 8 x 8)"])
        try FileManager.default.removeItem(atPath: broken)
        try folder.write(try mask(), to: "ground_truth/other/9.png")
        #expect(try ImageDataset.load(folder.path).summary.contains("no defective image has a mask in"))
    }

    // MARK: Odd images

    @Test func imagesInTrainAndTestAreCounted() throws {
        let folder = try folder(["train/good/a.png", "train/good/b.png", "test/bad/c.png"])
        try folder.write(try picture(0), to: "test/good/copy.png")
        try folder.write(try picture(1), to: "train/good/again.png")
        let account = try ImageDataset.load(folder.path).account
        #expect(account.count(.inTraining) == 1)
        #expect(account.kinds[.inTraining]?.first.first?.contains("copy.png") == true)
        #expect(account.count(.copy) == 1)
    }

    @Test func trainingImagesThatAreAllTheSameAreNamed() throws {
        let folder = try TemporaryFolder()
        let black = try RGBImage(width: 4, height: 4, pixels: [UInt8](repeating: 0, count: 48)).encodedPNG()
        for index in 0..<3 { try folder.write(black, to: "\(index).png") }
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.summary.contains("all 3 training images are the same and black"))
        #expect(dataset.account.count(.plain) == 3)
    }

    @Test func unreadableFilesAreInTheAccount() throws {
        let folder = try folder((0..<9).map { "\($0).png" })
        let bad = try folder.write(Array("not a picture".utf8), to: "bad.png")
        let error = #expect(throws: OCCError.self) { try ImageDataset.load(folder.path, maxUnreadable: 0.01) }
        #expect(error?.message.contains(bad) == true)
        let dataset = try ImageDataset.load(folder.path, maxUnreadable: 0.1)
        #expect(dataset.train.labels.count == 9)
        #expect(dataset.account.kinds[.unreadable]?.first.first?.contains(bad) == true)
        #expect(dataset.summary.contains("bad.png"))
    }

    // MARK: Fashion-MNIST

    @Test func fashionIsToldByItsContents() throws {
        // Two images a class with Fashion-MNIST's mean brightness, or with MNIST's.
        func images(_ means: [Double]) -> LabeledImages {
            var pixels: [UInt8] = []
            for mean in means + means {
                pixels += [UInt8](repeating: UInt8(mean * 784 / 1024), count: 32 * 32 * 3)
            }
            var result = LabeledImages(side: 32)
            result.images = ImageBatch(side: 32, pixels: pixels)
            result.labels = Array(0..<means.count) + Array(0..<means.count)
            return result
        }
        #expect(IDX.isFashion(images([80, 60, 99, 62, 95, 40, 88, 41, 92, 79])))
        #expect(!IDX.isFashion(images([44, 19, 38, 36, 31, 33, 35, 29, 38, 31])))
    }
}
