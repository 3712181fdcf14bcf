import OCCData
import OCCEngine
import Testing

import OneClass

/// What scores of normal images follow is found, and chance is not.
@Suite struct ScoreBiasTests {
    /// Gray images of noise; `light` is how bright each is.
    private func images(_ light: [Int]) -> ImageBatch {
        var random = CounterRandom(seed: 4, stream: 1), pixels: [UInt8] = []
        for level in light {
            for _ in 0..<32 * 32 {
                let value = UInt8(level + Int(random.uniform() * 20))
                pixels += [value, value, value]
            }
        }
        return ImageBatch(side: 32, pixels: pixels)
    }

    @Test func brightnessIsFound() throws {
        let light = (0..<30).map { ($0 * 7) % 30 * 6 }
        let found = ScoreBias.find(in: images(light), scores: light.map { -Double($0 * $0) })
        let first = try #require(found.first)
        #expect(first.property == "brightness" && abs(first.correlation + 1) < 1e-6)
        #expect(first.warning.contains("brightness") && first.warning.contains("-1.00"))
    }

    @Test func chanceIsNot() {
        var random = CounterRandom(seed: 5, stream: 1)
        let light = (0..<30).map { ($0 * 7) % 30 * 6 }
        #expect(ScoreBias.find(in: images(light), scores: light.map { _ in random.normal() }) == [])
        // Four images follow anything.
        #expect(ScoreBias.find(in: images([1, 2, 3, 4]), scores: [1, 2, 3, 4]) == [])
        #expect(ScoreBias.find(in: ImageBatch(side: 32), scores: []) == [])
    }

    /// Values of scipy.stats.spearmanr.
    @Test func ranksCorrelateWithTies() {
        #expect(abs(ScoreBias.spearman([1, 2, 2, 4, 7], [3, 1, 5, 5, 9]) - 0.763157894736842) < 1e-12)
        #expect(ScoreBias.spearman([1, 1, 1], [1, 2, 3]) == 0)
    }
}
