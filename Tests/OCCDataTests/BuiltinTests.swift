import OCCEngine
import Testing

import OCCData

/// The data sets that are drawn.
@Suite struct BuiltinTests {
    @Test(arguments: ["shapes", "surface", "part", "wheel"])
    func picturesRepeat(_ name: String) throws {
        func load(_ seed: Int) throws -> ImageDataset {
            try ImageDataset.load("builtin:\(name),seed=\(seed)", imageSize: 32)
        }
        let images = try load(1).train.images
        #expect(images == (try load(1)).train.images)
        #expect(images != (try load(2)).train.images)
    }

    @Test(arguments: ["shapes", "surface", "part", "wheel"])
    func everyDefectHasAMask(_ name: String) throws {
        let test = try ImageDataset.load("builtin:\(name)").test
        let defects = test.labels.indices.filter { test.labels[$0] > 0 }
        #expect(Set(defects) == Set(test.masks.keys))
        for index in defects {
            let isMarked = test.masks[index]!.contains(1)
            #expect(isMarked, "\(test.names[index])")
        }
    }

    /// The same picture is drawn with and without its defect: they differ in the mask, and little elsewhere.
    @Test(arguments: 1...5) func masksAreWherePartsDiffer(_ defect: Int) {
        checkMask(of: BuiltinPart(side: 64, seed: 3), defect)
    }

    @Test(arguments: 1...5) func masksAreWhereWheelsDiffer(_ defect: Int) {
        checkMask(of: BuiltinWheel(side: 64, seed: 3), defect)
    }

    private func checkMask(of pictures: some BuiltinPictures, _ defect: Int) {
        var inside = (sum: 0, count: 0), outside = (sum: 0, count: 0)
        for number in 0..<8 {
            func draw(_ defect: Int) -> (pixels: [UInt8], mask: [UInt8]) {
                var random = CounterRandom(seed: pictures.seed, stream: 9, counter: UInt64(number) << 32)
                return pictures.picture(defect: defect, random: &random)
            }
            let sound = draw(0), defective = draw(defect)
            #expect(!sound.mask.contains(1))
            for index in sound.mask.indices {
                let change = (0..<3).reduce(0) {
                    $0 + abs(Int(sound.pixels[3 * index + $1]) - Int(defective.pixels[3 * index + $1]))
                }
                if defective.mask[index] == 1 {
                    inside = (inside.sum + change, inside.count + 1)
                } else {
                    outside = (outside.sum + change, outside.count + 1)
                }
            }
        }
        let within = Double(inside.sum) / Double(inside.count)
        let beyond = Double(outside.sum) / Double(outside.count)
        #expect(within > 10 && within > 10 * beyond, "\(within) and \(beyond)")
    }

    @Test func wrongNamesAreRefused() {
        let wrong = #expect(throws: OCCError.self) { try ImageDataset.load("builtin:nothing") }
        #expect(wrong?.remedy?.contains("builtin:wheel") == true)
        #expect(throws: OCCError.self) { try ImageDataset.load("builtin:shapes", imageSize: 48) }
        #expect(throws: OCCError.self) { try ImageDataset.load("builtin:part,size=3") }
    }
}
