import OCCEngine

/// How image files become square images of one size.
public struct ImageLoading: Sendable {
    /// The side of the images in pixels.
    public var side = 64
    /// How an image that is not square fills the square.
    public var fit = Fit.stretch
    /// The sample of 16-bit images that is white; nil for what the training images use.
    public var white: Int?
    /// The share of image files that may be unreadable.
    public var maxUnreadable = 0.01

    /// Stretched images of 64 x 64.
    public init() {}
}

/// An image as loaded.
struct LoadedImage: Sendable {
    let pixels: [UInt8]
    /// The size of the file's image in pixels.
    let width: Int, height: Int
    /// The largest sample of a 16-bit file; nil for one of 8 bits.
    let largestSample: Int?
}

/// An image file of a data set.
struct LabeledFile: Sendable {
    let path: String
    let label: Int
    /// The files that show its defects, together.
    var masks: [String] = []
}

/// Decodes and resizes files on all threads: the pixels of each, or why not, in the order of `paths`.
///
/// - Throws: `OCCError(.inputOutput)` for a file that the system fails to read: that says nothing about the
///   file.
public func loadImages(_ paths: [String], _ loading: ImageLoading) throws -> [Result<[UInt8], OCCError>] {
    let images = decodeImages(paths, loading, nil)
    for case .failure(let error) in images where error.kind == .inputOutput { throw error }
    return images.map { $0.map(\.pixels) }
}

/// - Parameter prepare: what is done to each image before it is resized.
private func decodeImages(
    _ paths: [String], _ loading: ImageLoading, _ prepare: (@Sendable (RGBImage) -> RGBImage)?
) -> [Result<LoadedImage, OCCError>] {
    Work.track("loading images", "files", total: paths.count) { work in
        parallelMap(paths.count) { index in
            defer { work.advance() }
            return Result {
                let bytes = try readFile(paths[index]), name = paths[index]
                guard let prepare else {
                    let (image, width, height) = try RGBImage.fitted(
                        bytes, name: name, white: loading.white, side: loading.side, fit: loading.fit)
                    return LoadedImage(
                        pixels: image.pixels, width: width, height: height, largestSample: image.largestSample
                    )
                }
                let image = try RGBImage(bytes: bytes, name: name, white: loading.white)
                let pixels = prepare(image).resized(to: loading.side, fit: loading.fit).pixels
                return LoadedImage(
                    pixels: pixels, width: image.width, height: image.height,
                    largestSample: image.largestSample)
            }.mapError { error in
                error as? OCCError ?? OCCError(.badData, "\(paths[index]): \(error)")
            }
        }
    }
}

/// The image files of a data set, found but not read yet.
struct DatasetFiles: Sendable {
    /// The name of the data set.
    let name: String
    /// The folder that it was found in.
    let path: String
    /// Which classes can be normal.
    let kind: ImageDataset.Kind
    /// The names of the classes, in the order of the labels.
    let classNames: [String]
    let train: [LabeledFile]
    let test: [LabeledFile]
    /// What was left out.
    let account: FileAccount
    /// What is done to each image before it is resized; nil for nothing.
    var prepare: (@Sendable (RGBImage) -> RGBImage)?
    /// Whether it is a known collection of photographs: an outlier is another thing, not a defect.
    var isOfPhotographs = false
}

extension ImageDataset {
    /// Reads the files of a data set and puts what is odd about them into its account.
    ///
    /// - Throws: `OCCError(.inputOutput)` for a file that the system fails to read, `.badData` for more
    ///   unreadable files than are allowed, and for no training images.
    init(_ files: DatasetFiles, _ loading: ImageLoading) throws {
        let train = files.train, test = files.test, path = files.path, prepare = files.prepare
        var loading = loading, account = files.account
        try Self.requireMemory(images: train.count + test.count, side: loading.side)
        var training = decodeImages(train.map(\.path), loading, prepare)
        if loading.white == nil,
            let largest = training.compactMap({ try? $0.get().largestSample }).max()
        {
            // The smallest whole number of bits that holds them all: cameras give 10, 12 or 14.
            let bits = max(8, Int.bitWidth - largest.leadingZeroBitCount)
            loading.white = (1 << bits) - 1
            if bits < 16 {
                account.remark(
                    "16-bit images: the training images' largest sample is \(largest), so white is \(loading.white!) "
                        + "(\(bits) bits) for all")
                let deep = training.indices.filter { (try? training[$0].get().largestSample) != nil }
                for (place, image) in zip(deep, decodeImages(deep.map { train[$0].path }, loading, prepare)) {
                    training[place] = image
                }
            }
        }
        if loading.fit == .stretch, let words = Self.stretched(training, to: loading.side) {
            account.remark(words)
        }
        let sets = [
            (train, training), (test, decodeImages(test.map(\.path), loading, prepare)),
        ]
        var result: [LabeledImages] = []
        for (files, images) in sets {
            var set = LabeledImages(side: loading.side)
            for (file, image) in zip(files, images) {
                switch image {
                case .failure(let error) where error.kind == .inputOutput: throw error
                case .failure(let error): account.add(.unreadable, error.message)
                case .success(let image):
                    if let mask = try Self.mask(file.masks, of: image, loading, &account) {
                        set.masks[set.labels.count] = mask
                    }
                    set.images.append(image.pixels)
                    set.labels.append(file.label)
                    set.names.append(file.path)
                }
            }
            result.append(set)
        }
        let masked = !result[1].masks.isEmpty
        for (index, label) in result[1].labels.enumerated() where masked && label != 0 {
            if result[1].masks[index] == nil { account.add(.noMask, result[1].names[index]) }
        }
        account.read = result.reduce(0) { $0 + $1.labels.count }
        let unreadable = account.count(.unreadable), total = account.read + unreadable
        let allowed = Int(loading.maxUnreadable * Double(total))
        guard unreadable <= allowed else {
            let names = account.kinds[.unreadable]!.first.map { "\n  \($0)" }.joined()
            throw OCCError(
                .badData,
                "\(path): \(unreadable) of \(total) image files cannot be read (allowed: \(allowed))\(names)",
                remedy: "Replace or remove them, or raise \(setting: "max-unreadable").")
        }
        guard !result[0].labels.isEmpty else {
            throw OCCError(
                .badData,
                account.explaining("\(path): no training images"),
                remedy: "Put image files there (\(ImageFormats.list)).")
        }
        self.init(
            name: files.name, kind: files.kind, classNames: files.classNames, train: result[0],
            test: result[1])
        white = loading.white
        fit = loading.fit
        self.account = account
        findOddities()
    }

    /// What becomes of images that are no squares, in words; nil where all are, or nearly.
    private static func stretched(
        _ images: [Result<LoadedImage, OCCError>], to side: Int
    ) -> String? {
        let wide = images.compactMap { try? $0.get() }.filter {
            4 * max($0.width, $0.height) > 5 * min($0.width, $0.height)
        }
        guard let first = wide.first else { return nil }
        let which = wide.count == 1 ? "1 training image is" : "\(wide.count) training images are"
        return
            "\(which) no square (\(first.width) x \(first.height)) and stretched to \(side) x \(side): to be padded "
            + "or cropped keeps the shape, a larger image size more of what the longer side shows"
    }

    /// The defect of several mask files together; nil for none.
    private static func mask(
        _ files: [String], of image: LoadedImage, _ loading: ImageLoading, _ account: inout FileAccount
    ) throws -> [UInt8]? {
        var result: [UInt8]?
        for file in files {
            do {
                let own = try DefectMask(bytes: try readFile(file), name: file)
                if own.width != image.width || own.height != image.height {
                    account.add(
                        .maskSize,
                        "\(file) (\(own.width) x \(own.height), its image \(image.width) x \(image.height))")
                }
                let mask = own.resized(to: loading.side, fit: loading.fit)
                result = result.map { zip($0, mask).map { max($0, $1) } } ?? mask
            } catch let error as OCCError where error.kind != .inputOutput {
                account.add(.unreadable, error.message)
            }
        }
        guard let mask = result, !mask.contains(1) else { return result }
        account.add(.emptyMask, files[0])
        return nil
    }

    /// Notes training images that are copies or of one color, and test images that were trained on.
    mutating func findOddities() {
        var seen: Set<ArraySlice<UInt8>> = [], colors: Set<[UInt8]> = []
        for index in train.labels.indices {
            let image = train.images[index]
            if !seen.insert(image).inserted { account.add(.copy, train.names[index]) }
            let first = Array(image.prefix(3))
            if stride(from: image.startIndex, to: image.endIndex, by: 3).allSatisfy({
                image[$0] == first[0] && image[$0 + 1] == first[1] && image[$0 + 2] == first[2]
            }) {
                account.add(.plain, train.names[index])
                colors.insert(first)
            }
        }
        for index in test.labels.indices where seen.contains(test.images[index]) {
            account.add(.inTraining, test.names[index])
        }
        if seen.count == 1, train.labels.count > 1 {
            let black = colors == [[0, 0, 0]] ? " and black" : ""
            account.remark("warning: all \(train.labels.count) training images are the same\(black)")
        } else if colors == [[0, 0, 0]], account.count(.plain) == train.labels.count {
            account.remark("warning: all training images are black")
        }
    }
}
