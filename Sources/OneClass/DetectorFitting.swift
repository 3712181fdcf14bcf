import OCCData
import OCCDetectors
import OCCEngine

/// What maps of normal images look like.
final class MapSurvey {
    /// The highest pixel of each.
    private(set) var peaks: [Double] = []
    private var pixels: [Float] = []
    /// One of so many pixels is kept; the pixels that were seen.
    private var every = 1, seen = 0
    /// The pixels that a median is of at most: more, evenly left out, say no more about a picture's scale.
    private static let most = 1 << 22

    /// The median of the pixels.
    var ordinary: Double { Double(pixels.sorted()[pixels.count / 2]) }

    func add(_ map: [Float]) {
        peaks.append(Double(map.max()!))
        for value in map {
            if seen % every == 0 { pixels.append(value) }
            seen += 1
        }
        guard pixels.count > Self.most else { return }
        pixels = stride(from: 0, to: pixels.count, by: 2).map { pixels[$0] }
        every *= 2
    }
}

/// Fits a model's detector on the features of its encoder, and scores images by one.
struct DetectorFitting {
    let configuration: RunConfiguration
    let extractor: any FeatureExtractor
    let program: Program
    let grid: PatchGrid?
    /// What errors call the model.
    let name: String

    private var isEach: Bool { configuration.locations == .each && grid != nil }

    /// The detector that is to be fitted: one of maps knows their shape.
    private var unfitted: any Detector {
        guard let maps = extractor as? MapExtractor, let own = configuration.mapDetector else {
            return configuration.detectorInForce
        }
        return own.on(maps.shape, joinedBy: maps.joining, seed: configuration.seed)
    }

    /// The detector fitted on images.
    func detector(of images: ImageBatch) throws -> any OneClassClassifier {
        let places = places(of: images, rows: configuration.detectorRows)
        return try fit(try extractor.features(of: images, places: places, program: program))
    }

    /// Detectors fitted without a fold each, and the scores of each fold's patches by the one without it, an
    /// image after the other, in an order of the images.
    func crossFitted(on images: ImageBatch, surveying survey: MapSurvey? = nil) throws -> (
        ensemble: DetectorEnsemble, scores: [Double], order: [Int]
    ) {
        let count = configuration.folds
        let folds = DetectorEnsemble.folds(count, of: images.count, seed: configuration.seed)
        // Each member is fitted on the share (count - 1) / count of the rows.
        let rows = (configuration.detectorRows * count + count - 2) / (count - 1)
        let places = places(of: images, rows: rows)
        let ensemble = try DetectorEnsemble(
            fitting: extractor.features(of: images, places: places, program: program),
            folds: places.map { folds[$0.image] }, count: count, fit)
        let members = (0..<count).map { fold in folds.indices.filter { folds[$0] == fold } }
        let scores = try zip(members, ensemble.members).flatMap { own, member in
            try patchScores(of: images.subset(own), member, surveying: survey)
        }
        return (ensemble, scores, members.flatMap { $0 })
    }

    /// The detector that a state was taken from.
    func restored(_ state: DetectorState) throws -> any OneClassClassifier {
        func one(_ state: DetectorState) throws -> any OneClassClassifier {
            if let maps = extractor as? MapExtractor {
                let chosen = state.arrays["chosen"].map { $0.values }
                guard try MapShape(state) == maps.shape, chosen == maps.joining.chosen?.map(Double.init)
                else {
                    throw OCCError(
                        .badData, "the detector's maps are not those of the encoder",
                        remedy: "Train again: the file is damaged, or of an earlier version.")
                }
            }
            return try isEach
                ? LocationwiseDetector(configuration.detector, state: state, locations: grid!.count)
                : configuration.detectorInForce.restore(state)
        }
        return configuration.calibration == .cross
            ? try DetectorEnsemble(state: state, count: configuration.folds, one) : try one(state)
    }

    /// The score of each patch, image by image; a few images' features at a time.
    ///
    /// - Throws: `OCCError(.badData)` for a score that is not finite.
    func patchScores(
        of images: ImageBatch, _ detector: any OneClassClassifier, surveying survey: MapSurvey? = nil
    ) throws -> [Double] {
        // Features of 256 MiB at most, where an image does not have more.
        let patches = grid?.count ?? 1, most = (64 << 20) / (patches * extractor.featureCount)
        let portion = max(1, min(grid == nil ? 1024 : 16, most))
        return try Work.track(
            "scoring", grid == nil ? "images" : "patches", total: images.count * patches
        ) { work in
            try stride(from: 0, to: images.count, by: portion).flatMap { first in
                let some = images.subset(first..<min(first + portion, images.count))
                return try scores(
                    of: some, places: PatchPlace.all(of: some, grid: grid), detector, work: work,
                    surveying: survey)
            }
        }
    }

    /// The score of each part of images.
    ///
    /// - Parameters:
    ///   - work: what the parts count for.
    ///   - survey: gets the maps, of a detector that has some.
    func scores(
        of images: ImageBatch, places: [PatchPlace], _ detector: any OneClassClassifier, work: Work,
        surveying survey: MapSurvey? = nil
    ) throws -> [Double] {
        let features = try extractor.features(of: images, places: places, program: program, work: work)
        do {
            if let survey, let mapping = detector.mapping {
                let found = try mapping.maps(features)
                for one in found { try survey.add(Self.requireFinite(one.map, name)) }
                return try Self.requireFinite(found.map { $0.score }, name)
            }
            return try Self.requireFinite(try detector.scores(features, on: program.device), name)
        } catch let error as OCCError where error.kind == .badData && !error.message.hasPrefix(name) {
            throw OCCError(.badData, "\(name): \(error.problem)", remedy: error.advice)
        }
    }

    /// Checks scores, or the values of a map: one that is not finite ranks nothing.
    ///
    /// - Parameter name: what errors call the model.
    /// - Throws: `OCCError(.badData)` naming the model.
    @discardableResult
    static func requireFinite<Score: BinaryFloatingPoint>(_ scores: [Score], _ name: String) throws -> [Score]
    {
        guard let wrong = scores.first(where: { !$0.isFinite }) else { return scores }
        throw OCCError(
            .badData, "\(name): gives an image a score of \(wrong)",
            remedy: "The model is damaged, or its training diverged: train again.")
    }

    /// The parts whose features a detector is fitted on: all, or evenly so many rows.
    private func places(of images: ImageBatch, rows: Int) -> [PatchPlace] {
        guard !isEach else { return PatchPlace.all(of: images, grid: grid) }
        // The features of rows that are left out are not computed.
        return PatchPlace.evenly(atMost: rows, of: images, grid: grid)
    }

    private func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        let unfitted = unfitted
        guard isEach, let grid else {
            let rows = features.evenly(atMost: configuration.detectorRows)
            return try Work.track("fitting \(unfitted.name) on \(counted(rows.rows, "row"))") { _ in
                try unfitted.fit(rows)
            }
        }
        return try Work.track("fitting \(unfitted.name) at \(counted(grid.count, "place"))") { _ in
            try LocationwiseDetector(unfitted, fitting: features, locations: grid.count)
        }
    }
}
