import Foundation
import OCCCommandLine
import OneClass

/// A folder that is looked at again and again: a file is whole when its size and its last change are what they were one
/// interval before.
package final class PolledFolder: WatchedFolder {
    /// What tells a file from what it was before.
    private struct Stamp: Equatable {
        let device: UInt64, inode: UInt64, size: Int64, seconds: Int64, nanoseconds: Int64

        init?(_ status: stat) {
            guard status.st_mode & S_IFMT == S_IFREG else { return nil }
            (device, inode, size) = (UInt64(status.st_dev), UInt64(status.st_ino), Int64(status.st_size))
            (seconds, nanoseconds) = (Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec))
        }
    }

    /// How often it is looked at, and why, in words that stand behind its name.
    package let manner: String
    private let path: String
    private let interval: Double
    private var due: ContinuousClock.Instant
    /// Files that were there, or that were given.
    private var known: [String: Stamp] = [:]
    /// Files that are new or have changed, as the last look found them.
    private var growing: [String: Stamp] = [:]

    /// Notes which files are there.
    ///
    /// - Parameter why: what keeps the system from telling of files; nil where nobody asked it.
    /// - Throws: `OCCError(.noInput)` when the folder cannot be read.
    package init(_ path: String, every seconds: Double, why: String?) throws {
        (self.path, interval, due) = (path, seconds, ContinuousClock.now + .seconds(seconds))
        manner = " every \(seconds) s\(why.map { ", as \($0)" } ?? "")"
        for name in try folderNames(path) where isWatched(name) {
            known[name] = Self.stamp(joined(path, name))
        }
    }

    /// The files that are whole, where it is time to look; after a while none.
    ///
    /// - Throws: as `look` does.
    package func next() throws -> [String] {
        let rest = due - ContinuousClock.now
        guard rest <= .zero else {
            let (seconds, attoseconds) = rest.components
            let milliseconds = min(seconds, 3600) * 1000 + attoseconds / 1_000_000_000_000_000 + 1
            poll(nil, 0, min(signalPatience, Int32(milliseconds)))
            return []
        }
        let found = try look()
        due = ContinuousClock.now + .seconds(interval)
        return found
    }

    /// Looks at the folder: the files that have become whole, by their last change and then by name.
    ///
    /// - Throws: `OCCError(.noInput)` when the folder is gone, `.inputOutput` when the system fails.
    package func look() throws -> [String] {
        guard FileKind(path)?.isFolder == true else { throw folderIsGone(path) }
        let names = try folderNames(path).filter(isWatched)
        let isThere = Set(names)
        known = known.filter { isThere.contains($0.key) }
        growing = growing.filter { isThere.contains($0.key) }
        var whole: [(name: String, stamp: Stamp)] = []
        for name in names {
            let file = joined(path, name)
            guard let first = Self.stamp(file), first != known[name] else { continue }
            // A network file system may answer from memory, but asks its server when a file is opened.
            guard let stamp = Self.openedStamp(file) ?? Self.stamp(file) else { continue }
            if stamp == growing[name] {
                growing[name] = nil
                known[name] = stamp
                whole.append((name, stamp))
            } else {
                growing[name] = stamp
            }
        }
        whole.sort {
            ($0.stamp.seconds, $0.stamp.nanoseconds, $0.name) < (
                $1.stamp.seconds, $1.stamp.nanoseconds, $1.name
            )
        }
        return whole.map { joined(path, $0.name) }
    }

    private static func stamp(_ file: String) -> Stamp? {
        var status = stat()
        return PathText.with(file) { stat($0, &status) } == 0 ? Stamp(status) : nil
    }

    private static func openedStamp(_ file: String) -> Stamp? {
        let descriptor = uninterrupted {
            PathText.with(file) { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        }
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Stamp(status) : nil
    }
}

/// The file systems on which other machines can write: inotify tells of what this one writes alone.
package enum NetworkFileSystem {
    /// By the names that Linux mounts them by; what begins with `fuse.` is one too.
    private static let types: Set = [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "afs", "9p", "virtiofs", "lustre", "gpfs", "beegfs",
        "gfs2", "ocfs2", "orangefs", "pvfs2", "coda", "ncpfs", "vboxsf", "vmhgfs", "prl_fs",
    ]

    /// The type of the one that a path is on; nil for another kind, or where the system does not say.
    static func type(of path: String) -> String? {
        var status = stat()
        guard PathText.with(path, { stat($0, &status) }) == 0,
            let table = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
        else { return nil }
        return type(ofDevice: UInt64(status.st_dev), in: table)
    }

    /// The type of the one that has a device's number.
    ///
    /// - Parameter table: the mounts, as proc_pid_mountinfo(5) has them.
    package static func type(ofDevice device: UInt64, in table: String) -> String? {
        // As glibc's gnu_dev_major and gnu_dev_minor take it apart.
        let major = device >> 8 & 0xFFF | device >> 32 & 0xFFFF_F000
        let number = "\(major):\(device & 0xFF | device >> 12 & 0xFFFF_FF00)"
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 3, fields[2] == number, let dash = fields.firstIndex(of: "-"),
                dash + 1 < fields.count
            else { continue }
            let type = String(fields[dash + 1])
            return types.contains(type) || type.hasPrefix("fuse.") ? type : nil
        }
        return nil
    }
}
