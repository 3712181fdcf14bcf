import Foundation
import OCCEngine

/// The folder of a run: config.json, checkpoint.safetensors and the one before it, metrics.jsonl,
/// model.safetensors, report.html.
///
/// One process at a time: the folder is locked while this object lives.
public final class RunDirectory {
    /// The folder.
    public let path: String
    private let lock: Int32

    /// The file of the resolved configuration, config.json.
    public var configuration: String { "\(path)/config.json" }
    /// The file of the finished model.
    public var model: String { "\(path)/model.safetensors" }
    /// The file of the report.
    public var report: String { "\(path)/report.html" }
    /// The file of the training's records, a JSON object a line.
    public var metrics: String { "\(path)/metrics.jsonl" }
    /// The file of the newest checkpoint.
    public var checkpoint: String { "\(path)/checkpoint.safetensors" }
    /// The file of the checkpoint before it.
    public var previousCheckpoint: String { "\(path)/checkpoint.previous.safetensors" }

    /// Creates the folder where it is missing.
    ///
    /// - Throws: `OCCError(.cannotCreate)` when it cannot be made or another process has it.
    public init(_ path: String) throws {
        self.path = path
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw OCCError(
                .cannotCreate, "\(path): cannot be created", remedy: "Choose another \(setting: "out").")
        }
        lock = open("\(path)/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard lock >= 0 else {
            throw OCCError(
                .cannotCreate, "\(path): cannot be written (\(errnoText(errno)))",
                remedy: "Choose another \(setting: "out").")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw OCCError(
                .cannotCreate, "\(path): another process is running there",
                remedy: "Wait for it, or choose another \(setting: "out").")
        }
    }

    deinit { close(lock) }

    /// Whether an earlier run left anything.
    public var isUsed: Bool {
        [configuration, checkpoint, previousCheckpoint, model].contains(
            where: FileManager.default.fileExists(atPath:))
    }

    /// Removes what an earlier run left.
    public func clear() throws {
        for file in [configuration, checkpoint, previousCheckpoint, model, metrics, report]
        where unlink(file) != 0 && errno != ENOENT {
            throw OCCError(.inputOutput, "\(file): cannot be removed (\(errnoText(errno)))")
        }
    }

    // MARK: Checkpoints

    /// Writes a checkpoint; the one before stays until the new one has been read back and found sound.
    public func save(_ file: TensorFile) throws {
        var sealed = file
        sealed.metadata["checksum"] = checksum(of: file)
        if FileManager.default.fileExists(atPath: checkpoint) {
            guard rename(checkpoint, previousCheckpoint) == 0 else {
                throw OCCError(.inputOutput, "\(checkpoint): cannot be renamed (\(errnoText(errno)))")
            }
        }
        try sealed.write(to: checkpoint)
        _ = try Self.read(checkpoint)
    }

    /// A sound checkpoint, and why a newer one was passed over.
    public struct Checkpoint: Sendable {
        /// The contents, found sound.
        public let file: TensorFile
        /// The file they were read from.
        public let path: String
        /// Why a newer one was passed over; nil where none was.
        public let warning: String?
    }

    /// The newest sound checkpoint; nil when there is none at all.
    ///
    /// - Throws: `OCCError(.badData)` when there are checkpoints and none is sound.
    public func newestCheckpoint() throws -> Checkpoint? {
        try Self.newestCheckpoint(of: [checkpoint, previousCheckpoint])
    }

    /// The newest sound checkpoint of another run: its folder, or one checkpoint file.
    ///
    /// - Throws: `OCCError(.noInput)` when there is none.
    public static func checkpoint(at path: String) throws -> Checkpoint {
        let files =
            path.hasSuffix(".safetensors")
            ? [path] : ["\(path)/checkpoint.safetensors", "\(path)/checkpoint.previous.safetensors"]
        guard let found = try newestCheckpoint(of: files) else {
            throw OCCError(
                .noInput, "\(path): holds no checkpoint",
                remedy: "Name a run's folder or checkpoint.safetensors.")
        }
        return found
    }

    private static func newestCheckpoint(of paths: [String]) throws -> Checkpoint? {
        var warnings: [String] = []
        for path in paths where FileManager.default.fileExists(atPath: path) {
            do {
                return Checkpoint(file: try read(path), path: path, warning: warnings.first)
            } catch let error as OCCError {
                warnings.append(error.message)
            }
        }
        guard let first = warnings.first else { return nil }
        throw OCCError(
            .badData, "\(first)",
            remedy:
                "No sound checkpoint is left; start over with \(setting: "resume") never \(setting: "overwrite")."
        )
    }

    /// Reads a checkpoint and checks its contents against its checksum.
    public static func read(_ path: String) throws -> TensorFile {
        var file = try TensorFile(contentsOf: path)
        let expected = file.metadata.removeValue(forKey: "checksum")
        guard expected == checksum(of: file) else {
            throw OCCError(.badData, "\(path): its checksum does not match", remedy: "The file is damaged.")
        }
        return file
    }
}

/// FNV-1a (64 bits, over 8-byte words) of everything in a file: against accidents, not attackers.
private func checksum(of file: TensorFile) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func mix(_ bytes: UnsafeRawBufferPointer) {
        let words = bytes.count / 8
        for word in 0..<words {
            hash = (hash ^ bytes.loadUnaligned(fromByteOffset: 8 * word, as: UInt64.self)) &* 0x100_0000_01b3
        }
        for index in (8 * words)..<bytes.count { hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01b3 }
        hash = (hash ^ UInt64(bytes.count)) &* 0x100_0000_01b3
    }
    func mix(_ text: String) { Array(text.utf8).withUnsafeBytes(mix) }
    for (key, value) in file.metadata.sorted(by: { $0.key < $1.key }) {
        mix(key)
        mix(value)
    }
    for (name, entry) in file.tensors.sorted(by: { $0.key < $1.key }) {
        mix(name)
        mix(entry.type.rawValue + entry.shape.description)
        entry.bytes.withUnsafeBytes(mix)
    }
    return String(hash, radix: 16)
}
