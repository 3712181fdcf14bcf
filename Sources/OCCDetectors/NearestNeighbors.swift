import CKernels
import OCCEngine

/// The k nearest neighbors by cosine: score = 1 - mean of the k largest cosines to the training rows.
public struct NearestNeighbors: Detector {
    /// How many nearest training rows count, k.
    public var neighbors = 1

    /// A search for so many neighbors.
    public init(neighbors: Int = 1) { self.neighbors = neighbors }

    /// The name it is chosen by.
    public let name = "knn"
    /// What it is, in a line.
    public let summary = "The mean cosine distance to the nearest training rows."
    /// The number of neighbors.
    public static let settings = [
        Setting(
            "neighbors", \NearestNeighbors.neighbors, "K", range: .within(1...10_000),
            "How many nearest training rows count.")
    ]

    /// Keeps the normalized training rows.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite or fewer than two, `.usage` for fewer
    ///   rows than k.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        try checkRows(features.rows, columns: features.columns)
        return FittedNearestNeighbors(support: features.normalized().matrix, neighbors: neighbors)
    }

    /// Checks that there are as many rows as neighbors.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    public func checkRows(_ rows: Int, columns: Int) throws {
        guard neighbors >= 1, neighbors <= rows else {
            throw OCCError(.usage, "\(setting: "neighbors") \(neighbors): there are \(rows) training rows")
        }
    }

    /// The search that a state was taken from: the array `support` and the number `neighbors`.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let support = try state.matrix("support"), count = try state.number("neighbors")
        guard count >= 1, count <= Double(support.rows) else {
            throw OCCError(.badData, "the detector has \(count) neighbors of \(support.rows) rows")
        }
        return FittedNearestNeighbors(support: support, neighbors: Int(count))
    }

    /// The same search at each location.
    public var forEachLocation: NearestNeighbors? { self }
}

/// The training rows to be searched.
struct FittedNearestNeighbors: OneClassClassifier {
    let support: FeatureMatrix
    let neighbors: Int

    var state: DetectorState {
        var state = DetectorState()
        state.set("support", support)
        state.numbers["neighbors"] = Double(neighbors)
        return state
    }

    private func nearest(_ normalized: FeatureMatrix) throws -> (cosines: [Float], places: [Int64]) {
        var cosines = [Float](repeating: 0, count: normalized.rows * neighbors)
        var places = [Int64](repeating: 0, count: normalized.rows * neighbors)
        try check(
            ck_largest_products(
                normalized.values, Int64(normalized.rows), support.values, Int64(support.rows),
                Int64(support.columns),
                Int64(neighbors), &cosines, &places), operation: "knn")
        return (cosines, places)
    }

    func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, support.columns)
        let cosines = try nearest(features.normalized().matrix).cosines
        return (0..<features.rows).map { row in
            1 - cosines[row * neighbors..<(row + 1) * neighbors].reduce(0.0) { $0 + Double($1) }
                / Double(neighbors)
        }
    }

    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, support.columns)
        let (normalized, norms) = features.normalized()
        let places = try nearest(normalized).places
        var gradient = [Double](repeating: 0, count: normalized.values.count)
        for (index, place) in places.enumerated() {
            let row = index / neighbors * support.columns, from = Int(place) * support.columns
            for column in 0..<support.columns {
                gradient[row + column] -= Double(support.values[from + column]) / Double(neighbors)
            }
        }
        return throughNormalization(gradient, normalized, norms: norms)
    }
}
