import Foundation
import OCCEngine

/// The folder of a run: config.json, checkpoint.safetensors and the one before it, metrics.jsonl,
/// model.safetensors, evaluation.json, report.html.
///
/// One process at a time: the folder is locked while this object lives.
public final class RunDirectory {
    /// The folder.
    public let path: String
    /// Why two processes in the folder would not notice each other; nil where they do.
    public let warning: String?
    private let lock: Int32

    /// The file of the resolved configuration, config.json.
    public var configuration: String { "\(path)/config.json" }
    /// The file of the finished model.
    public var model: String { "\(path)/model.safetensors" }
    /// The file of the report.
    public var report: String { "\(path)/report.html" }
    /// The file of the training's records, a JSON object a line.
    public var metrics: String { "\(path)/metrics.jsonl" }
    /// The file of the evaluation.
    public var evaluation: String { "\(path)/evaluation.json" }
    /// The file of what the run gave in a protocol.
    var result: String { "\(path)/result.json" }
    /// The file of the newest checkpoint.
    public var checkpoint: String { "\(path)/checkpoint.safetensors" }
    /// The file of the checkpoint before it.
    public var previousCheckpoint: String { "\(path)/checkpoint.previous.safetensors" }

    /// Creates the folder where it is missing, and removes the temporary files of a run that was killed
    /// there.
    ///
    /// - Throws: `OCCError(.cannotCreate)` when it cannot be made or another process has it, `.inputOutput`
    ///   for a failing disk.
    public init(_ path: String) throws {
        self.path = path
        guard let (lock, warning) = try Self.lock(path) else {
            throw OCCError(
                .cannotCreate, "\(path): another process is running there",
                remedy: "Wait for it, or choose another \(setting: "out").")
        }
        (self.lock, self.warning) = (lock, warning)
        AtomicFile.removeStrays(in: path, of: warning == nil ? Self.names : [])
    }

    /// The same; nil where another process has the folder.
    init?(unlessTaken path: String) throws {
        self.path = path
        guard let (lock, warning) = try Self.lock(path) else { return nil }
        (self.lock, self.warning) = (lock, warning)
        AtomicFile.removeStrays(in: path, of: warning == nil ? Self.names : [])
    }

    /// Locks the folder, and says why that may not hold; nil where another process has it.
    private static func lock(_ path: String) throws -> (lock: Int32, warning: String?)? {
        try createFolder(path, remedy: "Choose another \(setting: "out").")
        let file = "\(path)/.lock"
        let lock = uninterrupted {
            PathText.with(file) { open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
        }
        guard lock >= 0 else {
            let code = errno
            throw OCCError(
                .init(errno: code, otherwise: .cannotCreate),
                "\(file): cannot be opened (\(errnoText(code)))",
                remedy: "Choose another \(setting: "out").")
        }
        guard uninterrupted({ flock(lock, LOCK_EX | LOCK_NB) }) != 0 else { return (lock, nil) }
        let code = errno
        if [ENOSYS, EOPNOTSUPP, ENOLCK, EINVAL].contains(code) {
            return (
                lock,
                "\(path): its file system has no locks (\(errnoText(code))); see to it that no other process runs there"
            )
        }
        close(lock)
        guard code == EWOULDBLOCK else {
            throw OCCError(.inputOutput, "\(file): cannot be locked (\(errnoText(code)))")
        }
        return nil
    }

    /// What a run leaves.
    private static let names = [
        "config.json", "checkpoint.safetensors", "checkpoint.previous.safetensors", "metrics.jsonl",
        "model.safetensors", "evaluation.json", "report.html", "result.json",
    ]

    deinit { close(lock) }

    /// Whether an earlier run left anything.
    public var isUsed: Bool {
        [configuration, checkpoint, previousCheckpoint, model].contains(where: pathExists)
    }

    /// Removes what an earlier run left.
    public func clear() throws {
        for name in Self.names {
            let code = removeFile("\(path)/\(name)")
            guard code == 0 || code == ENOENT else {
                throw OCCError(
                    .inputOutput, "\(path)/\(name): cannot be removed (\(errnoText(code)))")
            }
        }
    }

    // MARK: Checkpoints

    /// Writes a checkpoint; both that are there stay until the new one has been read back and found sound.
    /// Then the newer of them is the one before.
    public func save(_ file: TensorFile) throws {
        var sealed = file
        sealed.metadata["checksum"] = checksum(of: file)
        try AtomicFile.write(try sealed.encoded(), to: checkpoint) { temporary in
            _ = try Self.read(temporary)
            try keepAsPrevious()
        }
    }

    /// Gives the newest checkpoint the name of the one before: a second name, where the file system has that,
    /// so that there are two whatever happens.
    private func keepAsPrevious() throws {
        let linked = "\(previousCheckpoint).link"
        removeFile(linked)
        let from =
            PathText.with(checkpoint) { old in
                PathText.with(linked) { new in uninterrupted { link(old, new) } }
            } == 0 ? linked : checkpoint
        guard !renamed(from, previousCheckpoint) else {
            // Of two names of one file, renaming leaves both.
            if from == linked { removeFile(linked) }
            return
        }
        let code = errno
        if from == linked { removeFile(linked) }
        guard code == ENOENT else {
            throw OCCError(
                .inputOutput,
                "\(checkpoint): cannot be renamed to \(previousCheckpoint) (\(errnoText(code)))",
                remedy: "Check the disk; the checkpoint is untouched.")
        }
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
    /// - Throws: `OCCError(.badData)` when there are checkpoints and none is sound, `.inputOutput` when one
    ///   cannot be read.
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
        for path in paths {
            guard let bytes = try readFileIfPresent(path) else { continue }
            do {
                return Checkpoint(file: try read(bytes, path), path: path, warning: warnings.first)
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
        try read(try readFile(path), path)
    }

    private static func read(_ bytes: [UInt8], _ path: String) throws -> TensorFile {
        var file = try TensorFile(bytes: bytes, name: path)
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
