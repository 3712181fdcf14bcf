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

    // MARK: Arrays

    /// The side of MNIST's images, padded, and of CIFAR's.
    static let arraySide = 32

    /// Whether the folder holds a data set that is a few files of arrays.
    var holdsArrays: Bool { idxFiles("train") != nil || cifar10 != nil || cifar100 != nil }

    /// Loads a data set that is a few files of arrays; nil when the folder holds none.
    func arrays() throws -> ImageDataset? { try idx() ?? cifar() }

    private func idxFiles(_ prefix: String) -> (images: String, labels: String)? {
        guard let images = find(["\(prefix)-images-idx3-ubyte", "\(prefix)-images.idx3-ubyte"]),
            let labels = find(["\(prefix)-labels-idx1-ubyte", "\(prefix)-labels.idx1-ubyte"])
        else { return nil }
        return (images, labels)
    }

    /// Loads MNIST or Fashion-MNIST; nil when the folder is neither.
    private func idx() throws -> ImageDataset? {
        guard let training = idxFiles("train") else { return nil }
        guard let testing = idxFiles("t10k") else {
            throw OCCError(
                .noInput,
                "\(path): has training files but no t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte",
                remedy: "Put all four files of the data set there.")
        }
        let train = try IDX.read(images: training.images, labels: training.labels)
        let isFashion = IDX.isFashion(train)
        return ImageDataset(
            name: isFashion ? "Fashion-MNIST" : "MNIST", kind: .oneVersusRest,
            classNames: isFashion ? IDX.fashionClasses : (0..<10).map(String.init), train: train,
            test: try IDX.read(images: testing.images, labels: testing.labels))
    }

    /// The first of the folder and these in it that holds all of some files.
    private func folder(_ inner: String, with names: [String]) -> String? {
        [path, joined(path, inner)].first { folder in
            names.allSatisfy { FileKind(joined(folder, $0)) == .file }
        }
    }

    private var cifar10: String? { folder("cifar-10-batches-bin", with: ["data_batch_1.bin"]) }
    private var cifar100: String? { folder("cifar-100-binary", with: ["train.bin", "test.bin"]) }

    /// Loads CIFAR-10 or CIFAR-100 in their binary form; nil when the folder is neither.
    private func cifar() throws -> ImageDataset? {
        if let folder = cifar10 {
            return ImageDataset(
                name: "CIFAR-10", kind: .oneVersusRest, classNames: CIFAR.classes10,
                train: try CIFAR.read(
                    (1...5).map { joined(folder, "data_batch_\($0).bin") }, labelBytes: 1, classes: 10),
                test: try CIFAR.read([joined(folder, "test_batch.bin")], labelBytes: 1, classes: 10))
        }
        if let folder = cifar100 {
            return ImageDataset(
                name: "CIFAR-100", kind: .oneVersusRest, classNames: CIFAR.superclasses100,
                train: try CIFAR.read([joined(folder, "train.bin")], labelBytes: 2, classes: 20),
                test: try CIFAR.read([joined(folder, "test.bin")], labelBytes: 2, classes: 20))
        }
        let python =
            folder("cifar-10-batches-py", with: ["batches.meta"])
            ?? folder("cifar-100-python", with: ["meta"])
        guard let python else { return nil }
        throw OCCError(
            .badData, "\(python): is the Python version of CIFAR",
            remedy: "Download the binary version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz).")
    }

    // MARK: Images

    /// Finds the image files of whatever layout this is.
    func files() throws -> DatasetFiles { try celebA() ?? catsAndDogs() ?? images() }
}
