import CImageIO
import OCCData
import OCCEngine
import Testing

/// Resampling in C against the slow reference below, to the bit, and what fits an image into a square.
@Suite struct ResamplingTests {
    private static func noise(_ width: Int, _ height: Int) -> RGBImage {
        var random = CounterRandom(seed: UInt64(width), stream: UInt32(height))
        let pixels = (0..<width * height * 3).map { _ in UInt8(random.uniform() * 256) }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// For each output pixel, the first input pixel it takes in and the weights of that and the following ones.
    private static func weights(from: Int, to: Int) -> [(first: Int, weights: [Float])] {
        let scale = Double(from) / Double(to), support = max(1, scale)
        return (0..<to).map { index in
            let center = (Double(index) + 0.5) * scale
            let low = max(0, Int((center - support + 0.5).rounded(.down)))
            let high = min(from, Int((center + support + 0.5).rounded(.down)))
            var row = (low..<max(high, low + 1)).map {
                max(0, 1 - abs((Double($0) + 0.5 - center) / support))
            }
            let sum = row.reduce(0, +)
            if sum > 0 { for k in row.indices { row[k] /= sum } } else { row = [1] }
            return (min(low, from - 1), row.map(Float.init))
        }
    }

    private static func reference(_ image: RGBImage, width: Int, height: Int) -> [UInt8] {
        let across = weights(from: image.width, to: width), down = weights(from: image.height, to: height)
        var middle = [Float](repeating: 0, count: image.height * width * 3)
        for row in 0..<image.height {
            for column in 0..<width {
                for channel in 0..<3 {
                    var sum: Float = 0
                    for (index, weight) in across[column].weights.enumerated() {
                        let at = (row * image.width + across[column].first + index) * 3 + channel
                        sum += weight * Float(image.pixels[at])
                    }
                    middle[(row * width + column) * 3 + channel] = sum
                }
            }
        }
        return (0..<height).flatMap { row in
            (0..<width * 3).map { column in
                var sum: Float = 0.5
                for (index, weight) in down[row].weights.enumerated() {
                    sum += weight * middle[(down[row].first + index) * width * 3 + column]
                }
                return UInt8(min(255, max(0, sum)))
            }
        }
    }

    private static func resampled(
        _ image: RGBImage, width: Int, height: Int, portable: Bool
    ) -> [UInt8] {
        // The target's rows are further apart than they are long: what is between them stays as it is.
        let stride = width * 3 + 5
        var result = [UInt8](repeating: 77, count: stride * height)
        let source = cim_rect(
            width: Int32(image.width), height: Int32(image.height), stride: image.width * 3)
        let target = cim_rect(width: Int32(width), height: Int32(height), stride: stride)
        #expect(cim_resample(image.pixels, source, &result, target, portable ? 1 : 0) == 1)
        return (0..<height).flatMap { row in
            #expect(result[row * stride + width * 3..<(row + 1) * stride].allSatisfy { $0 == 77 })
            return Array(result[row * stride..<row * stride + width * 3])
        }
    }

    @Test(arguments: [
        (1, 1, 4, 4), (1, 1, 1, 1), (1, 50, 3, 7), (50, 1, 7, 3), (17, 13, 8, 8), (17, 13, 32, 31),
        (2, 3, 1, 1),
        (64, 64, 64, 64), (90, 91, 33, 32), (101, 50, 1, 2), (33, 257, 32, 5), (500, 3, 31, 3),
    ])
    func everyBitIsTheReference(_ from: Int, _ rows: Int, _ width: Int, _ height: Int) {
        let image = Self.noise(from, rows)
        let expected = Self.reference(image, width: width, height: height)
        for portable in [false, true] {
            #expect(
                Self.resampled(image, width: width, height: height, portable: portable) == expected,
                "\(portable ? "portable" : "this processor")")
        }
    }

    @Test func theSizeThatIsThereStays() {
        let image = Self.noise(9, 9)
        for fit in Fit.allCases { #expect(image.resized(to: 9, fit: fit) == image) }
    }

    @Test func cuttingTheMiddleComesFirst() {
        let image = Self.noise(31, 18)
        #expect(image.resized(to: 8, fit: .crop) == image.centralSquare.resized(to: 8))
    }

    @Test func aBorderIsBlackAndInTheMiddle() {
        let white = RGBImage(width: 40, height: 20, pixels: [UInt8](repeating: 255, count: 2400))
        let fitted = white.resized(to: 16, fit: .pad)
        let rows = (0..<16).map { fitted.pixels[$0 * 48..<$0 * 48 + 48].map(Int.init).reduce(0, +) / 48 }
        #expect(rows == [0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0])
        let place = Fit.pad.placement(width: 40, height: 20, side: 16)
        #expect(place.square == PixelRect(top: 4, left: 0, height: 8, width: 16))
        #expect(place.image == PixelRect(top: 0, left: 0, height: 20, width: 40))
        // A thread has a pixel's width at least.
        #expect(Fit.pad.placement(width: 1, height: 5000, side: 32).square.width == 1)
    }
}
