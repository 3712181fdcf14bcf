import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// A model that is loaded once and answers as images come.
@Suite struct StreamTests {
    private static func trained() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let small = smallRun.joined(separator: " ")
        #expect(try shell("$OCC train --data data --out run \(small)", in: folder).status == 0)
        return folder
    }

    /// Waits until a file holds a text; what it holds then.
    private static func waiting(for text: String, in url: URL, of process: Process) throws -> String {
        let end = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < end {
            let all = String(decoding: try readFile(url.path), as: UTF8.self)
            if all.contains(text) { return all }
            if !process.isRunning { break }
            usleep(2000)
        }
        let all = String(decoding: try readFile(url.path), as: UTF8.self)
        #expect(all.contains(text), "\(all)")
        return all
    }

    /// The scores of a stream are those of `score` on the files, bad paths have their row, and the exit code says so.
    @Test func everyLineIsAnswered() throws {
        let folder = try Self.trained()
        try folder.write([1, 2], to: "bad.png")
        let whole = try shell("$OCC score --model run data/test/bad", in: folder)
        let lines = "printf 'data/test/bad/0.png\\nnone.png\\n\\nbad.png\\ndata/test/bad/2.png'"
        let csv = try shell("\(lines) | $OCC score --model run -", in: folder)
        #expect(csv.status == 65 && csv.errors.contains("3 of 5 files"), "\(csv.errors)")
        let rows = csv.output.split(separator: "\n").map(String.init)
        let wanted = whole.output.split(separator: "\n").map { "\($0)," }
        try #require(rows.count == 6 && wanted.count == 4)
        #expect(rows[0] == "file,score,p_value,alarm,error")
        #expect(rows[1] == wanted[1] && rows[5] == wanted[3])
        #expect(rows[2].hasPrefix("none.png,,,,") && rows[4].hasPrefix("bad.png,,,,"))
        let json = try shell("\(lines) | $OCC score --model run --format jsonl -", in: folder)
        let objects = try json.output.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(objects.map { $0["error"] == nil } == [true, false, false, false, true])
        let good = try shell("echo data/test/bad/0.png | $OCC score --model run -", in: folder)
        #expect(good.status == 0, "\(good.errors)")
    }

    /// The answer is out before the next question is asked.
    @Test func answersComeAtOnce() throws {
        let folder = try Self.trained(), asked = Pipe(), answers = Pipe()
        let process = Process()
        process.executableURL = program
        process.arguments = ["score", "--model", folder.file("run"), "--format", "jsonl", "-"]
        (process.standardInput, process.standardOutput) = (asked, answers)
        process.standardError = FileHandle.nullDevice
        try process.run()
        for index in [2, 0, 1] {
            let path = folder.file("data/test/good/\(index).png")
            try asked.fileHandleForWriting.write(contentsOf: Data("\(path)\n".utf8))
            let line = String(decoding: answers.fileHandleForReading.availableData, as: UTF8.self)
            #expect(line.contains(path) && line.hasSuffix("}\n"), "\(line)")
        }
        try asked.fileHandleForWriting.close()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }

    /// Files that are written or moved there have a row once they are whole; a signal ends it well.
    @Test(arguments: [SIGINT, SIGTERM]) func aFolderIsWatched(_ signal: Int32) throws {
        let folder = try Self.trained(), png = try readFile(folder.file("data/test/bad/0.png"))
        try folder.write(png, to: "in/before.png")
        let (process, output, errors) = try start(
            ["score", "--model", folder.file("run"), "--watch", folder.file("in")], in: folder)
        _ = try Self.waiting(for: "watching", in: errors, of: process)
        // Half a file is not scored; what is moved there is.
        let part = try FileHandle(forWritingTo: URL(fileURLWithPath: try folder.write([], to: "half.png")))
        try FileManager.default.linkItem(atPath: folder.file("half.png"), toPath: folder.file("in/half.png"))
        try part.write(contentsOf: Data(png.prefix(20)))
        try folder.write(png, to: "moved.png")
        try FileManager.default.moveItem(
            atPath: folder.file("moved.png"), toPath: folder.file("in/moved.png"))
        try folder.write([7], to: "in/notes.txt")
        let first = try Self.waiting(for: "moved.png", in: output, of: process)
        #expect(!first.contains("half.png") && !first.contains("before.png"))
        try folder.write(png, to: "in/whole.png")
        let second = try Self.waiting(for: "whole.png", in: output, of: process)
        #expect(!second.contains("notes.txt") && !second.contains("half.png"))
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    }

    @Test func whatCannotBeWatchedIsRefused() throws {
        let folder = try Self.trained()
        #expect(try shell("$OCC score --model run --watch none", in: folder).status == 66)
        for words in ["--watch data data/test", "- data/test", ""] {
            #expect(try shell("$OCC score --model run \(words) </dev/null", in: folder).status == 64)
        }
    }
}
