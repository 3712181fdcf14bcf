import OCCData
import OCCDetectors

/// What can be had without learning: the baseline that a representation must beat.
enum RawPixels {
    /// The AUROC of the configured detector on the pixels; of KDE on images of 32 x 32 for a model of
    /// patches, whose detectors are for short vectors.
    static func auroc(_ configuration: RunConfiguration, _ split: OneClassSplit) throws -> Double {
        let small = configuration.patch != nil && split.test.side > 32
        func pixels(_ images: ImageBatch) -> FeatureMatrix {
            let images =
                small
                ? ImageBatch(
                    side: 32, pixels: (0..<images.count).flatMap { images.image($0).resized(to: 32).pixels })
                : images
            return FeatureMatrix(
                rows: images.count, columns: images.imageBytes, values: images.pixels.map { Float($0) / 255 })
        }
        let unfitted: any Detector = configuration.patch == nil ? configuration.detector : KernelDensity()
        let rows = pixels(split.detectorFit).evenly(atMost: configuration.detectorRows)
        return try Work.track("raw pixels, for comparison", "images", total: split.test.count) { work in
            let detector = try unfitted.fit(rows)
            var scores: [Double] = []
            // Some at a time, for who waits for them.
            for first in stride(from: 0, to: split.test.count, by: 64) {
                let some = split.test.subset(first..<min(first + 64, split.test.count))
                scores += try detector.scores(pixels(some))
                work.advance(by: some.count)
            }
            return try RankingMetrics(scores: scores, labels: split.testLabels).auroc
        }
    }

    /// Maps each test image: each pixel's squared distance from its mean over the training images, in
    /// variances, summed over channels.
    static func maps(_ split: OneClassSplit) -> [[Float]] {
        let train = split.detectorFit, size = train.imageBytes
        var sum = [Float](repeating: 0, count: size), squares = sum
        for image in 0..<train.count {
            for (index, value) in train[image].enumerated() {
                sum[index] += Float(value)
                squares[index] += Float(value) * Float(value)
            }
        }
        let count = Float(train.count)
        let mean = sum.map { $0 / count }
        // A gray level's rounding is in every pixel.
        let variance = zip(squares, mean).map { max($0 / count - $1 * $1, 0) + 1 }
        return (0..<split.test.count).map { image in
            var result = [Float](repeating: 0, count: size / 3)
            for (index, value) in split.test[image].enumerated() {
                let d = Float(value) - mean[index]
                result[index / 3] += d * d / variance[index]
            }
            return result
        }
    }
}
