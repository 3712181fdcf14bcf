import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// What the program says of slips, and that it says it before anything else is there.
@Suite struct MessageTests {
    private static func trained(_ options: [String] = smallRun) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let outcome = try run(
            ["train", "--data", folder.file("data"), "--out", folder.file("run")] + options, in: folder)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return folder
    }

    /// A line that ends as other systems end it names the same file, also the last one, without a line feed.
    @Test func linesMayEndWithAReturn() throws {
        let folder = try Self.trained()
        let answers = try ["\\n", "\\r\\n"].map { end in
            try shell(
                "printf 'data/test/bad/0.png\(end)none.png\(end)data/test/bad/2.png\(end.dropLast(2))'"
                    + " | $OCC score --model run -", in: folder)
        }
        #expect(answers[0].output.split(separator: "\n").count == 4 && answers[0].status == 65)
        #expect(answers[1].output == answers[0].output)
    }

    /// A model of whole images has no maps: there is no header, and no folder, before it says so.
    @Test func whatDoesNotLocalizeSaysSoFirst() throws {
        let folder = try Self.trained()
        let outcome = try shell(
            "$OCC localize --model run --device cpu --out pictures --regions r.jsonl data/test", in: folder)
        #expect(outcome.status == 64 && outcome.errors.contains("does not localize"), "\(outcome.errors)")
        #expect(outcome.output == "" && outcome.errors.hasPrefix("error: "), "\(outcome.errors)")
        for name in ["pictures", "r.jsonl"] {
            #expect(!FileManager.default.fileExists(atPath: folder.file(name)))
        }
    }

    /// Two options that say how long to train are one too many, in each command that has both.
    @Test(arguments: [
        "train", "plan", "protocol", "reproduce table5",
    ]) func oneOptionSaysHowLongToTrain(_ command: String) throws {
        let folder = try TemporaryFolder()
        let out = command == "plan" ? "" : "--out run"
        let outcome = try shell(
            "$OCC \(command) --data builtin:shapes --steps 2 --epochs 1 \(out)", in: folder)
        #expect(
            outcome.status == 64 && outcome.errors.contains("--steps and --epochs both say"),
            "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.file("run")))
    }

    /// A folder of results among the images has a warning, by whatever path; one beside them has none.
    @Test func resultsAmongImagesAreWarnedOf() throws {
        let folder = try Self.trained(smallPatches)
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("link"), withDestinationPath: folder.file("data"))
        let small = smallPatches.joined(separator: " ")
        for (command, isWarned) in [
            ("train --data data --out data/run \(small)", true),
            ("localize --model run --out data/test/../pictures", true),
            ("localize --model run --out link/pictures data/test data", true),
            ("localize --model run --out pictures --masks data/test/masks data/test", true),
            ("localize --model run --out data-pictures data/test/bad/0.png", false),
            ("localize --model run --out data/pictures data/test", false),
            ("explain --model run --out data/test data/test", true),
        ] {
            let outcome = try shell("$OCC \(command)", in: folder)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let warnings = outcome.errors.split(separator: "\n").filter { $0.contains("lies in") }
            #expect(warnings.count == (isWarned ? 1 : 0), "\(command): \(outcome.errors)")
        }
    }

    /// A file that cannot be written leaves the one before, where there is one.
    @Test func whatWasThereIsSaidToBeThere() throws {
        let folder = try Self.trained(), shim = try faultShim(in: folder)
        try folder.write([], to: "pages/other")
        let write = "$OCC evaluate run --report pages/report.html"
        let failing =
            "LD_PRELOAD=\(shim) FAULT_UNDER=\(folder.file("pages")) FAULT_CALL=write FAULT_AT=1 FAULT_ERRNO=\(ENOSPC) \(write)"
        let first = try shell(failing, in: folder)
        #expect(
            first.status == 74 && first.errors.contains("free space.") && !first.errors.contains("untouched"))
        #expect(try shell(write, in: folder).status == 0)
        let second = try shell(failing, in: folder)
        #expect(
            second.status == 74 && second.errors.contains("the previous file is untouched"),
            "\(second.errors)")
    }
}
