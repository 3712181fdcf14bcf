import OCCData
import OCCEngine
import TestSupport
import Testing

/// Masks as data sets have them: by value, label, color, transparency and depth.
@Suite struct DefectMaskTests {
    private static let (width, height) = (17, 13)
    /// The defect of the fixtures: rows 4 to 8, columns 5 to 11.
    private static let expected = (0..<width * height).map { index -> UInt8 in
        (4..<9).contains(index / width) && (5..<12).contains(index % width) ? 1 : 0
    }

    private static func mask(_ pixels: [UInt8], width: Int = width) throws -> DefectMask {
        let height = pixels.count / 3 / width
        let image = RGBImage(width: width, height: height, pixels: pixels)
        return try DefectMask(bytes: try image.encodedPNG(), name: "mask")
    }

    private static func found(_ mask: DefectMask) -> [UInt8] {
        // Each pixel four by four, so that nothing is lost: the middle of each is looked at.
        let side = 4 * width, placed = mask.resized(to: side, fit: .pad)
        let top = (side - 4 * height) / 2
        return (0..<width * height).map { index in
            placed[(top + 4 * (index / width) + 1) * side + 4 * (index % width) + 1]
        }
    }

    @Test(arguments: [
        [255, 255, 255], [1, 1, 1], [3, 3, 3], [127, 127, 127], [128, 128, 128], [192, 192, 192],
        [0, 0, 255], [128, 0, 0], [0, 1, 0],
    ])
    func anyValueIsADefect(_ color: [UInt8]) throws {
        let mask = try Self.mask(Self.expected.flatMap { value in color.map { $0 * value } })
        #expect((mask.width, mask.height) == (Self.width, Self.height))
        #expect(mask.hasDefect)
        #expect(Self.found(mask) == Self.expected)
    }

    @Test(arguments: ["mask-alpha.png", "mask-palette.png"])
    func alphaAndPalettes(_ name: String) throws {
        let mask = try DefectMask(bytes: try readFile(fixturePath("images/\(name)")), name: name)
        #expect(Self.found(mask) == Self.expected)
    }

    @Test(arguments: [1, 255, 300, 65535] as [UInt16])
    func sixteenBits(_ value: UInt16) throws {
        let bytes = try encodePNG(gray: Self.expected.map { UInt16($0) * value }, width: Self.width)
        #expect(Self.found(try DefectMask(bytes: bytes, name: "16")) == Self.expected)
    }

    /// A soft edge is cut at half, what JPEG leaves around a shape is none; several labels are all defects, and
    /// so is a dark color beside a bright one.
    @Test func valuesAreCutAtHalf() throws {
        func row(_ values: [UInt8]) throws -> [UInt8] {
            let mask = try Self.mask(values.flatMap { [$0, $0, $0] }, width: values.count)
            return Array(mask.resized(to: values.count)[..<values.count])
        }
        #expect(try row([0, 3, 120, 127, 128, 200, 255]) == [0, 0, 0, 0, 1, 1, 1])
        #expect(try row([0, 1, 2, 5]) == [0, 1, 1, 1])
        let colors = try Self.mask([0, 0, 0, 64, 0, 0, 128, 128, 128, 20, 20, 30], width: 4)
        #expect(Array(colors.resized(to: 4)[..<4]) == [0, 1, 1, 0])
    }

    @Test func withoutADefectThereIsNone() throws {
        let mask = try Self.mask([UInt8](repeating: 0, count: 300), width: 10)
        #expect(!mask.hasDefect)
        #expect(mask.resized(to: 4) == [UInt8](repeating: 0, count: 16))
    }

    /// The rule of half, and beside it what would vanish: a thread, and a point where a blot is.
    @Test(arguments: Fit.allCases)
    func noDefectVanishes(_ fit: Fit) throws {
        let side = 90
        var values = [UInt8](repeating: 0, count: side * side)
        for row in 10..<40 { for column in 10..<40 { values[row * side + column] = 255 } }
        for column in 5..<85 { values[62 * side + column] = 255 }
        values[80 * side + 80] = 255
        let mask = try Self.mask(values.flatMap { [$0, $0, $0] }, width: side)
        let small = mask.resized(to: 9, fit: fit)
        for row in 0..<9 {
            for column in 0..<9 {
                let blot = (1..<4).contains(row) && (1..<4).contains(column)
                let isDefect = blot || row == 6 || (row == 8 && column == 8)
                #expect(small[row * 9 + column] == (isDefect ? 1 : 0), "\(row), \(column)")
            }
        }
    }

    /// Where the square shows only the middle, a defect outside of it is not pulled in.
    @Test func whatIsCutOffStaysAway() throws {
        var values = [UInt8](repeating: 0, count: 40 * 10)
        for row in 0..<10 { values[row * 40 + 2] = 255 }
        let mask = try Self.mask(values.flatMap { [$0, $0, $0] }, width: 40)
        #expect(mask.resized(to: 8, fit: .crop).allSatisfy { $0 == 0 })
        let padded = mask.resized(to: 8, fit: .pad)
        #expect(padded.enumerated().filter { $0.element == 1 }.map(\.offset) == [24, 32])
    }

    @Test func damagedFilesAreErrors() throws {
        for name in ["mask-alpha.png", "mask-palette.png"] {
            let result = fuzz(try readFile(fixturePath("images/\(name)")), name: name) {
                _ = try DefectMask(bytes: $0, name: name).resized(to: 8)
            }
            #expect(result.failures == [])
            #expect(result.refused > 200)
        }
    }
}
