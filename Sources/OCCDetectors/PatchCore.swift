import CKernels
import Foundation
import OCCEngine
import OCCNetworks

/// A memory of normal places (Roth et al. 2022, PatchCore): the score of a place is its distance from the nearest one in
/// memory, that of an image the largest of them, weighted by how lonely the nearest one is among its own neighbors.
public struct PatchCore: MapDetector {
    /// The share of the training images' places that is kept.
    public var coreset = 0.1
    /// The neighbors of the nearest place that weigh an image's score; 1 for no weight.
    public var support = 9
    private var shape: MapShape?
    private var seed: UInt64 = 1

    /// A memory of such a share of all places.
    public init(coreset: Double = 0.1, support: Int = 9) {
        (self.coreset, self.support) = (coreset, support)
    }

    /// The name it is chosen by.
    public let name = "patchcore"
    /// What it is, in a line.
    public let summary = "The distance from the nearest of chosen normal places of the stages' maps."
    /// The coreset's share and the neighbors that weigh a score.
    public static let settings = [
        Setting(
            "coreset", \PatchCore.coreset, "SHARE", range: .within(0.0001...1),
            "Share of the training images' places that is kept, chosen so that none is far from one of them."),
        Setting(
            "support", \PatchCore.support, "N", range: .within(1...1000),
            "Neighbors of the nearest kept place that weigh an image's score; 1 for no weight."),
    ]

    /// The middle stages (Roth et al. 2022): the first has four times the places of the second.
    public let defaultLayers = StageNumbers([2, 3])

    /// The means of 3 x 3 places of all stages' maps in the size of the first's, linear between places.
    public func joining(channels: Int, seed: UInt64) -> MapJoining {
        MapJoining(averages: true, interpolation: .bilinear)
    }

    /// The detector for maps of a shape, whose first place that is kept is the seed's.
    public func on(_ shape: MapShape, joinedBy joining: MapJoining, seed: UInt64) -> PatchCore {
        var result = self
        (result.shape, result.seed) = (shape, seed)
        return result
    }

    /// Chooses the places that are kept, beginning from one that the seed draws.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite or fewer than two,
    ///   `.deviceUnavailable` where there is too little memory.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        var random = CounterRandom(seed: seed, stream: RandomStream.channels)
        let places = features.rows * (shape?.places ?? 1)
        return try fit(features, start: Int(random.next().multipliedFullWidth(by: UInt64(places)).high))
    }

    /// Chooses the places that are kept.
    ///
    /// - Parameter start: the place that is kept first.
    package func fit(_ features: FeatureMatrix, start: Int) throws -> any MapClassifier {
        let shape = try requireShape(shape, name)
        try features.requireFittable(name)
        let places = try shape.placewise(features)
        let count = min(places.rows, max(2, Int(Double(places.rows) * coreset)))
        // The distances of a choice, before and after it, and the memory: as features, for products, in the model file.
        try requireMemory(
            8 * places.rows + 24 * count * (places.columns + 1),
            "\(name): a memory of \(count) places of \(places.columns) features",
            remedy: "Lower \(setting: "coreset"), or leave the first of \(setting: "layers") out.")
        let chosen = Work.track("choosing places to keep", "places", total: count) {
            Coreset.greedy(places, count: count, start: start, work: $0)
        }
        return FittedPatchCore(shape: shape, memory: places.subset(chosen), support: support)
    }

    /// The memory that a state was taken from: the array `memory`, and the numbers `support` and of the shape.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let shape = try MapShape(state), memory = try state.matrix("memory")
        let support = try state.positive("support")
        guard memory.rows >= 2, memory.columns == shape.channels, support >= 1, support <= 1000 else {
            throw OCCError(.badData, "the detector's memory of places is malformed")
        }
        return FittedPatchCore(shape: shape, memory: memory, support: Int(support))
    }
}

/// The places that are kept.
struct FittedPatchCore: MapClassifier {
    let shape: MapShape
    let memory: FeatureMatrix
    let support: Int
    let interpolation = FeatureMap.Interpolation.nearest
    /// The memory with a last column of -|m|^2 / 2: its product with (x, 1) is largest for the nearest row.
    private let extended: FeatureMatrix

    init(shape: MapShape, memory: FeatureMatrix, support: Int) {
        (self.shape, self.memory, self.support) = (shape, memory, support)
        extended = Self.extended(memory) { row in -0.5 * row.reduce(0) { $0 + Double($1) * Double($1) } }
    }

    var state: DetectorState {
        var state = DetectorState()
        state.set("memory", memory)
        state.numbers["support"] = Double(support)
        shape.write(to: &state)
        return state
    }

    /// A matrix with one more column.
    private static func extended(_ matrix: FeatureMatrix, by value: (ArraySlice<Float>) -> Double)
        -> FeatureMatrix
    {
        let columns = matrix.columns
        var values: [Float] = []
        values.reserveCapacity(matrix.rows * (columns + 1))
        for row in 0..<matrix.rows {
            let own = matrix.values[row * columns..<(row + 1) * columns]
            values += own
            values.append(Float(value(own)))
        }
        return FeatureMatrix(rows: matrix.rows, columns: columns + 1, values: values)
    }

    /// The distance of a row of features from one of the memory.
    private func distance(_ features: FeatureMatrix, _ row: Int, _ place: Int) -> Double {
        let columns = memory.columns
        return features.values.withUnsafeBufferPointer { features in
            memory.values.withUnsafeBufferPointer { memory in
                squaredDistance(
                    features.baseAddress! + row * columns, memory.baseAddress! + place * columns, columns
                ).squareRoot()
            }
        }
    }

    /// The nearest rows of the memory to each row, nearest first, and their distances.
    private func nearest(_ features: FeatureMatrix, _ count: Int) throws -> [[(distance: Double, place: Int)]]
    {
        // Products in single precision find a few more, among which distances decide.
        let wanted = min(memory.rows, count + 3)
        var products = [Float](repeating: 0, count: features.rows * wanted)
        var places = [Int64](repeating: 0, count: features.rows * wanted)
        try check(
            ck_largest_products(
                Self.extended(features) { _ in 1 }.values, Int64(features.rows), extended.values,
                Int64(memory.rows), Int64(extended.columns), Int64(wanted), &products, &places),
            operation: "patchcore")
        return parallelMap(features.rows) { [places] row in
            let found = places[row * wanted..<(row + 1) * wanted].map { place in
                (distance: distance(features, row, Int(place)), place: Int(place))
            }
            return Array(found.sorted { ($0.distance, $0.place) < ($1.distance, $1.place) }.prefix(count))
        }
    }

    /// What decides an image's score.
    private struct Worst {
        /// The number of its farthest place among those of all images.
        let row: Int
        /// The distances of this place from the neighbors of the nearest kept one, which is the first, and the shares of
        /// these in the exponentials of all.
        let distances: [Double], shares: [Double]
        let neighbors: [Int]

        /// What a score is multiplied by: 1 less the share of the nearest place in the exponentials of the distances
        /// from its neighbors, itself among them; 1 where it has none beside itself.
        var weight: Double { neighbors.count > 1 ? 1 - shares[0] : 1 }
        var score: Double { weight * distances[0] }
    }

    /// The distance of each place from the nearest kept one, and what decides each image's score.
    private func search(_ features: FeatureMatrix) throws -> (
        places: FeatureMatrix, distances: [Double], worst: [Worst]
    ) {
        let places = try shape.placewise(features), found = try nearest(places, 1).map { $0[0] }
        let rows = (0..<features.rows).map { image in
            (image * shape.places..<(image + 1) * shape.places).reduce(image * shape.places) {
                found[$1].distance > found[$0].distance ? $1 : $0
            }
        }
        let around = try nearest(memory.subset(rows.map { found[$0].place }), support)
        let worst = zip(rows, around).map { row, around in
            let neighbors = around.map { $0.place }
            let distances = neighbors.map { distance(places, row, $0) }, largest = distances.max()!
            let powers = distances.map { exp($0 - largest) }, sum = powers.reduce(0, +)
            return Worst(
                row: row, distances: distances, shares: powers.map { $0 / sum }, neighbors: neighbors)
        }
        return (places, found.map { $0.distance }, worst)
    }

    func maps(_ features: FeatureMatrix) throws -> [(score: Double, map: [Float])] {
        let (_, distances, worst) = try search(features)
        return parallelMap(features.rows) { image in
            let own = distances[image * shape.places..<(image + 1) * shape.places]
            return (worst[image].score, shape.pixels(own, by: interpolation))
        }
    }

    /// Of each image's farthest place alone: through its distance, and through the weight.
    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        let (places, _, worst) = try search(features), columns = memory.columns
        var gradient = [Float](repeating: 0, count: features.values.count)
        for own in worst {
            // Of the distance from each neighbor k: with shares p, d(1 - p_0) = -p_0 (d_0' - sum of p_k d_k').
            let p = own.shares, isWeighted = own.neighbors.count > 1
            let slopes = own.neighbors.indices.map { k -> Double in
                let ofWeight = isWeighted ? -p[0] * ((k == 0 ? 1 : 0) - p[k]) * own.distances[0] : 0
                return (k == 0 ? own.weight : 0) + ofWeight
            }
            for (k, place) in own.neighbors.enumerated() where own.distances[k] > 0 {
                let factor = slopes[k] / own.distances[k], first = own.row * columns
                for column in 0..<columns {
                    let difference =
                        Double(places.values[first + column])
                        - Double(memory.values[place * columns + column])
                    gradient[first + column] += Float(factor * difference)
                }
            }
        }
        return FeatureMatrix(rows: features.rows, columns: features.columns, values: gradient)
    }
}
