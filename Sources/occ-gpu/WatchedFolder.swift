import Foundation
import OCCCommandLine
import OneClass

/// Gives the image files that appear in a folder to `body`, in the order in which they become whole: when a writer
/// closes one, or one is moved there. Returns after SIGINT or SIGTERM, between two files.
///
/// Files that are there already, hidden names, names of other files than images, and subfolders are not for it.
///
/// - Throws: `OCCError(.noInput)` for a folder that cannot be watched, or is gone.
func watch(_ folder: String, _ body: (String) throws -> Void) throws {
    struct Stopped: Error {}
    do {
        // What throws leaves the signal to the caller, who ends as usual.
        try StopSignals.deferring {
            let watched = try WatchedFolder(folder)
            say("watching \(folder); SIGINT or SIGTERM ends it")
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

/// A folder under inotify.
private final class WatchedFolder {
    private let path: String
    private let descriptor: Int32
    /// Milliseconds after which a signal is noticed that came just before waiting.
    private static let patience: Int32 = 200

    init(_ path: String) throws {
        self.path = path
        guard FileKind(path)?.isFolder == true else {
            throw OCCError(
                .noInput, "\(path): is no folder", remedy: "Name the folder that images will appear in.")
        }
        descriptor = inotify_init1(Int32(O_CLOEXEC | O_NONBLOCK))
        let wanted = UInt32(IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)
        guard descriptor >= 0, PathText.with(path, { inotify_add_watch(descriptor, $0, wanted) }) >= 0 else {
            throw OCCError(
                .noInput, "\(path): cannot be watched (\(errnoText(errno)))",
                remedy: "Write the paths to standard input of score - instead.")
        }
    }

    deinit { close(descriptor) }

    /// The images that have become whole since the last call; after a while none.
    func next() throws -> [String] {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, Self.patience) > 0 else { return [] }
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
                throw OCCError(.noInput, "\(path): the folder is gone", remedy: "Make it, and start again.")
            }
            guard event.mask & UInt32(IN_ISDIR) == 0, !name.hasPrefix("."), RGBImage.isReadable(name: name)
            else { continue }
            found.append(path.hasSuffix("/") ? path + name : "\(path)/\(name)")
        }
        return found
    }
}
