import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// What is printed and written of images.
extension CommandLineTests {
    private static let patches =
        tiny + [
            "--data", "builtin:surface", "--image-size", "32", "--method", "cutpaste", "--head", "none",
            "--patch", "16", "--stride", "8", "--detector", "gaussian", "--shrinkage", "0.5", "--steps", "2",
            "--device", "cpu",
        ]

    /// The records of a text after RFC 4180; a slow reading by its grammar.
    private static func records(_ text: String) -> [[String]] {
        var records: [[String]] = [], fields: [String] = [], field: [UInt8] = [], quoted = false
        let bytes = Array(text.utf8), quote = UInt8(ascii: "\"")
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if quoted {
                guard byte == quote else {
                    field.append(byte)
                    continue
                }
                guard index < bytes.count, bytes[index] == quote else {
                    quoted = false
                    continue
                }
                field.append(quote)
                index += 1
            } else if byte == quote {
                quoted = true
            } else if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\n") {
                fields.append(String(decoding: field, as: UTF8.self))
                field = []
                guard byte == UInt8(ascii: "\n") else { continue }
                records.append(fields)
                fields = []
            } else {
                field.append(byte)
            }
        }
        return records
    }

    /// Images whose names are alike in part, long, or of what names are seldom made of: a row and a picture
    /// for each.
    @Test func picturesHaveTheirOwnNames() throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        #expect(try run(["train", "--out", out] + Self.patches, in: folder).status == 0)
        let image = try ImageDataset.load("builtin:surface", imageSize: 32).test.images.image(0)
        let names = [
            "a/x.png", "b/x.png", "a-b/x.png", "a/b-x.png", "a/x.jpg", "a/b/c/x.png", "d/b/c/x.png",
            "a/new\nline.png", "a/re\rturn.png", "a/both\r\n.png", "a/c:o*l?on.png", "a/co,mma.png",
            "a/quo\"te.png", "a/,\u{301}.png", "a/\"\u{301}.png", "a/ space.png", "a/-dash.png",
            "a/caf\u{e9}.png", "a/cafe\u{301}.png", "a/\u{1F600}.png",
            "a/" + String(repeating: "l", count: 251) + ".png",
            "a/" + String(repeating: "l", count: 250) + "k.png",
            "a/" + String(repeating: "\u{e9}", count: 125) + ".png",
        ]
        let png = try image.encodedPNG()
        for name in names { try folder.write(png, to: "in/\(name)") }
        let paths = names.map { folder.file("in/\($0)") }
        for command in [["localize", "--raw"], ["explain", "--method", "grad-cam"], ["score"]] {
            let pictures = folder.file("pictures-\(command[0])")
            let place = command[0] == "score" ? [] : ["--out", pictures]
            let outcome = try run(
                command + ["--model", out, "--device", "cpu"] + place + [folder.file("in")], in: folder)
            guard command[0] != "explain" || outcome.status == 0 else {
                // Grad-CAM is for models of whole images; integrated gradients too.
                #expect(outcome.status == 64, "\(outcome.errors)")
                continue
            }
            #expect(outcome.status == 0, "\(outcome.errors)")
            let rows = Self.records(outcome.output)
            #expect(rows.count == names.count + 1)
            #expect(rows.allSatisfy { $0.count == rows[0].count })
            // By bytes: as text, NFC and NFD are equal.
            #expect(Set(rows.dropFirst().map { Data($0[0].utf8) }) == Set(paths.map { Data($0.utf8) }))
            guard command[0] == "localize" else { continue }
            let files = rows.dropFirst().map { $0[4] }
            #expect(Set(files.map { Data($0.utf8) }).count == names.count)
            for file in files {
                #expect(FileManager.default.fileExists(atPath: file))
                let name = file.dropFirst(pictures.count + 1)
                #expect(!name.contains("/") && name.utf8.count <= 143)
            }
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: pictures).count == 3 * names.count)
        }
    }

    /// Without a threshold, and of images that it is not for, nothing is said about alarms.
    @Test func noThresholdNoAlarm() throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        let surface = try ImageDataset.load("builtin:surface", imageSize: 64)
        let picture = try folder.write(surface.test.images.image(0).encodedPNG(), to: "in/a.png")
        func train(_ more: [String]) throws -> Outcome {
            try run(["train", "--out", out, "--overwrite"] + Self.patches + more, in: folder)
        }
        let trained = try train(["--hold-out", "0"])
        #expect(trained.status == 0, "\(trained.errors)")
        #expect(trained.output.contains("no threshold"))
        for command in [["score"], ["localize", "--out", folder.file("pictures")]] {
            let found = try run(command + ["--model", out, picture], in: folder)
            #expect(found.status == 0 && found.errors.contains("--hold-out"))
            #expect(Self.records(found.output)[1][2...3] == ["", ""])
        }
        let json = try run(["score", "--model", out, "--format", "jsonl", picture], in: folder)
        #expect(json.output.contains("\"alarm\":null") && json.output.contains("\"p_value\":null"))

        let asked = try train(["--hold-out", "0.1", "--false-alarm-rate", "0.0001"])
        #expect(asked.status == 0 && asked.errors.contains("was asked for, which takes 9999"))
        let own = try run(["score", "--model", out, picture], in: folder)
        #expect(["true", "false"].contains(Self.records(own.output)[1][3]))
        let large = try run(
            ["localize", "--full-size", "--out", folder.file("large"), "--model", out, picture], in: folder)
        #expect(large.status == 0 && large.errors.contains("32 x 32"), "\(large.errors)")
        #expect(Self.records(large.output)[1][2...3] == ["", ""])
    }

    /// A Gaussian on the pixels of 96 x 96 would take 18 GB: what is compared with is smaller, and said.
    @Test func rawPixelsAreBounded() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let outcome = try run(
            ["train", "--data", folder.file("data"), "--out", folder.file("run")] + smallRun
                + ["--image-size", "96", "--method", "rotation", "--detector", "gaussian"], in: folder)
        #expect(outcome.status == 0 && !outcome.isSignaled, "\(outcome.errors)")
        #expect(outcome.output.contains("gaussian on images of 32 x 32"), "\(outcome.output)")
    }

    /// A folder of images alone: trained, and told how to go on.
    @Test func trainingWithoutTestsEndsWell() throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        let surface = try ImageDataset.load("builtin:surface", imageSize: 32)
        for index in 0..<12 {
            try folder.write(surface.train.images.image(index).encodedPNG(), to: "good/\(index).png")
        }
        let outcome = try run(
            ["train", "--out", out] + Self.patches + ["--data", folder.file("good"), "--log-every", "1"],
            in: folder)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("score --model"))
        #expect(outcome.output.contains("no test images") && outcome.output.contains("threshold"))
        let page = String(decoding: try readFile("\(out)/report.html"), as: UTF8.self)
        for part in [
            "Held-out scores", "Held-out images with", "Training images with", "<h2>Training<", "map of ",
        ] {
            #expect(page.contains(part), "\(part)")
        }
        #expect(page.components(separatedBy: "<img ").count == 1 + 3 + 6)
        let evaluated = try run(["evaluate", out, "--json"], in: folder)
        #expect(evaluated.status == 0 && evaluated.output.contains("\"calibrationImages\" : 3"))
    }
}
