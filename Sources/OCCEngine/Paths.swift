#if canImport(Glibc)
    import Glibc
#endif

/// Paths as text, whatever bytes they are made of.
///
/// A name on Linux is any bytes, and text is Unicode. A byte that is no part of UTF-8 becomes the private
/// character U+EF00 + byte, and a name's own characters of that block are taken byte by byte in the same way:
/// so text gives back the bytes that it came from.
package enum PathText {
    private static let block: ClosedRange<UInt32> = 0xEF80...0xEFFF

    /// The text of a path's bytes.
    package static func decode(_ bytes: some Collection<UInt8>) -> String {
        let bytes = Array(bytes)
        func plain(_ part: ArraySlice<UInt8>) -> String? {
            String(validating: part, as: UTF8.self).flatMap { text in
                text.unicodeScalars.contains { block.contains($0.value) } ? nil : text
            }
        }
        if let text = plain(bytes[...]) { return text }
        var result = String.UnicodeScalarView(), next = 0
        while next < bytes.count {
            let character = (1...4).lazy.compactMap { length in
                next + length <= bytes.count ? plain(bytes[next..<next + length]) : nil
            }.first
            if let character {
                result.append(contentsOf: character.unicodeScalars)
                next += character.utf8.count
            } else {
                result.append(Unicode.Scalar(0xEF00 + UInt32(bytes[next]))!)
                next += 1
            }
        }
        return String(result)
    }

    /// The text of bytes that end with a zero.
    package static func decode(_ bytes: UnsafePointer<CChar>) -> String {
        decode(UnsafeBufferPointer(start: bytes, count: strlen(bytes)).map { UInt8(bitPattern: $0) })
    }

    /// The words of the command line, with their bytes.
    package static var arguments: [String] {
        (0..<Int(CommandLine.argc)).compactMap { CommandLine.unsafeArgv[$0].map { decode($0) } }
    }

    /// The bytes of a path's text, and of any text that paths are part of.
    package static func encode(_ text: String) -> [UInt8] {
        guard text.unicodeScalars.contains(where: { block.contains($0.value) }) else {
            return Array(text.utf8)
        }
        return text.unicodeScalars.flatMap { scalar in
            block.contains(scalar.value) ? [UInt8(scalar.value - 0xEF00)] : Array(UTF8.encode(scalar)!)
        }
    }

    /// Calls `body` with a path as system calls take it.
    package static func with<Result>(
        _ path: String, _ body: (UnsafePointer<CChar>) throws -> Result
    ) rethrows -> Result {
        try (encode(path) + [0]).withUnsafeBufferPointer { buffer in
            try buffer.withMemoryRebound(to: CChar.self) { try body($0.baseAddress!) }
        }
    }
}

/// The last part of a path.
package func fileName(_ path: String) -> String {
    // By bytes: a combining character after the slash is part of the name, not of the slash.
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return String(path[path.utf8.index(after: slash)...])
}

/// The folder that a path's last part is in: "." where the path has one part.
package func parentFolder(_ path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
}

/// A path without the extension of its last part; a name that begins with its only dot has none.
package func withoutExtension(_ path: String) -> String {
    let name = fileName(path), ending = fileExtension(path)
    guard name.utf8.count > ending.utf8.count, !ending.isEmpty else { return path }
    return String(path[..<path.utf8.index(path.endIndex, offsetBy: -(ending.utf8.count + 1))])
}

/// The extension of a path's last part, without the dot; empty where there is none.
package func fileExtension(_ path: String) -> String {
    let name = fileName(path)
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")), dot != name.utf8.startIndex else { return "" }
    return String(name[name.utf8.index(after: dot)...])
}

/// What a path leads to, links followed.
package enum FileKind: Sendable, Equatable {
    case file
    /// A folder, by the numbers that tell it from any other.
    case folder(device: UInt64, inode: UInt64)
    /// A pipe, a socket or a device.
    case special
    /// A link to nothing.
    case brokenLink

    /// The kind of what is at a path; nil where nothing is.
    package init?(_ path: String) {
        var status = stat()
        let (found, linked) = PathText.with(path) { name in
            (stat(name, &status) == 0, errno == ENOENT || errno == ELOOP)
        }
        guard found else {
            var link = stat()
            guard linked, PathText.with(path, { lstat($0, &link) }) == 0 else { return nil }
            self = .brokenLink
            return
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: self = .file
        case S_IFDIR: self = .folder(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        default: self = .special
        }
    }

    /// Whether it is a folder.
    package var isFolder: Bool { if case .folder = self { true } else { false } }
}

/// The names in a folder, sorted, without "." and "..".
///
/// - Throws: `OCCError(.noInput)` when it cannot be opened, `.inputOutput` when it cannot be read.
package func folderNames(_ path: String) throws -> [String] {
    guard let folder = PathText.with(path, { opendir($0) }) else {
        let code = errno
        throw OCCError(
            code == EIO || code == EMFILE || code == ENFILE || code == ENOMEM ? .inputOutput : .noInput,
            "\(path): cannot be opened (\(errnoText(code)))", remedy: "Check the path and its permissions.")
    }
    defer { closedir(folder) }
    var names: [String] = []
    while true {
        errno = 0
        guard let entry = readdir(folder) else {
            guard errno == 0 else {
                throw OCCError(.inputOutput, "\(path): cannot be read (\(errnoText(errno)))")
            }
            return names.sorted()
        }
        let offset = MemoryLayout<dirent>.offset(of: \dirent.d_name)!
        let text = PathText.decode(
            UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: CChar.self))
        if text != ".", text != ".." { names.append(text) }
    }
}
