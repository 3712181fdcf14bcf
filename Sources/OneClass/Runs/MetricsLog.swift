import Foundation
import OCCEngine

/// The log metrics.jsonl: one JSON object a line, flushed line by line.
public final class MetricsLog {
    private let file: AppendedFile

    /// Opens the log, without what lies beyond `step`: a resumed run writes those lines again. A torn last
    /// line goes too.
    ///
    /// - Throws: `OCCError(.inputOutput)` or `.cannotCreate` naming the file; what was in it is there still.
    public init(_ path: String, resumingAt step: Int) throws {
        let old = try readFileIfPresent(path) ?? []
        var kept: [UInt8] = []
        for line in step > 0 ? old.split(separator: UInt8(ascii: "\n")) : [] {
            let record = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
            if let own = record?["step"] as? Int, own <= step { kept += line + [UInt8(ascii: "\n")] }
        }
        if kept != old || old.isEmpty { try AtomicFile.write(kept, to: path) }
        file = try AppendedFile(
            path, flags: O_APPEND, size: kept.count, remedy: "Check the path and its permissions.")
    }

    /// Appends a record as one line, in the file when this returns.
    ///
    /// - Parameter seconds: since the record before.
    /// - Throws: `OCCError(.inputOutput)` naming the file; no part of the line stays.
    public func append(_ record: StepRecord, seconds: Double? = nil) throws {
        var fields: [String: Any] = [
            "step": record.step, "loss": number(record.loss), "learning_rate": number(record.learningRate),
            "gradient_norm": number(record.collapse.gradientNorm), "spread": number(record.collapse.spread),
            "effective_rank": number(record.collapse.effectiveRank),
            "images_per_second": number(record.imagesPerSecond.rounded()),
        ]
        if let sphere = record.sphere {
            fields["alignment"] = number(sphere.alignment)
            fields["uniformity"] = number(sphere.uniformity)
        }
        // To the microsecond: more digits are noise.
        if let seconds { fields["seconds"] = number((seconds * 1e6).rounded() / 1e6) }
        var line = try JSONSerialization.data(withJSONObject: fields, options: [.sortedKeys])
        line.append(0x0A)
        try file.append(line)
    }

    /// Writes a number as text where JSON has none: infinities and NaN.
    private func number(_ value: Double) -> Any { value.isFinite ? value : NSNull() }
}
