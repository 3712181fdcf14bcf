import OCCEngine
import OCCNetworks

/// Where the features of an image's map lie: a row of features is rows x columns places of `channels` each.
public struct MapShape: Sendable, Equatable {
    /// The height of the map in places.
    public let rows: Int
    /// The width of the map in places.
    public let columns: Int
    /// The features of a place.
    public let channels: Int
    /// The side in pixels of the images that the maps are of.
    public let side: Int

    /// A shape; every number is above 0.
    public init(rows: Int, columns: Int, channels: Int, side: Int) {
        (self.rows, self.columns, self.channels, self.side) = (rows, columns, channels, side)
    }

    /// The number of places.
    public var places: Int { rows * columns }

    /// The features of images, a row a place instead of a row an image.
    ///
    /// - Throws: `OCCError(.badData)` for features of another shape.
    func placewise(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, places * channels)
        return FeatureMatrix(rows: features.rows * places, columns: channels, values: features.values)
    }

    /// The map of an image's pixels, [side, side], of the scores of its places, smoothed by a Gaussian of deviation
    /// `FeatureMap.smoothing`.
    func pixels(_ scores: some Sequence<Double>, by interpolation: FeatureMap.Interpolation) -> [Float] {
        FeatureMap(rows: rows, columns: columns, channels: 1, values: scores.map { Float($0) })
            .resized(rows: side, columns: side, by: interpolation).blurred(sigma: FeatureMap.smoothing).values
    }

    /// What each of `length` places of a line, the height or the width of the map, adds to each pixel of the same line
    /// of `pixels`: [side, length], row-major.
    package func spread(_ length: Int, by interpolation: FeatureMap.Interpolation) -> [Double] {
        let resizing = FeatureMap.resizing(length, to: side, by: interpolation)
        let blurring = FeatureMap.blurring(side, sigma: FeatureMap.smoothing)
        var result = [Double](repeating: 0, count: side * length)
        for pixel in 0..<side {
            for between in 0..<side where blurring[pixel * side + between] != 0 {
                let weight = blurring[pixel * side + between]
                for place in 0..<length {
                    result[pixel * length + place] += weight * resizing[between * length + place]
                }
            }
        }
        return result
    }

    /// Keeps the shape in a state.
    func write(to state: inout DetectorState) {
        for (name, value) in [("rows", rows), ("columns", columns), ("channels", channels), ("side", side)] {
            state.numbers["map.\(name)"] = Double(value)
        }
    }

    /// The shape that `write` kept.
    ///
    /// - Throws: `OCCError(.badData)` when a number is missing or no such.
    package init(_ state: DetectorState) throws {
        func number(_ name: String) throws -> Int {
            let value = try state.positive("map.\(name)")
            guard value <= 65_536, value == value.rounded() else {
                throw OCCError(.badData, "the detector's number 'map.\(name)' is \(value)")
            }
            return Int(value)
        }
        self.init(
            rows: try number("rows"), columns: try number("columns"), channels: try number("channels"),
            side: try number("side"))
    }
}

/// A detector that sees the maps of an encoder's stages, not their means, and tells where an image is anomalous.
public protocol MapDetector: Detector {
    /// The stages whose maps it sees unless others are chosen; nil for the last.
    var defaultLayers: StageNumbers? { get }
    /// How the maps of the chosen stages become the one that the detector sees.
    ///
    /// - Parameters:
    ///   - channels: of all these stages together.
    ///   - seed: of what is chosen at random.
    func joining(channels: Int, seed: UInt64) -> MapJoining
    /// The detector for maps of a shape that were joined so, whose random choices are the seed's.
    func on(_ shape: MapShape, joinedBy joining: MapJoining, seed: UInt64) -> Self
}

/// A fitted detector of maps.
public protocol MapClassifier: OneClassClassifier {
    /// How scores of places become the map of the image's pixels.
    var interpolation: FeatureMap.Interpolation { get }
    /// The score of each image, and its map of side x side pixels.
    func maps(_ features: FeatureMatrix) throws -> [(score: Double, map: [Float])]
}

extension MapClassifier {
    /// The score of each image.
    public func scores(_ features: FeatureMatrix) throws -> [Double] { try maps(features).map { $0.score } }
}

/// Detectors of maps, each fitted without one fold of the images: scores and maps are the means of theirs.
struct MapEnsemble: MapClassifier {
    private let ensemble: DetectorEnsemble
    private let members: [any MapClassifier]

    var interpolation: FeatureMap.Interpolation { members[0].interpolation }
    var state: DetectorState { ensemble.state }

    /// The same ensemble; nil where its members are no detectors of maps.
    init?(_ ensemble: DetectorEnsemble) {
        let members = ensemble.members.compactMap { $0 as? any MapClassifier }
        guard !members.isEmpty, members.count == ensemble.members.count else { return nil }
        (self.ensemble, self.members) = (ensemble, members)
    }

    func maps(_ features: FeatureMatrix) throws -> [(score: Double, map: [Float])] {
        let all = try members.map { try $0.maps(features) }, count = Double(members.count)
        return (0..<features.rows).map { image in
            var sum = [Double](repeating: 0, count: all[0][image].map.count)
            for own in all {
                for (pixel, value) in own[image].map.enumerated() { sum[pixel] += Double(value) }
            }
            return (all.reduce(0) { $0 + $1[image].score } / count, sum.map { Float($0 / count) })
        }
    }

    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try ensemble.scoreGradient(features)
    }
}

extension OneClassClassifier {
    /// What gives maps: the detector itself, or the mean of those of folds; nil for a detector that has none.
    package var mapping: (any MapClassifier)? {
        self as? any MapClassifier ?? (self as? DetectorEnsemble).flatMap { MapEnsemble($0) }
    }
}

extension Detectors {
    /// The detectors that see maps.
    public static let maps: [any MapDetector] = [PaDiM(), PatchCore()]

    /// Every detector that a run can have.
    public static var all: [any Detector] { registry.entries + maps + [OwnScore()] }

    /// The detector of a name, of maps or not.
    ///
    /// - Throws: `SettingError` with the names there are.
    public static func entry(_ name: String) throws(SettingError) -> any Detector {
        guard let found = all.first(where: { $0.name == name }) else {
            throw SettingError(
                "detector", "there is no '\(name)'", choices: all.map { $0.name }, given: name)
        }
        return found
    }
}

/// The shape of a map detector that is about to be fitted.
///
/// - Throws: `OCCError(.usage)` where it has none.
func requireShape(_ shape: MapShape?, _ detector: String) throws -> MapShape {
    guard let shape else {
        throw OCCError(.usage, "\(detector) is for the maps of an encoder's stages, not for vectors")
    }
    return shape
}

/// Checks that there is memory for a fit.
///
/// - Throws: `OCCError(.deviceUnavailable)` where there is too little.
func requireMemory(_ bytes: Int, _ what: String, remedy: Wording) throws {
    let free = try Device.availableHostMemory()
    guard bytes <= free else {
        throw OCCError(
            .deviceUnavailable, "\(what) need \(formatBytes(bytes)); \(formatBytes(free)) are free",
            remedy: remedy)
    }
}
