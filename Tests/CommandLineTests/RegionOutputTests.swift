import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing
import occ_gpu

/// What `localize` writes of regions, in the pixels of the file.
extension CommandLineTests {
    @Test func regionsAreInTheFilesPixels() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let trained = try shell(
            "$OCC train --data data --out run \(smallPatches.joined(separator: " "))", in: folder)
        #expect(trained.status == 0, "\(trained.errors)")
        let bright = RGBImage(width: 80, height: 48, pixels: [UInt8](repeating: 250, count: 80 * 48 * 3))
        try folder.write(bright.encodedPNG(), to: "in/wide.png")
        let localize = "$OCC localize --model run --out pictures --regions r.jsonl --masks masks"
        // A threshold that the lowest pixel of the map lies above: one region, which is the image.
        let scores = try OneClassModel.load(folder.file("run/model.safetensors")).calibration.scores
        let low = try shell("\(localize) --threshold \(scores[0]) in", in: folder)
        #expect(low.status == 0, "\(low.errors)")
        let text = String(decoding: try readFile(folder.file("r.jsonl")), as: UTF8.self)
        let line = try #require(
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(line["width"] as? Int == 80 && line["height"] as? Int == 48)
        let regions = try #require(line["regions"] as? [[String: Any]])
        let area = regions.reduce(0) { $0 + ($1["area"] as? Int ?? 0) }
        #expect(
            area > 0 && regions.allSatisfy { ($0["p_value"] as? Double).map { $0 > 0 && $0 <= 1 } == true })
        for region in regions {
            let box = try #require(region["box"] as? [Int])
            #expect(box[0] >= 0 && box[0] + box[2] <= 80 && box[1] >= 0 && box[1] + box[3] <= 48)
        }
        let file = folder.file(try #require(line["mask"] as? String))
        let mask = try RGBImage(bytes: try readFile(file), name: file)
        #expect(mask.width == 80 && mask.height == 48)
        #expect(Set(mask.pixels).isSubset(of: [0, 255]))
        #expect(mask.pixels.count { $0 == 255 } == 3 * area)
        // The picture: the image twice, enlarged four times, and the scale.
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: folder.file("pictures")).first)
        let picture = try RGBImage(bytes: try readFile(folder.file("pictures/\(name)")), name: name)
        #expect(picture.height == 48 * 3 && picture.width >= 2 * 80 * 3)

        // Nothing is above the highest threshold; a bad file is an error, and the others have their line.
        try folder.write([1], to: "in/bad.png")
        let none = try shell("\(localize) --threshold 1e300 in", in: folder)
        #expect(none.status == 65 && none.errors.contains("1 of 2 files could not be used"), "\(none.errors)")
        #expect(none.errors.contains("wrote r.jsonl: 1 image"))
        #expect(
            String(decoding: try readFile(folder.file("r.jsonl")), as: UTF8.self).contains("\"regions\":[]"))
    }

    /// Files that cannot be used are said and counted, in the place and the size of the model's and in their own, and the
    /// others have their line: damaged ones, ones that may not be read, and ones that are gone when they are read again.
    @Test(arguments: ["", "--full-size"]) func otherFilesHaveTheirLines(_ size: String) throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let trained = try shell(
            "$OCC train --data data --out run \(smallPatches.joined(separator: " "))", in: folder)
        #expect(trained.status == 0, "\(trained.errors)")
        let shim = try faultShim(in: folder)
        try folder.write([1], to: "in/a-bad.png")
        for name in ["b", "c", "d"] {
            try folder.write(try readFile(folder.file("data/test/bad/0.png")), to: "in/\(name).png")
        }
        let localize = "$OCC localize --model run --device cpu --out p --regions r.jsonl \(size) in"
        let plain = try shell(localize, in: folder)
        #expect(
            plain.status == 65 && plain.errors.contains("1 of 4 files could not be used"), "\(plain.errors)")
        #expect(plain.errors.contains("wrote r.jsonl: 3 images"), "\(plain.errors)")
        // Each opening of c.png in turn: where it is loaded, and where it is read again.
        for at in 1...(size.isEmpty ? 2 : 1) {
            let denied = try shell(
                "LD_PRELOAD=\(shim) FAULT_UNDER=in/c FAULT_CALL=open FAULT_AT=\(at) FAULT_ERRNO=\(EACCES) \(localize)",
                in: folder)
            #expect(
                denied.status == 65 && denied.errors.contains("2 of 4 files could not be used"),
                "\(denied.errors)")
            #expect(denied.errors.contains("error: in/c.png: cannot be opened (Permission denied)"))
            #expect(denied.errors.contains("wrote r.jsonl: 2 images"), "\(denied.errors)")
            let written = String(decoding: try readFile(folder.file("r.jsonl")), as: UTF8.self)
            #expect(
                written.contains("in/b.png") && written.contains("in/d.png") && !written.contains("in/c.png"))
        }
        // What ends the command says so too, and how many lines there are.
        let failed = try shell(
            "LD_PRELOAD=\(shim) FAULT_UNDER=$(pwd -P)/in/c FAULT_CALL=read FAULT_AT=1 FAULT_FOREVER=1 FAULT_ERRNO=\(EIO) \(localize)",
            in: folder)
        #expect(failed.status == 74 && failed.errors.contains("wrote r.jsonl: "), "\(failed.errors)")
    }

    /// A line is in the file when the call returns, and the file is made before anything is scored.
    @Test func linesAreWrittenOneByOne() throws {
        let folder = try TemporaryFolder(), path = try folder.write([1, 2, 3], to: "r.jsonl")
        let lines = try AppendedFile(path, flags: O_CREAT | O_TRUNC, remedy: "")
        #expect(try readFile(path) == [])
        for (line, content) in [("a", "a\n"), ("é", "a\né\n")] {
            try lines.append(line: line)
            #expect(try readFile(path) == Array(content.utf8))
        }
        let full = try AppendedFile("/dev/full", flags: 0, remedy: "")
        #expect(throws: OCCError.self) { try full.append(line: "a") }
        try smallDataset(in: folder)
        let small = smallPatches.joined(separator: " ")
        #expect(try shell("$OCC train --data data --out run \(small)", in: folder).status == 0)
        let none = try shell(
            "$OCC localize --model run --out q --regions missing/r.jsonl --threshold 1000 data/test/bad",
            in: folder)
        #expect(none.status == 73 && none.errors.contains("missing/r.jsonl"), "\(none.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("q")) == [])
    }

    /// An auto-encoder of whole images: regions by its pixels' own threshold.
    @Test func autoEncodersHaveRegions() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let trained = try shell(
            "$OCC train --data data --out run \(smallRun.joined(separator: " ")) --method autoencoder",
            in: folder)
        #expect(trained.status == 0, "\(trained.errors)")
        let found = try shell(
            "$OCC localize --model run --out pictures --regions r.jsonl --raw data/test/bad", in: folder)
        #expect(found.status == 0 && found.errors.contains("an ordinary pixel"), "\(found.errors)")
        let model = try OneClassModel.load(folder.file("run/model.safetensors"))
        let lines = String(decoding: try readFile(folder.file("r.jsonl")), as: UTF8.self).split(
            separator: "\n")
        #expect(lines.count == 3)
        for line in lines {
            let fields = try #require(
                try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect(fields["threshold"] as? Double == model.mapCalibration.threshold)
            for region in try #require(fields["regions"] as? [[String: Any]]) {
                let peak = try #require(region["peak"] as? Double)
                #expect(region["p_value"] as? Double == model.mapCalibration.pValue(peak))
            }
        }
        let evaluated = try shell("$OCC evaluate run --report report.html", in: folder)
        #expect(evaluated.status == 0, "\(evaluated.errors)")
        let report = String(decoding: try readFile(folder.file("report.html")), as: UTF8.self)
        #expect(report.contains("an ordinary pixel") && report.contains("Image and anomaly map"))
        let refused = try shell(
            "$OCC localize --model run --out pictures --full-size data/test/bad/0.png", in: folder)
        #expect(refused.status == 64 && refused.errors.contains("--full-size"), "\(refused.errors)")
    }

    @Test func regionsNeedAThreshold() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let small = smallPatches.joined(separator: " ")
        #expect(try shell("$OCC train --data data --out run \(small) --hold-out 0", in: folder).status == 0)
        let refused = try shell(
            "$OCC localize --model run --out p --regions r.jsonl data/test/bad", in: folder)
        #expect(refused.status == 64 && refused.errors.contains("--threshold"), "\(refused.errors)")
    }
}
