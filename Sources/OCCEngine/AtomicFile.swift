import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Files that are either whole or not there.
package enum AtomicFile {
    /// Writes to a temporary file beside `path`, syncs it, renames it over `path`, and syncs the folder:
    /// whoever reads `path`, after a crash at any moment too, finds the old bytes or the new ones. A link
    /// keeps pointing where it does; a device or pipe is written to as it is.
    ///
    /// - Parameter beforeRename: called with the temporary file when it is whole; where it throws, nothing
    ///   has changed.
    /// - Throws: `OCCError(.cannotCreate)` where no file can be made, `.inputOutput` when writing fails.
    package static func write(
        _ bytes: [UInt8], to path: String, beforeRename: (String) throws -> Void = { _ in }
    ) throws {
        try write(parts: [bytes], to: path, beforeRename: beforeRename)
    }

    /// Writes the parts of a file one after the other, as `write` does: they need not lie in memory as one.
    package static func write(
        parts: [[UInt8]], to path: String, beforeRename: (String) throws -> Void = { _ in }
    ) throws {
        try StopSignals.deferring {
            switch FileKind(path) {
            case .special, .folder: try writeInPlace(parts, to: path)
            case .file: try replace(linked(path) ?? path, by: parts, beforeRename)
            case .brokenLink, nil: try replace(path, by: parts, beforeRename)
            }
        }
    }

    /// Writes all parts; 0, or the error's number.
    private static func writeParts(_ parts: [[UInt8]], to descriptor: Int32) -> Int32 {
        for part in parts {
            let code = part.withUnsafeBytes { writeAll($0, to: descriptor) }
            if code != 0 { return code }
        }
        return 0
    }

    /// What a link leads to; nil for what is no link.
    private static func linked(_ path: String) -> String? {
        var status = stat()
        guard PathText.with(path, { lstat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFLNK else {
            return nil
        }
        return realPath(path)
    }

    private static func replace(
        _ path: String, by parts: [[UInt8]], _ beforeRename: (String) throws -> Void
    ) throws {
        let (descriptor, temporary) = try createTemporary(for: path)
        defer { inUse.withLock { _ = $0.remove(temporary) } }
        var isOpen = true
        func discard() {
            if isOpen { close(descriptor) }
            removeFile(temporary)
        }
        func failed(_ doing: String, _ code: Int32) -> OCCError {
            discard()
            return OCCError(
                .inputOutput, "\(path): \(doing) failed (\(errnoText(code)))",
                remedy:
                    "Check the disk's free space\(FileKind(path) == .file ? "; the previous file is untouched" : "")."
            )
        }
        let code = writeParts(parts, to: descriptor)
        guard code == 0 else { throw failed("writing", code) }
        fchmod(descriptor, 0o644)
        guard uninterrupted({ fsync(descriptor) }) == 0 else { throw failed("syncing", errno) }
        // All is on the disk: what closing says is of no consequence.
        close(descriptor)
        isOpen = false
        do {
            try beforeRename(temporary)
        } catch {
            discard()
            throw error
        }
        guard renamed(temporary, path) else { throw failed("renaming", errno) }
        syncFolder(parentFolder(path))
    }

    private static func writeInPlace(_ parts: [[UInt8]], to path: String) throws {
        let descriptor = uninterrupted { PathText.with(path) { open($0, O_WRONLY | O_CLOEXEC) } }
        guard descriptor >= 0 else { throw cannotCreate(path, errno) }
        let code = writeParts(parts, to: descriptor)
        close(descriptor)
        guard code == 0 else {
            throw OCCError(.inputOutput, "\(path): writing failed (\(errnoText(code)))")
        }
    }

    private static func cannotCreate(_ path: String, _ code: Int32) -> OCCError {
        OCCError(
            .init(errno: code, otherwise: .cannotCreate), "\(path): cannot be created (\(errnoText(code)))",
            remedy: "Check that the folder exists and can be written.")
    }

    /// Makes a rename inside the folder durable, where the file system allows it.
    private static func syncFolder(_ path: String) {
        let descriptor = uninterrupted {
            PathText.with(path) { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        }
        guard descriptor >= 0 else { return }
        _ = uninterrupted { fsync(descriptor) }
        close(descriptor)
    }

    // MARK: Temporary files

    /// The temporary files that this process is writing.
    private static let inUse = Mutex<Set<String>>([])
    private static let mark = ".tmp-"

    /// The machine, in 8 digits: a process number says nothing on another one.
    private static let machine: String = {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        return String(sha256(name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))).prefix(8))
    }()

    /// Opens NAME.tmp-MACHINE-PROCESS-XXXXXX beside `path`: whose it is can be told from its name.
    private static func createTemporary(for path: String) throws -> (descriptor: Int32, path: String) {
        let folder = parentFolder(path)
        var stem = fileName(path)
        // With the rest it fits every file system: some allow 143 bytes.
        while stem.utf8.count > 110 { stem.removeLast() }
        for _ in 0..<1000 {
            let name = PathText.encode("\(folder)/\(stem)\(mark)\(machine)-\(getpid())-XXXXXX")
            var template = (name + [0]).map { CChar(bitPattern: $0) }
            // Under the lock, so that `removeStrays` on another thread sees no file that is not in the set.
            let (descriptor, code, temporary) = inUse.withLock { files in
                let descriptor = mkstemp(&template), code = errno
                let temporary = template.withUnsafeBufferPointer { PathText.decode($0.baseAddress!) }
                if descriptor >= 0 { files.insert(temporary) }
                return (descriptor, code, temporary)
            }
            if descriptor >= 0 {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                return (descriptor, temporary)
            }
            // mkstemp leaves another name behind each time.
            guard code == EINTR else { throw cannotCreate(path, code) }
        }
        throw cannotCreate(path, EINTR)
    }

    /// Removes the temporary files of processes that were killed while they wrote.
    ///
    /// - Parameter names: files that nobody else writes at present: temporary files of these go that do not
    ///   say whose they are.
    package static func removeStrays(in folder: String, of names: [String] = []) {
        let entries = (try? folderNames(folder)) ?? []
        for entry in entries where isStray(entry, in: folder, names) { removeFile("\(folder)/\(entry)") }
    }

    /// Removes those beside a file that is about to be written.
    package static func removeStrays(beside path: String) { removeStrays(in: parentFolder(path)) }

    private static func isStray(_ entry: String, in folder: String, _ names: [String]) -> Bool {
        guard let range = entry.range(of: mark, options: .backwards) else { return false }
        let parts = entry[range.upperBound...].split(separator: "-", omittingEmptySubsequences: false)
        func isRandom(_ text: Substring) -> Bool {
            text.utf8.count == 6 && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
        }
        let path = "\(folder)/\(entry)"
        if parts.count == 1 {
            return isRandom(parts[0]) && names.contains(String(entry[..<range.lowerBound]))
        }
        guard parts.count == 3, parts[0].utf8.count == 8, parts[0].allSatisfy(\.isHexDigit),
            let process = pid_t(parts[1]), process > 0, isRandom(parts[2])
        else { return false }
        if parts[0] != machine {
            var status = stat()
            return PathText.with(path) { lstat($0, &status) } == 0 && time(nil) - status.st_mtim.tv_sec > 3600
        }
        if process == getpid() { return !inUse.withLock { $0.contains(path) } }
        return !isRunning(process)
    }

    private static func isRunning(_ process: pid_t) -> Bool {
        guard kill(process, 0) == 0 || errno != ESRCH else { return false }
        // One that has ended and that nobody has waited for, as in a container, has no program any more.
        var byte: CChar = 0
        return readlink("/proc/self/exe", &byte, 1) < 0 || readlink("/proc/\(process)/exe", &byte, 1) >= 0
            || errno != ENOENT
    }
}
