import OCCData

/// A connected region of a map above a threshold: pixels that touch, corners included.
public struct AnomalousRegion: Sendable, Equatable {
    /// The smallest rectangle that holds it.
    public let box: PixelRect
    /// Its pixels.
    public let area: Int
    /// The highest score in it.
    public let peak: Double
    /// Where that is: the first such pixel, row by row.
    public let peakRow: Int
    /// The column of the peak.
    public let peakColumn: Int
    /// The mean of its scores.
    public let mean: Double

    /// Finds the regions of a map of rows of `width` scores, the highest peak first.
    public static func regions(of map: [Float], width: Int, above threshold: Double) -> [AnomalousRegion] {
        let height = map.count / width
        var isSeen = map.map { !(Double($0) > threshold) }
        var found: [AnomalousRegion] = []
        for start in map.indices where !isSeen[start] {
            isSeen[start] = true
            var pixels = [start], next = 0
            while next < pixels.count {
                let row = pixels[next] / width, column = pixels[next] % width
                next += 1
                for y in max(0, row - 1)...min(height - 1, row + 1) {
                    for x in max(0, column - 1)...min(width - 1, column + 1) where !isSeen[y * width + x] {
                        isSeen[y * width + x] = true
                        pixels.append(y * width + x)
                    }
                }
            }
            found.append(AnomalousRegion(pixels, of: map, width: width))
        }
        return found.sorted { ($1.peak, $0.peakRow, $0.peakColumn) < ($0.peak, $1.peakRow, $1.peakColumn) }
    }

    private init(_ pixels: [Int], of map: [Float], width: Int) {
        var top = Int.max, left = Int.max, bottom = 0, right = 0, sum = 0.0, best = pixels[0]
        for pixel in pixels {
            let row = pixel / width, column = pixel % width
            (top, bottom) = (min(top, row), max(bottom, row))
            (left, right) = (min(left, column), max(right, column))
            sum += Double(map[pixel])
            if map[pixel] > map[best] || (map[pixel] == map[best] && pixel < best) { best = pixel }
        }
        box = PixelRect(top: top, left: left, height: bottom - top + 1, width: right - left + 1)
        area = pixels.count
        peak = Double(map[best])
        (peakRow, peakColumn) = (best / width, best % width)
        mean = sum / Double(pixels.count)
    }
}

/// Lays a map of side x side scores over the image of width x height pixels that was fitted into the square, between
/// the map's pixels in straight lines. What the square does not show has the score minus infinity.
public func mapOverImage(_ map: [Float], side: Int, width: Int, height: Int, fit: Fit) -> [Float] {
    precondition(map.count == side * side)
    guard width != side || height != side else { return map }
    let place = fit.placement(width: width, height: height, side: side)
    /// For each pixel of a line of the image the two of the square that it lies between, and the second one's share.
    func line(_ length: Int, shown: Range<Int>, from: Int, count: Int) -> [(Int, Int, Float)?] {
        (0..<length).map { pixel in
            guard shown.contains(pixel) else { return nil }
            let at = (Double(pixel - shown.lowerBound) + 0.5) * Double(count) / Double(shown.count) - 0.5
            let inside = min(max(at, 0), Double(count - 1)), first = Int(inside)
            return (from + first, from + min(first + 1, count - 1), Float(inside - Double(first)))
        }
    }
    let image = place.image, square = place.square
    let rows = line(
        height, shown: image.top..<image.top + image.height, from: square.top, count: square.height)
    let columns = line(
        width, shown: image.left..<image.left + image.width, from: square.left, count: square.width)
    var result = [Float](repeating: -.infinity, count: width * height)
    for (y, row) in rows.enumerated() {
        guard let (above, below, down) = row else { continue }
        for (x, column) in columns.enumerated() {
            guard let (left, right, across) = column else { continue }
            let upper = map[above * side + left] * (1 - across) + map[above * side + right] * across
            let lower = map[below * side + left] * (1 - across) + map[below * side + right] * across
            result[y * width + x] = upper * (1 - down) + lower * down
        }
    }
    return result
}
