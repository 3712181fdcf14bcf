import OCCEngine

/// Damaged versions of a file: truncated, with flipped bits, with overwritten, doubled or removed stretches,
/// with extreme numbers in the header, and random from the start.
public struct Mutations {
    private var random: CounterRandom
    private let original: [UInt8]

    /// - Parameters:
    ///   - original: the sound file.
    ///   - seed: of the damage.
    public init(of original: [UInt8], seed: UInt64 = 1) {
        self.original = original
        random = CounterRandom(seed: seed, stream: 0xF022)
    }

    private mutating func below(_ limit: Int) -> Int { Int(random.uniform() * Double(max(1, limit))) }

    /// The next damaged version.
    public mutating func next() -> [UInt8] {
        var bytes = original
        // Headers decide more than pixels do: half of the damage goes there.
        let reach = below(2) == 0 ? min(64, bytes.count) : bytes.count
        switch below(7) {
        case 0: bytes.removeLast(below(bytes.count) + 1)
        case 1:
            for _ in 0..<(1 + below(8)) { bytes[below(reach)] ^= 1 << UInt8(below(8)) }
        case 2:
            let start = below(reach)
            for index in start..<min(bytes.count, start + 1 + below(16)) { bytes[index] = UInt8(below(256)) }
        case 3:
            let start = below(bytes.count), end = min(bytes.count, start + below(64))
            bytes.insert(contentsOf: bytes[start..<end], at: start)
        case 4:
            let start = below(bytes.count)
            bytes.removeSubrange(start..<min(bytes.count, start + 1 + below(64)))
        case 5:
            let extremes: [UInt8] = [0x00, 0x7F, 0x80, 0xFF]
            let start = below(reach), value = extremes[below(4)]
            for index in start..<min(bytes.count, start + 4) { bytes[index] = value }
        default:
            for index in below(bytes.count)..<bytes.count { bytes[index] = UInt8(below(256)) }
        }
        return bytes
    }
}

/// Feeds 2,000 damaged versions of `original` to a reader: each must give a value or an `OCCError` that names
/// the file.
///
/// - Returns: what went wrong, and how many were refused.
public func fuzz(_ original: [UInt8], name: String, _ read: ([UInt8]) throws -> Void) -> (
    failures: [String], refused: Int
) {
    var mutations = Mutations(of: original), failures: [String] = [], refused = 0
    for index in 0..<2000 {
        do {
            try read(mutations.next())
        } catch let error as OCCError {
            refused += 1
            if !error.message.contains(name) {
                failures.append("mutation \(index): '\(error.message)' does not name the file")
            }
        } catch {
            failures.append("mutation \(index): \(error)")
        }
    }
    return (failures, refused)
}
