import Foundation
import OCCData
import OCCEngine
import TestSupport
import Testing

/// PNG and JPEG files against the pixels Pillow reads (Tests/Fixtures/make_image_fixtures.py).
@Suite struct ImageFileTests {
    private static func expected(_ name: String) throws -> [Int] {
        let data = try Data(contentsOf: URL(fileURLWithPath: fixturePath("images/expected.json")))
        return try #require(try JSONDecoder().decode([String: [Int]].self, from: data)[name])
    }

    private static func image(_ name: String) throws -> RGBImage {
        try RGBImage(bytes: try readFile(fixturePath("images/\(name)")), name: name)
    }

    private func worst(_ image: RGBImage, _ expected: [Int]) -> Int {
        guard image.pixels.count == expected.count else { return .max }
        return zip(image.pixels, expected).map { abs(Int($0) - $1) }.max()!
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
    @Test(arguments: ["rgb.jpg", "progressive.jpg", "gray.jpg"])
    func jpegIsClose(_ name: String) throws {
        #expect(worst(try Self.image(name), try Self.expected(name)) <= 2)
    }

    @Test func cmykIsRefusedByName() throws {
        let error = #expect(throws: OCCError.self) { try Self.image("cmyk.jpg") }
        #expect(error?.message.contains("cmyk.jpg") == true)
    }

    @Test(arguments: [32, 8])
    func resizingAgreesWithPillow(_ side: Int) throws {
        let resized = try Self.image("noise.png").resized(to: side)
        #expect(worst(resized, try Self.expected("noise.png@\(side)")) <= 1)
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
