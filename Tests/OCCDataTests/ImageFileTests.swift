import Foundation
import OCCData
import OCCEngine
import TestSupport
import Testing

/// Image files of every kind against the pixels Pillow reads (Tests/Fixtures/make_image_fixtures.py).
@Suite struct ImageFileTests {
    private static let known = try! JSONDecoder().decode(
        [String: String].self,
        from: Data(contentsOf: URL(fileURLWithPath: fixturePath("images/expected.json"))))

    /// The pixels that Pillow reads; a file whose pixels another one has names that.
    private static func expected(_ name: String) throws -> [UInt8] {
        let text = try #require(known[name])
        return [UInt8](try #require(Data(base64Encoded: known[text] ?? text)))
    }

    private static func image(_ name: String, white: Int? = nil) throws -> RGBImage {
        try RGBImage(bytes: try readFile(fixturePath("images/\(name)")), name: name, white: white)
    }

    private func worst(_ image: RGBImage, _ expected: [UInt8]) -> Int {
        guard image.pixels.count == expected.count else { return .max }
        return zip(image.pixels, expected).map { abs(Int($0) - Int($1)) }.max()!
    }

    @Test(arguments: ["rgb.png", "gray.png", "gray-1bit.png", "palette.png", "gray-16bit.png"])
    func pngIsExact(_ name: String) throws {
        let image = try Self.image(name)
        #expect((image.width, image.height) == (17, 13))
        #expect(worst(image, try Self.expected(name)) == 0)
    }

    @Test(arguments: [
        "rgb24.bmp", "top-down.bmp", "palette8.bmp", "palette4.bmp", "palette1.bmp", "os2.bmp", "555.bmp",
        "565.bmp",
        "32.bmp", "rle8.bmp", "rle4.bmp", "moves.bmp",
        "p1.pbm", "p2.pgm", "p3.ppm", "p4.pbm", "p5.pgm", "p6.ppm", "16bit.pgm", "12bit.pgm",
        "raw.tif", "tiff_lzw.tif", "tiff_adobe_deflate.tif", "packbits.tif", "gray.tif", "16bit.tif",
        "group4.tif",
        "palette.tif", "two-pages.tif", "white-is-zero.tif", "big-endian.tif", "strips.tif", "planes.tif",
        "2bit.tif",
        "tiles.tif", "tiled-planes.tif", "on-black.tif",
        "lossless.webp",
    ])
    func losslessFilesAreExact(_ name: String) throws {
        let image = try Self.image(name)
        #expect((image.width, image.height) == (17, 13))
        #expect(worst(image, try Self.expected(name)) == 0)
    }

    @Test(arguments: ["rgba.png", "alpha.bmp", "alpha.tif", "alpha.webp"])
    func alphaIsLaidOnBlack(_ name: String) throws {
        #expect(worst(try Self.image(name), try Self.expected(name)) <= 1)
    }

    @Test(arguments: [
        "turned-1.jpg", "turned-2.jpg", "turned-3.jpg", "turned-4.jpg", "turned-5.jpg", "turned-6.jpg",
        "turned-7.jpg", "turned-8.jpg", "turned-6.png", "turned-6.tif", "turned-6.webp",
    ])
    func imagesAreTurned(_ name: String) throws {
        let image = try Self.image(name), isTall = "5678".contains(name.dropFirst(7).first!)
        #expect((image.width, image.height) == (isTall ? (13, 17) : (17, 13)))
        #expect(worst(image, try Self.expected(name)) <= (name.hasSuffix("jpg") ? 2 : 0))
    }

    /// Decoders may round differently.
    @Test(arguments: [
        "rgb.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg", "ycck.jpg", "cmyk-plain.jpg", "jpeg.tif",
        "lossy.webp",
    ])
    func lossyFilesAreClose(_ name: String) throws {
        #expect(worst(try Self.image(name), try Self.expected(name)) <= 2)
    }

    @Test(arguments: [32, 8], Fit.allCases)
    func resizingAgreesWithPillow(_ side: Int, _ fit: Fit) throws {
        let resized = try Self.image("noise.png").resized(to: side, fit: fit)
        #expect(worst(resized, try Self.expected("noise.png@\(side)-\(fit)")) <= 1)
    }

    /// Every sample as it is and as a camera of 12 bits has it.
    @Test func sixteenBitsAreScaledByWhite() throws {
        for (step, white) in [(1, nil), (1, 65535), (1, 4095), (16, 4095), (16, 1)] as [(Int, Int?)] {
            let samples = (0..<65536 / step).map(UInt16.init)
            let image = try RGBImage(
                bytes: try encodePNG(gray: samples, width: 256), name: "16", white: white)
            #expect(image.largestSample == 65536 / step - 1)
            let expected = samples.flatMap { sample -> [UInt8] in
                let share = min(1, Double(sample) / Double(white ?? 65535))
                return [UInt8](repeating: UInt8((255 * share).rounded()), count: 3)
            }
            #expect(image.pixels == expected)
        }
        #expect(try Self.image("gray.png", white: 1) == Self.image("gray.png"))
        #expect(try Self.image("gray.png").largestSample == nil)
    }

    @Test func pngSurvivesARoundTrip() throws {
        let image = try Self.image("noise.png")
        #expect(try RGBImage(bytes: try image.encodedPNG(), name: "again") == image)
    }

    /// 4 GiB of pixels in a 100-byte file.
    @Test func hugeImagesAreRefused() throws {
        var bytes = try readFile(fixturePath("images/rgb.png"))
        bytes.replaceSubrange(16..<24, with: [0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF])
        #expect(throws: OCCError.self) { try RGBImage(bytes: bytes, name: "huge.png") }
    }

    /// The largest sample of files of 16 bits, whatever holds them; what states a smaller maximum is scaled.
    @Test func depthIsKnown() throws {
        for name in ["gray-16bit.png", "16bit.tif", "16bit.pgm"] {
            #expect(try Self.image(name).largestSample == 240 * 257, "\(name)")
        }
        let twelve = try #require(try Self.image("12bit.pgm").largestSample)
        #expect(abs(twelve - 240 * 257) <= 16)
        for name in ["rgb.jpg", "rgb24.bmp", "p5.pgm", "gray.tif", "lossless.webp", "gray-1bit.png"] {
            #expect(try Self.image(name).largestSample == nil, "\(name)")
        }
        let bright = try Self.image("16bit.tif", white: 240 * 257)
        #expect(bright.pixels.max() == 255)
    }

    // MARK: JPEG that libjpeg warns of

    private static func place(of marker: UInt8, in bytes: [UInt8]) throws -> Int {
        try #require(bytes.indices.dropLast().first { bytes[$0] == 0xFF && bytes[$0 + 1] == marker })
    }

    @Test(arguments: ["rgb.jpg", "progressive.jpg", "cmyk.jpg"])
    func harmlessTroubleLeavesThePixels(_ name: String) throws {
        let sound = try readFile(fixturePath("images/\(name)"))
        func same(_ what: String, _ change: (inout [UInt8]) throws -> Void) throws {
            var bytes = sound
            try change(&bytes)
            #expect(bytes != sound)
            #expect(try RGBImage(bytes: bytes, name: what) == Self.image(name), "\(what)")
        }
        let tables = try Self.place(of: 0xDB, in: sound)
        try same("stray bytes") { $0.insert(contentsOf: [0, 0], at: tables) }
        try same("any stray bytes") { $0.insert(contentsOf: [17, 4, 0xFF, 0, 9], at: tables) }
        try same("zeros before the end") {
            $0.insert(contentsOf: [UInt8](repeating: 0, count: 30), at: $0.count - 2)
        }
        try same("no end") { $0.removeLast(2) }
        try same("something after the end") { $0 += [1, 2, 3, 0xFF, 0xD8] }
        if name == "rgb.jpg" {
            try same("unknown revision") { $0[try Self.place(of: 0xE0, in: $0) + 9] = 7 }
            try same("odd scan limits") { $0[try Self.place(of: 0xDA, in: $0) + 12] = 62 }
        }
    }

    @Test(arguments: ["rgb.jpg", "progressive.jpg", "cmyk.jpg", "gray.jpg"])
    func lostPixelsAreErrors(_ name: String) throws {
        let sound = try readFile(fixturePath("images/\(name)"))
        func refused(_ what: String, _ bytes: [UInt8]) {
            let error = #expect(throws: OCCError.self, "\(what)") { try RGBImage(bytes: bytes, name: name) }
            #expect(error?.message.hasPrefix(name) == true)
        }
        // Cut anywhere but in what fills the last bits, also between a progressive file's scans.
        let scan = try Self.place(of: 0xDA, in: sound)
        for end in scan..<sound.count - 4 { refused("cut at \(end)", Array(sound[..<end])) }
        var bytes = sound
        bytes.insert(contentsOf: [9, 8, 7, 6, 5, 4, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9], at: sound.count - 2)
        refused("bytes left over", bytes)
    }

    // MARK: What is not read

    @Test(arguments: [
        ("animated.webp", "animated"), ("cmyk.tif", "CMYK"), ("float.tif", "floating-point"),
        ("five-channels.tif", "5 channels"),
    ])
    func whatIsNotReadIsNamed(_ name: String, _ word: String) throws {
        let error = #expect(throws: OCCError.self) { try Self.image(name) }
        #expect(error?.message.contains(word) == true)
        #expect(error?.kind == .badData)
        #expect(error?.remedy?.contains(RGBImage.readableFormats) == true)
    }

    @Test(arguments: [
        ("GIF89a", "GIF"), ("\0\0\0 ftypavif", "AVIF"), ("\0\0\0 ftypheic", "HEIC"),
        ("\0\0\0 ftypmif1", "HEIF"),
        ("\0\0\0\u{C}jP  \r\n", "none of the formats"), ("\0\0\0\u{C}JXL \r\n", "none of the formats"),
        (String(repeating: "\0", count: 128) + "DICM", "DICOM"), ("%PDF-1.4", "PDF"), ("PK\u{3}\u{4}", "ZIP"),
        ("\n <!DOCTYPE HTML><html>", "HTML page"), ("<svg xmlns=", "SVG"), ("P7\nWIDTH 3", "PAM"),
        ("version https://git-lfs.github.com/spec/v1\n", "Git LFS"), ("\0\0\0\0\0\0", "zeros"),
        ("hello", "none of"),
        ("", "empty"),
    ])
    func otherFormatsAreNamed(_ start: String, _ word: String) {
        let error = #expect(throws: OCCError.self) { try RGBImage(bytes: Array(start.utf8), name: "x.png") }
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }

    @Test func formatsOfBytesAreNamed() {
        for (bytes, word) in [
            ([0x93] + Array("NUMPY\u{1}".utf8), "NumPy"), ([0xFF, 0x0A, 0xFA], "JPEG XL"),
            ([0xFF, 0x4F, 0xFF, 0x51, 0], "JPEG 2000"),
            ([0, 0, 0, 12] + Array("jP  \r\n".utf8) + [0x87, 10], "JPEG 2000"), ([0x1F, 0x8B, 8], "gzip"),
        ] as [([UInt8], String)] {
            let error = #expect(throws: OCCError.self) { try RGBImage(bytes: bytes, name: "x.png") }
            #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("readable are \(RGBImage.readableFormats)") == true)
        }
    }

    // MARK: Damage

    @Test(arguments: [
        "rgb.png", "palette.png", "turned-6.png", "rgb.jpg", "progressive.jpg", "turned-8.jpg", "rgb24.bmp",
        "palette4.bmp", "os2.bmp", "565.bmp", "alpha.bmp", "rle8.bmp", "rle4.bmp", "moves.bmp", "p1.pbm",
        "p3.ppm",
        "p4.pbm", "12bit.pgm", "raw.tif", "tiff_lzw.tif", "tiff_adobe_deflate.tif", "group4.tif",
        "palette.tif",
        "jpeg.tif", "big-endian.tif", "planes.tif", "tiles.tif", "alpha.tif", "lossy.webp", "lossless.webp",
        "turned-6.webp",
    ])
    func damagedFilesAreErrors(_ name: String) throws {
        let result = fuzz(try readFile(fixturePath("images/\(name)")), name: name) {
            _ = try RGBImage(bytes: $0, name: name)
        }
        #expect(result.failures == [])
        #expect(result.refused > 200)
    }

    /// A file cut anywhere is an error or, where only what is no pixel is missing, the image.
    @Test(arguments: [
        "rgb24.bmp", "rle8.bmp", "p1.pbm", "p6.ppm", "strips.tif", "lossless.webp", "lossy.webp",
    ])
    func truncatedFilesAreErrors(_ name: String) throws {
        let sound = try readFile(fixturePath("images/\(name)")), image = try Self.image(name)
        for end in 0..<sound.count {
            guard let cut = try? RGBImage(bytes: Array(sound[..<end]), name: name) else { continue }
            #expect(end >= sound.count - 4 && cut == image, "cut at \(end)")
        }
    }
}
