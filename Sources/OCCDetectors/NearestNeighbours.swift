import CKernels
import OCCEngine

/// k nearest neighbours by cosine: score = 1 - mean of the k largest cosines to the training rows.
public struct NearestNeighbours: OneClassClassifier {
    public let neighbours: Int
    private let support: FeatureMatrix

    init(fitting features: FeatureMatrix, _ options: DetectorOptions) throws {
        guard options.neighbours >= 1, options.neighbours <= features.rows else {
            throw OCCError(.usage, "knn: \(options.neighbours) neighbours of \(features.rows) training rows")
        }
        support = features.normalized().matrix
        neighbours = options.neighbours
    }

    public init(state: DetectorState) throws {
        support = try state.matrix("support")
        let count = try state.number("neighbours")
        guard count >= 1, count <= Double(support.rows) else {
            throw OCCError(.badData, "the detector has \(count) neighbours of \(support.rows) rows")
        }
        neighbours = Int(count)
    }

    public var state: DetectorState {
        var state = DetectorState()
        state.set("support", support)
        state.numbers["neighbours"] = Double(neighbours)
        return state
    }

    private func nearest(_ normalized: FeatureMatrix) throws -> (cosines: [Float], places: [Int64]) {
        var cosines = [Float](repeating: 0, count: normalized.rows * neighbours)
        var places = [Int64](repeating: 0, count: normalized.rows * neighbours)
        try check(
            ck_largest_products(
                normalized.values, Int64(normalized.rows), support.values, Int64(support.rows),
                Int64(support.columns),
                Int64(neighbours), &cosines, &places), operation: "knn")
        return (cosines, places)
    }

    public func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, support.columns)
        let cosines = try nearest(features.normalized().matrix).cosines
        return (0..<features.rows).map { row in
            1 - cosines[row * neighbours..<(row + 1) * neighbours].reduce(0.0) { $0 + Double($1) }
                / Double(neighbours)
        }
    }

    public func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, support.columns)
        let (normalized, norms) = features.normalized()
        let places = try nearest(normalized).places
        var gradient = [Double](repeating: 0, count: normalized.values.count)
        for (index, place) in places.enumerated() {
            let row = index / neighbours * support.columns, from = Int(place) * support.columns
            for column in 0..<support.columns {
                gradient[row + column] -= Double(support.values[from + column]) / Double(neighbours)
            }
        }
        return throughNormalization(gradient, normalized, norms: norms)
    }
}
