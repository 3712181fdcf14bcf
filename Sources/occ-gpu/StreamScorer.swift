import Foundation
import OCCCommandLine
import OneClass

/// Scores paths one by one as they come, each answered at once by a line: its score, or why there is none.
struct StreamScorer {
    private let model: OneClassModel
    private let format: ScoreFormat
    private var answered = 0, failed = 0

    /// Prints the head of the rows, where the format has one.
    init(_ model: OneClassModel, _ format: ScoreFormat) throws {
        (self.model, self.format) = (model, format)
        if format == .csv { try emit(CSV.row(ScoreRow.columns + ["error"])) }
    }

    /// Answers a path by one line.
    ///
    /// - Throws: only for what ends the loop: an answer that cannot be written, a model that gives no score.
    mutating func answer(_ path: String) throws {
        answered += 1
        guard !path.isEmpty else { return try refuse(path, "an empty line names no file") }
        let loaded: Result<[UInt8], OCCError>
        do { loaded = try loadImages([path], model.imageLoading)[0] } catch let error as OCCError {
            // A disk's failure says nothing about the next file.
            loaded = .failure(error)
        }
        switch loaded {
        case .failure(let error): try refuse(path, error.message)
        case .success(let pixels):
            let score = try model.score(ImageBatch(side: model.side, pixels: pixels))[0]
            let row = ScoreRow(path, score, model.calibration)
            try emit(format == .csv ? CSV.row(row.fields + [""]) : row.json())
        }
    }

    private mutating func refuse(_ path: String, _ why: String) throws {
        failed += 1
        try emit(
            format == .csv ? CSV.row([path, "", "", "", why]) : ScoreRow.json(["file": path, "error": why]))
    }

    /// Says in the end how it went.
    ///
    /// - Throws: `OCCError(.badData)` when there was a path without a score.
    func finish() throws {
        guard failed > 0 else { return }
        throw OCCError(
            .badData, "\(failed) of \(counted(answered, "file")) could not be scored; the others are done")
    }
}

/// Gives each line of standard input to `body` as soon as it is whole; the last one may lack its end, which is a line feed,
/// or a carriage return and a line feed.
///
/// - Throws: `OCCError(.inputOutput)` when standard input cannot be read.
func forEachInputLine(_ body: (String) throws -> Void) throws {
    var rest: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = uninterrupted { read(STDIN_FILENO, &buffer, buffer.count) }
        guard count >= 0 else {
            throw OCCError(.inputOutput, "standard input: reading failed (\(errnoText(errno)))")
        }
        guard count > 0 else { break }
        rest += buffer[..<count]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = withoutReturn(rest[..<end])
            rest.removeSubrange(...end)
            try body(line)
        }
    }
    if !rest.isEmpty { try body(withoutReturn(rest[...])) }
}

/// The text of a line, without the carriage return that some systems end lines with too.
private func withoutReturn(_ line: ArraySlice<UInt8>) -> String {
    PathText.decode(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
}
