import OCCEngine

/// A reader of MNIST's file format: a big-endian header, then bytes.
package enum IDX {
    /// Reads images (28 x 28, zero-padded to 32) and labels.
    package static func read(images imagePath: String, labels labelPath: String) throws -> LabeledImages {
        let limit = 1 << 30
        let images = try parseImages(try readMaybeCompressed(imagePath, limit: limit), name: imagePath)
        let labels = try parseLabels(try readMaybeCompressed(labelPath, limit: limit), name: labelPath)
        guard images.count == labels.count else {
            throw OCCError(
                .badData,
                "\(labelPath): \(counted(labels.count, "label")) for \(counted(images.count, "image"))",
                remedy: "Both files must come from the same data set.")
        }
        var result = LabeledImages(side: images.side)
        result.images = images
        result.labels = labels
        result.names = labels.indices.map { "\(imagePath)#\($0)" }
        return result
    }

    static let fashionClasses = [
        "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ]

    /// Whether images in MNIST's format are Fashion-MNIST's: by the mean brightness of each class, which every
    /// few images of it show, in any order. Pullovers fill their image and sandals do not.
    package static func isFashion(_ images: LabeledImages) -> Bool {
        // Means over the 28 x 28 pixels of the 60,000 training images.
        let fashion = [83.0, 56.8, 96.1, 66.0, 98.3, 34.9, 84.6, 42.8, 90.2, 76.8]
        var sums = [Double](repeating: 0, count: 10), counts = sums
        for (index, label) in images.labels.enumerated() {
            sums[label] += images.images[index].reduce(0.0) { $0 + Double($1) } / Double(3 * 28 * 28)
            counts[label] += 1
        }
        let present = (0..<10).filter { counts[$0] > 0 }
        guard present.count > 2 else { return false }
        let ours = present.map { sums[$0] / counts[$0] }, theirs = present.map { fashion[$0] }
        func centered(_ values: [Double]) -> [Double] {
            let mean = values.reduce(0, +) / Double(values.count)
            return values.map { $0 - mean }
        }
        func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
        let a = centered(ours), b = centered(theirs)
        return product(a, b) > 0.8 * (product(a, a) * product(b, b)).squareRoot()
    }

    private static func fail(_ name: String, _ why: String) -> OCCError {
        OCCError(.badData, "\(name): \(why)", remedy: "Download the file again.")
    }

    private static func header(_ bytes: [UInt8], _ name: String, magic: Int, fields: Int) throws -> [Int] {
        guard bytes.count >= 4 * (fields + 1) else { throw fail(name, "the header is truncated") }
        let words = (0...fields).map { word in (0..<4).reduce(0) { $0 << 8 | Int(bytes[4 * word + $1]) } }
        guard words[0] == magic else { throw fail(name, "the magic number is \(words[0]), not \(magic)") }
        return Array(words.dropFirst())
    }

    package static func parseImages(_ bytes: [UInt8], name: String) throws -> ImageBatch {
        let fields = try header(bytes, name, magic: 2051, fields: 3)
        let (count, height, width) = (fields[0], fields[1], fields[2])
        guard height == 28, width == 28 else {
            throw fail(name, "images of \(height) x \(width), not 28 x 28")
        }
        guard count > 0, bytes.count == 16 + count * 784 else {
            throw fail(name, "\(bytes.count) bytes do not hold \(counted(count, "image"))")
        }
        let side = 32, pad = 2
        var pixels = [UInt8](repeating: 0, count: count * side * side * 3)
        for n in 0..<count {
            for row in 0..<28 {
                for column in 0..<28 {
                    let value = bytes[16 + (n * 28 + row) * 28 + column]
                    let at = ((n * side + row + pad) * side + column + pad) * 3
                    (pixels[at], pixels[at + 1], pixels[at + 2]) = (value, value, value)
                }
            }
        }
        return ImageBatch(side: side, pixels: pixels)
    }

    package static func parseLabels(_ bytes: [UInt8], name: String) throws -> [Int] {
        let count = try header(bytes, name, magic: 2049, fields: 1)[0]
        guard bytes.count == 8 + count else {
            throw fail(name, "\(bytes.count) bytes do not hold \(count) labels")
        }
        guard let wrong = bytes.dropFirst(8).first(where: { $0 > 9 }) else {
            return bytes.dropFirst(8).map(Int.init)
        }
        throw fail(name, "label \(wrong) is outside 0...9")
    }
}
