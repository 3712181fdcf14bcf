import Foundation
import OCCEngine

extension JSONEncoder {
    /// Equal values give equal bytes.
    static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}

extension RunConfiguration {
    /// The configuration as JSON with sorted keys.
    public func json(pretty: Bool = false) throws -> String {
        let encoder = JSONEncoder.sorted
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// Reads a configuration: keys that are absent keep their defaults, keys that do not exist are errors.
    ///
    /// - Parameter name: what errors call the file.
    /// - Throws: `OCCError(.badData)` naming the file and the key.
    public init(json bytes: [UInt8], name: String) throws {
        func fail(_ why: String) -> OCCError {
            OCCError(.badData, "\(name): \(why)", remedy: "See config.json of a finished run for every key.")
        }
        guard let root = try? JSONSerialization.jsonObject(with: Data(bytes)),
            let given = root as? [String: Any]
        else {
            throw fail("is not a JSON object")
        }
        let known =
            try JSONSerialization.jsonObject(with: Data(try Self.complete.json().utf8)) as! [String: Any]
        var merged =
            try JSONSerialization.jsonObject(with: Data(try RunConfiguration().json().utf8)) as! [String: Any]
        func merge(
            _ given: [String: Any], into target: inout [String: Any], known: [String: Any], path: String
        ) throws {
            for (key, value) in given {
                guard let reference = known[key] else {
                    let nearest =
                        nearestMatch(to: key, in: Array(known.keys)).map { "; did you mean '\($0)'?" } ?? ""
                    throw fail("unknown key '\(path)\(key)'\(nearest)")
                }
                if let inner = value as? [String: Any], let reference = reference as? [String: Any] {
                    var nested = target[key] as? [String: Any] ?? [:]
                    try merge(inner, into: &nested, known: reference, path: "\(path)\(key).")
                    target[key] = nested
                } else {
                    target[key] = value
                }
            }
        }
        try merge(given, into: &merged, known: known, path: "")
        do {
            self = try JSONDecoder().decode(Self.self, from: JSONSerialization.data(withJSONObject: merged))
        } catch let DecodingError.typeMismatch(_, context), let DecodingError.valueNotFound(_, context),
            let DecodingError.dataCorrupted(context)
        {
            let key = context.codingPath.map(\.stringValue).joined(separator: ".")
            throw fail("key '\(key)': \(context.debugDescription)")
        }
    }

    /// The keys, dotted, in which this configuration differs from another.
    public func differences(from other: RunConfiguration) throws -> [String] {
        func flat(_ value: Any, _ path: String, into result: inout [String: String]) {
            guard let map = value as? [String: Any] else {
                result[path] = "\(value)"
                return
            }
            for (key, inner) in map { flat(inner, path.isEmpty ? key : "\(path).\(key)", into: &result) }
        }
        var mine: [String: String] = [:], theirs: [String: String] = [:]
        flat(try JSONSerialization.jsonObject(with: Data(try json().utf8)), "", into: &mine)
        flat(try JSONSerialization.jsonObject(with: Data(try other.json().utf8)), "", into: &theirs)
        return Set(mine.keys).union(theirs.keys).filter { mine[$0] != theirs[$0] }.sorted()
    }

    /// Every optional filled in, so that its key shows.
    private static var complete: RunConfiguration {
        var result = RunConfiguration()
        result.normal = ""
        (result.imageSize, result.labeledNormals, result.maxTrain, result.maxTest) = (0, 0, 0, 0)
        (result.head, result.batch, result.steps) = ([], 0, 0)
        (result.augment, result.patch, result.stride) = ("", 0, 0)
        (result.detectorOptions.gamma, result.detectorOptions.shrinkage) = (0, 0)
        return result
    }
}

/// The candidate with the fewest edits from `text`, if it takes few enough to be a slip.
public func nearestMatch(to text: String, in candidates: [String]) -> String? {
    func distance(_ a: [Character], _ b: [Character]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                (diagonal, row[j + 1]) = (
                    row[j + 1], min(row[j + 1] + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
                )
            }
        }
        return row[b.count]
    }
    let scored = candidates.sorted().map { (distance(Array(text), Array($0)), $0) }
    guard let best = scored.min(by: { $0.0 < $1.0 }), best.0 <= max(2, text.count / 3) else { return nil }
    return best.1
}
