import Foundation
import Testing

/// An event of a file for TensorBoard, read without anything that the writer uses.
struct ReadEvent {
    var time = 0.0, step = 0, version: String?, isStart = false
    var scalars: [String: Float] = [:]
    var pictures: [String: (width: Int, height: Int, png: [UInt8])] = [:]

    /// The whole records of a file; what is left after them is no error.
    static func all(_ bytes: [UInt8]) throws -> (events: [ReadEvent], left: Int) {
        var events: [ReadEvent] = [], at = 0
        func little(_ place: Int, _ count: Int) -> UInt64 {
            (0..<count).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
        }
        while at + 16 <= bytes.count {
            let length = Int(little(at, 8))
            guard at + 16 + length <= bytes.count else { break }
            let content = Array(bytes[at + 12..<at + 12 + length])
            #expect(UInt32(little(at + 8, 4)) == masked(Array(bytes[at..<at + 8])))
            #expect(UInt32(little(at + 12 + length, 4)) == masked(content))
            events.append(try ReadEvent(content))
            at += 16 + length
        }
        return (events, bytes.count - at)
    }

    /// TFRecord's form of a checksum.
    static func masked(_ bytes: [UInt8]) -> UInt32 {
        let crc = checksum(bytes)
        return ((crc >> 15) | (crc << 17)) &+ 0xa282ead8
    }

    /// CRC-32C by a table of the polynomial as it is written, from the highest bit: every byte is turned
    /// around before, and the sum after.
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        func reversed<Number: FixedWidthInteger>(_ number: Number) -> Number {
            (0..<Number.bitWidth).reduce(0) { $0 << 1 | (number >> Number($1) & 1) }
        }
        let table = (0..<256).map { byte -> UInt32 in
            var rest = UInt32(byte) << 24
            for _ in 0..<8 { rest = rest & 0x8000_0000 != 0 ? (rest << 1) ^ 0x1edc_6f41 : rest << 1 }
            return rest
        }
        var crc = UInt32.max
        for byte in bytes { crc = (crc << 8) ^ table[Int(UInt8(crc >> 24) ^ reversed(byte))] }
        return ~reversed(crc)
    }

    private init(_ message: [UInt8]) throws {
        for (field, value) in try Self.fields(message) {
            switch (field, value) {
            case (1, .fixed(let bits)): time = Double(bitPattern: bits)
            case (2, .varint(let number)): step = Int(number)
            case (3, .bytes(let text)): version = String(decoding: text, as: UTF8.self)
            case (7, .bytes(let session)):
                for case (1, .varint(1)) in try Self.fields(session) { isStart = true }
            case (5, .bytes(let summary)):
                for case (1, .bytes(let one)) in try Self.fields(summary) { try add(one) }
            default: Issue.record("field \(field) of an event")
            }
        }
    }

    private mutating func add(_ value: [UInt8]) throws {
        var tag = ""
        for (field, value) in try Self.fields(value) {
            switch (field, value) {
            case (1, .bytes(let text)): tag = String(decoding: text, as: UTF8.self)
            case (2, .fixed(let bits)): scalars[tag] = Float(bitPattern: UInt32(bits))
            case (4, .bytes(let image)):
                var picture = (width: 0, height: 0, png: [UInt8]())
                for (field, value) in try Self.fields(image) {
                    switch (field, value) {
                    case (1, .varint(let height)): picture.height = Int(height)
                    case (2, .varint(let width)): picture.width = Int(width)
                    case (4, .bytes(let png)): picture.png = png
                    default: break
                    }
                }
                pictures[tag] = picture
            default: Issue.record("field \(field) of a value")
            }
        }
    }

    private enum Field { case varint(UInt64), fixed(UInt64), bytes([UInt8]) }

    private static func fields(_ message: [UInt8]) throws -> [(Int, Field)] {
        var result: [(Int, Field)] = [], rest = message[...]
        func varint() throws -> UInt64 {
            var number: UInt64 = 0, shift: UInt64 = 0
            while true {
                let next = rest.popFirst(), byte = try #require(next)
                number |= UInt64(byte & 127) << shift
                if byte < 128 { return number }
                shift += 7
            }
        }
        func take(_ count: Int) throws -> [UInt8] {
            try #require(rest.count >= count)
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        while !rest.isEmpty {
            let key = try varint(), field = Int(key >> 3)
            switch key & 7 {
            case 0: result.append((field, .varint(try varint())))
            case 2: result.append((field, .bytes(try take(Int(try varint())))))
            case let wire where wire == 1 || wire == 5:
                let bytes = try take(wire == 1 ? 8 : 4)
                result.append(
                    (field, .fixed(bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })))
            default: Issue.record("wire type \(key & 7)")
            }
        }
        return result
    }
}
