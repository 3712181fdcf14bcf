import Foundation
import OneClass

/// Standard output, which is for results, and standard error, which is for people.
///
/// Neither is buffered, so that what a command has found is out when it is stopped. A result that cannot be
/// written is an error; a word to people that cannot is not.
package enum StandardStreams {
    /// Whether a reader that is gone ends the process quietly, as is the custom; not where SIGPIPE was
    /// ignored.
    nonisolated(unsafe) private static var endsWithReader = true

    /// Whether nothing is said: of several ranks, one speaks.
    nonisolated(unsafe) static var isSilent = false

    /// Makes the descriptors safe: files that are opened later do not take the place of a closed one, and a
    /// reader that is gone is an error to report, not a signal.
    static func prepare() {
        let before = signal(SIGPIPE, SIG_IGN)
        endsWithReader = unsafeBitCast(before, to: Int.self) != unsafeBitCast(SIG_IGN, to: Int.self)
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) < 0 {
            // What is written to a closed standard output is lost, and must fail: it is opened for reading.
            let mode = descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY
            if open("/dev/null", mode) < 0 { _ = open("/", O_RDONLY) }
        }
    }

    /// Writes to standard error, a line or a part of one.
    static func writeError(_ text: String) {
        _ = PathText.encode(text).withUnsafeBytes { writeAll($0, to: STDERR_FILENO) }
    }

    fileprivate static func writeOutput(_ text: String) throws {
        let code = PathText.encode(text).withUnsafeBytes { writeAll($0, to: STDOUT_FILENO) }
        if code == EPIPE, endsWithReader { _exit(128 + SIGPIPE) }
        guard code == 0 else { throw lost(code) }
    }

    /// Closes standard output: some file systems tell only then that what was written is lost.
    static func closeOutput() throws {
        guard close(STDOUT_FILENO) != 0 else { return }
        let code = errno
        if [EIO, ENOSPC, EDQUOT, EFBIG].contains(code) { throw lost(code) }
    }

    private static func lost(_ code: Int32) -> OCCError {
        OCCError(
            .inputOutput, "standard output: writing failed (\(errnoText(code)))",
            remedy: code == EPIPE ? nil : "The results are not whole: write them elsewhere.")
    }
}

/// Writes a line to standard error, which is for people.
package func say(_ text: String) {
    guard !StandardStreams.isSilent else { return }
    WorkReporter.clearLine()
    StandardStreams.writeError(text + "\n")
}

/// Writes a line to standard output, which is for results.
///
/// - Throws: `OCCError(.inputOutput)` when it cannot be written.
package func emit(_ text: String) throws {
    guard !StandardStreams.isSilent else { return }
    if isatty(STDOUT_FILENO) == 1 { WorkReporter.clearLine() }
    try StandardStreams.writeOutput(text + "\n")
}

/// Writes a JSON object to standard output.
package func emitJSON(_ object: [String: Any]) throws {
    let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    try emit(
        String(decoding: try JSONSerialization.data(withJSONObject: object, options: options), as: UTF8.self))
}
