import Foundation
import OCCEngine

/// A file of events as TensorBoard reads it: records of TensorFlow's TFRecord format, each with its
/// checksums.
///
/// A record is written in one go, so that a process that is killed leaves whole ones and at most the
/// beginning of another, which readers pass over.
package final class EventFile {
    private let file: AppendedFile

    /// Makes a new file.
    ///
    /// - Throws: `OCCError(.cannotCreate)` naming it, `.inputOutput` for a failing disk.
    package init(creating path: String) throws {
        file = try AppendedFile(
            path, flags: O_CREAT | O_EXCL | O_APPEND, remedy: "Choose another \(setting: "tensorboard").")
    }

    /// Appends an event, in the file when this returns.
    ///
    /// - Throws: `OCCError(.inputOutput)` naming the file; no part of the record stays.
    package func append(_ event: TensorBoardEvent) throws {
        try file.append(Self.record(event.message.encoded))
    }

    /// The length in 8 bytes and its checksum, the bytes and theirs; all numbers are little-endian.
    package static func record(_ bytes: [UInt8]) -> [UInt8] {
        func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
            withUnsafeBytes(of: number.littleEndian, Array.init)
        }
        let length = little(UInt64(bytes.count))
        return length + little(maskedChecksum(length)) + bytes + little(maskedChecksum(bytes))
    }

    /// CRC-32C as TFRecord stores it: turned and moved, so that a checksum of bytes with checksums in them is
    /// no weaker.
    private static func maskedChecksum(_ bytes: [UInt8]) -> UInt32 {
        let crc = crc32C(bytes)
        return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    }

    /// The cyclic redundancy check by Castagnoli's polynomial, bits reversed (RFC 3720, appendix B.4).
    package static func crc32C(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { crc, byte in table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ crc >> 8
        }
    }

    /// What each byte adds.
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
}
