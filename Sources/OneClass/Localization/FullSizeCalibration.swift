import OCCData
import OCCDetectors
import OCCEngine

/// Thresholds for images that a model of patches takes as large as they are: among more patches the highest score is higher
/// in normal images too, and patches show another scale. Held-out images taken so calibrate them, each for images of its
/// own size.
public struct FullSizeCalibration: Sendable {
    /// The thresholds for images of one size.
    public struct Pair: Sendable {
        /// Of images: `OneClassModel.calibration`.
        public let scores: ThresholdCalibration
        /// Of the pixels of their maps: `OneClassModel.mapCalibration`.
        public let maps: ThresholdCalibration

        /// Thresholds of images and of pixels.
        public init(scores: ThresholdCalibration, maps: ThresholdCalibration) {
            (self.scores, self.maps) = (scores, maps)
        }
    }

    private struct Size: Hashable {
        let width: Int, height: Int
    }

    private let calibrations: [Size: Pair]

    /// The sizes in pixels that there is a threshold for, and how many held-out images each has; the most first.
    public var sizes: [(width: Int, height: Int, images: Int)] {
        calibrations.map { ($0.key.width, $0.key.height, $0.value.scores.scores.count) }
            .sorted { ($0.images, $0.width, $0.height) > ($1.images, $1.width, $1.height) }
    }

    /// The thresholds for images of a size, and the scores that they come from; nil where no held-out image has the size.
    public func calibration(width: Int, height: Int) -> Pair? {
        calibrations[Size(width: width, height: height)]
    }

    /// Scores held-out images as large as they are.
    ///
    /// - Parameters:
    ///   - model: a model of patches, whose rate of false alarms is asked of these thresholds too.
    ///   - paths: the files of its held-out images: normal ones that neither its encoder nor its detector has seen.
    /// - Throws: as `OneClassModel.localize` does; `OCCError` naming a file that cannot be read.
    public init(_ model: OneClassModel, heldOut paths: [String]) throws {
        var found: [Size: [(score: Double, peak: Double)]] = [:]
        try Work.track("calibrating for images as large as they are", "images", total: paths.count) { work in
            for path in paths {
                let image = try RGBImage(
                    bytes: try readFile(path), name: path, white: model.configuration.white)
                work.advance()
                // None of its size could be localized.
                guard min(image.width, image.height) >= model.grid?.patch ?? 0 else { continue }
                let own = try model.localize(image)
                found[Size(width: image.width, height: image.height), default: []].append(
                    (own.score, Double(own.map.max()!)))
            }
        }
        let asked = model.calibration.promise.asked
        calibrations = found.mapValues { images in
            Pair(
                scores: ThresholdCalibration(scores: images.map(\.score), falseAlarmRate: asked),
                maps: ThresholdCalibration(scores: images.map(\.peak), falseAlarmRate: asked))
        }
    }
}
