import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// Makes a system call again while a signal interrupts it.
package func uninterrupted<Result: SignedInteger>(_ call: () -> Result) -> Result {
    // A call that is interrupted for ever is no interruption: its error is reported in the end.
    for _ in 0..<1000 {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
    return -1
}

/// The system's text for an error number.
package func errnoText(_ code: Int32) -> String { String(cString: strerror(code)) }

extension OCCError.Kind {
    /// The kind of a system call's error: `.inputOutput` where the disk or the system is in trouble,
    /// `otherwise` where the path is.
    package init(errno code: Int32, otherwise: OCCError.Kind) {
        let paths = [
            ENOENT, ENOTDIR, EACCES, EPERM, EROFS, EISDIR, EEXIST, ELOOP, ENAMETOOLONG, ENXIO, ENODEV, EINVAL,
            ETXTBSY, EBUSY, EXDEV,
        ]
        self = paths.contains(code) ? otherwise : .inputOutput
    }
}

/// The bytes of a regular file.
///
/// - Throws: `OCCError(.noInput)` when it does not exist or cannot be opened, `.inputOutput` when reading
///   fails.
package func readFile(_ path: String) throws -> [UInt8] {
    guard let bytes = try readFileIfPresent(path) else { throw cannotOpen(path, ENOENT) }
    return bytes
}

/// The bytes of a regular file; nil where there is none.
///
/// - Throws: `OCCError(.noInput)` when it cannot be opened, `.inputOutput` when reading fails.
package func readFileIfPresent(_ path: String) throws -> [UInt8]? {
    guard let (descriptor, size) = try openFileIfPresent(path) else { return nil }
    defer { close(descriptor) }
    return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        count = 0
        while count < size {
            let got = uninterrupted { read(descriptor, buffer.baseAddress! + count, size - count) }
            guard got >= 0 else { throw cannotRead(path, errno) }
            if got == 0 { break }  // shorter than it said: truncated meanwhile
            count += got
        }
    }
}

/// Opens a regular file to be read: its descriptor and its size in bytes.
///
/// - Throws: `OCCError(.noInput)` when it does not exist or cannot be opened.
func openFile(_ path: String) throws -> (descriptor: Int32, size: Int) {
    guard let file = try openFileIfPresent(path) else { throw cannotOpen(path, ENOENT) }
    return file
}

private func openFileIfPresent(_ path: String) throws -> (descriptor: Int32, size: Int)? {
    // Without blocking: a named pipe would wait for a writer.
    let descriptor = uninterrupted { PathText.with(path) { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) } }
    guard descriptor >= 0 else {
        let code = errno
        if code == ENOENT || code == ENOTDIR { return nil }
        throw cannotOpen(path, code)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        close(descriptor)
        throw OCCError(
            .noInput, "\(path): is not a regular file", remedy: "Name a file, not a folder or device.")
    }
    return (descriptor, Int(status.st_size))
}

/// What a read that fails is reported as.
func cannotRead(_ path: String, _ code: Int32) -> OCCError {
    OCCError(
        .inputOutput, "\(path): cannot be read (\(errnoText(code)))",
        remedy: "Check the disk, and run the command again.")
}

private func cannotOpen(_ path: String, _ code: Int32) -> OCCError {
    OCCError(
        .init(errno: code, otherwise: .noInput), "\(path): cannot be opened (\(errnoText(code)))",
        remedy: "Check the path and its permissions.")
}

/// Writes all bytes, whatever number the system takes at a time.
///
/// - Returns: 0, or the error's number.
package func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
    var written = 0
    while written < bytes.count {
        let count = uninterrupted {
            write(descriptor, bytes.baseAddress! + written, bytes.count - written)
        }
        if count > 0 {
            written += count
        } else if count < 0, errno == EAGAIN || errno == EWOULDBLOCK {
            // Whoever shares the descriptor made it non-blocking.
            var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = poll(&wait, 1, -1)
        } else {
            return count < 0 ? errno : EIO
        }
    }
    return 0
}

/// Whether something has this path; true too where the system cannot say.
package func pathExists(_ path: String) -> Bool {
    PathText.with(path) { access($0, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR) }
}

/// The path of what is there, without links and dots; nil where nothing is.
package func realPath(_ path: String) -> String? {
    PathText.with(path) { name in
        guard let real = realpath(name, nil) else { return nil }
        defer { free(real) }
        return PathText.decode(real)
    }
}

/// Removes a file.
///
/// - Returns: 0, or the error's number.
@discardableResult
package func removeFile(_ path: String) -> Int32 {
    PathText.with(path) { name in uninterrupted { unlink(name) } == 0 ? 0 : errno }
}

/// Gives a file another name, in the place of what had it; false where that fails, with errno set.
package func renamed(_ path: String, _ other: String) -> Bool {
    PathText.with(path) { from in PathText.with(other) { to in uninterrupted { rename(from, to) } == 0 } }
}

/// Makes a folder, with those above it, where it is missing.
///
/// - Throws: `OCCError(.cannotCreate)` naming it, `.inputOutput` for a failing disk.
package func createFolder(_ path: String, remedy: Wording) throws {
    func make(_ part: String) -> Int32 {
        if FileKind(part)?.isFolder == true { return 0 }
        let parent = parentFolder(part)
        if parent.utf8.count < part.utf8.count, parent != "." { _ = make(parent) }
        let isMade = PathText.with(part) { name in uninterrupted { mkdir(name, 0o777) } } == 0, code = errno
        return isMade || FileKind(part)?.isFolder == true ? 0 : code
    }
    let code = make(path)
    guard code != 0 else { return }
    throw OCCError(
        .init(errno: code, otherwise: .cannotCreate), "\(path): cannot be created (\(errnoText(code)))",
        remedy: remedy)
}
