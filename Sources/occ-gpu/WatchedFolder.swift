import Foundation
import OCCCommandLine
import OneClass

/// Gives the image files that appear in a folder to `body`, in the order in which they become whole: when a writer
/// closes one, or one is moved or linked there; where the folder is looked at, when one has not changed from one look to
/// the next. Returns after SIGINT or SIGTERM, between two files.
///
/// Files that are there already, hidden names, names of other files than images, and subfolders are not for it.
///
/// - Parameter seconds: between two looks at the folder; nil where the system is to tell of files, if it can.
/// - Throws: `OCCError(.noInput)` for a folder that cannot be watched, or is gone.
func watch(_ folder: String, every seconds: Double?, _ body: (String) throws -> Void) throws {
    struct Stopped: Error {}
    do {
        // What throws leaves the signal to the caller, who ends as usual.
        try StopSignals.deferring {
            let watched = try watchedFolder(folder, every: seconds)
            say("watching \(folder)\(watched.manner); SIGINT or SIGTERM ends it")
            while true {
                for path in try watched.next() {
                    if StopSignals.requested != nil { throw Stopped() }
                    try body(path)
                }
                if StopSignals.requested != nil { throw Stopped() }
            }
        }
    } catch is Stopped {}
}

/// A folder whose new files become known.
package protocol WatchedFolder {
    /// How, in words that stand behind its name; none for the usual way.
    var manner: String { get }
    /// The images that have become whole since the last call; after a while none.
    ///
    /// - Throws: `OCCError(.noInput)` when the folder is gone, `.inputOutput` when the system fails.
    func next() throws -> [String]
}

/// Milliseconds after which a signal is noticed that came just before waiting.
let signalPatience: Int32 = 200

/// Says that a watched folder is gone.
func folderIsGone(_ path: String) -> OCCError {
    OCCError(.noInput, "\(path): the folder is gone", remedy: "Make it, and start again.")
}

/// A folder under inotify, or where that sees nothing, one that is looked at.
private func watchedFolder(_ path: String, every seconds: Double?) throws -> any WatchedFolder {
    guard FileKind(path)?.isFolder == true else {
        throw OCCError(
            .noInput, "\(path): is no folder", remedy: "Name the folder that images will appear in.")
    }
    let standard = 2.0
    if let seconds { return try PolledFolder(path, every: seconds, why: nil) }
    if let network = NetworkFileSystem.type(of: path) {
        return try PolledFolder(
            path, every: standard,
            why: "it is on \(network), where the system does not tell of what other machines write")
    }
    do { return try NotifiedFolder(path) } catch let refused as NotifiedFolder.Refused {
        guard let limit = refused.limit else {
            throw OCCError(
                .noInput, "\(path): cannot be watched (\(errnoText(refused.code)))",
                remedy: "Check the folder's permissions.")
        }
        return try PolledFolder(
            path, every: standard, why: "inotify refuses it (\(errnoText(refused.code))): \(limit)")
    }
}

/// A folder under inotify.
private final class NotifiedFolder: WatchedFolder {
    /// Why inotify does not watch a folder.
    struct Refused: Error {
        let code: Int32

        /// What is used up or missing, where that says nothing about the folder; else nil.
        var limit: String? {
            switch code {
            case ENOSPC: "raise fs.inotify.max_user_watches"
            case EMFILE: "raise fs.inotify.max_user_instances, or ulimit -n"
            case ENFILE: "raise fs.file-max"
            case ENOMEM: "the system's memory is used up"
            case ENOSYS, EPERM, EOPNOTSUPP: "the system does not have it here"
            default: nil
            }
        }
    }

    let manner = ""
    private let path: String
    private let descriptor: Int32
    /// Names that were made and that nobody has opened since, with when: a link is whole as it is, and who writes a file
    /// opens it as he makes it.
    private var made: [String: ContinuousClock.Instant] = [:]
    /// How long the system may take from making a file to telling that it is opened, which it does in one call.
    private static let opening = Duration.milliseconds(Int(signalPatience))

    init(_ path: String) throws {
        self.path = path
        descriptor = inotify_init1(Int32(O_CLOEXEC | O_NONBLOCK))
        guard descriptor >= 0 else { throw Refused(code: errno) }
        let wanted = UInt32(
            IN_CREATE | IN_OPEN | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)
        guard PathText.with(path, { inotify_add_watch(descriptor, $0, wanted) }) >= 0 else {
            throw Refused(code: errno)
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func next() throws -> [String] {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, signalPatience) > 0 else { return linked() }
        var buffer = [UInt8](repeating: 0, count: 1 << 16), found: [String] = []
        let count = uninterrupted { read(descriptor, &buffer, buffer.count) }
        guard count > 0 else {
            if count < 0, errno == EAGAIN { return [] }
            throw OCCError(.inputOutput, "\(path): watching failed (\(errnoText(errno)))")
        }
        var at = 0
        let header = MemoryLayout<inotify_event>.size
        while at + header <= count {
            let event = buffer.withUnsafeBytes {
                $0.loadUnaligned(fromByteOffset: at, as: inotify_event.self)
            }
            let name = PathText.decode(buffer[at + header..<at + header + Int(event.len)].prefix { $0 != 0 })
            at += header + Int(event.len)
            if event.mask & UInt32(IN_Q_OVERFLOW) != 0 {
                say("warning: \(path): more files appeared than the system keeps count of; some were missed")
            }
            guard event.mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT) == 0 else {
                throw folderIsGone(path)
            }
            guard event.mask & UInt32(IN_ISDIR) == 0, isWatched(name) else { continue }
            if event.mask & UInt32(IN_OPEN) != 0 {
                made[name] = nil
            } else if event.mask & UInt32(IN_CREATE) == 0 {
                found.append(joined(path, name))
            } else if isLink(name) {
                found.append(joined(path, name))
            } else {
                made[name] = .now
            }
        }
        return found + linked()
    }

    /// Whether a name that has just been made is one of several of its file, or a symbolic link to a file.
    private func isLink(_ name: String) -> Bool {
        var status = stat()
        let file = joined(path, name)
        guard PathText.with(file, { lstat($0, &status) }) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFLNK ? FileKind(file) == .file : status.st_nlink > 1
    }

    /// The names that were made and not opened: links to files whose other names are gone.
    private func linked() -> [String] {
        let due = ContinuousClock.now - Self.opening
        let names = made.filter { $0.value < due }.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(
            \.key)
        for name in names { made[name] = nil }
        return names.map { joined(path, $0) }.filter { FileKind($0) == .file }
    }
}

/// Whether a name is one of an image that is not hidden, nor a picture that occ-gpu drew of one.
func isWatched(_ name: String) -> Bool {
    !name.hasPrefix(".") && RGBImage.isReadable(name: name) && !DrawnPicture.isName(name)
}

/// The path of a name in a folder.
func joined(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
}
