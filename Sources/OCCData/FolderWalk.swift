import OCCEngine

/// The image files below a folder, in every subfolder, in the order of their paths.
///
/// Links are followed, a link to a folder above once only; what is hidden, special or no image is counted in the
/// account.
struct FolderWalk {
    /// The image files.
    private(set) var images: [String] = []
    /// What was left out.
    private(set) var account = FileAccount()
    /// Folders that are not walked.
    private let leftOut: Set<String>

    /// Walks a folder.
    ///
    /// - Parameter leftOut: paths of folders in it that are neither walked nor counted: somebody else does.
    /// - Throws: `OCCError(.noInput)` for a folder that cannot be opened.
    init(_ root: String, leavingOut leftOut: Set<String> = []) throws {
        self.leftOut = leftOut
        try walk(root, above: [])
    }

    private mutating func walk(_ folder: String, above: [FileKind]) throws {
        guard let kind = FileKind(folder) else { return }
        if above.contains(kind) { return account.add(.loop, folder) }
        var folders: [String] = []
        for name in try folderNames(folder) {
            let path = joined(folder, name)
            if name.utf8.first == UInt8(ascii: ".") {
                account.add(.hidden, path)
                continue
            }
            switch FileKind(path) {
            case .folder where leftOut.contains(path): continue
            case .folder: folders.append(path)
            case .file where DrawnPicture.isName(name): account.add(.drawn, path)
            case .special: account.add(.special, path)
            case .brokenLink: account.add(.brokenLink, path)
            case .file where ImageFormats.isReadable(name): images.append(path)
            case .file where ImageFormats.isOther(name): account.add(.otherFormat, path)
            case .file: account.add(.noImage, path)
            case nil: continue  // gone meanwhile
            }
        }
        for path in folders { try walk(path, above: above + [kind]) }
    }
}

/// The pictures that occ-gpu draws of images, by their names: what is made of images is not taken for one, wherever it
/// lies.
package enum DrawnPicture: String, CaseIterable {
    // The values are what the names end with, after a dot.
    case overlay = "overlay.png"
    case mask = "mask.png"
    case map = "map.png"
    case integratedGradients = "integrated-gradients.png"
    case gradCAM = "grad-cam.png"

    /// Digits that tell an image's pictures from another's, before the ending.
    package static let digits = 12

    /// Whether a file's name ends as theirs do: a hyphen, the digits, a dot and the ending.
    package static func isName(_ name: String) -> Bool {
        guard let ending = allCases.map(\.rawValue).first(where: { name.hasSuffix(".\($0)") }) else {
            return false
        }
        let stem = name.utf8.dropLast(ending.utf8.count + 1), digits = stem.suffix(digits)
        return stem.dropLast(Self.digits).last == UInt8(ascii: "-") && digits.count == Self.digits
            && digits.allSatisfy { Array("0123456789abcdef".utf8).contains($0) }
    }
}

/// The path of a name in a folder.
func joined(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
}

/// Whether there is a folder at a path.
func isFolder(_ path: String) -> Bool { FileKind(path)?.isFolder == true }

/// The path of a file as seen from a folder that it is in.
func relative(_ path: String, to folder: String) -> String {
    let start = path.utf8.index(path.startIndex, offsetBy: folder.utf8.count)
    return String(path[start...].drop { $0 == "/" })
}

/// The folders in a folder that are not hidden, by name; none where there is no such folder.
func subfolders(of folder: String) throws -> [String] {
    guard isFolder(folder) else { return [] }
    return try folderNames(folder).filter { name in
        name.utf8.first != UInt8(ascii: ".") && isFolder(joined(folder, name))
    }
}

/// The image files that these paths name, and what was left out: files as they are, folders with all below them.
package func expandImagePaths(_ paths: [String]) throws -> (images: [String], account: FileAccount) {
    var images: [String] = [], account = FileAccount()
    for path in paths {
        switch FileKind(path) {
        case nil: throw OCCError(.noInput, "\(path): no such file or folder")
        case .brokenLink: throw OCCError(.noInput, "\(path): is a link to nothing")
        case .special:
            throw OCCError(
                .noInput, "\(path): is a pipe, socket or device",
                remedy: "Name image files or folders of them.")
        case .file: images.append(path)
        case .folder:
            let walk = try FolderWalk(path)
            guard !walk.images.isEmpty else {
                throw OCCError(
                    .noInput,
                    walk.account.explaining("\(path): has no image files"),
                    remedy: "Name image files (\(ImageFormats.list)) or folders of them.")
            }
            images += walk.images
            account.add(walk.account)
        }
    }
    account.read = images.count
    return (images, account)
}
