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
    public static let settings = [neighborsSetting(\NearestNeighbors.neighbors)]

    /// Keeps the normalized training rows.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite or fewer than two, `.usage` for fewer
    ///   rows than k.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        try checkRows(features.rows, columns: features.columns)
        return FittedNearestNeighbors(support: try features.directions(), neighbors: neighbors)
    }

    /// Checks that there are as many rows as neighbors.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    public func checkRows(_ rows: Int, columns: Int) throws { try checkNeighbors(neighbors, of: rows) }

    /// The search that a state was taken from: the array `support` and the number `neighbors`.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let support = try state.matrix("support")
        return FittedNearestNeighbors(support: support, neighbors: try state.neighbors(of: support))
    }

    /// The same search at each location.
    public var forEachLocation: NearestNeighbors? { self }
}

/// The setting of how many neighbors count.
func neighborsSetting<Root>(_ path: WritableKeyPath<Root, Int> & Sendable) -> Setting<Root> {
    Setting(
        "neighbors", path, "K", range: .within(1...10_000), "How many nearest training rows count.")
}

/// Checks that there are as many rows as neighbors.
///
/// - Throws: `OCCError(.usage)` naming the setting.
func checkNeighbors(_ neighbors: Int, of rows: Int) throws {
    guard neighbors >= 1, neighbors <= rows else {
        throw OCCError(.usage, "\(setting: "neighbors") \(neighbors): there are \(rows) training rows")
    }
}

extension DetectorState {
    /// How many of these rows count.
    ///
    /// - Throws: `OCCError(.badData)` for none, or more than there are.
    func neighbors(of support: FeatureMatrix) throws -> Int {
        let count = try number("neighbors")
        guard count >= 1, count <= Double(support.rows) else {
            throw OCCError(.badData, "the detector has \(count) neighbors of \(support.rows) rows")
        }
        return Int(count)
    }
}

/// The largest products of rows with rows to be searched, and the places of these: [rows, count] each, largest first.
func largestProducts(
    _ rows: FeatureMatrix, _ searched: FeatureMatrix, count: Int
) throws -> (products: [Float], places: [Int64]) {
    var products = [Float](repeating: 0, count: rows.rows * count)
    var places = [Int64](repeating: 0, count: rows.rows * count)
    try check(
        ck_largest_products(
            rows.values, Int64(rows.rows), searched.values, Int64(searched.rows), Int64(searched.columns),
            Int64(count), &products, &places), operation: "knn")
    return (products, places)
}

extension FeatureMatrix {
    /// Rows with a number behind each.
    func extended(by last: (ArraySlice<Float>) -> Float) -> FeatureMatrix {
        var extended: [Float] = []
        extended.reserveCapacity(rows * (columns + 1))
        for start in stride(from: 0, to: values.count, by: columns) {
            let row = values[start..<start + columns]
            extended += row
            extended.append(last(row))
        }
        return FeatureMatrix(rows: rows, columns: columns + 1, values: extended)
    }

    /// Normalized rows with a coordinate more, in which rows of zeros are 1: they have no direction, and are like each
    /// other and like nothing else.
    fileprivate var withZeros: FeatureMatrix { extended { row in row.allSatisfy { $0 == 0 } ? 1 : 0 } }
}

/// The training rows to be searched.
struct FittedNearestNeighbors: OneClassClassifier {
    let support: FeatureMatrix
    let neighbors: Int
    private let searched: FeatureMatrix

    init(support: FeatureMatrix, neighbors: Int) {
        (self.support, self.neighbors, searched) = (support, neighbors, support.withZeros)
    }

    var state: DetectorState {
        var state = DetectorState()
        state.set("support", support)
        state.numbers["neighbors"] = Double(neighbors)
        return state
    }

    func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, support.columns)
        let cosines = try largestProducts(
            features.normalized().matrix.withZeros, searched, count: neighbors
        ).products
        return (0..<features.rows).map { row in
            1 - cosines[row * neighbors..<(row + 1) * neighbors].reduce(0.0) { $0 + Double($1) }
                / Double(neighbors)
        }
    }

    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, support.columns)
        let (normalized, norms) = features.normalized()
        let places = try largestProducts(normalized.withZeros, searched, count: neighbors).places
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
