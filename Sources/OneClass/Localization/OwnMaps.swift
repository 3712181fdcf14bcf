import OCCData
import OCCDetectors
import OCCEngine

/// The scores and maps of whole images by a method that scores pixels itself (`MapScoring`).
struct OwnMaps {
    let extractor: PartExtractor
    let program: Program
    let detector: any OneClassClassifier
    /// What errors call the model.
    let name: String
    /// Images whose maps are computed at a time.
    private static let portion = 64

    /// The score of each image and its map: the scores of its pixels, smoothed as other maps are.
    ///
    /// - Throws: `OCCError(.badData)` for a score that is not finite.
    func localize(_ images: ImageBatch) throws -> [OneClassModel.Localized] {
        let side = images.side, pixels = side * side
        return try Work.track("scoring", "images", total: images.count) { work in
            try stride(from: 0, to: images.count, by: Self.portion).flatMap { first in
                let some = images.subset(first..<min(first + Self.portion, images.count))
                let (features, maps) = try extractor.featuresAndMaps(of: some, program: program, work: work)
                try DetectorFitting.requireFinite(maps, name)
                let scores = try DetectorFitting.requireFinite(
                    try detector.scores(features, on: program.device), name)
                return parallelMap(some.count) { image in
                    let map = FeatureMap(
                        rows: side, columns: side, channels: 1,
                        values: Array(maps[image * pixels..<(image + 1) * pixels]))
                    return OneClassModel.Localized(
                        score: scores[image], map: map.blurred(sigma: FeatureMap.smoothing).values,
                        isCalibrated: true)
                }
            }
        }
    }

    /// What maps of normal images look like: the median of their pixels, and the highest pixel of each.
    func summary(of images: ImageBatch) throws -> (ordinary: Double, peaks: [Double]) {
        let maps = try localize(images).map(\.map), pixels = maps.flatMap { $0 }.sorted()
        return (Double(pixels[pixels.count / 2]), maps.map { Double($0.max()!) })
    }
}
