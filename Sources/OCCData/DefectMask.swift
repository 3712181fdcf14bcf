import CImageIO
import OCCEngine

/// Which pixels of an image are defective, as a mask file says it.
///
/// A pixel's value is the largest of its red, green and blue; a colored pixel (they differ by 64 or more) is a
/// defect whatever its value. Transparency counts as the value where it differs from pixel to pixel and the color
/// does not; otherwise the color is laid on black. Where the largest value of the file is below 128 (labels such
/// as 1), every value but 0 is a defect; otherwise those from half of the largest.
public struct DefectMask: Sendable, Equatable {
    /// The pixels in a row.
    public let width: Int
    /// The number of rows.
    public let height: Int
    /// Gray, width * height bytes; a defect from 128.
    private let values: [UInt8]

    /// Decodes a mask of any of the readable formats.
    ///
    /// - Throws: `OCCError(.badData)` naming the file.
    public init(bytes: [UInt8], name: String) throws {
        let (image, alpha) = try withDecoded(
            bytes, name: name, cim_options(max_pixels: 0, white: 0, mask: 1)
        ) { image in
            let rgb = image.rgb
            return (
                rgb, image.alpha.map { Array(UnsafeBufferPointer(start: $0, count: rgb.width * rgb.height)) }
            )
        }
        (width, height) = (image.width, image.height)
        values = Self.values(image.pixels, alpha)
    }

    private static func values(_ pixels: [UInt8], _ alpha: [UInt8]?) -> [UInt8] {
        var alpha = alpha
        if let shares = alpha {
            let sameColor = pixels.indices.dropFirst(3).allSatisfy { pixels[$0] == pixels[$0 - 3] }
            if sameColor, shares.contains(where: { $0 != shares[0] }) { return labels(shares) }
            if shares.allSatisfy({ $0 == 255 }) { alpha = nil }
        }
        return labels(
            (0..<pixels.count / 3).map { index in
                let (r, g, b) = (pixels[3 * index], pixels[3 * index + 1], pixels[3 * index + 2])
                let value = max(r, g, b), isColored = value - min(r, g, b) >= 64
                guard let share = alpha?[index] else { return isColored ? 255 : value }
                let laid = (Int(isColored ? 255 : value) * Int(share) + 127) / 255
                return UInt8(laid)
            })
    }

    /// Values of which 128 and more are defects.
    private static func labels(_ values: [UInt8]) -> [UInt8] {
        let largest = Int(values.max() ?? 0)
        guard largest >= 128 else { return values.map { $0 > 0 ? 255 : 0 } }
        return largest == 255 ? values : values.map { UInt8((Int($0) * 255 + largest / 2) / largest) }
    }

    /// Whether any pixel is a defect.
    public var hasDefect: Bool { values.contains { $0 >= 128 } }

    /// Fits the mask into side x side pixels as its image is fitted: 1 for a defect, 0 elsewhere.
    ///
    /// A pixel is a defect when half of it or more is, by the filter that images are resized with. A defect (pixels
    /// that touch, corners included) of which that leaves nothing has all pixels that it falls into, so that none
    /// vanishes. The mask is of the proportions of its image, unless both are stretched.
    public func resized(to side: Int, fit: Fit = .stretch) -> [UInt8] {
        let triples = [UInt8](unsafeUninitializedCapacity: 3 * values.count) { buffer, count in
            for (index, value) in values.enumerated() {
                for channel in 0..<3 { buffer[3 * index + channel] = value }
            }
            count = 3 * values.count
        }
        let gray = RGBImage(width: width, height: height, pixels: triples).resized(to: side, fit: fit)
        var result = (0..<side * side).map { gray.pixels[3 * $0] >= 128 ? UInt8(1) : 0 }
        keepAll(in: &result, side: side, fit.placement(width: width, height: height, side: side))
        return result
    }

    /// Marks the pixels of each defect of which `result` has none.
    private func keepAll(in result: inout [UInt8], side: Int, _ place: Fit.Placement) {
        let image = place.image, square = place.square
        /// The pixel of the square that a pixel of the mask falls into; nil outside of what is shown.
        func target(_ index: Int) -> Int? {
            let row = index / width - image.top, column = index % width - image.left
            guard row >= 0, row < image.height, column >= 0, column < image.width else { return nil }
            return (square.top + row * square.height / image.height) * side + square.left
                + column * square.width / image.width
        }
        var isSeen = [Bool](repeating: false, count: values.count)
        for start in values.indices where values[start] >= 128 && !isSeen[start] {
            isSeen[start] = true
            var defect = [start], next = 0
            while next < defect.count {
                let row = defect[next] / width, column = defect[next] % width
                next += 1
                for y in max(0, row - 1)...min(height - 1, row + 1) {
                    for x in max(0, column - 1)...min(width - 1, column + 1) {
                        let index = y * width + x
                        guard values[index] >= 128, !isSeen[index] else { continue }
                        isSeen[index] = true
                        defect.append(index)
                    }
                }
            }
            let targets = Set(defect.compactMap(target))
            if targets.allSatisfy({ result[$0] == 0 }) { for index in targets { result[index] = 1 } }
        }
    }
}
