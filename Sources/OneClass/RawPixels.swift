import OCCData
import OCCDetectors

/// What can be had without learning: the baseline that a representation must beat.
enum RawPixels {
    /// The side that images are shrunk to where the detector is not for their pixels as they are.
    static let smallSide = 32
    /// Bytes that a fit may take besides its rows, and in all: beyond, images are shrunk.
    private static let (mostBesides, most) = (1 << 30, 4 << 30)

    /// What was compared with.
    struct Comparison {
        /// The AUROC of the detector on pixels.
        let auroc: Double
        /// The name of the detector.
        let detector: String
        /// The side of the images that it saw.
        let side: Int
    }

    /// The configured detector on the pixels, of images of 32 x 32 where theirs would take too much memory; KDE on
    /// such images for a model of patches or maps, whose detectors are for short vectors, and for a flow, whose fit is a
    /// training of minutes.
    static func compare(_ configuration: RunConfiguration, _ split: OneClassSplit) throws -> Comparison {
        let isOfVectors =
            configuration.patch == nil && configuration.mapDetector == nil
            && !(configuration.detector is OwnScore) && !(configuration.detector is FlowDensity)
        let unfitted: any Detector = isOfVectors ? configuration.detector : KernelDensity()
        let fit = split.detectorFit, rows = min(fit.count, configuration.detectorRows)
        let isSmall =
            fit.side > smallSide
            && (!isOfVectors || isTooLarge(unfitted, rows: rows, columns: fit.imageBytes))
        let side = isSmall ? smallSide : fit.side
        func pixels(_ images: ImageBatch) -> FeatureMatrix {
            let images = isSmall ? images.resized(to: smallSide) : images
            return FeatureMatrix(
                rows: images.count, columns: images.imageBytes, values: images.pixels.map { Float($0) / 255 })
        }
        return try Work.track("raw pixels, for comparison", "images", total: split.test.count) { work in
            let detector = try unfitted.fit(
                pixels(rows == fit.count ? fit : fit.subset((0..<rows).map { $0 * fit.count / rows })))
            var scores: [Double] = []
            // Some at a time, for who waits for them.
            for first in stride(from: 0, to: split.test.count, by: 64) {
                let some = split.test.subset(first..<min(first + 64, split.test.count))
                scores += try detector.scores(pixels(some))
                work.advance(by: some.count)
            }
            let auroc = try RankingMetrics(scores: scores, labels: split.testLabels).auroc
            return Comparison(auroc: auroc, detector: unfitted.name, side: side)
        }
    }

    /// Whether a fit on pixels would take more memory than a comparison is worth.
    static func isTooLarge(_ detector: any Detector, rows: Int, columns: Int) -> Bool {
        let besides = detector.fittingMemory(rows: rows, columns: columns)
        return besides > mostBesides || 16 * rows * columns + besides > most
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
