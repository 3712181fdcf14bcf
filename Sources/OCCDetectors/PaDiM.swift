import OCCEngine

/// A Gaussian at each place of the maps (Defard et al. 2020, PaDiM): the score of a place is the Mahalanobis distance,
/// that of an image the highest of its smoothed map.
///
/// The covariance of N images at a place is 1/(N - 1) sum (x - mean)(x - mean)' + 0.01 I.
public struct PaDiM: MapDetector {
    /// The channels that are chosen at random of all stages' at most.
    public var channels = 100
    private var shape: MapShape?
    private var seed: UInt64 = 1

    /// Gaussians of so many channels.
    public init(channels: Int = 100) { self.channels = channels }

    /// The name it is chosen by.
    public let name = "padim"
    /// What it is, in a line.
    public let summary = "A Gaussian at each place of the stages' maps, of channels chosen at random."
    /// The number of channels.
    public static let settings = [
        Setting(
            "channels", \PaDiM.channels, "N", range: .within(1...4096),
            "Channels of the stages' maps that are chosen at random at most.")
    ]

    /// The maps of all stages in the size of the first's, by the nearest place.
    public func join(_ stages: [FeatureMap]) -> FeatureMap {
        .joined(stages.map { $0.resized(rows: stages[0].rows, columns: stages[0].columns, by: .nearest) })
    }

    /// The detector for maps of a shape.
    public func on(_ shape: MapShape, seed: UInt64) -> PaDiM {
        var result = self
        (result.shape, result.seed) = (shape, seed)
        return result
    }

    /// Chooses channels, and estimates mean and covariance at each place.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite or fewer than two,
    ///   `.deviceUnavailable` where there is too little memory.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        let shape = try requireShape(shape, name)
        try features.requireFittable(name)
        var random = CounterRandom(seed: seed, stream: RandomStream.channels)
        let chosen = random.permutation(shape.channels).prefix(channels).sorted()
        // Means and factors in double precision, what is saved of them, and the chosen features twice.
        try requireMemory(
            24 * shape.places * chosen.count * chosen.count + 8 * features.rows * shape.places * chosen.count,
            "\(name): Gaussians of \(chosen.count) channels at \(shape.places) places",
            remedy: "Lower \(setting: "channels"), or leave the first of \(setting: "layers") out.")
        // The kernel's covariance is over N: with its ridge so much smaller, it is a multiple of the one over N - 1.
        let scale = Double(features.rows - 1) / Double(features.rows)
        let gaussian = GaussianDensity.ofRawFeatures(ridge: 0.01 * scale)
        let places = Self.select(chosen, of: try shape.placewise(features))
        return FittedPaDiM(
            shape: shape, chosen: chosen, scale: scale,
            places: try LocationwiseDetector(gaussian, fitting: places, locations: shape.places))
    }

    /// The Gaussians that a state was taken from: the arrays `chosen` and those of the places, and the numbers of the
    /// shape and `scale`.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let shape = try MapShape(state), chosen = try state.array("chosen").values.map { Int($0) }
        guard zip(chosen, chosen.dropFirst()).allSatisfy(<), chosen[0] >= 0,
            chosen[chosen.count - 1] < shape.channels
        else { throw OCCError(.badData, "the detector's array 'chosen' names no channels") }
        var rest = state
        rest.arrays["chosen"] = nil
        return FittedPaDiM(
            shape: shape, chosen: chosen, scale: try state.positive("scale"),
            places: try LocationwiseDetector(
                GaussianDensity.ofRawFeatures(ridge: 0), state: rest, locations: shape.places))
    }

    /// The chosen columns of a matrix.
    static func select(_ chosen: [Int], of features: FeatureMatrix) -> FeatureMatrix {
        if chosen.count == features.columns { return features }
        var values: [Float] = []
        values.reserveCapacity(features.rows * chosen.count)
        for row in 0..<features.rows {
            for column in chosen { values.append(features.values[row * features.columns + column]) }
        }
        return FeatureMatrix(rows: features.rows, columns: chosen.count, values: values)
    }
}

/// Fitted Gaussians.
struct FittedPaDiM: MapClassifier {
    let shape: MapShape
    /// The channels, in rising order.
    let chosen: [Int]
    /// What the squared distances are multiplied by.
    let scale: Double
    let places: LocationwiseDetector

    var state: DetectorState {
        var state = places.state
        state.set("chosen", chosen.map(Double.init), shape: [chosen.count])
        state.numbers["scale"] = scale
        shape.write(to: &state)
        return state
    }

    func maps(_ features: FeatureMatrix) throws -> [(score: Double, map: [Float])] {
        let rows = PaDiM.select(chosen, of: try shape.placewise(features))
        // The Gaussians' scores are half the squared distances.
        let distances = try places.scores(rows).map { (2 * max(0, $0) * scale).squareRoot() }
        return parallelMap(features.rows) { image in
            let own = distances[image * shape.places..<(image + 1) * shape.places]
            let map = shape.pixels(own, by: .bilinear)
            return (Double(map.max()!), map)
        }
    }
}
