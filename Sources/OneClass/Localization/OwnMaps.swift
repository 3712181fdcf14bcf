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
        var result: [OneClassModel.Localized] = []
        try forEachPortion(of: images) { result += $0 }
        return result
    }

    /// Looks at the maps of normal images, a portion of which is in memory at a time.
    func survey(of images: ImageBatch) throws -> MapSurvey {
        let survey = MapSurvey()
        try forEachPortion(of: images) { portion in
            for one in portion { survey.add(one.map) }
        }
        return survey
    }

    /// Scores images and gives them on, some at a time, in order.
    private func forEachPortion(of images: ImageBatch, _ body: ([OneClassModel.Localized]) -> Void) throws {
        let side = images.side, pixels = side * side
        try Work.track("scoring", "images", total: images.count) { work in
            for first in stride(from: 0, to: images.count, by: Self.portion) {
                let some = images.subset(first..<min(first + Self.portion, images.count))
                let (features, maps) = try extractor.featuresAndMaps(of: some, program: program, work: work)
                try DetectorFitting.requireFinite(maps, name)
                let scores = try DetectorFitting.requireFinite(
                    try detector.scores(features, on: program.device), name)
                body(
                    parallelMap(some.count) { image in
                        let map = FeatureMap(
                            rows: side, columns: side, channels: 1,
                            values: Array(maps[image * pixels..<(image + 1) * pixels]))
                        return OneClassModel.Localized(
                            score: scores[image], map: map.blurred(sigma: FeatureMap.smoothing).values,
                            isCalibrated: true)
                    })
            }
        }
    }
}
