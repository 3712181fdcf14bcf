import Foundation
import OneClass

/// What can be done in a folder, found out by doing it: permissions alone do not tell of a full or a
/// read-only disk.
package struct FolderProbe: Sendable, Equatable {
    /// The folder, or the one above it that is there.
    package let folder: String
    /// Why no file can be made there; nil where one can.
    package let reason: String?
    /// Whether files there can be locked; true where none can be made.
    package let hasLocks: Bool
    /// Bytes that a user may still write.
    package let freeBytes: Int

    /// Makes a file in a folder, locks it and removes it; where the folder is missing, in the nearest one
    /// above.
    package init(_ path: String) {
        var folder = path
        while FileKind(folder) == nil, folder != ".", folder != "/" { folder = parentFolder(folder) }
        self.folder = folder
        var system = statvfs()
        freeBytes =
            PathText.with(folder) { statvfs($0, &system) } == 0
            ? Int(clamping: UInt64(system.f_bavail) * UInt64(system.f_frsize)) : 0
        guard FileKind(folder)?.isFolder == true else {
            (reason, hasLocks) = ("\(folder) is no folder", true)
            return
        }
        var name = (PathText.encode("\(folder)/.occ-gpu-XXXXXX") + [0]).map { CChar(bitPattern: $0) }
        let descriptor = mkstemp(&name)
        guard descriptor >= 0 else {
            (reason, hasLocks) = (errnoText(errno), true)
            return
        }
        let code = [UInt8(0)].withUnsafeBytes { writeAll($0, to: descriptor) }
        reason = code == 0 ? nil : errnoText(code)
        hasLocks = flock(descriptor, LOCK_EX | LOCK_NB) == 0
        close(descriptor)
        unlink(name)
    }
}
