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
}
