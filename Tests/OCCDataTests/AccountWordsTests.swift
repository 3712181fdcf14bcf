import OCCData
import OCCEngine
import TestSupport
import Testing

/// The words of an account of files.
@Suite struct AccountWordsTests {
    /// One file is spoken of as one, and several as several.
    @Test func oneIsNoPlural() throws {
        let folder = try TemporaryFolder()
        let png = try RGBImage(width: 2, height: 2, pixels: [UInt8](0..<12)).encodedPNG()
        func add(_ number: Int) throws -> [String] {
            try folder.write(png, to: "images/\(number).png")
            try folder.write([1], to: "images/.hidden\(number)")
            try folder.write([1], to: "images/\(number).txt")
            return try expandImagePaths([folder.file("images")]).account.lines.map {
                String($0.prefix { $0 != ":" })
            }
        }
        #expect(
            try add(1) == [
                "read 1 image", "1 other file is no image by its name",
                "1 hidden file or folder was left out",
            ])
        #expect(
            try add(2) == [
                "read 2 images", "2 other files are no images by their names",
                "2 hidden files and folders were left out",
            ])
    }
}
