import CKernels
import Foundation
import OCCEngine
import OCCNetworks

/// A Gaussian at each place of the maps (Defard et al. 2020, PaDiM): the score of a place is the Mahalanobis distance,
/// that of an image the highest of its smoothed map.
///
/// The covariance of N images at a place is 1/(N - 1) sum (x - mean)(x - mean)' + `ridge` I.
public struct PaDiM: MapDetector {
    /// What is added to the covariance's diagonal: the paper's 0.01, and what anomalib adds to that before it inverts.
    public static let ridge = 0.01 + 1e-5

    /// The channels that are chosen at random of all stages' at most.
    public var channels = 100
    private var shape: MapShape?
    /// The channels that the features are of; nil for all.
    private var chosen: [Int]?

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

    /// All stages but the last (Defard et al. 2020).
    public let defaultLayers = StageNumbers([1, 2, 3])

    /// The maps of all stages in the size of the first's, by the nearest place, and of their channels those that the seed
    /// draws.
    public func joining(channels count: Int, seed: UInt64) -> MapJoining {
        guard channels < count else { return MapJoining(interpolation: .nearest) }
        var random = CounterRandom(seed: seed, stream: RandomStream.channels)
        return MapJoining(
            interpolation: .nearest, chosen: random.permutation(count).prefix(channels).sorted())
    }

    /// The detector for maps of a shape that were joined so; nothing of it is random.
    public func on(_ shape: MapShape, joinedBy joining: MapJoining, seed: UInt64) -> PaDiM {
        var result = self
        (result.shape, result.chosen) = (shape, joining.chosen)
        return result
    }

    /// Estimates mean and covariance at each place.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite or fewer than two,
    ///   `.deviceUnavailable` where there is too little memory.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        let shape = try requireShape(shape, name)
        try features.requireFittable(name)
        let packed = FittedPaDiM.packed(shape.channels)
        // Factors, and what is saved of them.
        try requireMemory(
            20 * shape.places * packed,
            "\(name): Gaussians of \(shape.channels) channels at \(shape.places) places",
            remedy: "Lower \(setting: "channels"), or leave the first of \(setting: "layers") out.")
        let values = try shape.placewise(features).values
        var mean = [Double](repeating: 0, count: shape.places * shape.channels)
        var whitening = [Float](repeating: 0, count: shape.places * packed)
        try check(
            ck_place_gaussians(
                values, Int64(features.rows), Int64(shape.places), Int64(shape.channels), Self.ridge, &mean,
                &whitening), operation: name)
        return FittedPaDiM(shape: shape, chosen: chosen, mean: mean, whitening: whitening)
    }

    /// The Gaussians that a state was taken from: the arrays `mean` and `whitening`, where channels are chosen `chosen`, and
    /// the numbers of the shape.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let shape = try MapShape(state), packed = FittedPaDiM.packed(shape.channels)
        let mean = try state.array("mean").values, whitening = try state.array("whitening").values
        guard mean.count == shape.places * shape.channels, whitening.count == shape.places * packed else {
            throw OCCError(.badData, "the detector's Gaussians are not of the shape of its maps")
        }
        let chosen = try state.arrays["chosen"] == nil ? nil : state.array("chosen").values
        return FittedPaDiM(
            shape: shape, chosen: chosen?.map { Int($0) }, mean: mean, whitening: whitening.map { Float($0) })
    }
}

/// Fitted Gaussians.
struct FittedPaDiM: MapClassifier {
    let shape: MapShape
    /// The channels of the stages that the features are of; nil for all.
    let chosen: [Int]?
    /// [places, channels]
    let mean: [Double]
    /// The inverse of each covariance's Cholesky factor: [places, channels (channels + 1) / 2], column after column.
    let whitening: [Float]
    let interpolation = FeatureMap.Interpolation.bilinear

    /// The elements of a triangular matrix.
    static func packed(_ channels: Int) -> Int { channels * (channels + 1) / 2 }

    var state: DetectorState {
        var state = DetectorState()
        if let chosen { state.set("chosen", chosen.map(Double.init), shape: [chosen.count]) }
        state.set("mean", mean, shape: [shape.places, shape.channels])
        state.set(
            "whitening", whitening.map(Double.init), shape: [shape.places, Self.packed(shape.channels)],
            isSingle: true)
        shape.write(to: &state)
        return state
    }

    /// The distance at each place of each image, and where `gradient` is not nil its square's half derivative by x.
    private func distances(_ features: FeatureMatrix, gradient: UnsafeMutablePointer<Float>?) throws
        -> [Double]
    {
        var squares = [Double](repeating: 0, count: features.rows * shape.places)
        let values = try shape.placewise(features).values
        try check(
            ck_place_distances(
                values, Int64(features.rows), Int64(shape.places), Int64(shape.channels), mean, whitening,
                &squares, gradient), operation: "padim")
        return squares.map { max(0, $0).squareRoot() }
    }

    func maps(_ features: FeatureMatrix) throws -> [(score: Double, map: [Float])] {
        let distances = try distances(features, gradient: nil)
        return parallelMap(features.rows) { image in
            let own = distances[image * shape.places..<(image + 1) * shape.places]
            let map = shape.pixels(own, by: interpolation)
            return (Double(map.max()!), map)
        }
    }

    /// Of the map's highest pixel: what each place adds to it, times the distance's derivative.
    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        var gradient = [Float](repeating: 0, count: features.values.count)
        let distances = try gradient.withUnsafeMutableBufferPointer {
            try self.distances(features, gradient: $0.baseAddress!)
        }
        let down = shape.spread(shape.rows, by: interpolation)
        let across = shape.spread(shape.columns, by: interpolation)
        for image in 0..<features.rows {
            let own = distances[image * shape.places..<(image + 1) * shape.places]
            let map = shape.pixels(own, by: interpolation), highest = map.indices.max { map[$0] < map[$1] }!
            let (y, x) = (highest / shape.side, highest % shape.side)
            for place in 0..<shape.places {
                let distance = distances[image * shape.places + place]
                let (row, column) = (place / shape.columns, place % shape.columns)
                let weight = down[y * shape.rows + row] * across[x * shape.columns + column]
                let factor = distance > 0 ? Float(weight / distance) : 0
                let first = (image * shape.places + place) * shape.channels
                for index in first..<first + shape.channels { gradient[index] *= factor }
            }
        }
        return FeatureMatrix(rows: features.rows, columns: features.columns, values: gradient)
    }
}
