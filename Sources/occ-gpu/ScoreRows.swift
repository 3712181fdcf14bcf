import Foundation
import OCCCommandLine
import OneClass

/// Rows of comma-separated values, after RFC 4180.
enum CSV {
    /// The fields of a row in one line, without its end; line breaks within quotes stand as they are.
    static func row(_ fields: [String]) -> String { fields.map(quoted).joined(separator: ",") }

    /// A field, in quotes where it takes them. By bytes: what follows a comma or a quote may combine with it
    /// to one character.
    private static func quoted(_ field: String) -> String {
        let special = [",", "\"", "\n", "\r"].map { $0.utf8.first! }
        guard field.utf8.contains(where: special.contains) else { return field }
        let quote = UInt8(ascii: "\"")
        let inner = field.utf8.flatMap { $0 == quote ? [quote, quote] : [$0] }
        return "\"\(String(decoding: inner, as: UTF8.self))\""
    }
}

/// What is said of an image: its score, and where the model is calibrated for it, the rest.
struct ScoreRow {
    static let columns = ["file", "score", "p_value", "alarm"]

    let path: String
    let score: Double
    let pValue: Double?
    let alarm: Bool?

    /// - Parameter isCalibrated: whether the image is of the size that the threshold is for.
    init(_ path: String, _ score: Double, _ calibration: ThresholdCalibration, isCalibrated: Bool = true) {
        self.path = path
        self.score = score
        pValue = isCalibrated ? calibration.pValue(score) : nil
        alarm = isCalibrated || calibration.isStated ? calibration.isAlarm(score) : nil
    }

    /// The fields of a CSV row; empty where nothing can be said.
    var fields: [String] { [path, "\(score)", pValue.map { "\($0)" } ?? "", alarm.map { "\($0)" } ?? ""] }

    /// A JSON object on one line; null where nothing can be said.
    func json() throws -> String {
        try Self.json([
            "file": path, "score": score, "p_value": pValue as Any? ?? NSNull(),
            "alarm": alarm as Any? ?? NSNull(),
        ])
    }

    /// An object on one line, its keys sorted.
    static func json(_ fields: [String: Any]) throws -> String {
        let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
        return String(
            decoding: try JSONSerialization.data(withJSONObject: fields, options: options), as: UTF8.self)
    }
}
