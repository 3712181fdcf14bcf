import Foundation
import OCCData
import OCCEngine
import TestSupport
import Testing

@Suite struct DatasetTests {
    private func picture(_ value: UInt8, side: Int = 8) throws -> [UInt8] {
        try RGBImage(width: side, height: side, pixels: [UInt8](repeating: value, count: side * side * 3))
            .encodedPNG()
    }

    // MARK: IDX

    private static func fixture(_ name: String) throws -> [UInt8] {
        try readFile(fixturePath("images/\(name)"))
    }

    @Test func idxImagesArePaddedAndReplicated() throws {
        let bytes = try Self.fixture("train-images-idx3-ubyte")
        let images = try IDX.parseImages(bytes, name: "images")
        #expect((images.count, images.side) == (6, 32))
        for index in 0..<6 {
            for row in 0..<32 {
                for column in 0..<32 {
                    let inside = (2..<30).contains(row) && (2..<30).contains(column)
                    let expected = inside ? bytes[16 + (index * 28 + row - 2) * 28 + column - 2] : 0
                    for channel in 0..<3 {
                        #expect(images.pixels[((index * 32 + row) * 32 + column) * 3 + channel] == expected)
                    }
                }
            }
        }
    }

    @Test func idxFoldersAreRecognizedCompressedOrNot() throws {
        let folder = try TemporaryFolder()
        for prefix in ["train", "t10k"] {
            try folder.write(
                try Self.fixture("train-images-idx3-ubyte"), to: "fashion/\(prefix)-images-idx3-ubyte")
            try folder.write(
                try Self.fixture("train-labels-idx1-ubyte.gz"), to: "fashion/\(prefix)-labels-idx1-ubyte.gz")
        }
        let dataset = try ImageDataset.load(folder.file("fashion"))
        #expect(dataset.name == "MNIST")  // six images of the fixture do not have its classes' brightness
        #expect(dataset.train.labels == [0, 1, 2, 3, 4, 5])
        #expect(try dataset.classIndex("5") == 5)
        #expect(throws: OCCError.self) { try dataset.classIndex("sandals") }
    }

    @Test func labelsAndImagesMustMatch() throws {
        let folder = try TemporaryFolder()
        let images = try folder.write(try Self.fixture("train-images-idx3-ubyte"), to: "images")
        let labels = try folder.write([0, 0, 8, 1, 0, 0, 0, 2, 1, 2], to: "labels")
        let error = #expect(throws: OCCError.self) { try IDX.read(images: images, labels: labels) }
        #expect(error?.message.contains(labels) == true)
    }

    @Test func damagedIDXFilesAreErrors() throws {
        var result = fuzz(try Self.fixture("train-images-idx3-ubyte"), name: "x.idx") {
            _ = try IDX.parseImages($0, name: "x.idx")
        }
        #expect(result.failures == [])
        #expect(result.refused > 500)
        result = fuzz(try Self.fixture("train-labels-idx1-ubyte"), name: "y.idx") {
            _ = try IDX.parseLabels($0, name: "y.idx")
        }
        #expect(result.failures == [])
        #expect(result.refused > 1000)
    }

    @Test func damagedGzipFilesAreErrors() throws {
        let original = try Self.fixture("train-labels-idx1-ubyte.gz")
        let whole = try gunzip(original, name: "y.gz", limit: 1 << 20)
        #expect(whole == (try Self.fixture("train-labels-idx1-ubyte")))
        var silent = 0
        let result = fuzz(original, name: "y.gz") {
            let inflated = try gunzip($0, name: "y.gz", limit: 1 << 20)
            if inflated != whole, $0 != original + original { silent += 1 }
        }
        #expect(result.failures == [])
        // Its checksum lets nothing wrong through; header fields such as the time may change, and a
        // mutation that doubles the whole file makes two parts of it.
        #expect(silent == 0)
    }

    /// What gzip and pigz make: several parts, zeros behind; but nothing else behind.
    @Test func gzipFilesMayHaveParts() throws {
        let part = try Self.fixture("train-labels-idx1-ubyte.gz")
        let plain = try Self.fixture("train-labels-idx1-ubyte")
        let empty: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        for count in [1, 2, 300] {
            let parts = (0..<count).flatMap { _ in part }, all = (0..<count).flatMap { _ in plain }
            for padding in [[], [0], [UInt8](repeating: 0, count: 512)] as [[UInt8]] {
                #expect(try gunzip(parts + padding, name: "x.gz", limit: all.count) == all)
                #expect(try gunzip(empty + parts + empty + padding, name: "x.gz", limit: all.count) == all)
            }
            #expect(throws: OCCError.self) { try gunzip(parts, name: "x.gz", limit: all.count - 1) }
        }
        for garbage in [[1], [0, 0, 1], [0x1F], [0x1F, 0x8B], Array("more".utf8)] as [[UInt8]] {
            let error = #expect(throws: OCCError.self) {
                try gunzip(part + garbage, name: "x.gz", limit: 1 << 20)
            }
            #expect(error?.message.hasPrefix("x.gz: the gzip data is ") == true)
        }
        var broken = part + part
        broken[part.count + part.count - 5] ^= 1
        #expect(throws: OCCError.self) { try gunzip(broken, name: "x.gz", limit: 1 << 20) }
    }

    @Test func inflatingIsBounded() throws {
        let error = #expect(throws: OCCError.self) {
            try gunzip(try Self.fixture("train-labels-idx1-ubyte.gz"), name: "bomb.gz", limit: 8)
        }
        #expect(error?.message.contains("bomb.gz") == true)
    }

    // MARK: CIFAR

    private static func cifar(_ labels: [[UInt8]]) -> [UInt8] {
        labels.enumerated().flatMap { index, label in
            label + (0..<3072).map { UInt8(truncatingIfNeeded: $0 / 1024 * 50 + $0 % 1024 + index) }
        }
    }

    @Test func cifarPlanesBecomePixels() throws {
        let folder = try TemporaryFolder()
        for batch in 1...5 {
            try folder.write(Self.cifar([[1], [9]]), to: "cifar-10-batches-bin/data_batch_\(batch).bin")
        }
        try folder.write(Self.cifar([[3]]), to: "cifar-10-batches-bin/test_batch.bin")
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.name == "CIFAR-10")
        #expect(dataset.train.labels == [1, 9, 1, 9, 1, 9, 1, 9, 1, 9])
        #expect(dataset.test.labels == [3])
        for pixel in [0, 1, 500, 1023] {
            for channel in 0..<3 {
                #expect(
                    dataset.test.images.pixels[3 * pixel + channel]
                        == UInt8(truncatingIfNeeded: channel * 50 + pixel))
            }
        }
    }

    @Test func cifar100TakesTheSuperclass() throws {
        let folder = try TemporaryFolder()
        try folder.write(Self.cifar([[19, 99], [0, 4]]), to: "train.bin")
        try folder.write(Self.cifar([[7, 1]]), to: "test.bin")
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.classNames.count == 20)
        #expect(dataset.train.labels == [19, 0])
    }

    @Test func damagedCIFARFilesAreErrors() {
        let result = fuzz(Self.cifar([[1], [9]]), name: "c.bin") {
            var images = LabeledImages(side: 32)
            try CIFAR.parse($0, name: "c.bin", labelBytes: 1, classes: 10, into: &images)
        }
        #expect(result.failures == [])
        #expect(result.refused > 500)
    }

    // MARK: Folders of images

    @Test func classFolders() throws {
        let folder = try TemporaryFolder()
        for (set, name, count) in [
            ("train", "cat", 3), ("train", "dog", 2), ("test", "cat", 1), ("test", "dog", 2),
        ] {
            for index in 0..<count {
                try folder.write(try picture(UInt8(index * 40)), to: "\(set)/\(name)/\(index).png")
            }
        }
        let dataset = try ImageDataset.load(folder.path, imageSize: 32)
        #expect(dataset.kind == .oneVersusRest)
        #expect(dataset.classNames == ["cat", "dog"])
        #expect(dataset.train.labels == [0, 0, 0, 1, 1])
        #expect(dataset.test.labels == [0, 1, 1])
        #expect(dataset.test.images.pixels.suffix(3072).allSatisfy { $0 == 40 })
    }

    @Test func defectFoldersWithMasks() throws {
        let folder = try TemporaryFolder()
        for index in 0..<3 { try folder.write(try picture(100), to: "train/good/\(index).png") }
        try folder.write(try picture(100), to: "test/good/000.png")
        try folder.write(try picture(10), to: "test/scratch/000.png")
        try folder.write(try picture(255), to: "ground_truth/scratch/000_mask.png")
        let dataset = try ImageDataset.load(folder.path, imageSize: 32)
        #expect(dataset.kind == .normalAndAnomalous)
        #expect(dataset.classNames == ["good", "scratch"])
        #expect(dataset.test.masks == [1: [UInt8](repeating: 1, count: 1024)])
    }

    @Test func whatIsNoDataSetIsNamed() throws {
        let folder = try TemporaryFolder()
        #expect(throws: OCCError.self) { try ImageDataset.load(folder.path) }
        let missing = #expect(throws: OCCError.self) { try ImageDataset.load(folder.file("nowhere")) }
        #expect(missing?.kind == .noInput)
        try folder.write([], to: "cifar-10-batches-py/batches.meta")
        let python = #expect(throws: OCCError.self) { try ImageDataset.load(folder.path) }
        #expect(python?.remedy?.contains("binary") == true)
    }
}
