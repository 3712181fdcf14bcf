import Foundation
import OCCData

/// How alike the places of a normal image are: near 0 for cloth or paper, whose every patch is like every other; above
/// 1 for an object on a ground.
public enum Texture {
    /// The spread below which images are a texture.
    ///
    /// Chosen on cloth and four papers (0.1 to 0.4), and a bottle, a bracket on a bench and a wheel (1.3 to 3.4).
    public static let threshold = 0.7

    /// The standard deviation, over the patches of an image, of the logarithm of a patch's variance; the mean of it over
    /// images. Light and exposure that change little within a patch do not matter to it.
    ///
    /// - Parameter patch: the side of the patches, which lie side by side.
    /// - Returns: 0 where there is no image, or only one patch.
    public static func spread(of images: ImageBatch, patch: Int) -> Double {
        let across = images.side / patch
        guard images.count > 0, across > 1 else { return 0 }
        let spreads = (0..<images.count).map { image in
            let logarithms = (0..<across * across).map {
                // A variance of one gray level is the least that counts: below is the noise of the last bit.
                log(1 + variance(images[image], images.side, $0 / across * patch, $0 % across * patch, patch))
            }
            let mean = logarithms.reduce(0, +) / Double(logarithms.count)
            let squares = logarithms.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            return (squares / Double(logarithms.count)).squareRoot()
        }
        return spreads.reduce(0, +) / Double(spreads.count)
    }

    /// The variance of a patch's pixels, the sum over channels.
    private static func variance(
        _ image: ArraySlice<UInt8>, _ side: Int, _ top: Int, _ left: Int, _ patch: Int
    ) -> Double {
        var sums = SIMD3<Double>.zero, squares = SIMD3<Double>.zero
        for row in top..<top + patch {
            var at = image.startIndex + (row * side + left) * 3
            for _ in 0..<patch {
                let pixel = SIMD3(Double(image[at]), Double(image[at + 1]), Double(image[at + 2]))
                sums += pixel
                squares += pixel * pixel
                at += 3
            }
        }
        let count = Double(patch * patch)
        return max(0, (squares / count - sums * sums / (count * count)).sum())
    }
}
