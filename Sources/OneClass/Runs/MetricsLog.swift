import Foundation
import OCCEngine

/// The log metrics.jsonl: one JSON object a line, flushed line by line.
public final class MetricsLog {
    private let handle: FileHandle

    /// Opens the log, without what lies beyond `step`: a resumed run writes those lines again. A torn last
    /// line goes too.
    public init(_ path: String, resumingAt step: Int) throws {
        var kept: [Substring] = []
        if step > 0, let text = try? String(contentsOfFile: path, encoding: .utf8) {
            kept = text.split(separator: "\n").filter { line in
                let record = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                return (record?["step"] as? Int).map { $0 <= step } ?? false
            }
        }
        try AtomicFile.write(Array(kept.map { $0 + "\n" }.joined().utf8), to: path)
        guard let handle = FileHandle(forWritingAtPath: path) else {
            throw OCCError(.cannotCreate, "\(path): cannot be opened for writing")
        }
        self.handle = handle
        try handle.seekToEnd()
    }

    deinit { try? handle.close() }

    /// Appends a record as one line, in the file when this returns.
    public func append(_ record: StepRecord) throws {
        let fields: [String: Any] = [
            "step": record.step, "loss": number(record.loss), "learning_rate": number(record.learningRate),
            "gradient_norm": number(record.collapse.gradientNorm), "spread": number(record.collapse.spread),
            "effective_rank": number(record.collapse.effectiveRank),
            "images_per_second": number(record.imagesPerSecond.rounded()),
        ]
        var line = try JSONSerialization.data(withJSONObject: fields, options: [.sortedKeys])
        line.append(0x0A)
        try handle.write(contentsOf: line)
    }

    /// Writes a number as text where JSON has none: infinities and NaN.
    private func number(_ value: Double) -> Any { value.isFinite ? value : NSNull() }
}
