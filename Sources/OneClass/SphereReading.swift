import Foundation

/// How embeddings lie on the unit sphere (Wang & Isola, "Understanding contrastive representation learning
/// through alignment and uniformity on the hypersphere", ICML 2020): a contrastive loss brings both down.
/// Sohn et al. argue that one-class learning wants them not too uniform.
public struct SphereReading: Sendable, Equatable {
    /// The mean squared distance of an instance's two views: 0 when they are one point.
    public let alignment: Double
    /// log mean exp(-2 d^2) over the distances d of pairs of instances: 0 when all are one point, about -4
    /// when they are spread evenly in many dimensions.
    public let uniformity: Double

    /// Instances that are looked at, at most: the cost grows with their square.
    static let limit = 256

    /// A reading of these values.
    public init(alignment: Double, uniformity: Double) {
        self.alignment = alignment
        self.uniformity = uniformity
    }

    /// Measures at most 256 instances of a batch, evenly chosen; uniformity by their first views.
    ///
    /// - Parameter embeddings: [2 pairs, D], of any length; rows i and i + pairs are an instance's views.
    public init(embeddings: [Float], pairs: Int) {
        let width = embeddings.count / max(1, 2 * pairs), count = min(pairs, Self.limit)
        func unit(_ row: Int) -> [Float] {
            let values = embeddings[row * width..<(row + 1) * width]
            let norm = values.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
            return values.map { $0 / max(norm, 1e-12) }
        }
        func squaredDistance(_ a: [Float], _ b: [Float]) -> Double {
            var sum = Float(0)
            for index in 0..<width { sum += (a[index] - b[index]) * (a[index] - b[index]) }
            return Double(sum)
        }
        let chosen = (0..<count).map { $0 * pairs / max(1, count) }, first = chosen.map(unit)
        let views = zip(first, chosen).reduce(0.0) { $0 + squaredDistance($1.0, unit($1.1 + pairs)) }
        var sum = 0.0
        for i in 0..<count {
            for j in 0..<i { sum += exp(-2 * squaredDistance(first[i], first[j])) }
        }
        alignment = views / Double(max(1, count))
        uniformity = count > 1 ? log(sum / Double(count * (count - 1) / 2)) : 0
    }
}
