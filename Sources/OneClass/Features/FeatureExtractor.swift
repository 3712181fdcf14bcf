import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// A part of an image that the encoder sees: its number in a batch of images, and its first pixel.
package struct PatchPlace: Sendable, Equatable {
    package let image: Int, top: Int, left: Int

    package init(image: Int, top: Int, left: Int) {
        self.image = image
        self.top = top
        self.left = left
    }

    /// A patch by its number, image by image; a whole image where there is no grid.
    init(number: Int, grid: PatchGrid?) {
        let own = number % (grid?.count ?? 1)
        image = number / (grid?.count ?? 1)
        top = grid.map { $0.rows[own / $0.columns.count] } ?? 0
        left = grid.map { $0.columns[own % $0.columns.count] } ?? 0
    }

    /// The places of at most so many parts, evenly chosen.
    static func evenly(atMost rows: Int, of images: ImageBatch, grid: PatchGrid?) -> [PatchPlace] {
        let count = images.count * (grid?.count ?? 1), chosen = min(count, rows)
        return (0..<chosen).map { PatchPlace(number: $0 * count / chosen, grid: grid) }
    }

    /// The places of whole images, or the patches of all of them, image by image.
    static func all(of images: ImageBatch, grid: PatchGrid?) -> [PatchPlace] {
        (0..<images.count).flatMap { image in
            grid?.places(image: image) ?? [PatchPlace(image: image, top: 0, left: 0)]
        }
    }
}

/// Computes the features of images or of their patches.
package protocol FeatureExtractor {
    /// D, the number of features.
    var featureCount: Int { get }
    /// What its parts are called: images or patches.
    var unit: String { get }
    /// The plan that it runs.
    var plan: Plan { get }

    /// Features of every part, [count, D]; the parts are in the order of their images.
    ///
    /// - Parameter work: what the parts count for.
    func features(of images: ImageBatch, places: [PatchPlace], program: Program, work: Work) throws
        -> FeatureMatrix
    /// How often the plan runs for all patches of images.
    func runs(images: Int, grid: PatchGrid?) -> Int
}

extension FeatureExtractor {
    /// Features of every part, as work of its own.
    package func features(of images: ImageBatch, places: [PatchPlace], program: Program) throws
        -> FeatureMatrix
    {
        try Work.track("computing features", unit, total: places.count) {
            try features(of: images, places: places, program: program, work: $0)
        }
    }
}

/// The plans that a program scores with: features, and the classifier of a method that scores whole images by
/// it.
struct ScoringPlans {
    let features: any FeatureExtractor
    /// The same, where the method scores the pixels of whole images by itself; nil where it does not.
    let maps: PartExtractor?
    let classifier: PartExtractor?
    /// The method that the classifier is of.
    let method: (any TransformationScoring)?

    init(_ configuration: RunConfiguration, _ program: Program, side: Int) throws {
        if configuration.detector is OwnScore, let own = configuration.method as? any OwnScoring {
            let extractor = try PartExtractor(
                program, encoder: configuration.encoder, side: side, patch: configuration.scoredPatch,
                ownOf: own, headWidths: configuration.headWidths)
            (features, maps) = (extractor, extractor.hasMaps ? extractor : nil)
        } else {
            (features, maps) = (try Self.encoderFeatures(configuration, program, side: side), nil)
        }
        let isPooled = configuration.patch == nil && configuration.mapDetector == nil
        method = isPooled ? configuration.method as? any TransformationScoring : nil
        classifier = try method.map {
            try PartExtractor(
                program, encoder: configuration.encoder, side: side, classifier: $0,
                headWidths: configuration.headWidths)
        }
    }

    /// The plan of the encoder's features, as detectors of vectors or maps see them.
    static func encoderFeatures(
        _ configuration: RunConfiguration, _ program: Program, side: Int
    ) throws -> any FeatureExtractor {
        let encoder = configuration.encoder, layers = configuration.layers
        if let detector = configuration.mapDetector {
            return try MapExtractor(
                program, encoder: encoder, layers: layers, side: side,
                joining: { detector.joining(channels: $0, seed: configuration.seed) })
        }
        if let grid = try configuration.grid(side: side), !encoder.receptiveFields.isEmpty {
            return try DenseExtractor(program, encoder: encoder, layers: layers, grid: grid)
        }
        return try PartExtractor(
            program, encoder: encoder, layers: layers, side: side, patch: configuration.scoredPatch)
    }

    /// Scores images by the method's own classifier: lists by name, a score an image; empty for a method without such.
    ///
    /// - Parameter state: what the scores need to know of normal images.
    func transformationScores(of images: ImageBatch, state: DetectorState, program: Program) throws
        -> [String: [Double]]
    {
        guard let method, let classifier else { return [:] }
        return try method.transformationScores(
            classifier.probabilities(of: images, method, program: program), state: state)
    }
}
