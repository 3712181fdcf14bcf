import OCCEngine

/// A batch of uint8 images of one square size, NHWC, three channels (gray is replicated).
public struct ImageBatch: Sendable, Equatable {
    /// The number of images.
    public private(set) var count: Int
    /// The height and the width in pixels.
    public let side: Int
    /// The images one after the other, count * side * side * 3 bytes.
    public private(set) var pixels: [UInt8]

    /// Images of pixels that fill them: a multiple of side * side * 3 bytes.
    public init(side: Int, pixels: [UInt8] = []) {
        precondition(pixels.count % (side * side * 3) == 0)
        self.side = side
        self.pixels = pixels
        count = pixels.count / (side * side * 3)
    }

    /// The bytes of one image.
    public var imageBytes: Int { side * side * 3 }

    /// The SHA-256 of the images, in their order, as 64 hexadecimal digits.
    public var digest: String { sha256("\(side) \(sha256(pixels))".utf8) }

    /// The pixels of one image, [side, side, 3].
    public subscript(index: Int) -> ArraySlice<UInt8> {
        pixels[index * imageBytes..<(index + 1) * imageBytes]
    }

    /// Copies the images at `indices`, in their order.
    public func subset(_ indices: some Sequence<Int>) -> ImageBatch {
        var result = ImageBatch(side: side)
        for index in indices { result.append(self[index]) }
        return result
    }

    /// The images resized to another side in pixels.
    package func resized(to side: Int) -> ImageBatch {
        ImageBatch(side: side, pixels: (0..<count).flatMap { image($0).resized(to: side).pixels })
    }

    mutating func append(_ image: some Collection<UInt8>) {
        precondition(image.count == imageBytes)
        pixels.append(contentsOf: image)
        count += 1
    }

    /// Copies one image, for writing to a file.
    public func image(_ index: Int) -> RGBImage {
        RGBImage(width: side, height: side, pixels: Array(self[index]))
    }
}

/// Images with a class and a name each.
public struct LabeledImages: Sendable {
    /// The images.
    public var images: ImageBatch
    /// The class of each image: an index of `ImageDataset.classNames`.
    public var labels: [Int] = []
    /// Where each image comes from: the file, or the place in one.
    public var names: [String] = []
    /// The defect masks by image: side * side bytes, 1 where the defect is.
    public var masks: [Int: [UInt8]] = [:]

    /// A collection without images yet, of this side in pixels.
    public init(side: Int) { images = ImageBatch(side: side) }
}

/// A data set as loaded: training and test images of all classes.
public struct ImageDataset: Sendable {
    /// Which classes can be normal.
    public enum Kind: Sendable {
        /// Any class can be the normal one.
        case oneVersusRest
        /// Class 0 is normal; training images are all of it.
        case normalAndAnomalous
    }

    /// The name of the folder, or `builtin:NAME`.
    public let name: String
    /// Which classes can be normal.
    public let kind: Kind
    /// The names of the classes, in the order of the labels.
    public let classNames: [String]
    /// The images to train on.
    public let train: LabeledImages
    /// The images to test on.
    public let test: LabeledImages
    /// What became of the folder's files.
    public internal(set) var account = FileAccount()
    /// How images that are not square filled their square.
    public internal(set) var fit = Fit.stretch
    /// The sample of 16-bit images that became white; nil where there were none.
    public internal(set) var white: Int?

    /// A data set made elsewhere; labels are indices of `classNames`, and all images have one size.
    public init(name: String, kind: Kind, classNames: [String], train: LabeledImages, test: LabeledImages) {
        self.name = name
        self.kind = kind
        self.classNames = classNames
        self.train = train
        self.test = test
    }

    /// The sides that images can have, in pixels: the multiples of 32 in this range.
    public static let sides = 32...1024

    /// Whether images can have this side.
    package static func isSide(_ side: Int) -> Bool { sides.contains(side) && side % 32 == 0 }

    /// Checks that there is memory for images of a side: as they are read, and joined.
    ///
    /// - Throws: `OCCError(.deviceUnavailable)` where there is not.
    static func requireMemory(images: Int, side: Int) throws {
        let needed = 2 * images * side * side * 3, free = try Device.availableHostMemory()
        guard needed <= free else {
            throw OCCError(
                .deviceUnavailable,
                "\(images) images of \(side) x \(side) pixels need \(formatBytes(needed)); \(formatBytes(free)) are free",
                remedy: "Lower \(setting: "image-size"), or take fewer images.")
        }
    }

    /// The side of its images in pixels.
    public var side: Int { train.images.side }

    /// Loads a data set; its layout is recognized.
    ///
    /// - Parameters:
    ///   - location: `builtin:shapes`, or a folder: MNIST's or Fashion-MNIST's IDX files (.gz or not),
    ///     CIFAR-10's or CIFAR-100's binary files, CelebA, Cat-vs-Dog, `train/CLASS/*` and `test/CLASS/*`
    ///     with images (where `train/good` is all there is to train on, every other class of
    ///     `test` is a defect), or images directly.
    ///   - imageSize: the side of the images, as `sides` has them; nil for the data set's own (folders of images: 64).
    ///   - fit: how images that are not square fill their square.
    ///   - white: the sample of 16-bit images that is white; nil for what the training images use.
    ///   - maxUnreadable: the share of image files that may be unreadable; they are in the account.
    ///   - keepsArrays: whether images that are no files, which have a side of their own, keep it; by itself another
    ///     one is an error.
    /// - Throws: `OCCError` naming the file and what to do.
    public static func load(
        _ location: String, imageSize: Int? = nil, fit: Fit = .stretch, white: Int? = nil,
        maxUnreadable: Double = 0.01, keepsArrays: Bool = false
    ) throws -> ImageDataset {
        if let imageSize, !isSide(imageSize) {
            throw OCCError(
                .usage,
                "\(setting: "image-size") \(imageSize): it is a multiple of 32, \(sides.lowerBound) to \(sides.upperBound)"
            )
        }
        if BuiltinDataset.isBuiltin(location) {
            return try BuiltinDataset.load(location, imageSize: imageSize)
        }
        let folder = try DatasetFolder(location)
        if var dataset = try folder.arrays() {
            guard imageSize == nil || imageSize == dataset.side || keepsArrays else {
                throw OCCError(
                    .usage, "\(location): its images have side \(dataset.side), not \(imageSize!)",
                    remedy: "Leave \(setting: "image-size") out.")
            }
            dataset.account.read = dataset.train.labels.count + dataset.test.labels.count
            dataset.findOddities()
            return dataset
        }
        var loading = ImageLoading()
        if let imageSize { loading.side = imageSize }
        loading.fit = fit
        loading.white = white
        loading.maxUnreadable = maxUnreadable
        return try ImageDataset(try folder.files(), loading)
    }

    /// Finds the data sets that a folder holds, a subfolder each, such as all categories of MVTec AD; none in
    /// a folder that is a data set itself.
    public static func categories(_ location: String) throws -> [String] {
        BuiltinDataset.isBuiltin(location) ? [] : try DatasetFolder(location).categories
    }

    /// The images of each class, their size, and what became of the files, a line each.
    public var summary: String {
        let classes = classNames.count == 1 ? "1 class" : "\(classNames.count) classes"
        var lines = ["\(name): \(classes), \(side) x \(side) pixels"]
        let width = classNames.map(\.count).max() ?? 0
        for (index, name) in classNames.enumerated() {
            let training = train.labels.count { $0 == index }, testing = test.labels.count { $0 == index }
            let padded = name + String(repeating: " ", count: width - name.count)
            lines.append("  \(index)  \(padded)  train \(training)  test \(testing)")
        }
        // What is drawn is not read.
        let read = account == FileAccount() ? [] : account.lines
        return (lines + read.map { "  \($0)" }).joined(separator: "\n")
    }

    /// Finds the class of a name or an index: a name comes first, so that `2` is the class named 2; its case does not
    /// matter unless names differ by it alone.
    ///
    /// - Throws: `OCCError(.usage)` with the classes there are.
    public func classIndex(_ text: String) throws -> Int {
        if let index = classNames.firstIndex(of: text) { return index }
        let alike = classNames.indices.filter { classNames[$0].lowercased() == text.lowercased() }
        if alike.count == 1 { return alike[0] }
        // Where classes are named by numbers, another number is no index.
        if !classNames.contains(where: { Int($0) != nil }), let index = Int(text),
            classNames.indices.contains(index)
        {
            return index
        }
        let list = classNames.enumerated().map { "\($0) \($1)" }.joined(separator: ", ")
        throw OCCError(.usage, "\(name) has no class '\(text)'", remedy: "Its classes are: \(list).")
    }
}
