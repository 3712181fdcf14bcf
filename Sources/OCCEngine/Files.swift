import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// The bytes of a regular file.
///
/// - Throws: `OCCError(.noInput)` when it does not exist, `.inputOutput` when it cannot be read.
package func readFile(_ path: String) throws -> [UInt8] {
    let descriptor = PathText.with(path) { open($0, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else {
        let code = errno
        throw OCCError(
            [ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG].contains(code) ? .noInput : .inputOutput,
            "\(path): cannot be opened (\(errnoText(code)))", remedy: "Check the path and its permissions.")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        throw OCCError(
            .inputOutput, "\(path): is not a regular file", remedy: "Name a file, not a folder or device.")
    }
    let size = Int(status.st_size)
    return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        count = 0
        while count < size {
            let got = read(descriptor, buffer.baseAddress! + count, size - count)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else {
                throw OCCError(.inputOutput, "\(path): cannot be read (\(errnoText(errno)))")
            }
            if got == 0 { break }  // shorter than it said: truncated meanwhile
            count += got
        }
    }
}

/// The system's text for an error number.
package func errnoText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// Files that are either whole or not there.
package enum AtomicFile {
    /// Writes to a temporary file beside `path`, syncs it, renames it over `path`, and syncs the folder:
    /// whoever reads
    /// `path`, after a crash at any moment too, finds the old bytes or the new ones.
    package static func write(_ bytes: [UInt8], to path: String) throws {
        let folder = parentFolder(path)
        var template = (PathText.encode("\(path).tmp-XXXXXX") + [0]).map { CChar(bitPattern: $0) }
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw OCCError(
                .cannotCreate, "\(path): cannot be created (\(errnoText(errno)))",
                remedy: "Check that the folder exists and can be written.")
        }
        func fail(_ doing: String) -> OCCError {
            let text = errnoText(errno)
            close(descriptor)
            unlink(template)
            return OCCError(
                .inputOutput, "\(path): \(doing) failed (\(text))",
                remedy: "Check the disk's free space; the previous file is untouched.")
        }
        try bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count {
                let count = Glibc.write(descriptor, buffer.baseAddress! + written, buffer.count - written)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw fail("writing") }
                written += count
            }
        }
        fchmod(descriptor, 0o644)
        guard fsync(descriptor) == 0 else { throw fail("syncing") }
        guard PathText.with(path, { rename(template, $0) }) == 0 else { throw fail("renaming") }
        close(descriptor)
        syncFolder(folder)
    }

    /// Makes a rename inside the folder durable, where the file system allows it.
    static func syncFolder(_ path: String) {
        let descriptor = PathText.with(path) { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}
