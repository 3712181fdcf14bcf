import OCCEngine

/// What became of the files of a data set: how many images were read, and everything that was left out, with
/// the reason and the first names.
public struct FileAccount: Sendable, Equatable {
    /// Why a file was left out, or what is odd about it.
    public enum Reason: Int, Sendable, CaseIterable {
        /// An image that cannot be decoded or opened.
        case unreadable
        /// By its name, an image of a format that is not read.
        case otherFormat
        /// By its name, no image.
        case noImage
        /// A picture that occ-gpu drew of an image.
        case drawn
        /// An image in a subfolder, which was read as the others.
        case nested
        /// Its name begins with a dot.
        case hidden
        /// A pipe, socket or device.
        case special
        /// A link that leads to nothing.
        case brokenLink
        /// A link to a folder that it lies in.
        case loop
        /// A folder or file that the layout has no use for.
        case unused
        /// A mask that belongs to no image.
        case unusedMask
        /// A mask without a defect.
        case emptyMask
        /// A mask of another size than its image.
        case maskSize
        /// A defective image without a mask, where others have one.
        case noMask
        /// A test image that is a training image as well.
        case inTraining
        /// A training image that equals an earlier one.
        case copy
        /// A training image of a single color.
        case plain

        /// What so many files are.
        func words(_ count: Int) -> String {
            let isOne = count == 1
            return switch self {
            case .unreadable: isOne ? "image file cannot be read" : "image files cannot be read"
            case .otherFormat:
                (isOne ? "image is of a format that is not" : "images are of formats that are not")
                    + " read (\(ImageFormats.list) are)"
            case .noImage:
                isOne ? "other file is no image by its name" : "other files are no images by their names"
            case .drawn:
                isOne
                    ? "picture is of occ-gpu's making, by its name, and was left out"
                    : "pictures are of occ-gpu's making, by their names, and were left out"
            case .nested: isOne ? "of the images is in a subfolder" : "of the images are in subfolders"
            case .hidden:
                isOne ? "hidden file or folder was left out" : "hidden files and folders were left out"
            case .special:
                isOne ? "pipe, socket or device was left out" : "pipes, sockets or devices were left out"
            case .brokenLink: isOne ? "link leads to nothing" : "links lead to nothing"
            case .loop:
                isOne
                    ? "link leads back to a folder that it lies in"
                    : "links lead back to a folder that they lie in"
            case .unused:
                (isOne ? "file or folder is" : "files and folders are")
                    + " not part of the layout and \(isOne ? "was" : "were") not used"
            case .unusedMask:
                isOne
                    ? "mask belongs to no image and was not used"
                    : "masks belong to no image and were not used"
            case .emptyMask:
                isOne ? "mask shows no defect and was not used" : "masks show no defect and were not used"
            case .maskSize:
                isOne
                    ? "mask is of another size than its image; it was fitted as this is"
                    : "masks are of another size than their images; they were fitted as these are"
            case .noMask:
                (isOne ? "defective image has" : "defective images have")
                    + " no mask; pixels are judged on the others"
            case .inTraining:
                isOne
                    ? "test image is a training image as well: results are too good by it"
                    : "test images are training images as well: results are too good by them"
            case .copy: isOne ? "training image is a copy of another" : "training images are copies of others"
            case .plain:
                isOne ? "training image has a single color" : "training images have a single color"
            }
        }

        /// Whether a person should look at it.
        var isWarning: Bool {
            switch self {
            case .noImage, .drawn, .nested, .hidden: false
            default: true
            }
        }
    }

    /// How many there are of a kind, and the first of them.
    public struct Kind: Sendable, Equatable {
        /// The number of files.
        public internal(set) var count = 0
        /// The first names, with more about each where there is more to say.
        public internal(set) var first: [String] = []
    }

    /// What was left out or is odd, by reason.
    public private(set) var kinds: [Reason: Kind] = [:]
    /// What else there is to say, a sentence each.
    public private(set) var remarks: [String] = []
    /// The number of images that were read.
    public internal(set) var read = 0

    /// Names that are kept of each kind.
    static let namesKept = 20

    /// An account of nothing yet.
    public init() {}

    /// Counts a file.
    mutating func add(_ reason: Reason, _ name: String) {
        kinds[reason, default: Kind()].count += 1
        if kinds[reason]!.first.count < Self.namesKept { kinds[reason]!.first.append(name) }
    }

    /// Adds a sentence, once.
    mutating func remark(_ sentence: String) {
        if !remarks.contains(sentence) { remarks.append(sentence) }
    }

    /// Adds what another one counted.
    mutating func add(_ other: FileAccount) {
        for (reason, kind) in other.kinds {
            kinds[reason, default: Kind()].count += kind.count
            let room = Self.namesKept - kinds[reason]!.first.count
            kinds[reason]!.first += kind.first.prefix(max(0, room))
        }
        for sentence in other.remarks { remark(sentence) }
        read += other.read
    }

    /// The number of files of a kind.
    public func count(_ reason: Reason) -> Int { kinds[reason]?.count ?? 0 }

    /// A problem and, below it, what was left out: often its cause.
    func explaining(_ problem: String) -> Wording {
        Wording(([problem] + lines.dropFirst()).joined(separator: "\n  "))
    }

    /// The account in lines: what was read, then each kind with its count and first names.
    public var lines: [String] {
        var lines = ["read \(counted(read, "image"))"]
        for reason in Reason.allCases {
            guard let kind = kinds[reason] else { continue }
            let shown = kind.first.prefix(reason == .unreadable ? Self.namesKept : 3)
            let rest = kind.count > shown.count ? ", ..." : ""
            let mark = reason.isWarning ? "warning: " : "", words = reason.words(kind.count)
            if reason == .unreadable {
                lines.append("\(mark)\(kind.count) \(words):")
                lines += shown.map { "  \($0)" }
                if kind.count > shown.count { lines.append("  and \(kind.count - shown.count) more") }
            } else {
                lines.append("\(mark)\(kind.count) \(words): \(shown.joined(separator: ", "))\(rest)")
            }
        }
        return lines + remarks
    }
}

/// The formats of image files, by the extensions of their names.
enum ImageFormats {
    /// The formats that are read, for people.
    static let list = RGBImage.readableFormats
    private static let readable = names(
        "png apng jpg jpeg jpe jfif mpo bmp dib tif tiff webp pnm ppm pgm pbm")
    private static let others = names(
        """
        gif avif heic heif jp2 j2k jpf jpx jxl jxr svg dcm dicom raw cr2 cr3 nef arw dng orf rw2 raf exr hdr ico
        cur tga psd npy npz mat pcx ras sgi pfm pam xbm xpm nii eps pdf ps fits fit czi svs mp4 avi mov mkv
        """)

    private static func names(_ list: String) -> Set<String> {
        Set(list.split(whereSeparator: \.isWhitespace).map(String.init))
    }

    /// Whether files of this name are read.
    static func isReadable(_ name: String) -> Bool { readable.contains(fileExtension(name).lowercased()) }
    /// Whether files of this name look like images that are not read.
    static func isOther(_ name: String) -> Bool { others.contains(fileExtension(name).lowercased()) }
}
