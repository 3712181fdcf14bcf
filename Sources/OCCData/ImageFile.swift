import CImageIO
import Foundation
import OCCEngine

/// An image of 8-bit RGB pixels, row-major.
public struct RGBImage: Sendable, Equatable {
    /// The pixels in a row.
    public let width: Int
    /// The number of rows.
    public let height: Int
    /// The rows from the top, width * height * 3 bytes.
    public let pixels: [UInt8]

    /// An image of pixels that fill it.
    public init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(pixels.count == width * height * 3)
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// The largest image that is decoded, in pixels.
    public static let pixelLimit = 100_000_000

    /// Decodes PNG (8/16 bit, gray, palette, alpha laid on black) or JPEG (gray, color).
    ///
    /// - Throws: `OCCError(.badData)` naming the file.
    public init(bytes: [UInt8], name: String) throws {
        var image = cim_image()
        var message = [CChar](repeating: 0, count: Int(CIM_MESSAGE))
        guard cim_decode(bytes, bytes.count, UInt64(Self.pixelLimit), &image, &message) == 1 else {
            throw OCCError(
                .badData, "\(name): \(text(of: message))", remedy: "Replace the file by a sound PNG or JPEG.")
        }
        defer { cim_free(image.pixels) }
        let count = Int(image.width) * Int(image.height) * 3
        self.init(
            width: Int(image.width), height: Int(image.height),
            pixels: Array(UnsafeBufferPointer(start: image.pixels, count: count)))
    }

    /// Encodes the image as the bytes of a PNG file.
    public func encodedPNG() throws -> [UInt8] {
        try pixels.withUnsafeBytes {
            try encode($0, width: width, height: height, channels: 3, depth: 8)
        }
    }

    /// Cuts out a part of the image.
    public func cropped(top: Int, left: Int, height: Int, width: Int) -> RGBImage {
        precondition(top >= 0 && left >= 0 && top + height <= self.height && left + width <= self.width)
        let rows = (top..<top + height).map { row in
            pixels[(row * self.width + left) * 3..<(row * self.width + left + width) * 3]
        }
        return RGBImage(width: width, height: height, pixels: Array(rows.joined()))
    }

    /// The largest square about the middle of the image.
    public var centralSquare: RGBImage {
        let side = min(width, height)
        return cropped(top: (height - side) / 2, left: (width - side) / 2, height: side, width: side)
    }

    /// Repeats each pixel until the image is at least `side` wide.
    public func enlarged(to side: Int) -> RGBImage {
        let zoom = (side + width - 1) / width
        guard zoom > 1 else { return self }
        var result: [UInt8] = []
        result.reserveCapacity(pixels.count * zoom * zoom)
        for row in 0..<height * zoom {
            for column in 0..<width * zoom {
                let at = (row / zoom * width + column / zoom) * 3
                result += pixels[at..<at + 3]
            }
        }
        return RGBImage(width: width * zoom, height: height * zoom, pixels: result)
    }

    /// Stretches the image to side x side pixels: a triangle filter whose support grows with the reduction,
    /// so that nothing aliases; enlarging is bilinear.
    public func resized(to side: Int) -> RGBImage {
        guard width != side || height != side else { return self }
        let across = ResampleWeights(from: width, to: side), down = ResampleWeights(from: height, to: side)
        var middle = [Float](repeating: 0, count: height * side * 3)
        for row in 0..<height {
            for column in 0..<side {
                let weights = across.weights[column]
                for channel in 0..<3 {
                    var sum: Float = 0
                    for (index, weight) in weights.enumerated() {
                        sum +=
                            weight * Float(pixels[(row * width + across.first[column] + index) * 3 + channel])
                    }
                    middle[(row * side + column) * 3 + channel] = sum
                }
            }
        }
        var result = [UInt8](repeating: 0, count: side * side * 3)
        var line = [Float](repeating: 0, count: side * 3)
        for row in 0..<side {
            for index in line.indices { line[index] = 0.5 }
            for (index, weight) in down.weights[row].enumerated() {
                let base = (down.first[row] + index) * side * 3
                for column in line.indices { line[column] += weight * middle[base + column] }
            }
            for column in line.indices {
                result[row * side * 3 + column] = UInt8(min(255, max(0, line[column])))
            }
        }
        return RGBImage(width: side, height: side, pixels: result)
    }
}

/// Encodes gray values of 16 bits as the bytes of a PNG file.
package func encodePNG(gray: [UInt16], width: Int) throws -> [UInt8] {
    precondition(gray.count % width == 0)
    return try gray.withUnsafeBytes {
        try encode($0, width: width, height: gray.count / width, channels: 1, depth: 16)
    }
}

private func encode(_ pixels: UnsafeRawBufferPointer, width: Int, height: Int, channels: Int32, depth: Int32)
    throws -> [UInt8]
{
    var bytes: UnsafeMutablePointer<UInt8>?
    var count = 0
    var message = [CChar](repeating: 0, count: Int(CIM_MESSAGE))
    guard
        cim_encode_png(
            pixels.baseAddress, Int32(width), Int32(height), channels, depth, &bytes, &count, &message) == 1
    else {
        throw OCCError(.failure, "encoding a PNG failed: \(text(of: message))")
    }
    defer { cim_free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
}

/// The weights of resampling: for each output pixel, the first input pixel it takes in and the weights of
/// that and the following ones.
private struct ResampleWeights {
    var first: [Int] = []
    var weights: [[Float]] = []

    init(from: Int, to: Int) {
        let scale = Double(from) / Double(to), support = max(1, scale)
        for index in 0..<to {
            let center = (Double(index) + 0.5) * scale
            let low = max(0, Int((center - support + 0.5).rounded(.down)))
            let high = min(from, Int((center + support + 0.5).rounded(.down)))
            var row = (low..<max(high, low + 1)).map {
                max(0, 1 - abs((Double($0) + 0.5 - center) / support))
            }
            let sum = row.reduce(0, +)
            if sum > 0 { for k in row.indices { row[k] /= sum } } else { row = [1] }
            first.append(min(low, from - 1))
            weights.append(row.map(Float.init))
        }
    }
}

/// The bytes of a file, inflated when its name ends in .gz.
func readMaybeCompressed(_ path: String, limit: Int) throws -> [UInt8] {
    let bytes = try readFile(path)
    return path.hasSuffix(".gz") ? try gunzip(bytes, name: path, limit: limit) : bytes
}

/// Inflates a gzip file of at most `limit` bytes.
package func gunzip(_ bytes: [UInt8], name: String, limit: Int) throws -> [UInt8] {
    var out: UnsafeMutablePointer<UInt8>?
    var count = 0
    var message = [CChar](repeating: 0, count: Int(CIM_MESSAGE))
    guard cim_gunzip(bytes, bytes.count, limit, &out, &count, &message) == 1 else {
        throw OCCError(.badData, "\(name): \(text(of: message))", remedy: "Download the file again.")
    }
    defer { cim_free(out) }
    return Array(UnsafeBufferPointer(start: out, count: count))
}

private func text(of message: [CChar]) -> String {
    String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
