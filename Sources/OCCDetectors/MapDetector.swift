import OCCEngine

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

    /// Keeps the shape in a state.
    func write(to state: inout DetectorState) {
        for (name, value) in [("rows", rows), ("columns", columns), ("channels", channels), ("side", side)] {
            state.numbers["map.\(name)"] = Double(value)
        }
    }

    /// The shape that `write` kept.
    ///
    /// - Throws: `OCCError(.badData)` when a number is missing or no such.
    init(_ state: DetectorState) throws {
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
    /// Makes one map of those of the chosen stages, the first of which has the most places.
    func join(_ stages: [FeatureMap]) -> FeatureMap
    /// The detector for maps of a shape, whose random choices are the seed's.
    func on(_ shape: MapShape, seed: UInt64) -> Self
}

/// A fitted detector of maps.
public protocol MapClassifier: OneClassClassifier {
    /// The score of each image, and its map of side x side pixels.
    func maps(_ features: FeatureMatrix) throws -> [(score: Double, map: [Float])]
}

extension MapClassifier {
    /// The score of each image.
    public func scores(_ features: FeatureMatrix) throws -> [Double] { try maps(features).map { $0.score } }
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
