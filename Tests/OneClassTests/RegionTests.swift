import Foundation
import OCCData
import OneClass
import Testing

/// Regions of maps, and maps over images of another size.
@Suite struct RegionTests {
    @Test func cornersConnect() {
        let map: [Float] = [
            5, 0, 0, 0, 9,
            0, 6, 0, 0, 2,
            0, 0, 0, 0, 7,
        ]
        let found = AnomalousRegion.regions(of: map, width: 5, above: 2)
        #expect(found.map(\.area) == [1, 1, 2])
        #expect(found.map(\.peak) == [9, 7, 6])
        #expect(found[2].box == PixelRect(top: 0, left: 0, height: 2, width: 2))
        #expect((found[2].peakRow, found[2].peakColumn, found[2].mean) == (1, 1, 5.5))
        #expect(AnomalousRegion.regions(of: map, width: 5, above: 1.9).map(\.area) == [3, 2])
        #expect(AnomalousRegion.regions(of: map, width: 5, above: 9).isEmpty)
    }

    /// A spot comes to lie where the image has it, whatever its proportions; what is cut off is in no region.
    @Test(arguments: Fit.allCases)
    func mapsFollowTheImage(_ fit: Fit) throws {
        let (width, height, side) = (96, 48, 32)
        var pixels = [UInt8](repeating: 0, count: width * height * 3)
        for row in 12..<24 {
            for column in 48..<66 { for c in 0..<3 { pixels[(row * width + column) * 3 + c] = 255 } }
        }
        let square = RGBImage(width: width, height: height, pixels: pixels).resized(to: side, fit: fit)
        let small = (0..<side * side).map { Float(square.pixels[3 * $0]) }
        let map = mapOverImage(small, side: side, width: width, height: height, fit: fit)
        #expect(map.count == width * height)
        let region = try #require(AnomalousRegion.regions(of: map, width: width, above: 127).first)
        for (found, wanted) in [
            (region.box.top, 12), (region.box.left, 48), (region.box.height, 12), (region.box.width, 18),
        ] { #expect(abs(found - wanted) <= 2, "\(region)") }
        #expect((map[0] == -.infinity) == (fit == .crop))
    }

    @Test func aMapOfTheSameSizeIsKept() {
        let map = (0..<16).map(Float.init)
        #expect(mapOverImage(map, side: 4, width: 4, height: 4, fit: .stretch) == map)
        let flat = [Float](repeating: 2, count: 16)
        #expect(mapOverImage(flat, side: 4, width: 7, height: 3, fit: .pad).allSatisfy { $0 == 2 })
    }
}
