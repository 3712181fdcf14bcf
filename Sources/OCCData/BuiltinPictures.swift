import OCCEngine

/// Pictures of good and defective things, drawn one by one.
package protocol BuiltinPictures: Sendable {
    static var name: String { get }
    /// The first is good, the others are defects.
    static var classes: [String] { get }
    static var trainCount: Int { get }
    static var testGood: Int { get }
    static var testDefect: Int { get }
    static var defaultSide: Int { get }
    init(side: Int, seed: UInt64)
    var side: Int { get }
    var seed: UInt64 { get }
    /// Pixels (RGB) and the defect's mask of one picture, from its own random numbers.
    func picture(defect: Int, random: inout CounterRandom) -> (pixels: [UInt8], mask: [UInt8])
}

extension BuiltinPictures {
    /// Draws all of them.
    ///
    /// - Throws: `OCCError(.deviceUnavailable)` where there is not the memory for pictures of this side.
    func dataset() throws -> ImageDataset {
        try ImageDataset.requireMemory(
            images: Self.trainCount + Self.testGood + Self.testDefect * (Self.classes.count - 1), side: side)
        func draw(_ set: String, _ counts: [Int], stream: UInt32) -> LabeledImages {
            let plans = counts.enumerated().flatMap { defect, count in
                (0..<count).map { (defect, "\(set)/\(Self.classes[defect])/\($0)") }
            }
            let drawn = Work.track("drawing", "pictures", total: plans.count) { work in
                parallelMap(plans.count) { index in
                    defer { work.advance() }
                    // A picture is named by its place alone: one counter range each.
                    var random = CounterRandom(seed: seed, stream: stream, counter: UInt64(index) << 32)
                    return picture(defect: plans[index].0, random: &random)
                }
            }
            var result = LabeledImages(side: side)
            for (index, picture) in drawn.enumerated() {
                result.images.append(picture.pixels)
                result.labels.append(plans[index].0)
                result.names.append(plans[index].1)
                if plans[index].0 > 0 { result.masks[index] = picture.mask }
            }
            return result
        }
        let defects = [Int](repeating: Self.testDefect, count: Self.classes.count - 1)
        return ImageDataset(
            name: Self.name, kind: .normalAndAnomalous, classNames: Self.classes,
            train: draw("train", [Self.trainCount], stream: RandomStream.builtinTrain),
            test: draw("test", [Self.testGood] + defects, stream: RandomStream.builtinTest))
    }
}
