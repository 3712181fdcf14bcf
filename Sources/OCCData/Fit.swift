/// A rectangle of pixels.
public struct PixelRect: Sendable, Equatable {
    /// The first row.
    public let top: Int
    /// The first column.
    public let left: Int
    /// The number of rows.
    public let height: Int
    /// The number of columns.
    public let width: Int

    /// A rectangle from its upper left corner.
    public init(top: Int, left: Int, height: Int, width: Int) {
        self.top = top
        self.left = left
        self.height = height
        self.width = width
    }
}

/// How an image of any proportions becomes a square.
public enum Fit: String, CaseIterable, Sendable {
    /// The whole image, each side stretched on its own, as the papers do it.
    case stretch
    /// The whole image in its proportions, in the middle, with a black border on two sides.
    case pad
    /// The largest square about the middle of the image; what is outside of it is not seen.
    case crop

    /// Which part of an image a square shows, and where in the square it is.
    public struct Placement: Sendable, Equatable {
        /// The part of the image that is shown.
        public let image: PixelRect
        /// The part of the square that shows it.
        public let square: PixelRect
    }

    /// Where an image of height x width pixels is in a square of side x side.
    public func placement(width: Int, height: Int, side: Int) -> Placement {
        let all = PixelRect(top: 0, left: 0, height: height, width: width)
        let square = PixelRect(top: 0, left: 0, height: side, width: side)
        switch self {
        case .stretch: return Placement(image: all, square: square)
        case .crop:
            let short = min(width, height)
            return Placement(
                image: PixelRect(
                    top: (height - short) / 2, left: (width - short) / 2, height: short, width: short),
                square: square)
        case .pad:
            let long = max(width, height)
            func scaled(_ length: Int) -> Int { max(1, (2 * length * side + long) / (2 * long)) }
            let rows = scaled(height), columns = scaled(width)
            return Placement(
                image: all,
                square: PixelRect(
                    top: (side - rows) / 2, left: (side - columns) / 2, height: rows, width: columns))
        }
    }

    /// Brings a map of the square, side x side values, back to the height x width pixels of the image, by bilinear
    /// interpolation; the border is left out.
    ///
    /// - Parameter outside: the value of pixels that the square does not show.
    public func restored(_ map: [Float], side: Int, width: Int, height: Int, outside: Float) -> [Float] {
        precondition(map.count == side * side)
        let place = placement(width: width, height: height, side: side)
        let (image, square) = (place.image, place.square)
        /// For each pixel of the image along one side, the two of the square about it and the second's share.
        func neighbors(_ count: Int, of shown: Int, from start: Int) -> [(Int, Int, Float)] {
            (0..<count).map { index in
                let at = (Double(index) + 0.5) * Double(shown) / Double(count) - 0.5
                let low = min(max(at, 0), Double(shown - 1)), first = Int(low)
                return (start + first, start + min(first + 1, shown - 1), Float(low - Double(first)))
            }
        }
        let rows = neighbors(image.height, of: square.height, from: square.top)
        let columns = neighbors(image.width, of: square.width, from: square.left)
        var result = [Float](repeating: outside, count: width * height)
        for (row, (above, below, down)) in rows.enumerated() {
            for (column, (left, right, across)) in columns.enumerated() {
                let upper = map[above * side + left] * (1 - across) + map[above * side + right] * across
                let lower = map[below * side + left] * (1 - across) + map[below * side + right] * across
                result[(image.top + row) * width + image.left + column] = upper * (1 - down) + lower * down
            }
        }
        return result
    }
}
