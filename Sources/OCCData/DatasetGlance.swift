import OCCEngine

/// What can be seen of a data set without reading all of it.
public struct DatasetGlance: Sendable, Equatable {
    /// Whether an outlier is a flaw in an image, to be looked for in its parts, rather than an image of another
    /// class.
    public let hasDefects: Bool
    /// The shorter side of an image in pixels: the median of the first few.
    public let side: Int
    /// Whether images come in one size, which cannot be chosen.
    public let isFixedSize: Bool

    /// A glance at something known.
    public init(hasDefects: Bool, side: Int, isFixedSize: Bool = false) {
        self.hasDefects = hasDefects
        self.side = side
        self.isFixedSize = isFixedSize
    }

    /// The same, as a person wants it seen: at another size, in patches or not.
    public func asked(side: Int?, patches: Bool?) -> DatasetGlance {
        DatasetGlance(
            hasDefects: patches ?? hasDefects, side: isFixedSize ? self.side : side ?? self.side,
            isFixedSize: isFixedSize)
    }

    /// Looks at a data set: finds its files and decodes a few of them.
    ///
    /// - Parameter location: as `ImageDataset.load` takes it.
    /// - Throws: `OCCError` as loading does, but for what only reading all files can show.
    public init(_ location: String) throws {
        if let builtin = try BuiltinDataset.glance(location) {
            self = builtin
            return
        }
        let folder = try DatasetFolder(location)
        if folder.holdsArrays {
            self.init(hasDefects: false, side: DatasetFolder.arraySide, isFixedSize: true)
            return
        }
        let files = try folder.files()
        let sides = try files.train.prefix(5).compactMap { file -> Int? in
            do {
                let image = try RGBImage(bytes: readFile(file.path), name: file.path)
                let prepared = files.prepare?(image) ?? image
                return min(prepared.width, prepared.height)
            } catch let error as OCCError where error.kind != .inputOutput {
                return nil
            }
        }.sorted()
        self.init(
            hasDefects: files.kind == .normalAndAnomalous && !files.isOfPhotographs,
            side: sides.isEmpty ? 64 : sides[sides.count / 2])
    }
}
