import OCCEngine

/// How well maps of scores find the defects that masks show, over all pixels of all images together, as MVTec
/// AD is evaluated (Bergmann et al., IJCV 2021, section 5).
public struct LocalizationMetrics: Sendable, Equatable {
    /// The number of pixels of defects.
    public let positives: Int
    /// The number of pixels without one.
    public let negatives: Int
    /// The number of connected regions of defects (8 neighbors).
    public let regions: Int
    /// Area under the ROC curve of all pixels, ties counting half.
    public let auroc: Double
    /// Area under the curve of the mean share of each region that is found, against the false-positive rate
    /// up to `limit`, divided by `limit`: every region counts alike, however small.
    public let aupro: Double
    /// The largest F1 over all thresholds.
    public let bestF1: Double
    /// The highest threshold that reaches the largest F1.
    public let bestF1Threshold: Double

    /// Ranks the pixels of all maps, and finds the regions of the masks.
    ///
    /// - Parameters:
    ///   - maps: of each image width * height scores; higher is more anomalous.
    ///   - masks: of each image, 1 where the defect is.
    ///   - width: of the images, in pixels.
    ///   - limit: the false-positive rate up to which `aupro` integrates.
    /// - Throws: `OCCError(.badData)` when a score is NaN, or there is no defect, or nothing but defects.
    public init(maps: [[Float]], masks: [[UInt8]], width: Int, limit: Double = 0.3) throws {
        precondition(maps.count == masks.count && limit > 0 && limit <= 1)
        let total = masks.reduce(0) { $0 + $1.count }
        precondition(total < 1 << 32, "more than 2^32 pixels")
        // What each pixel adds to the mean share of the regions; 0 outside of them.
        var share = [Float](repeating: 0, count: total)
        // A score in the upper half, so that it sorts, and the pixel in the lower.
        var order = [UInt64]()
        order.reserveCapacity(total)
        var regions = 0, positives = 0, start = 0
        for (map, mask) in zip(maps, masks) {
            precondition(map.count == mask.count && mask.count % width == 0)
            guard !map.contains(where: \.isNaN) else {
                throw OCCError(.badData, "a map has a score that is not a number")
            }
            for (index, score) in map.enumerated() {
                order.append(UInt64(Self.key(score)) << 32 | UInt64(start + index))
            }
            for region in Self.regions(of: mask, width: width) {
                regions += 1
                positives += region.count
                for pixel in region { share[start + pixel] = 1 / Float(region.count) }
            }
            start += mask.count
        }
        let negatives = total - positives
        guard positives > 0, negatives > 0 else {
            throw OCCError(
                .badData,
                "localization needs both: there are \(positives) pixels of defects and \(negatives) others")
        }
        order.sort(by: >)
        var caught = 0, alarms = 0, found = 0.0
        var area = 0.0, proArea = 0.0, best = (f1: 0.0, threshold: Double.infinity)
        var before = (caught: 0, alarms: 0, found: 0.0), index = 0
        while index < total {
            // All pixels of one score are one point of the curves.
            let key = order[index] >> 32
            while index < total, order[index] >> 32 == key {
                let weight = share[Int(order[index] & 0xFFFF_FFFF)]
                if weight > 0 {
                    caught += 1
                    found += Double(weight) / Double(regions)
                } else {
                    alarms += 1
                }
                index += 1
            }
            area += Double(alarms - before.alarms) * Double(caught + before.caught) / 2
            let from = Double(before.alarms) / Double(negatives), until = Double(alarms) / Double(negatives)
            if from < limit, until > from {
                let end = min(until, limit)
                let height = before.found + (found - before.found) * (end - from) / (until - from)
                proArea += (end - from) * (before.found + height) / 2
            }
            let f1 = 2 * Double(caught) / Double(caught + alarms + positives)
            if f1 > best.f1 { best = (f1, Double(Self.score(UInt32(key)))) }
            before = (caught, alarms, found)
        }
        self.positives = positives
        self.negatives = negatives
        self.regions = regions
        auroc = area / (Double(positives) * Double(negatives))
        aupro = proArea / limit
        (bestF1, bestF1Threshold) = best
    }

    /// Bits that order as the scores do, with one zero.
    private static func key(_ score: Float) -> UInt32 {
        let bits = (score + 0).bitPattern
        return bits >> 31 == 1 ? ~bits : bits | 1 << 31
    }

    private static func score(_ key: UInt32) -> Float {
        Float(bitPattern: key >> 31 == 1 ? key & ~(1 << 31) : ~key)
    }

    /// The pixels of each connected region.
    static func regions(of mask: [UInt8], width: Int) -> [[Int]] {
        var left = mask, result: [[Int]] = []
        let height = mask.count / width
        for seed in mask.indices where left[seed] != 0 {
            var region: [Int] = [], open = [seed]
            left[seed] = 0
            while let pixel = open.popLast() {
                region.append(pixel)
                let row = pixel / width, column = pixel % width
                for r in max(0, row - 1)...min(height - 1, row + 1) {
                    for c in max(0, column - 1)...min(width - 1, column + 1) where left[r * width + c] != 0 {
                        left[r * width + c] = 0
                        open.append(r * width + c)
                    }
                }
            }
            result.append(region)
        }
        return result
    }
}
