import Foundation

/// Where the patches of a square image lie: every `stride` pixels in both directions, and at the far edge.
public struct PatchGrid: Sendable, Equatable {
    /// Of the image and of a patch, in pixels.
    public let side: Int, patch: Int
    public let stride: Int
    /// The first rows (and columns) of the patches.
    public let positions: [Int]

    public init(side: Int, patch: Int, stride: Int) {
        precondition(patch <= side && stride >= 1)
        self.side = side
        self.patch = patch
        self.stride = stride
        var positions = Array(Swift.stride(from: 0, through: side - patch, by: stride))
        if positions.last != side - patch { positions.append(side - patch) }
        self.positions = positions
    }

    /// Patches of an image.
    public var count: Int { positions.count * positions.count }

    func windows(image: Int) -> [Window] {
        positions.flatMap { top in positions.map { Window(image: image, top: top, left: $0) } }
    }

    /// The scores of an image's patches, row by row, as a map of side x side pixels: each pixel is the mean of the
    /// patches that cover it, weighted by a Gaussian about their centres (Liznerski et al., ICLR 2021, section
    /// 3.3; Li et al., CVPR 2021, appendix A.5) of deviation 10/32 of the patch. The weights of a pixel sum to
    /// one, so that a map is on the scale of the scores, at the image's edge too.
    public func map(_ scores: ArraySlice<Double>) -> [Float] {
        precondition(scores.count == count)
        let weights = self.weights, cells = positions.count, first = scores.startIndex
        // Separable: along the columns, then along the rows.
        var lines = [Double](repeating: 0, count: cells * side)
        for row in 0..<cells {
            for x in 0..<side {
                var sum = 0.0
                for (cell, weight) in weights[x] { sum += weight * scores[first + row * cells + cell] }
                lines[row * side + x] = sum
            }
        }
        var result = [Float](repeating: 0, count: side * side)
        for y in 0..<side {
            for (cell, weight) in weights[y] {
                let share = Float(weight)
                for x in 0..<side { result[y * side + x] += share * Float(lines[cell * side + x]) }
            }
        }
        return result
    }

    /// For each pixel of a line, the patches that cover it and what each counts for.
    private var weights: [[(cell: Int, weight: Double)]] {
        let sigma = Double(patch) * 10 / 32
        return (0..<side).map { x in
            let covering = positions.indices.filter { positions[$0] <= x && x < positions[$0] + patch }
            let raw = covering.map { cell in
                let d = (Double(x) + 0.5 - Double(positions[cell]) - Double(patch) / 2) / sigma
                return exp(-0.5 * d * d)
            }
            let sum = raw.reduce(0, +)
            return zip(covering, raw).map { ($0, $1 / sum) }
        }
    }
}
