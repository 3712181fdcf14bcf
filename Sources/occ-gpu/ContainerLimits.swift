import Foundation
import OneClass

/// What a container or a job may take, by Linux's control groups (version 2): less than the machine has,
/// often.
package struct ContainerLimits: Sendable, Equatable {
    /// Bytes of memory at most; nil without a limit.
    package private(set) var memory: Int?
    /// Bytes of memory in use, in the group that has that limit.
    package private(set) var memoryInUse: Int?
    /// Processors' worth of time at most; nil without a limit.
    package private(set) var cores: Double?

    /// Reads the limits of the process's own group and of those above it: the lowest counts.
    ///
    /// - Parameters:
    ///   - root: where the groups are mounted.
    ///   - membership: the file that says which one is the process's.
    package init(root: String = "/sys/fs/cgroup", membership: String = "/proc/self/cgroup") {
        let lines = Self.text(membership)?.split(separator: "\n") ?? []
        let own = lines.first { $0.hasPrefix("0::/") }.map { String($0.dropFirst(4)) } ?? ""
        var parts = own.split(separator: "/").map(String.init)
        while true {
            read(([root] + parts).joined(separator: "/"))
            if parts.popLast() == nil { return }
        }
    }

    private mutating func read(_ group: String) {
        if let limit = Self.text("\(group)/memory.max").flatMap({ Int($0) }), limit < memory ?? .max {
            memory = limit
            memoryInUse = Self.text("\(group)/memory.current").flatMap { Int($0) }
        }
        // "max 100000", or the microseconds of each period.
        let quota = Self.text("\(group)/cpu.max")?.split(separator: " ").map { Double($0) } ?? []
        if quota.count == 2, let time = quota[0], let period = quota[1], period > 0 {
            cores = min(cores ?? .infinity, time / period)
        }
    }

    private static func text(_ path: String) -> String? {
        // Files of the kernel state no size: they are read to their end.
        (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
