import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// `localize --full-size` on a data set whose images are larger than the model's.
extension CommandLineTests {
    /// A folder of larger pictures, and a model of 32 x 32 of them.
    private func largeRun(_ more: String = "") throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (part, count, isStriped) in [
            ("train/good", 12, false), ("test/good", 2, false), ("test/bad", 2, true),
        ] {
            for index in 0..<count {
                var random = CounterRandom(seed: UInt64(index), stream: part == "train/good" ? 5 : 6)
                let pixels = (0..<64 * 48 * 3).map { place in
                    isStriped ? UInt8(place / 24 % 2 * 200 + index) : UInt8(60 + 60 * random.uniform())
                }
                try folder.write(
                    RGBImage(width: 64, height: 48, pixels: pixels).encodedPNG(),
                    to: "data/\(part)/\(part.prefix(4))\(index).png")
            }
        }
        let trained = try shell(
            "$OCC train --data data --out run \(smallPatches.joined(separator: " ")) \(more)", in: folder)
        try #require(trained.status == 0, "\(trained.errors)")
        return folder
    }

    private static func rows(_ outcome: Outcome) -> [[String]] {
        outcome.output.split(separator: "\n").dropFirst().map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
    }

    @Test func fullSizeThresholdsAreByHeldOutImages() throws {
        let folder = try largeRun(), localize = "$OCC localize --device cpu --model run --out p --full-size"
        let found = try shell("\(localize) --regions r.jsonl data/test", in: folder)
        #expect(found.status == 0, "\(found.errors)")
        // The same from the library: the held-out images, none of which was trained on.
        let model = try OneClassModel.load(folder.file("run/model.safetensors"))
        var configuration = model.configuration
        configuration.data = folder.file("data")
        let split = try configuration.split(try configuration.dataset())
        #expect(
            split.calibrationNames.count == 3
                && Set(split.calibrationNames).isDisjoint(with: split.trainNames))
        func score(_ path: String) throws -> Double {
            try model.localize(RGBImage(bytes: try readFile(path), name: path)).score
        }
        let held = try split.calibrationNames.map(score).sorted(), threshold = held[2]
        #expect(
            found.errors.contains("of images of 64 x 48 alarm is true for scores above \(threshold)"))
        #expect(threshold != model.calibration.threshold)
        let rows = Self.rows(found)
        #expect(rows.count == 4)
        for row in rows {
            let own = try score(folder.file(row[0]))
            #expect(Double(row[1]) == own && row[3] == "\(own > threshold)")
            #expect(Double(row[2]) == Double(1 + held.count { $0 >= own }) / 4)
        }
        #expect(rows.contains { $0[3] == "true" })
        // Regions are above the threshold of those images' maps. As text: reading a number back may change its last digit.
        let peak = try split.calibrationNames.map { path in
            Double(try model.localize(RGBImage(bytes: try readFile(path), name: path)).map.max()!)
        }.max()!
        let written = String(decoding: try readFile(folder.file("r.jsonl")), as: UTF8.self)
        let lines = written.split(separator: "\n")
        #expect(peak < threshold)
        #expect(lines.count == 4 && lines.allSatisfy { $0.contains("\"threshold\":\(peak)") })

        // Of a size that no held-out image has nothing is said, and of the model's own its threshold holds.
        for (width, height, alarm) in [(80, 48, ""), (32, 32, "false")] {
            let dark = RGBImage(
                width: width, height: height, pixels: [UInt8](repeating: 90, count: width * height * 3))
            try folder.write(dark.encodedPNG(), to: "other.png")
            let other = try shell("\(localize) other.png", in: folder)
            #expect(other.status == 0 && Self.rows(other)[0][3] == alarm, "\(other.output)")
            #expect(other.errors.contains("those have 64 x 48") == (alarm == ""), "\(other.errors)")
        }
        let stated = try shell("\(localize) --threshold \(threshold) data/test/bad", in: folder)
        #expect(stated.status == 0 && Self.rows(stated).allSatisfy { $0[2] == "" && $0[3] == "true" })
    }

    @Test func fullSizeSaysNothingWithoutHeldOutImages() throws {
        let folder = try largeRun(), localize = "$OCC localize --device cpu --model run --out p --full-size"
        try folder.write(try readFile(folder.file("data/test/bad/test0.png")), to: "x.png")
        func expectNothing(_ why: String, _ script: String) throws {
            let found = try shell(script, in: folder)
            #expect(found.status == 0 && found.errors.contains(why), "\(found.errors)")
            #expect(Self.rows(found).allSatisfy { $0[2] == "" && $0[3] == "" })
        }
        try expectNothing("give --data PATH", "mv data moved; \(localize) x.png")
        let moved = try shell("\(localize) --data moved x.png", in: folder)
        #expect(moved.status == 0 && Self.rows(moved)[0][3] != "", "\(moved.errors)")
        try expectNothing(
            "are not those that the model was trained on",
            "rm moved/train/good/trai3.png; \(localize) --data moved x.png")
        // A file of a version that did not keep what it was trained on.
        let file = folder.file("run/model.safetensors")
        var model = try TensorFile(contentsOf: file)
        model.metadata["data_digest"] = nil
        try model.write(to: file)
        try expectNothing("which images it was trained on", "\(localize) --data moved x.png")
        let folds = try largeRun("--hold-out 0 --calibration cross --folds 2")
        let found = try shell("\(localize) data/test/bad", in: folds)
        #expect(found.status == 0 && found.errors.contains("--calibration split"), "\(found.errors)")
    }
}
