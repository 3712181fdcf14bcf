import OCCCommandLine
import OneClass

/// A folder of pictures named after the images they are of.
struct PictureFolder {
    let path: String

    init(_ path: String) throws {
        self.path = path
        try createFolder(path, remedy: "Choose another --out.")
        AtomicFile.removeStrays(in: path)
    }

    /// Writes a file beside the others of the same image.
    @discardableResult
    func write(_ bytes: [UInt8], _ suffix: String, of image: String) throws -> String {
        let file = "\(path)/\(Self.stem(of: image)).\(suffix)"
        try AtomicFile.write(bytes, to: file)
        return file
    }

    /// Writes a picture that is not taken for an image where a folder is read.
    @discardableResult
    func write(_ png: [UInt8], _ picture: DrawnPicture, of image: String) throws -> String {
        try write(png, picture.rawValue, of: image)
    }

    /// Bytes of the readable part, so that with digest, suffix and what a temporary file adds, a name fits
    /// every file system: some allow 143 bytes.
    private static let readable = 90

    /// What the names of an image's pictures begin with: the end of its path, as far as a name may hold it,
    /// and twelve digits of the SHA-256 of the whole path, so that no two images share a name.
    static func stem(of image: String) -> String {
        let parts = image.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
            .filter { $0 != "." && $0 != ".." }.suffix(3)
        let scalars = withoutExtension(parts.joined(separator: "-")).unicodeScalars
        var result = String.UnicodeScalarView(), bytes = 0
        for scalar in scalars.reversed() {
            let kept = isPlain(scalar) ? scalar : "_"
            bytes += UTF8.width(kept)
            guard bytes <= readable else { break }
            result.append(kept)
        }
        let readable = String(String.UnicodeScalarView(result.reversed()))
        let isOption = readable.hasPrefix("-") || readable.hasPrefix(".")
        return "\(isOption ? "_" : "")\(readable)-\(sha256(image.utf8).prefix(DrawnPicture.digits))"
    }

    /// Letters and digits of any script, and what file systems and shells leave alone.
    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.isASCII else {
            // Private characters stand for bytes that are no text.
            return scalar.properties.generalCategory != .privateUse && !scalar.properties.isWhitespace
                && ![.control, .format, .lineSeparator, .paragraphSeparator, .unassigned].contains(
                    scalar.properties.generalCategory)
        }
        return scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
            || "._-+=@".unicodeScalars.contains(scalar)
    }
}

/// Warns of a folder of results that lies in one of images that are read.
///
/// - Parameters:
///   - option: what names the folder, which is there.
///   - inputs: files, folders, and names of built-in data, which lie nowhere.
///   - consequence: what comes of it.
func warn(
    _ option: String, _ folder: String, liesIn inputs: [String],
    consequence: String =
        "occ-gpu knows the pictures that it drew by their names, other programs take them for images"
) {
    guard let own = realPath(folder),
        let input = inputs.first(where: { input in
            guard FileKind(input)?.isFolder == true, let above = realPath(input) else { return false }
            return own == above || own.utf8.starts(with: (above == "/" ? above : above + "/").utf8)
        })
    else { return }
    say(
        "warning: --\(option) \(folder) lies in \(input), whose images are read: \(consequence)")
}
