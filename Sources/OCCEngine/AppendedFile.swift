import Foundation

/// A file that grows by whole pieces, each of which is in it when the call returns; a pipe or a device too.
package final class AppendedFile {
    package let path: String
    private let descriptor: Int32
    /// The bytes of the whole pieces.
    private var size: Int

    /// Opens the file.
    ///
    /// - Parameters:
    ///   - flags: of open(2), beside those for writing.
    ///   - size: the bytes that it has.
    ///   - remedy: for a file that cannot be opened.
    /// - Throws: `OCCError(.cannotCreate)` naming it, `.inputOutput` for a failing disk.
    package init(_ path: String, flags: Int32, size: Int = 0, remedy: Wording) throws {
        self.path = path
        self.size = size
        descriptor = uninterrupted {
            PathText.with(path) { open($0, O_WRONLY | O_CLOEXEC | flags, 0o644) }
        }
        guard descriptor >= 0 else {
            let code = errno, what = flags & O_CREAT == 0 ? "opened for writing" : "created"
            throw OCCError(
                .init(errno: code, otherwise: .cannotCreate),
                "\(path): cannot be \(what) (\(errnoText(code)))", remedy: remedy)
        }
    }

    deinit { close(descriptor) }

    /// Appends a piece.
    ///
    /// - Throws: `OCCError(.inputOutput)` naming the file; no part of the piece stays.
    package func append(_ bytes: some ContiguousBytes) throws {
        var count = 0
        let code = bytes.withUnsafeBytes { buffer in
            count = buffer.count
            return writeAll(buffer, to: descriptor)
        }
        guard code == 0 else {
            ftruncate(descriptor, off_t(size))
            throw OCCError(
                .inputOutput, "\(path): writing failed (\(errnoText(code)))",
                remedy: "Check the disk's free space, and run the same command again.")
        }
        size += count
    }

    /// Appends a line.
    ///
    /// - Throws: as for a piece.
    package func append(line: String) throws { try append(PathText.encode(line + "\n")) }
}
