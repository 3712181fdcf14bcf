import Foundation
import OCCData
import OCCEngine
import OneClass
import Testing

/// The numbers beside a picture's scale.
@Suite struct ScaleLabelsTests {
    /// What is drawn, as a set of row and column.
    private func dots(_ scale: ScaleLabels) -> Set<SIMD2<Int>> {
        var found: Set<SIMD2<Int>> = []
        scale.draw(from: 0) { found.insert(SIMD2($0, $1)) }
        return found
    }

    @Test func numbersStandAtTheEndsAndAtTheThreshold() {
        let scale = ScaleLabels(range: -1.5...2.5, threshold: 0.5, height: 101)
        #expect(scale.mark == 50)
        #expect(scale.labels.map(\.text) == ["2.5", "0.5", "-1.5"])
        #expect(scale.labels.map(\.row) == [0, 43, 87])
        let drawn = dots(scale)
        #expect(drawn.allSatisfy { (0..<101).contains($0.x) && (0..<scale.width).contains($0.y) })
        // The minus: a bar of five dots in the fourth line of the glyph.
        #expect(drawn.contains(SIMD2(87 + 6, 0)) && drawn.contains(SIMD2(87 + 6, 9)))
        #expect(!drawn.contains(SIMD2(87, 0)))
    }

    @Test(arguments: [-1.25e-7, 1e20, 0, -123456, 3.25, .infinity, .nan])
    func everyCharacterHasAGlyph(score: Double) {
        for character in ScaleFont.text(score) {
            let rows = ScaleFont.rows(of: character)
            #expect(rows?.count == ScaleFont.height && rows?.allSatisfy { $0 < 32 } == true)
        }
        #expect(ScaleFont.rows(of: "x") == nil)
    }

    @Test func numbersDoNotMeet() {
        // A threshold near an end moves its number, not its mark.
        let near = ScaleLabels(range: 0...1, threshold: 0.99, height: 101)
        #expect(near.mark == 1 && near.labels.map(\.row) == [0, 16, 87])
        // One off the scale has neither.
        let off = ScaleLabels(range: 0...1, threshold: 2, height: 101)
        #expect(off.mark == nil && off.labels.map(\.text) == ["1", "0"])
        // Too low for three numbers, and for two.
        #expect(ScaleLabels(range: 0...1, threshold: 0.5, height: 20).labels.map(\.row) == [0, 13])
        let low = ScaleLabels(range: 0...1, threshold: 0.5, height: 9)
        #expect(low.labels.isEmpty && low.width == 0 && low.mark == 4)
    }

    @Test func pictureCarriesTheNumbers() {
        let image = RGBImage(width: 2, height: 2, pixels: [UInt8](repeating: 100, count: 12))
        let map: [Float] = [0, 0.25, 0.5, 2]
        let plain = Overlay.picture(image, map: map, range: 0...1, threshold: 0.5)
        let numbered = Overlay.picture(image, map: map, range: 0...1, threshold: 0.5, numbers: true)
        let scale = ScaleLabels(range: 0...1, threshold: 0.5, height: 256)
        #expect(numbered.height == 256 && numbered.width == plain.width + scale.width + 8)
        var right = 0
        for row in 0..<256 {
            for column in plain.width..<numbered.width {
                let at = 3 * (row * numbered.width + column)
                if numbered.pixels[at] == 0 { right += 1 }
            }
        }
        #expect(right == dots(scale).count)
        let markRow = scale.mark ?? 0
        let mark = (markRow * numbered.width + 2 * 256 + 16) * 3
        #expect(numbered.pixels[mark..<mark + 3].elementsEqual([255, 40, 40]))
    }
}
