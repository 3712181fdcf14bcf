import Foundation
import OCCDetectors
import OCCEngine

/// What a classifier has learned, for who writes it down in another language.
///
/// L locations have a detector each; a single one stands for all where L is 1. Arrays have L as their first extent.
struct FittedDetector {
    private let classifier: any OneClassClassifier
    /// Its arrays and, as arrays `number.NAME`, its numbers.
    let state: DetectorState
    /// L.
    let locations: Int

    /// An array of any shape.
    struct Values {
        let values: [Double]
        let shape: [Int]
    }

    init(_ classifier: any OneClassClassifier) {
        self.classifier = classifier
        let own = classifier.state
        guard let each = classifier as? LocationwiseDetector else {
            locations = 1
            var stacked = DetectorState()
            for (name, array) in own.arrays {
                stacked.set(name, array.values, shape: [1] + array.shape, isSingle: array.isSingle)
            }
            for (name, number) in own.numbers { stacked.set("number.\(name)", [number], shape: [1]) }
            state = stacked
            return
        }
        locations = each.locations
        state = own
    }

    /// The detectors whose mean a classifier is: its own, or those of an ensemble.
    static func all(of classifier: any OneClassClassifier) -> [FittedDetector] {
        ((classifier as? DetectorEnsemble)?.members ?? [classifier]).map { FittedDetector($0) }
    }

    /// The number of features, D.
    var columns: Int {
        get throws {
            let array = try state.arrays["support"] ?? state.array("mean")
            return array.shape[array.shape.count - 1]
        }
    }

    /// A number at each location, [L].
    func numbers(_ name: String) throws -> [Double] { try state.array("number.\(name)").values }

    /// The training rows that it keeps: [L,S,D]; single precision holds them exactly.
    func support() throws -> Values { values(try state.array("support")) }

    /// The multipliers of these rows: [L,S].
    func multipliers() throws -> Values { values(try state.array("multipliers")) }

    private func values(_ array: DetectorState.Array) -> Values {
        Values(values: array.values, shape: array.shape)
    }

    /// The squared lengths of the training rows, [L S].
    func squaredLengths() throws -> [Double] {
        let support = try state.array("support").values, columns = try columns
        return stride(from: 0, to: support.count, by: columns).map { first in
            support[first..<first + columns].reduce(0.0) { $0 + $1 * $1 }
        }
    }

    // MARK: Gaussians

    /// The means, [L,D].
    func mean() throws -> Values { values(try state.array("mean")) }

    /// The inverses of the Cholesky factors, transposed: [L,D,D]. A centered row times it has the length that is its
    /// Mahalanobis distance.
    func whitening() throws -> Values {
        let factors = try factors(), columns = try columns
        let inverses = parallelMap(factors.count) { Self.inverseTransposed(factors[$0], columns) }
        return Values(values: inverses.flatMap { $0 }, shape: [locations, columns, columns])
    }

    /// The logarithm of each density's normalization, [L]; 0 where Gaussians are compared with each other, whose scores
    /// are distances alone.
    func normalization() throws -> [Double] {
        let columns = try columns
        let isDistance = (try? numbers("distance"))?.allSatisfy { $0 != 0 } ?? false
        return try factors().map { factor in
            guard !isDistance else { return 0.0 }
            let determinant = (0..<columns).reduce(0.0) { $0 + log(factor[$1 * columns + $1]) }
            return 0.5 * Double(columns) * log(2 * Double.pi) + determinant
        }
    }

    private func factors() throws -> [[Double]] {
        let all = try state.array("cholesky").values, columns = try columns, size = columns * columns
        return (0..<locations).map { Array(all[$0 * size..<($0 + 1) * size]) }
    }

    /// The inverse of a lower triangular matrix, transposed: row j is column j of the inverse, solved for
    /// forward.
    static func inverseTransposed(_ l: [Double], _ d: Int) -> [Double] {
        var result = [Double](repeating: 0, count: d * d)
        for j in 0..<d {
            for i in j..<d {
                var sum = i == j ? 1.0 : 0
                for k in j..<i { sum -= l[i * d + k] * result[j * d + k] }
                result[j * d + i] = sum / l[i * d + i]
            }
        }
        return result
    }

    // MARK: Support vectors

    /// The normal of a linear one-class SVM, with the sign of scores: -sum a x, [D].
    func normal() throws -> [Double] {
        let support = try state.array("support").values, columns = try columns
        var normal = [Double](repeating: 0, count: columns)
        for (row, multiplier) in try multipliers().values.enumerated() {
            for column in 0..<columns {
                normal[column] -= multiplier * support[row * columns + column]
            }
        }
        return normal
    }

    /// What the score of a data description is of the kernel sum: score = offset + factor * sum a k(u, x).
    func description() throws -> (offset: Double, factor: Double) {
        guard let description = classifier as? FittedDataDescription else {
            throw OCCError(.failure, "svdd: the classifier is not a support vector data description")
        }
        return (1 + description.centerNorm, -2 / (try multipliers().values.reduce(0, +)))
    }
}
