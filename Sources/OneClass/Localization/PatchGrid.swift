import Foundation

/// Where the patches of an image lie: every `stride` pixels in both directions, and at the far edges.
public struct PatchGrid: Sendable, Equatable {
    /// The image's height in pixels.
    public let height: Int
    /// The image's width in pixels.
    public let width: Int
    /// The side of a patch in pixels.
    public let patch: Int
    /// Pixels from one patch to the next.
    public let stride: Int
    /// The first rows of the patches, from the top.
    public let rows: [Int]
    /// The first columns of the patches, from the left.
    public let columns: [Int]

    /// A grid on an image that is no smaller than a patch, with a stride of 1...patch.
    public init(height: Int, width: Int, patch: Int, stride: Int) {
        precondition(patch <= min(height, width) && stride >= 1 && stride <= patch)
        self.height = height
        self.width = width
        self.patch = patch
        self.stride = stride
        func positions(_ length: Int) -> [Int] {
            let regular = Array(Swift.stride(from: 0, through: length - patch, by: stride))
            return regular.last == length - patch ? regular : regular + [length - patch]
        }
        rows = positions(height)
        columns = positions(width)
    }

    /// A grid on a square image.
    public init(side: Int, patch: Int, stride: Int) {
        self.init(height: side, width: side, patch: patch, stride: stride)
    }

    /// The number of patches.
    public var count: Int { rows.count * columns.count }

    package func places(image: Int) -> [PatchPlace] {
        rows.flatMap { top in columns.map { PatchPlace(image: image, top: top, left: $0) } }
    }

    /// Spreads the scores of an image's patches, row by row, to a map of height x width pixels: each pixel is
    /// the mean of the patches that cover it, weighted by a Gaussian about their centers (Liznerski et al.,
    /// ICLR 2021, section 3.3; Li et al., CVPR 2021, appendix A.5) of deviation 10/32 of the patch. The
    /// weights of a pixel sum to one, so that a map is on the scale of the scores, at the image's edge too.
    public func map(_ scores: ArraySlice<Double>) -> [Float] {
        precondition(scores.count == count)
        let down = weights(rows, height), across = weights(columns, width), first = scores.startIndex
        // Separable: along the columns, then along the rows.
        var lines = [Float](repeating: 0, count: rows.count * width)
        for row in rows.indices {
            for x in 0..<width {
                var sum = 0.0
                for (cell, weight) in across[x] { sum += weight * scores[first + row * columns.count + cell] }
                lines[row * width + x] = Float(sum)
            }
        }
        var result = [Float](repeating: 0, count: height * width)
        for y in 0..<height {
            for (cell, weight) in down[y] {
                let share = Float(weight)
                for x in 0..<width { result[y * width + x] += share * lines[cell * width + x] }
            }
        }
        return result
    }

    /// Finds, for each pixel of a line, the patches that cover it and what each counts for.
    func weights(_ positions: [Int], _ length: Int) -> [[(cell: Int, weight: Double)]] {
        let sigma = Double(patch) * 10 / 32
        return (0..<length).map { x in
            // The regular ones that cover it, and the last.
            let last = positions.count - 1, from = max(0, (x - patch + stride) / stride)
            var covering = from <= min(last, x / stride) ? Array(from...min(last, x / stride)) : []
            covering = covering.filter { positions[$0] <= x && x < positions[$0] + patch }
            if positions[last] <= x, covering.last != last { covering.append(last) }
            let raw = covering.map { cell in
                let d = (Double(x) + 0.5 - Double(positions[cell]) - Double(patch) / 2) / sigma
                return exp(-0.5 * d * d)
            }
            let sum = raw.reduce(0, +)
            return zip(covering, raw).map { ($0, $1 / sum) }
        }
    }

    /// What each patch of a line counts for in each of its pixels: [length, positions].
    func spread(_ positions: [Int], _ length: Int) -> [Double] {
        var values = [Double](repeating: 0, count: length * positions.count)
        for (pixel, cells) in weights(positions, length).enumerated() {
            for (cell, weight) in cells { values[pixel * positions.count + cell] = weight }
        }
        return values
    }

    /// Runs of positions whose patches lie within `side` pixels of the first one's beginning.
    static func tiles(_ positions: [Int], patch: Int, side: Int) -> [Range<Int>] {
        var result: [Range<Int>] = [], first = 0
        while first < positions.count {
            let end =
                positions[first...].firstIndex { $0 + patch > positions[first] + side } ?? positions.count
            result.append(first..<end)
            first = end
        }
        return result
    }
}
