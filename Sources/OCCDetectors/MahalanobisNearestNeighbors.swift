import CKernels
import OCCEngine

/// The k nearest neighbors by the Mahalanobis distance (1936) of the training rows' covariance: score = mean distance
/// to the k nearest training rows.
///
/// Features are taken as they are. Directions in which normal features hardly vary count as much as those in which they
/// vary most; ``NearestNeighbors`` compares angles, which the mean of the features decides. The covariance is (1 - a)
/// S + a tr(S)/D I, so that what does not vary at all has bounds.
public struct MahalanobisNearestNeighbors: Detector {
    /// How many nearest training rows count, k.
    public var neighbors = 1

    /// The share a of a sphere in the covariance.
    static let shrinkage = 0.01
    /// What is added to the variances, for features that are all constant.
    static let ridge = 1e-12

    /// A search for so many neighbors.
    public init(neighbors: Int = 1) { self.neighbors = neighbors }

    /// The name it is chosen by.
    public let name = "knn-mahalanobis"
    /// What it is, in a line.
    public let summary = "The mean Mahalanobis distance to the nearest training rows."
    /// The number of neighbors.
    public static let settings = [neighborsSetting(\MahalanobisNearestNeighbors.neighbors)]

    /// Factors the covariance (Cholesky), and keeps the whitened training rows.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite or fewer than two, `.usage` for fewer
    ///   rows than k.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        try checkRows(features.rows, columns: features.columns)
        let columns = features.columns
        var mean = [Double](repeating: 0, count: columns)
        var cholesky = [Double](repeating: 0, count: columns * columns)
        try check(
            ck_gaussian_fit(
                features.values, Int64(features.rows), Int64(columns), Self.shrinkage, Self.ridge, &mean,
                &cholesky), operation: name)
        let whitening = Whitening(mean: mean, cholesky: cholesky)
        return FittedMahalanobisNeighbors(
            whitening: whitening, support: try whitening(features), neighbors: neighbors)
    }

    /// Checks that there are as many rows as neighbors.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    public func checkRows(_ rows: Int, columns: Int) throws { try checkNeighbors(neighbors, of: rows) }

    /// The bytes of the centered rows in double precision, of the whitened ones, which are kept twice, of the covariance
    /// and of its factor.
    public func fittingMemory(rows: Int, columns: Int) -> Int { 8 * columns * (2 * rows + 3 * columns) }

    /// The search that a state was taken from: the arrays `mean`, `cholesky` and `support`, and the number
    /// `neighbors`.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let support = try state.matrix("support")
        let whitening = Whitening(
            mean: try state.array("mean").values, cholesky: try state.array("cholesky").values)
        guard whitening.isRegular, support.columns == whitening.mean.count else {
            throw OCCError(.badData, "the detector's Cholesky factor is malformed")
        }
        return FittedMahalanobisNeighbors(
            whitening: whitening, support: support, neighbors: try state.neighbors(of: support))
    }

    /// The same search at each location.
    public var forEachLocation: MahalanobisNearestNeighbors? { self }
}

/// What makes the covariance of rows the identity: z = L^-1 (x - mean), with the covariance L L'.
package struct Whitening {
    /// [D].
    let mean: [Double]
    /// L, lower triangular, [D,D].
    let cholesky: [Double]

    /// That of a mean and a covariance's factor.
    package init(mean: [Double], cholesky: [Double]) { (self.mean, self.cholesky) = (mean, cholesky) }

    /// Whether the factor is one.
    var isRegular: Bool {
        cholesky.count == mean.count * mean.count
            && mean.indices.allSatisfy { cholesky[$0 * mean.count + $0] > 0 }
    }

    /// The whitened rows.
    package func callAsFunction(_ features: FeatureMatrix) throws -> FeatureMatrix {
        var result = [Float](repeating: 0, count: features.values.count)
        try check(
            ck_gaussian_whiten(
                features.values, Int64(features.rows), Int64(features.columns), mean, cholesky, &result),
            operation: "whitening")
        return FeatureMatrix(rows: features.rows, columns: features.columns, values: result)
    }

    /// The derivative by x of what has the derivative `gradient` [D] by z: g with L' g = gradient.
    func back(_ gradient: [Double]) -> [Double] {
        let count = mean.count
        var result = gradient
        for row in stride(from: count - 1, through: 0, by: -1) {
            result[row] /= cholesky[row * count + row]
            for column in 0..<row { result[column] -= cholesky[row * count + column] * result[row] }
        }
        return result
    }
}

/// The whitened training rows to be searched.
struct FittedMahalanobisNeighbors: OneClassClassifier {
    private let whitening: Whitening
    private let support: FeatureMatrix
    private let neighbors: Int
    /// Rows (t, -|t|^2 / 2), whose product with (z, 1) is largest where z is nearest to t.
    private let searched: FeatureMatrix

    init(whitening: Whitening, support: FeatureMatrix, neighbors: Int) {
        (self.whitening, self.support, self.neighbors) = (whitening, support, neighbors)
        searched = support.extended { row in
            -Float(row.reduce(0.0) { $0 + Double($1) * Double($1) } / 2)
        }
    }

    var state: DetectorState {
        var state = DetectorState()
        state.set("mean", whitening.mean, shape: [whitening.mean.count])
        state.set("cholesky", whitening.cholesky, shape: [whitening.mean.count, whitening.mean.count])
        state.set("support", support)
        state.numbers["neighbors"] = Double(neighbors)
        return state
    }

    /// Places that are looked at for each neighbor beyond k: products in single precision may order near ones otherwise.
    private static let spare = 7

    /// The k nearest rows of each whitened row, nearest first, and their distances.
    private func nearest(_ rows: FeatureMatrix) throws -> [[(place: Int, distance: Double)]] {
        let count = min(support.rows, neighbors + Self.spare), columns = support.columns
        let queries = rows.extended { _ in 1 }
        let places = try largestProducts(queries, searched, count: count).places
        // Of what single precision cannot hold there are no products, and no neighbors by them.
        guard places.allSatisfy({ $0 >= 0 }), rows.values.allSatisfy(\.isFinite) else {
            throw OCCError(
                .badData, "features are too far from all training rows to be compared with them",
                remedy: "Check that they are of the same encoder, and of the same scale.")
        }
        return rows.values.withUnsafeBufferPointer { rowValues in
            support.values.withUnsafeBufferPointer { supportValues in
                (0..<rows.rows).map { row in
                    let found = places[row * count..<(row + 1) * count].map { place in
                        (
                            place: Int(place),
                            distance: squaredDistance(
                                rowValues.baseAddress! + row * columns,
                                supportValues.baseAddress! + Int(place) * columns, columns
                            ).squareRoot()
                        )
                    }
                    return Array(found.sorted { $0.distance < $1.distance }.prefix(neighbors))
                }
            }
        }
    }

    func scores(_ features: FeatureMatrix) throws -> [Double] {
        try requireColumns(features, support.columns)
        return try nearest(whitening(features)).map { found in
            found.reduce(0.0) { $0 + $1.distance } / Double(neighbors)
        }
    }

    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        try requireColumns(features, support.columns)
        let rows = try whitening(features), columns = support.columns
        var values: [Float] = []
        for (row, found) in try nearest(rows).enumerated() {
            var gradient = [Double](repeating: 0, count: columns)
            for (place, distance) in found where distance > 0 {
                for column in 0..<columns {
                    let difference =
                        Double(rows.values[row * columns + column])
                        - Double(support.values[place * columns + column])
                    gradient[column] += difference / (distance * Double(neighbors))
                }
            }
            values += whitening.back(gradient).map { Float($0) }
        }
        return FeatureMatrix(rows: features.rows, columns: columns, values: values)
    }
}
