import Foundation
import OCCEngine

/// A folder whose layout is yet to be recognized.
struct DatasetFolder {
    let path: String

    init(_ path: String) throws {
        guard let kind = FileKind(path) else {
            throw OCCError(
                .noInput, "\(path): no such folder", remedy: "Name a folder of images, or builtin:shapes.")
        }
        guard kind.isFolder else {
            throw OCCError(
                .noInput, "\(path): is no folder", remedy: "Name the folder that holds the data set.")
        }
        self.path = path
    }

    /// The first of these files that exists, plain or compressed.
    private func find(_ names: [String]) -> String? {
        names.flatMap { ["\(path)/\($0)", "\(path)/\($0).gz"] }.first {
            FileKind($0) == .file
        }
    }

    /// The name of the folder, whatever way its path is written.
    var name: String {
        let full = PathText.with(path) { realpath($0, nil) }
        defer { free(full) }
        return fileName(full.map { PathText.decode($0) } ?? path)
    }

    // MARK: IDX

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
        let train = try IDX.read(images: training.0, labels: training.1)
        let isFashion = IDX.isFashion(train)
        return ImageDataset(
            name: isFashion ? "Fashion-MNIST" : "MNIST", kind: .oneVersusRest,
            classNames: isFashion ? IDX.fashionClasses : (0..<10).map(String.init), train: train,
            test: try IDX.read(images: testing.0, labels: testing.1))
    }

    // MARK: CIFAR

    /// Loads CIFAR-10 or CIFAR-100 in their binary form; nil when the folder is neither.
    func cifar() throws -> ImageDataset? {
        for folder in [path, "\(path)/cifar-10-batches-bin", "\(path)/cifar-100-binary"] {
            let batches = (1...5).map { "\(folder)/data_batch_\($0).bin" }
            func exists(_ path: String) -> Bool { FileKind(path) == .file }
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
        where FileKind("\(folder)/batches.meta") == .file || FileKind("\(folder)/meta") == .file {
            throw OCCError(
                .badData, "\(folder): is the Python version of CIFAR",
                remedy: "Download the binary version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz).")
        }
        return nil
    }

    /// Loads a data set that is a few files of arrays; nil when the folder holds none.
    func arrays() throws -> ImageDataset? { try idx() ?? cifar() }

    // MARK: Images

    /// Finds the image files of whatever layout this is.
    func files() throws -> DatasetFiles { try celebA() ?? catsAndDogs() ?? images() }
}
