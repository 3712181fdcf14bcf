import Foundation
import OCCData
import OCCEngine
import TestSupport
import Testing

/// PNG and JPEG files against the pixels Pillow reads (Tests/Fixtures/make_image_fixtures.py).
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

    @Test func alphaIsLaidOnBlack() throws {
        #expect(worst(try Self.image("rgba.png"), try Self.expected("rgba.png")) <= 1)
    }

    /// Decoders may round differently.
    @Test(arguments: ["rgb.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg"])
    func jpegIsClose(_ name: String) throws {
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

    @Test(arguments: ["rgb.png", "palette.png", "rgb.jpg", "progressive.jpg"])
    func damagedFilesAreErrors(_ name: String) throws {
        let result = fuzz(try readFile(fixturePath("images/\(name)")), name: name) {
            _ = try RGBImage(bytes: $0, name: name)
        }
        #expect(result.failures == [])
        #expect(result.refused > 200)
    }
}
