import OCCData

/// How alike normal images lie.
public enum Alignment {
    /// The share above which a place in one image is the same place in another.
    public static let threshold = 0.5

    /// The share of the variance of held-out normal images that the mean of training images explains: near 1 for
    /// objects that lie alike in every image, near 0 or below for textures and objects in any pose.
    ///
    /// Images are averaged over cells, 32 along a side, and are without their own mean color: light that is
    /// brighter or dimmer everywhere is not alignment.
    ///
    /// - Returns: 0 where there are too few images, or no variance.
    public static func share(train: ImageBatch, heldOut: ImageBatch) -> Double {
        guard train.count > 1, heldOut.count > 0 else { return 0 }
        let cells = Cells(side: train.side)
        var mean = [Double](repeating: 0, count: cells.count)
        for image in 0..<train.count {
            for (index, value) in cells.values(of: train[image]).enumerated() {
                mean[index] += value / Double(train.count)
            }
        }
        var residual = 0.0, total = 0.0
        for image in 0..<heldOut.count {
            for (index, value) in cells.values(of: heldOut[image]).enumerated() {
                residual += (value - mean[index]) * (value - mean[index])
                total += value * value
            }
        }
        return total > 0 ? 1 - residual / total : 0
    }

    private struct Cells {
        let side: Int, cell: Int, across: Int
        var count: Int { across * across * 3 }

        init(side: Int) {
            self.side = side
            cell = max(1, side / 32)
            across = side / cell
        }

        /// The mean of each cell and channel, less the channel's mean over the image.
        func values(of image: ArraySlice<UInt8>) -> [Double] {
            var sums = [Double](repeating: 0, count: count), means = [Double](repeating: 0, count: 3)
            for row in 0..<across * cell {
                for column in 0..<across * cell {
                    let from = image.startIndex + (row * side + column) * 3
                    let to = (row / cell * across + column / cell) * 3
                    for channel in 0..<3 { sums[to + channel] += Double(image[from + channel]) }
                }
            }
            for index in sums.indices {
                sums[index] /= Double(cell * cell)
                means[index % 3] += sums[index] / Double(across * across)
            }
            return sums.enumerated().map { $1 - means[$0 % 3] }
        }
    }
}
