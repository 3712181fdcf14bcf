import Foundation
import OCCEngine

/// A folder whose layout is yet to be recognized.
struct DatasetFolder {
    let path: String

    init(_ path: String) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw OCCError(
                .noInput, "\(path): no such folder", remedy: "Name a folder of images, or builtin:shapes.")
        }
        guard isFolder.boolValue else {
            throw OCCError(.noInput, "\(path): is a file", remedy: "Name the folder that holds the data set.")
        }
        self.path = path
    }

    /// The first of these files that exists, plain or compressed.
    private func find(_ names: [String]) -> String? {
        names.flatMap { ["\(path)/\($0)", "\(path)/\($0).gz"] }.first {
            FileManager.default.fileExists(atPath: $0)
        }
    }

    private var name: String { URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent }

    // MARK: IDX

    private static let fashion = [
        "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ]

    /// Loads MNIST or Fashion-MNIST; nil when the folder is neither.
    func idx() throws -> ImageDataset? {
        func pair(_ prefix: String) -> (String, String)? {
            guard let images = find(["\(prefix)-images-idx3-ubyte", "\(prefix)-images.idx3-ubyte"]),
                let labels = find(["\(prefix)-labels-idx1-ubyte", "\(prefix)-labels.idx1-ubyte"])
            else { return nil }
            return (images, labels)
        }
        guard let training = pair("train") else { return nil }
        guard let testing = pair("t10k") else {
            throw OCCError(
                .noInput,
                "\(path): has training files but no t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte",
                remedy: "Put all four files of the data set there.")
        }
        let isFashion = URL(fileURLWithPath: path).standardizedFileURL.path.lowercased().contains("fashion")
        return ImageDataset(
            name: isFashion ? "Fashion-MNIST" : "MNIST", kind: .oneVersusRest,
            classNames: isFashion ? Self.fashion : (0..<10).map(String.init),
            train: try IDX.read(images: training.0, labels: training.1),
            test: try IDX.read(images: testing.0, labels: testing.1))
    }

    // MARK: CIFAR

    /// Loads CIFAR-10 or CIFAR-100 in their binary form; nil when the folder is neither.
    func cifar() throws -> ImageDataset? {
        for folder in [path, "\(path)/cifar-10-batches-bin", "\(path)/cifar-100-binary"] {
            let batches = (1...5).map { "\(folder)/data_batch_\($0).bin" }
            let exists = FileManager.default.fileExists(atPath:)
            if exists(batches[0]) {
                return ImageDataset(
                    name: "CIFAR-10", kind: .oneVersusRest, classNames: CIFAR.classes10,
                    train: try CIFAR.read(batches, labelBytes: 1, classes: 10),
                    test: try CIFAR.read(["\(folder)/test_batch.bin"], labelBytes: 1, classes: 10))
            }
            if exists("\(folder)/train.bin"), exists("\(folder)/test.bin") {
                return ImageDataset(
                    name: "CIFAR-100", kind: .oneVersusRest, classNames: CIFAR.superclasses100,
                    train: try CIFAR.read(["\(folder)/train.bin"], labelBytes: 2, classes: 20),
                    test: try CIFAR.read(["\(folder)/test.bin"], labelBytes: 2, classes: 20))
            }
        }
        for folder in [path, "\(path)/cifar-10-batches-py", "\(path)/cifar-100-python"]
        where FileManager.default.fileExists(atPath: "\(folder)/batches.meta")
            || FileManager.default.fileExists(atPath: "\(folder)/meta")
        {
            throw OCCError(
                .badData, "\(folder): is the Python version of CIFAR",
                remedy: "Download the binary version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz).")
        }
        return nil
    }

    // MARK: Images

    private func subfolders(of folder: String) -> [String] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return entries.filter { entry in
            var isFolder: ObjCBool = false
            return !entry.hasPrefix(".")
                && FileManager.default.fileExists(atPath: "\(folder)/\(entry)", isDirectory: &isFolder)
                && isFolder.boolValue
        }.sorted()
    }

    /// Folders of image files.
    func images(side: Int, maxUnreadable: Double) throws -> ImageDataset {
        var skipped: [SkippedFile] = []
        func gather(_ set: String, _ classes: [String]) throws -> LabeledImages {
            var result = LabeledImages(side: side)
            for (label, name) in classes.enumerated() {
                let folder = name.isEmpty ? set : "\(set)/\(name)"
                let files = imageFiles(in: folder)
                let loaded = loadImages(files, side: side)
                for (file, image) in zip(files, loaded) {
                    switch image {
                    case .failure(let error): skipped.append(SkippedFile(path: file, reason: error.message))
                    case .success(let pixels):
                        let index = result.labels.count
                        result.images.append(pixels)
                        result.labels.append(label)
                        result.names.append(file)
                        if let mask = try self.mask(of: file, defect: name, side: side) {
                            result.masks[index] = mask
                        }
                    }
                }
            }
            return result
        }
        let trainFolder = "\(path)/train", testFolder = "\(path)/test"
        let trainClasses = subfolders(of: trainFolder), testClasses = subfolders(of: testFolder)
        let dataset: ImageDataset
        if trainClasses.isEmpty {
            let flat = subfolders(of: path).isEmpty || !imageFiles(in: path).isEmpty
            guard flat, !imageFiles(in: path).isEmpty else {
                throw OCCError(
                    .badData, "\(path): no data set is recognized here",
                    remedy:
                        "Expected: IDX or CIFAR files, train/CLASS/*.png and test/CLASS/*.png, or images directly. "
                        + "A folder of several such folders is for protocol."
                )
            }
            dataset = ImageDataset(
                name: name, kind: .normalAndAnomalous, classNames: ["normal"], train: try gather(path, [""]),
                test: LabeledImages(side: side))
        } else if trainClasses.count == 1 {
            // One class to train on: it is normal, and the rest of the test set is not.
            let classes = trainClasses + testClasses.filter { $0 != trainClasses[0] }
            dataset = ImageDataset(
                name: name, kind: .normalAndAnomalous, classNames: classes,
                train: try gather(trainFolder, trainClasses), test: try gather(testFolder, classes))
        } else {
            let unknown = testClasses.filter { !trainClasses.contains($0) }
            guard unknown.isEmpty else {
                throw OCCError(
                    .badData,
                    "\(testFolder): has classes that train lacks: \(unknown.joined(separator: ", "))",
                    remedy: "Give train and test the same class folders, or train one class only.")
            }
            dataset = ImageDataset(
                name: name, kind: .oneVersusRest, classNames: trainClasses,
                train: try gather(trainFolder, trainClasses), test: try gather(testFolder, trainClasses))
        }
        try refuse(
            skipped, of: dataset.train.labels.count + dataset.test.labels.count + skipped.count, maxUnreadable
        )
        guard !dataset.train.labels.isEmpty else {
            throw OCCError(.badData, "\(path): no training images", remedy: "Put PNG or JPEG files there.")
        }
        var result = dataset
        result.skipped = skipped
        return result
    }

    /// Reports the files that cannot be read.
    ///
    /// - Throws: `OCCError(.badData)` when more files than the stated share cannot be read.
    func refuse(_ skipped: [SkippedFile], of total: Int, _ maxUnreadable: Double) throws {
        let allowed = Int(maxUnreadable * Double(total))
        guard skipped.count > allowed else { return }
        let list = skipped.prefix(20).map { "\n  \($0.reason)" }.joined()
        throw OCCError(
            .badData,
            "\(path): \(skipped.count) of \(total) image files cannot be read (allowed: \(allowed))\(list)",
            remedy: "Replace or remove them, or raise \(setting: "max-unreadable").")
    }

    /// The categories of a folder that holds several data sets of normal and defective images, such as all of
    /// MVTec AD: its subfolders with a `train` folder of their own.
    var categories: [String] {
        let names = subfolders(of: path)
        guard !names.contains("train") else { return [] }
        return names.filter { !subfolders(of: "\(path)/\($0)/train").isEmpty }
    }

    /// Reads one of MVTec AD's masks: ground_truth/DEFECT/STEM_mask.png.
    private func mask(of file: String, defect: String, side: Int) throws -> [UInt8]? {
        let stem = (URL(fileURLWithPath: file).lastPathComponent as NSString).deletingPathExtension
        let path = "\(path)/ground_truth/\(defect)/\(stem)_mask.png"
        guard file.hasPrefix("\(self.path)/test/"), FileManager.default.fileExists(atPath: path) else {
            return nil
        }
        let image = try RGBImage(bytes: try readFile(path), name: path).resized(to: side)
        return stride(from: 0, to: image.pixels.count, by: 3).map { image.pixels[$0] >= 128 ? 1 : 0 }
    }
}

/// Lists the PNG and JPEG files of a folder by name.
func imageFiles(in folder: String) -> [String] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return entries.filter { entry in
        !entry.hasPrefix(".")
            && ["png", "jpg", "jpeg"].contains((entry as NSString).pathExtension.lowercased())
    }.sorted().map { "\(folder)/\($0)" }
}

/// The image files that these paths name: files as they are, folders with all below them.
package func expandImagePaths(_ paths: [String]) throws -> [String] {
    try paths.flatMap { path -> [String] in
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw OCCError(.noInput, "\(path): no such file or folder")
        }
        guard isFolder.boolValue else { return [path] }
        let below = (FileManager.default.enumerator(atPath: path)?.allObjects as? [String]) ?? []
        let folders = Set(below.map { ($0 as NSString).deletingLastPathComponent }).sorted()
        let files = folders.flatMap { imageFiles(in: $0.isEmpty ? path : "\(path)/\($0)") }
        guard !files.isEmpty else {
            throw OCCError(
                .noInput, "\(path): has no PNG or JPEG files", remedy: "Name image files or folders of them.")
        }
        return files
    }
}

/// Decodes and resizes files on all threads: the pixels of each, or why not, in the order of `paths`.
///
/// - Parameter prepare: what is done to each before it is resized.
public func loadImages(
    _ paths: [String], side: Int, _ prepare: @Sendable (RGBImage) -> RGBImage = { $0 }
) -> [Result<[UInt8], OCCError>] {
    parallelMap(paths.count) { index in
        do {
            let image = try RGBImage(bytes: try readFile(paths[index]), name: paths[index])
            return .success(prepare(image).resized(to: side).pixels)
        } catch let error as OCCError {
            return .failure(error)
        } catch {
            return .failure(OCCError(.badData, "\(paths[index]): \(error)"))
        }
    }
}
