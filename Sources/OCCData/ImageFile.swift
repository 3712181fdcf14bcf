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
    /// The largest sample of color in the file of 16 bits that the image was decoded from, before scaling; nil
    /// for files of 8 bits and fewer, and for images that are no file's.
    ///
    /// A camera of 12 bits leaves it at 4095 or less. PNM and others that state their own maximum are scaled to
    /// 65535 first.
    public let largestSample: Int?

    /// An image of pixels that fill it.
    public init(width: Int, height: Int, pixels: [UInt8]) {
        self.init(width: width, height: height, pixels: pixels, largestSample: nil)
    }

    fileprivate init(width: Int, height: Int, pixels: [UInt8], largestSample: Int?) {
        precondition(pixels.count == width * height * 3)
        self.width = width
        self.height = height
        self.pixels = pixels
        self.largestSample = largestSample
    }

    /// Whether two images have the same pixels, whatever files they came from.
    public static func == (a: RGBImage, b: RGBImage) -> Bool {
        a.width == b.width && a.height == b.height && a.pixels == b.pixels
    }

    /// The largest image that is decoded, in pixels.
    public static let pixelLimit = 100_000_000

    /// The formats that are read, for texts.
    public static let readableFormats = CIM_READABLE

    /// Whether a file's name says that it is of one of these formats.
    package static func isReadable(name: String) -> Bool { ImageFormats.isReadable(name) }

    /// Decodes an image file of any of the readable formats, which its contents say: as its EXIF orientation turns
    /// it, with gray as equal parts of red, green and blue, inks (CMYK) mixed, and transparency laid on black.
    ///
    /// - Parameters:
    ///   - bytes: the file.
    ///   - name: what errors call it.
    ///   - white: the sample of 16 bits that becomes 255, above which all do; 65535 unless it is given. The
    ///     others are scaled likewise and rounded to nearest. Of files of 8 bits nothing is scaled.
    /// - Throws: `OCCError(.badData)` naming the file.
    public init(bytes: [UInt8], name: String, white: Int? = nil) throws {
        self = try withDecoded(bytes, name: name, options(white: white), \.rgb)
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

    /// Decodes a file and fits it into side x side pixels: the same as `init(bytes:name:white:)` and `resized`, but
    /// the pixels in between are never copied.
    ///
    /// - Throws: `OCCError(.badData)` naming the file.
    public init(bytes: [UInt8], name: String, white: Int? = nil, side: Int, fit: Fit = .stretch) throws {
        self = try Self.fitted(bytes, name: name, white: white, side: side, fit: fit).image
    }

    /// The same, with the size of the file's image in pixels.
    ///
    /// - Throws: `OCCError(.badData)` naming the file.
    package static func fitted(
        _ bytes: [UInt8], name: String, white: Int? = nil, side: Int, fit: Fit = .stretch
    )
        throws -> (image: RGBImage, width: Int, height: Int)
    {
        try withDecoded(bytes, name: name, options(white: white)) { image in
            let (width, height) = (Int(image.width), Int(image.height))
            let pixels = resample(image.pixels, width: width, height: height, side: side, fit: fit)
            let fitted = RGBImage(
                width: side, height: side, pixels: pixels, largestSample: image.largestSample)
            return (fitted, width, height)
        }
    }

    /// Fits the image into side x side pixels: by a triangle filter whose support grows with the reduction, so
    /// that nothing aliases; enlarging is bilinear.
    public func resized(to side: Int, fit: Fit = .stretch) -> RGBImage {
        guard width != side || height != side else { return self }
        return RGBImage(
            width: side, height: side,
            pixels: pixels.withUnsafeBufferPointer {
                resample($0.baseAddress!, width: width, height: height, side: side, fit: fit)
            })
    }
}

private func resample(_ pixels: UnsafePointer<UInt8>, width: Int, height: Int, side: Int, fit: Fit) -> [UInt8]
{
    let place = fit.placement(width: width, height: height, side: side)
    var result = [UInt8](repeating: 0, count: side * side * 3)
    let enough = result.withUnsafeMutableBufferPointer { to in
        cim_resample(
            pixels + (place.image.top * width + place.image.left) * 3,
            cim_rect(place.image, rowPixels: width),
            to.baseAddress! + (place.square.top * side + place.square.left) * 3,
            cim_rect(place.square, rowPixels: side), 0)
    }
    precondition(enough == 1, "out of memory")
    return result
}

extension cim_rect {
    fileprivate init(_ rect: PixelRect, rowPixels: Int) {
        self.init(width: Int32(rect.width), height: Int32(rect.height), stride: rowPixels * 3)
    }
}

private func options(white: Int?) -> cim_options {
    if let white { precondition((1...65535).contains(white), "16-bit white is in 1...65535") }
    return cim_options(max_pixels: 0, white: UInt32(white ?? 0), mask: 0)
}

extension cim_image {
    fileprivate var largestSample: Int? { largest > 0 ? Int(largest) : nil }

    /// A copy of its color.
    var rgb: RGBImage {
        RGBImage(
            width: Int(width), height: Int(height),
            pixels: Array(UnsafeBufferPointer(start: pixels, count: Int(width) * Int(height) * 3)),
            largestSample: largestSample)
    }
}

/// Decodes a file for the time of a call.
func withDecoded<Value>(
    _ bytes: [UInt8], name: String, _ options: cim_options, _ body: (cim_image) -> Value
) throws -> Value {
    var image = cim_image(), options = options
    options.max_pixels = UInt64(RGBImage.pixelLimit)
    var message = [CChar](repeating: 0, count: Int(CIM_MESSAGE))
    guard cim_decode(bytes, bytes.count, &options, &image, &message) == 1 else {
        throw OCCError(
            .badData, "\(name): \(text(of: message))",
            remedy: "Replace the file by a sound one of these formats: \(RGBImage.readableFormats).")
    }
    defer {
        cim_free(image.pixels)
        cim_free(image.alpha)
    }
    return body(image)
}

/// Encodes gray values of 16 bits as the bytes of a PNG file.
package func encodePNG(gray: [UInt16], width: Int) throws -> [UInt8] {
    precondition(gray.count % width == 0)
    return try gray.withUnsafeBytes {
        try encode($0, width: width, height: gray.count / width, channels: 1, depth: 16)
    }
}

/// Encodes gray values of 8 bits as the bytes of a PNG file.
package func encodePNG(gray: [UInt8], width: Int) throws -> [UInt8] {
    precondition(gray.count % width == 0)
    return try gray.withUnsafeBytes {
        try encode($0, width: width, height: gray.count / width, channels: 1, depth: 8)
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
