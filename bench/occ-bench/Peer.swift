import Foundation
import OneClass

/// A Python process that does the same work: it gets a job once, then one repetition for every line it is
/// sent, so that its repetitions and ours alternate.
final class Peer {
    private let process = Process()
    private let input = Pipe(), output = Pipe()
    private var pending = Data()
    /// What it calls itself, with versions.
    private(set) var name = ""

    /// - Parameters:
    ///   - python: the interpreter, with PyTorch and scikit-learn.
    ///   - scripts: the folder of serve.py, where it is not bench/peers of the sources that this was built
    ///     from.
    ///   - job: what to do, as JSON; see bench/peers/serve.py.
    init(python: String, scripts: String?, job: [String: Any]) throws {
        let folder =
            scripts.map { URL(fileURLWithPath: $0) }
            ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("peers")
        let script = folder.appendingPathComponent("serve.py")
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [python, script.path]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        input.fileHandleForWriting.write(try JSONSerialization.data(withJSONObject: job) + Data([0x0A]))
        guard let hello = try reply()["name"] as? String else { throw failure("it said nothing") }
        name = hello
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Does the job `count` times; the seconds of each, and the process's peak memory.
    func repetition(count: Int) throws -> (seconds: Double, peakBytes: Int) {
        input.fileHandleForWriting.write(Data("\(count)\n".utf8))
        // Its threads wait actively for a while after their work.
        defer { usleep(300_000) }
        let answer = try reply()
        guard let seconds = answer["seconds"] as? Double, let bytes = answer["peak_bytes"] as? Int else {
            throw failure("its answer is malformed")
        }
        return (seconds / Double(count), bytes)
    }

    private func failure(_ why: String) -> OCCError {
        OCCError(
            .failure, "bench/peers/serve.py: \(why)",
            remedy: "Give --python an interpreter that has torch and scikit-learn.")
    }

    private func reply() throws -> [String: Any] {
        while !pending.contains(0x0A) {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw failure("it ended") }
            pending += more
        }
        let end = pending.firstIndex(of: 0x0A)!
        let line = pending[pending.startIndex..<end]
        pending = Data(pending[(end + 1)...])
        guard let object = try? JSONSerialization.jsonObject(with: line) as? [String: Any] else {
            throw failure("it answered \(String(decoding: line, as: UTF8.self))")
        }
        return object
    }
}
