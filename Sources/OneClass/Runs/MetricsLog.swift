import Foundation
import OCCEngine

/// The log metrics.jsonl: one JSON object a line, flushed line by line.
public final class MetricsLog {
    private let path: String
    private let descriptor: Int32
    /// The bytes of the whole lines.
    private var size: Int

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
        self.path = path
        size = kept.count
        descriptor = uninterrupted {
            PathText.with(path) { open($0, O_WRONLY | O_APPEND | O_CLOEXEC) }
        }
        guard descriptor >= 0 else {
            let code = errno
            throw OCCError(
                .init(errno: code, otherwise: .cannotCreate),
                "\(path): cannot be opened for writing (\(errnoText(code)))",
                remedy: "Check the path and its permissions.")
        }
    }

    deinit { close(descriptor) }

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
        let code = line.withUnsafeBytes { writeAll($0, to: descriptor) }
        guard code == 0 else {
            ftruncate(descriptor, off_t(size))
            throw OCCError(
                .inputOutput, "\(path): writing failed (\(errnoText(code)))",
                remedy: "Check the disk's free space, and run the same command again.")
        }
        size += line.count
    }

    /// Writes a number as text where JSON has none: infinities and NaN.
    private func number(_ value: Double) -> Any { value.isFinite ? value : NSNull() }
}
