import Foundation
import OCCData
import OCCEngine
import TestSupport
import Testing

/// CelebA, Cat-vs-Dog and collections of categories, from small folders of the same shape.
@Suite struct PhotoDatasetTests {
    private func picture(width: Int, height: Int, _ value: (Int, Int) -> UInt8) throws -> [UInt8] {
        var pixels: [UInt8] = []
        for row in 0..<height {
            for column in 0..<width { pixels += [UInt8](repeating: value(row, column), count: 3) }
        }
        return try RGBImage(width: width, height: height, pixels: pixels).encodedPNG()
    }

    @Test(arguments: ["train/cat.%d.jpg train/dog.%d.jpg", "PetImages/Cat/%d.jpg PetImages/Dog/%d.jpg"])
    func catsAndDogs(_ layout: String) throws {
        let folder = try TemporaryFolder()
        for (label, name) in layout.split(separator: " ").enumerated() {
            for index in 0..<10 {
                // Wide; the central square is of one value.
                let bytes = try picture(width: 96, height: 64) { _, column in
                    (16..<80).contains(column) ? UInt8(100 * label + index) : 255
                }
                try folder.write(bytes, to: String(format: String(name), index))
            }
        }
        let dataset = try ImageDataset.load(folder.path)
        #expect(dataset.name == "Cat-vs-Dog" && dataset.classNames == ["cat", "dog"] && dataset.side == 64)
        for label in 0..<2 {
            #expect(dataset.train.labels.count { $0 == label } == 8)
            #expect(dataset.test.labels.count { $0 == label } == 2)
        }
        let names = dataset.train.names + dataset.test.names
        #expect(Set(names).count == 20)
        for (index, label) in dataset.train.labels.enumerated() {
            let values = Set(dataset.train.images[index])
            #expect(values.count == 1 && Int(values.first!) / 100 == label)
        }
        #expect(try ImageDataset.load(folder.path).train.names == dataset.train.names)
    }

    private func celebA() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        var attributes = "6\nBald Eyeglasses Young\n", partition = ""
        for index in 0..<6 {
            let name = String(format: "%06d.jpg", index + 1), glasses = index % 3 == 1 ? " 1" : "-1"
            let bytes = try picture(width: 178, height: 218) { row, column in
                (40..<198).contains(row) && (10..<168).contains(column) ? 80 : 200
            }
            try folder.write(bytes, to: "img_align_celeba/\(name)")
            attributes += "\(name)  1 \(glasses) -1\n"
            partition += "\(name) \([0, 0, 0, 1, 2, 2][index])\n"
        }
        try folder.write(Array(attributes.utf8), to: "list_attr_celeba.txt")
        try folder.write(Array(partition.utf8), to: "list_eval_partition.txt")
        return folder
    }

    @Test func celebAHasEyeglassesAsOutliers() throws {
        let folder = try celebA(), dataset = try ImageDataset.load(folder.path)
        #expect(dataset.kind == .normalAndAnomalous && dataset.side == 64)
        #expect(dataset.train.labels == [0, 0])  // 1 and 3; 2 has glasses
        #expect(dataset.test.labels == [1, 0])  // 5 and 6; 4 is for validation
        #expect(Set(dataset.train.images.pixels) == [80])  // nothing but the face
        try folder.write(Array("000001.jpg 0 0\n".utf8), to: "list_eval_partition.txt")
        let error = #expect(throws: OCCError.self) { try ImageDataset.load(folder.path) }
        #expect(error?.message.contains("list_eval_partition.txt") == true)
        try FileManager.default.removeItem(atPath: folder.file("list_eval_partition.txt"))
        #expect(throws: OCCError.self) { try ImageDataset.load(folder.path) }
    }

    @Test func collectionsAreRecognized() throws {
        let folder = try TemporaryFolder()
        for name in ["bottle", "cable"] {
            for file in ["train/good/0.png", "test/good/0.png", "test/bent/0.png"] {
                try folder.write(try picture(width: 40, height: 40) { _, _ in 9 }, to: "\(name)/\(file)")
            }
        }
        try folder.write(Array("x".utf8), to: "license/text.txt")
        #expect(try ImageDataset.categories(folder.path) == ["bottle", "cable"])
        #expect(try ImageDataset.categories(folder.file("bottle")) == [])
        #expect(try ImageDataset.categories("builtin:surface") == [])
        let error = #expect(throws: OCCError.self) { try ImageDataset.load(folder.path) }
        #expect(error?.description.contains("protocol") == true)
    }
}
