/// A message in the wire format of protocol buffers, field by field
/// (https://protobuf.dev/programming-guides/encoding).
package struct ProtocolBuffer {
    /// The bytes so far.
    package private(set) var encoded: [UInt8] = []

    package init() {}

    /// Appends a whole number: `int64` and enumerations.
    package mutating func integer(_ field: Int, _ value: Int) {
        varint(UInt64(field) << 3)
        varint(UInt64(bitPattern: Int64(value)))
    }

    /// Appends a number of single precision.
    package mutating func real(_ field: Int, _ value: Float) {
        varint(UInt64(field) << 3 | 5)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { encoded += $0 }
    }

    /// Appends a number of double precision.
    package mutating func double(_ field: Int, _ value: Double) {
        varint(UInt64(field) << 3 | 1)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { encoded += $0 }
    }

    /// Appends text.
    package mutating func text(_ field: Int, _ value: String) { bytes(field, Array(value.utf8)) }

    /// Appends bytes, after their number.
    package mutating func bytes(_ field: Int, _ value: [UInt8]) {
        varint(UInt64(field) << 3 | 2)
        varint(UInt64(value.count))
        encoded += value
    }

    /// Appends a message within the message.
    package mutating func message(_ field: Int, _ value: ProtocolBuffer) { bytes(field, value.encoded) }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            encoded.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        encoded.append(UInt8(rest))
    }
}
