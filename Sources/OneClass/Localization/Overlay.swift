import Foundation
import OCCData
import OCCEngine

/// Maps as pictures, and as files for other programs.
public enum Overlay {
    /// Pixels between the parts of a picture.
    private static let gap = 8

    /// How many times as large an image is shown.
    private static func zoom(_ image: RGBImage) -> Int { max(1, 256 / image.width) }

    /// The picture beside itself under the map's colors, with the scale at the right. A pixel takes on as
    /// much of the color as it lies up the scale. A mask is outlined in white, what is above a threshold in red.
    ///
    /// - Parameters:
    ///   - range: what the ends of the scale stand for.
    ///   - mask: 1 where the defect is.
    ///   - threshold: the score above which regions are outlined; nil for no outline.
    ///   - numbers: whether the scores at the ends of the scale, and the threshold, are written beside it.
    public static func picture(
        _ image: RGBImage, map: [Float], range: ClosedRange<Double>, mask: [UInt8]? = nil,
        threshold: Double? = nil, numbers: Bool = false
    ) -> RGBImage {
        // Small images are shown larger, so that an outline has room.
        let zoom = zoom(image), gap = gap, bar = 16
        let width = image.width * zoom, height = image.height * zoom
        let scale = numbers ? ScaleLabels(range: range, threshold: threshold, height: height) : nil
        let room = scale.map { $0.width > 0 ? $0.width + gap : 0 } ?? 0
        let total = 2 * width + 2 * gap + bar + room
        var pixels = [UInt8](repeating: 255, count: total * height * 3)
        func set(_ row: Int, _ column: Int, _ color: SIMD3<UInt8>) {
            let at = (row * total + column) * 3
            (pixels[at], pixels[at + 1], pixels[at + 2]) = (color.x, color.y, color.z)
        }
        func isDefect(_ row: Int, _ column: Int) -> Bool {
            guard let mask, (0..<height).contains(row), (0..<width).contains(column) else { return false }
            return mask[row / zoom * image.width + column / zoom] != 0
        }
        func isAbove(_ row: Int, _ column: Int) -> Bool {
            guard let threshold, (0..<height).contains(row), (0..<width).contains(column) else {
                return false
            }
            return Double(map[row / zoom * image.width + column / zoom]) > threshold
        }
        /// Whether a pixel is at the rim of a shape.
        func isEdge(_ row: Int, _ column: Int, of inside: (Int, Int) -> Bool) -> Bool {
            inside(row, column)
                && !(inside(row - 1, column) && inside(row + 1, column) && inside(row, column - 1)
                    && inside(row, column + 1))
        }
        for row in 0..<height {
            for column in 0..<width {
                let source = row / zoom * image.width + column / zoom
                let plain = SIMD3(
                    image.pixels[3 * source], image.pixels[3 * source + 1], image.pixels[3 * source + 2])
                set(row, column, plain)
                let t = position(Double(map[source]), in: range)
                let color = ColorMap[t], alpha = 0.25 + 0.5 * t
                let gray =
                    0.299 * Double(plain.x) + 0.587 * Double(plain.y) + 0.114 * Double(plain.z)
                var mixed = SIMD3<UInt8>.zero
                for channel in 0..<3 {
                    mixed[channel] = UInt8((1 - alpha) * gray + alpha * Double(color[channel]))
                }
                if isEdge(row, column, of: isAbove) { mixed = SIMD3(255, 40, 40) }
                if isEdge(row, column, of: isDefect) { mixed = SIMD3(repeating: 255) }
                set(row, width + gap + column, mixed)
            }
            let level = 1 - Double(row) / Double(max(1, height - 1))
            for column in 0..<bar { set(row, 2 * width + 2 * gap + column, ColorMap[level]) }
        }
        if let scale {
            let left = 2 * width + 2 * gap
            if let mark = scale.mark {
                for column in 0..<bar { set(mark, left + column, SIMD3(255, 40, 40)) }
            }
            scale.draw(from: left + bar + gap / 2) { set($0, $1, .zero) }
        }
        return RGBImage(width: total, height: height, pixels: pixels)
    }

    /// The image under the map's colors alone: what `picture` has beside the image.
    public static func overlaid(
        _ image: RGBImage, map: [Float], range: ClosedRange<Double>, mask: [UInt8]? = nil
    ) -> RGBImage {
        let whole = picture(image, map: map, range: range, mask: mask)
        let width = image.width * zoom(image), left = width + gap
        let rows = (0..<whole.height).map { row in
            whole.pixels[(row * whole.width + left) * 3..<(row * whole.width + left + width) * 3]
        }
        return RGBImage(width: width, height: whole.height, pixels: Array(rows.joined()))
    }

    /// Where a score lies on the scale, 0...1.
    public static func position(_ score: Double, in range: ClosedRange<Double>) -> Double {
        let span = range.upperBound - range.lowerBound
        return span > 0 ? min(1, max(0, (score - range.lowerBound) / span)) : 0
    }

    /// A map under a Gaussian of deviation `sigma` pixels, edges clamped: for pictures of gradients, whose
    /// single pixels say little.
    public static func smoothed(_ map: [Float], width: Int, sigma: Double) -> [Float] {
        let reach = max(1, Int((3 * sigma).rounded(.up))), height = map.count / width
        let raw = (-reach...reach).map { exp(-0.5 * Double($0 * $0) / (sigma * sigma)) }
        let weights = raw.map { Float($0 / raw.reduce(0, +)) }
        func blurred(_ values: [Float], _ source: (Int, Int, Int) -> Int) -> [Float] {
            values.indices.map { index in
                weights.indices.reduce(Float(0)) {
                    $0 + weights[$1] * values[source(index / width, index % width, $1 - reach)]
                }
            }
        }
        let lines = blurred(map) { row, column, d in row * width + min(width - 1, max(0, column + d)) }
        return blurred(lines) { row, column, d in min(height - 1, max(0, row + d)) * width + column }
    }

    /// A map as a NumPy array file (version 1.0), float32 [height,width].
    public static func npy(_ map: [Float], width: Int) -> [UInt8] {
        NumPyArray(map, shape: [map.count / width, width]).encoded
    }

    /// A map as a gray PNG of 16 bits: 0 and 65535 are the ends of `range`.
    public static func png16(_ map: [Float], width: Int, range: ClosedRange<Double>) throws -> [UInt8] {
        try encodePNG(
            gray: map.map { UInt16((65535 * position(Double($0), in: range)).rounded()) }, width: width)
    }
}
