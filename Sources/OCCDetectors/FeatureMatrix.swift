import OCCEngine

/// Rows of features that need not lie in memory: those of a large file, say.
public protocol FeatureSource {
    /// The number of examples.
    var rows: Int { get }
    /// The number of features of an example.
    var columns: Int { get }
    /// The rows at `indices`, in their order.
    ///
    /// - Throws: what reading them does.
    func subset(_ indices: some Collection<Int>) throws -> FeatureMatrix
}

/// A matrix of features, one row an example: rows x columns, row-major.
public struct FeatureMatrix: FeatureSource, Sendable, Equatable {
    /// The number of examples.
    public let rows: Int
    /// The number of features of an example.
    public let columns: Int
    /// The features, rows * columns of them.
    public var values: [Float]

    /// A matrix of values in row-major order; there must be rows * columns, and a column at least.
    public init(rows: Int, columns: Int, values: [Float]) {
        precondition(values.count == rows * columns && columns > 0)
        self.rows = rows
        self.columns = columns
        self.values = values
    }

    /// The rows at `indices`.
    public func subset(_ indices: some Collection<Int>) -> FeatureMatrix {
        var chosen = [Float]()
        chosen.reserveCapacity(indices.count * columns)
        for index in indices { chosen += values[index * columns..<(index + 1) * columns] }
        return FeatureMatrix(rows: indices.count, columns: columns, values: chosen)
    }

    /// Rows of a norm below this are zeros: what is left of a black part of an image by rounding has no direction.
    package static let leastNorm = 1e-5

    /// Rows divided by their L2 norm, and the norms; zeros, and infinity, where a norm is below ``leastNorm``.
    package func normalized() -> (matrix: FeatureMatrix, norms: [Double]) {
        var result = self
        var norms = [Double](repeating: 0, count: rows)
        result.values.withUnsafeMutableBufferPointer { buffer in
            for row in 0..<rows {
                var sum = 0.0
                for index in row * columns..<(row + 1) * columns {
                    sum += Double(buffer[index]) * Double(buffer[index])
                }
                norms[row] = sum.squareRoot() < Self.leastNorm ? .infinity : sum.squareRoot()
                let inverse = 1 / norms[row]
                for index in row * columns..<(row + 1) * columns {
                    buffer[index] = Float(Double(buffer[index]) * inverse)
                }
            }
        }
        return (result, norms)
    }

    /// The normalized rows to fit a detector on.
    ///
    /// - Throws: `OCCError(.badData)` where most rows have a norm below ``leastNorm`` that is not 0: features of so small a
    ///   scale are not what is left of black.
    func directions() throws -> FeatureMatrix {
        let (matrix, norms) = normalized()
        let small = norms.indices.count { row in
            norms[row].isInfinite && values[row * columns..<(row + 1) * columns].contains { $0 != 0 }
        }
        guard 2 * small <= rows else {
            throw OCCError(
                .badData,
                "\(small) of \(rows) rows of features have a norm below \(Self.leastNorm), which counts as none",
                remedy: "Multiply the features by a number that gives them norms near 1.")
        }
        return matrix
    }

    /// Population variance over all entries.
    var variance: Double {
        let count = Double(values.count)
        let mean = values.reduce(0.0) { $0 + Double($1) } / count
        return values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count
    }

    /// At most so many rows, evenly taken.
    package func evenly(atMost limit: Int) -> FeatureMatrix {
        rows <= limit ? self : subset(Self.evenly(atMost: limit, of: Array(0..<rows)))
    }

    /// At most so many of some rows, evenly taken.
    package static func evenly(atMost limit: Int, of rows: [Int]) -> [Int] {
        rows.count <= limit ? rows : (0..<limit).map { rows[$0 * rows.count / limit] }
    }

    /// Rows that are worked on at a time: 256 MiB of them.
    package static func portion(columns: Int) -> Int { max(1, (64 << 20) / columns) }

    /// Checks that a detector can be fitted on the features.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite, or for fewer than two rows.
    public func requireFittable(_ detector: String) throws {
        try requireFinite()
        guard rows >= 2 else {
            throw OCCError(.badData, "\(detector): \(rows) training rows are too few to fit")
        }
    }

    /// Checks that every value is finite.
    ///
    /// - Throws: `OCCError(.badData)` naming the first value that is not finite.
    package func requireFinite() throws {
        guard let index = values.firstIndex(where: { !$0.isFinite }) else { return }
        throw OCCError(
            .badData, "feature \(index % columns) of row \(index / columns) is \(values[index])",
            remedy: "Features must be finite; a diverged encoder gives such values. Lower the learning rate.")
    }
}
