import OCCData
import OCCEngine

extension OneClassModel {
    /// How far an exported file may be from the model: this share of the larger of 1 and a score, and of the ordinary
    /// score in maps.
    package static let exportTolerance = 1e-5

    /// Compares what an ONNX file says of drawn images of several sizes with what the model says, which is to compute
    /// on the CPU in the strict mode.
    ///
    /// - Parameter name: what errors call the file.
    /// - Returns: how many images there were, and the largest difference, as `exportTolerance` counts it.
    /// - Throws: `OCCError(.failure)` where the file cannot be run, or a difference is larger than `exportTolerance`.
    package func checkONNX(
        _ path: String, named name: String, by runtime: ONNXRuntime
    ) throws -> (images: Int, difference: Double) {
        let images = checkImages()
        let theirs = try runtime.answers(
            of: path, named: name, to: images, pixels: localizes ? side * side : 0)
        var largest = 0.0
        for (image, found) in zip(images, theirs) {
            let own = localizes ? try localize(fitted(image))[0] : nil
            let score = try own?.score ?? self.score(image)
            // Of scores, then of maps; a difference that is no number is none that is small.
            let ofScores = abs(found.score - score) / max(1, abs(score))
            var ofMaps = 0.0
            for (a, b) in zip(own?.map ?? [], found.map) {
                let difference = Double(abs(a - b)) / max(1, abs(ordinaryScore), Double(abs(a)))
                if !(difference <= ofMaps) { ofMaps = difference }
            }
            for (what, difference) in [("score", ofScores), ("map", ofMaps)] {
                guard difference <= Self.exportTolerance else {
                    throw OCCError(
                        .failure,
                        "\(name): ONNX Runtime \(runtime.version) gives an image of \(image.width) x \(image.height) "
                            + "another \(what) than the model does, \(difference) away: they differ by more than "
                            + "\(Self.exportTolerance)",
                        remedy: "Report it with the model; until then use the model itself.")
                }
                largest = max(largest, difference)
            }
        }
        return (images.count, largest)
    }

    /// Images of the model's size, of a larger and of a smaller one: a gradient with blocks of noise.
    package func checkImages() -> [RGBImage] {
        let sizes = [(side, side), (side + side / 2, side), (side / 2 + 1, side), (side + 3, 2 * side + 1)]
        return sizes.enumerated().map { index, size in
            let (width, height) = size, block = 4, across = width / block + 1
            var random = CounterRandom(seed: UInt64(index), stream: RandomStream.exportCheck)
            let noise = (0..<across * (height / block + 1) * 3).map { _ in 60 * random.uniform() }
            let ramp = (0..<3).map { _ in 160 * random.uniform() }
            var pixels: [UInt8] = []
            for y in 0..<height {
                for x in 0..<width {
                    let cell = y / block * across + x / block
                    let light = ramp.map { $0 * Double(y) / Double(height) }
                    for channel in 0..<3 { pixels.append(UInt8(light[channel] + noise[3 * cell + channel])) }
                }
            }
            return RGBImage(width: width, height: height, pixels: pixels)
        }
    }
}
