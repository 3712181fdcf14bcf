import OCCData
import OCCEngine
import Testing

/// The fast path of PNG against libpng's, which a file takes that has an eXIf chunk, by files made here: every
/// filter, one or more chunks of pixels, and damage.
@Suite struct PlainPNGTests {
    private static let crcTable: [UInt32] = (0..<256).map { index in
        var value = UInt32(index)
        for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0xEDB8_8320 : value >> 1 }
        return value
    }

    private static func big(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(type.utf8) + data
        var crc = UInt32.max
        for byte in body { crc = crcTable[Int((crc ^ UInt32(byte)) & 255)] ^ (crc >> 8) }
        return big(data.count) + body + big(Int(~crc))
    }

    /// Stored, not compressed.
    private static func zlib(_ bytes: [UInt8]) -> [UInt8] {
        var a = 1, b = 0
        for byte in bytes {
            a = (a + Int(byte)) % 65521
            b = (b + a) % 65521
        }
        let length = [UInt8(truncatingIfNeeded: bytes.count), UInt8(truncatingIfNeeded: bytes.count >> 8)]
        var result: [UInt8] = [0x78, 0x01, 1]
        result += length + length.map { ~$0 }
        result += bytes
        return result + big(b << 16 | a)
    }

    private struct File {
        var width = 7, height = 23, channels = 3
        var filters: [UInt8] = [0, 1, 2, 3, 4]
        var parts = 1
        var seed: UInt64 = 1

        /// - Parameter extra: what stands between the header and the pixels.
        func bytes(_ extra: [UInt8] = []) -> [UInt8] {
            var random = CounterRandom(seed: seed, stream: UInt32(width))
            var rows: [UInt8] = []
            for row in 0..<height {
                rows.append(filters[row % filters.count])
                // Small differences, so that every branch of the predictor is taken; and any.
                for _ in 0..<width * channels {
                    let value = random.uniform()
                    rows.append(
                        row < height / 2 ? UInt8(value * 256) : UInt8(truncatingIfNeeded: Int(value * 7) - 3))
                }
            }
            let data = PlainPNGTests.zlib(rows), size = (data.count + parts - 1) / parts
            let pixels = (0..<parts).flatMap { part in
                chunk("IDAT", Array(data[min(part * size, data.count)..<min((part + 1) * size, data.count)]))
            }
            let header = big(width) + big(height) + [8, channels == 3 ? 2 : 0, 0, 0, 0]
            var file: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10]
            file += chunk("IHDR", header) + extra
            file += pixels + chunk("IEND", [])
            return file
        }
    }

    /// An orientation that says nothing.
    private static let exif = chunk("eXIf", [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0, 0, 0])

    @Test(arguments: [1, 3], [1, 2, 5, 6, 16, 33])
    func bothPathsAgree(_ channels: Int, _ width: Int) throws {
        for filters in [[0], [1], [2], [3], [4], [4, 1, 3, 2, 0]] as [[UInt8]] {
            for parts in [1, 3] {
                let file = File(width: width, channels: channels, filters: filters, parts: parts)
                let plain = try RGBImage(bytes: file.bytes(), name: "plain")
                #expect(plain == (try RGBImage(bytes: file.bytes(Self.exif), name: "libpng")))
                #expect((plain.width, plain.height) == (width, 23))
            }
        }
    }

    /// Text, times and the like are passed over; a damaged one does not matter, as with libpng.
    @Test func otherChunksDoNotMatter() throws {
        let file = File(), image = try RGBImage(bytes: file.bytes(), name: "plain")
        var damaged = Self.chunk("tEXt", Array("Comment\0none".utf8))
        damaged[10] ^= 1
        for extra in [
            Self.chunk("tEXt", Array("Comment\0none".utf8)), Self.chunk("gAMA", Self.big(45455)), damaged,
        ] {
            #expect(try RGBImage(bytes: file.bytes(extra), name: "extra") == image)
        }
    }

    @Test func damageIsAnError() throws {
        let sound = File(parts: 2).bytes()
        func refused(_ what: String, _ bytes: [UInt8]) {
            let error = #expect(throws: OCCError.self, "\(what)") {
                try RGBImage(bytes: bytes, name: "x.png")
            }
            #expect(error?.message.hasPrefix("x.png: ") == true)
        }
        for index in sound.indices where index < 33 || index > 40 {
            var bytes = sound
            bytes[index] ^= 1
            refused("bit 0 of byte \(index)", bytes)
        }
        for end in 0..<sound.count { refused("cut at \(end)", Array(sound[..<end])) }
        refused("a filter that there is not", File(filters: [5]).bytes())
        refused(
            "too few rows", File(height: 22).bytes().enumerated().map { $0.offset == 23 ? 23 : $0.element })
        refused("a chunk that must be known", File().bytes(Self.chunk("ABCD", [1, 2, 3])))
    }

    @Test func decodingAndFittingAtOnceIsTheSame() throws {
        for fit in Fit.allCases {
            let bytes = File(width: 31).bytes(), whole = try RGBImage(bytes: bytes, name: "x")
            #expect(
                try RGBImage(bytes: bytes, name: "x", side: 8, fit: fit) == whole.resized(to: 8, fit: fit))
        }
        let deep = try encodePNG(gray: (0..<64).map { UInt16($0 * 64) }, width: 8)
        let image = try RGBImage(bytes: deep, name: "16", white: 4095, side: 8)
        #expect(image.largestSample == 63 * 64)
        #expect(image == (try RGBImage(bytes: deep, name: "16", white: 4095)))
    }
}
