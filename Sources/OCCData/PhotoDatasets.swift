import Foundation
import OCCEngine

/// Data sets of photographs with layouts of their own.
extension DatasetFolder {
    private func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(name)") }

    /// Decodes files of known classes; what cannot be read is skipped up to the stated share.
    private func load(
        _ files: [(path: String, label: Int)], side: Int, skipped: inout [SkippedFile],
        _ prepare: @Sendable (RGBImage) -> RGBImage
    ) -> LabeledImages {
        var result = LabeledImages(side: side)
        for (file, image) in zip(files, loadImages(files.map(\.path), side: side, prepare)) {
            switch image {
            case .failure(let error): skipped.append(SkippedFile(path: file.path, reason: error.message))
            case .success(let pixels):
                result.images.append(pixels)
                result.labels.append(file.label)
                result.names.append(file.path)
            }
        }
        return result
    }

    // MARK: Cats and dogs

    /// Loads Kaggle's dogs-vs-cats (`train/cat.0.jpg`, `train/dog.0.jpg`, ...) or Microsoft's
    /// (`PetImages/Cat/0.jpg`, ...); nil when the folder is neither. Of each class a random four fifths are
    /// for training, as the 10,000 of 12,500 of Sohn et al.; images are cut to their central square.
    func catsAndDogs(side: Int, maxUnreadable: Double) throws -> ImageDataset? {
        let classes = ["cat", "dog"]
        var files: [[String]] = []
        for root in [path, "\(path)/PetImages"] where files.isEmpty {
            let folders = ["\(root)/Cat", "\(root)/Dog"].map { imageFiles(in: $0) }
            if folders.allSatisfy({ !$0.isEmpty }) { files = folders }
        }
        if files.isEmpty {
            let all = imageFiles(in: "\(path)/train")
            files = classes.map { name in
                all.filter { URL(fileURLWithPath: $0).lastPathComponent.hasPrefix("\(name).") }
            }
        }
        guard files.allSatisfy({ !$0.isEmpty }) else { return nil }
        var train: [(path: String, label: Int)] = [], test = train
        for (label, own) in files.enumerated() {
            var random = CounterRandom(
                seed: 0, stream: RandomStream.catsAndDogs, counter: UInt64(label) << 32)
            let order = random.permutation(own.count), cut = own.count * 4 / 5
            train += order[..<cut].sorted().map { (own[$0], label) }
            test += order[cut...].sorted().map { (own[$0], label) }
        }
        var skipped: [SkippedFile] = []
        var result = ImageDataset(
            name: "Cat-vs-Dog", kind: .oneVersusRest, classNames: classes,
            train: load(train, side: side, skipped: &skipped, \.centralSquare),
            test: load(test, side: side, skipped: &skipped, \.centralSquare))
        try refuse(skipped, of: train.count + test.count, maxUnreadable)
        result.skipped = skipped
        return result
    }

    // MARK: CelebA

    /// Loads CelebA (`img_align_celeba`, `list_attr_celeba.txt`, `list_eval_partition.txt`) with faces
    /// without eyeglasses as the normal class; nil when the folder is not it. Faces are cut to 158 x 158 as
    /// in Sohn et al.; the validation images are not used.
    func celebA(side: Int, maxUnreadable: Double) throws -> ImageDataset? {
        guard exists("list_attr_celeba.txt"), exists("img_align_celeba") else { return nil }
        func lines(_ name: String) throws -> [[Substring]] {
            String(decoding: try readFile("\(path)/\(name)"), as: UTF8.self).split(separator: "\n")
                .map { $0.split(whereSeparator: \.isWhitespace) }
        }
        func fail(_ file: String, _ why: String) -> OCCError {
            OCCError(.badData, "\(path)/\(file): \(why)", remedy: "Download the file again.")
        }
        guard exists("list_eval_partition.txt") else {
            throw OCCError(
                .noInput, "\(path): has no list_eval_partition.txt",
                remedy: "Put CelebA's partition file there.")
        }
        let attributes = try lines("list_attr_celeba.txt")
        guard attributes.count > 2, let column = attributes[1].firstIndex(of: "Eyeglasses") else {
            throw fail("list_attr_celeba.txt", "names no attribute Eyeglasses")
        }
        var partition: [Substring: Substring] = [:]
        for line in try lines("list_eval_partition.txt") {
            guard line.count == 2 else { throw fail("list_eval_partition.txt", "a line has not two fields") }
            partition[line[0]] = line[1]
        }
        var train: [(path: String, label: Int)] = [], test = train
        for line in attributes.dropFirst(2) {
            guard line.count == attributes[1].count + 1, let part = partition[line[0]] else {
                throw fail(
                    "list_attr_celeba.txt", "the line of \(line.first ?? "?") is malformed or in no partition"
                )
            }
            let file = (path: "\(path)/img_align_celeba/\(line[0])", label: line[column + 1] == "1" ? 1 : 0)
            if part == "0", file.label == 0 { train.append(file) }
            if part == "2" { test.append(file) }
        }
        let face: @Sendable (RGBImage) -> RGBImage = { image in
            guard image.width >= 40, image.height >= 80 else { return image.centralSquare }
            return image.cropped(top: 40, left: 10, height: image.height - 60, width: image.width - 20)
        }
        var skipped: [SkippedFile] = []
        var result = ImageDataset(
            name: "CelebA", kind: .normalAndAnomalous, classNames: ["no eyeglasses", "eyeglasses"],
            train: load(train, side: side, skipped: &skipped, face),
            test: load(test, side: side, skipped: &skipped, face))
        try refuse(skipped, of: train.count + test.count, maxUnreadable)
        result.skipped = skipped
        return result
    }
}
