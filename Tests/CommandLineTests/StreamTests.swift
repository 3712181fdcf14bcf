import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing
import occ_gpu

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

    /// Files that are written, moved or linked there have a row once they are whole; a signal ends it well.
    @Test(arguments: [SIGINT, SIGTERM]) func aFolderIsWatched(_ signal: Int32) throws {
        let folder = try Self.trained(), png = try readFile(folder.file("data/test/bad/0.png"))
        try folder.write(png, to: "in/before.png")
        let (process, output, errors) = try start(
            ["score", "--model", folder.file("run"), "--watch", folder.file("in")], in: folder)
        _ = try Self.waiting(for: "watching", in: errors, of: process)
        // Half a file is not scored; what is moved there is.
        let half = open(folder.file("in/half.png"), O_CREAT | O_WRONLY | O_CLOEXEC, 0o644)
        let part = FileHandle(fileDescriptor: half, closeOnDealloc: true)
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
        // A link is whole as it is made, also where it is soon the only name; what was drawn of an image is none.
        try folder.write(png, to: "source.png")
        let source = folder.file("source.png"), manager = FileManager.default
        try manager.createSymbolicLink(atPath: folder.file("in/soft.png"), withDestinationPath: source)
        try manager.createSymbolicLink(
            atPath: folder.file("in/broken.png"), withDestinationPath: folder.file("none"))
        try manager.linkItem(atPath: source, toPath: folder.file("in/hard.png"))
        try manager.linkItem(atPath: source, toPath: folder.file("in/of-0123456789ab.overlay.png"))
        _ = try Self.waiting(for: "hard.png", in: output, of: process)
        try manager.removeItem(atPath: folder.file("in/hard.png"))
        try manager.linkItem(atPath: source, toPath: folder.file("in/only.png"))
        try manager.removeItem(atPath: source)
        let third = try Self.waiting(for: "only.png", in: output, of: process)
        #expect(third.contains("/soft.png,") && !third.contains("overlay") && !third.contains("broken.png"))
        #expect(third.split(separator: "\n").count { $0.contains("hard.png") } == 1)
        #expect(!third.contains("half.png"))
        try part.write(contentsOf: Data(png.dropFirst(20)))
        try part.close()
        let last = try Self.waiting(for: "half.png", in: output, of: process)
        #expect(last.split(separator: "\n").last?.hasSuffix(",") == true, "\(last)")
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    }

    /// A file is whole when two looks see the same; what was there is not new, unless it changes.
    @Test func aLookFindsWhatHasNotChanged() throws {
        let folder = try TemporaryFolder()
        try folder.write([1], to: "in/before.png")
        try folder.write([1], to: "in/late.png")
        let watched = try PolledFolder(folder.file("in"), every: 60, why: nil)
        func look() throws -> [String] { try watched.look().map { String($0.split(separator: "/").last!) } }
        #expect(try look() == [])
        for bytes in [[UInt8](), [1], [1, 2]] {
            try folder.write(bytes, to: "in/grows.png")
            #expect(try look() == [])
        }
        // Hidden, of another kind, and no file.
        try folder.write([1], to: "in/.hidden.png")
        try folder.write([1], to: "in/notes.txt")
        try folder.write([1], to: "in/folder.png/x.png")
        try folder.write([2], to: "moved.png")
        try FileManager.default.moveItem(
            atPath: folder.file("moved.png"), toPath: folder.file("in/moved.png"))
        #expect(try look() == ["grows.png"])
        #expect(try look() == ["moved.png"] && look() == [])
        // Another file under a name that was given, and one that was there and is written on.
        try FileManager.default.removeItem(atPath: folder.file("in/moved.png"))
        try folder.write([3], to: "in/moved.png")
        try folder.write([1, 2, 3], to: "in/late.png")
        #expect(try look() == [] && Set(look()) == ["late.png", "moved.png"] && look() == [])
        // Of two the one that was changed first is the first.
        for (name, age) in [("a.png", 10.0), ("b.png", 20)] {
            let path = try folder.write([1], to: "in/\(name)")
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -age)], ofItemAtPath: path)
        }
        #expect(try look() == [] && look() == ["b.png", "a.png"])
        try FileManager.default.removeItem(atPath: folder.file("in"))
        let gone = #expect(throws: OCCError.self) { try watched.look() }
        #expect(gone?.kind == .noInput && gone?.message.contains("is gone") == true)
    }

    /// Where the system does not tell of files the folder is looked at, and standard error says how often and why.
    @Test(arguments: [
        (
            "FAULT_CALL=inotify_add_watch FAULT_AT=1 FAULT_ERRNO=\(ENOSPC)",
            "every 2.0 s, as inotify refuses it (No space left on device): raise fs.inotify.max_user_watches"
        ),
        ("", "every 0.1 s;"),
    ])
    func aFolderIsPolled(_ faults: String, _ words: String) throws {
        let folder = try Self.trained(), png = try readFile(folder.file("data/test/bad/0.png"))
        let shim = try faultShim(in: folder)
        try folder.write(png, to: "in/before.png")
        var environment = ["LD_PRELOAD": shim, "FAULT_UNDER": folder.file("in")]
        for fault in faults.split(separator: " ") {
            let parts = fault.split(separator: "=").map(String.init)
            environment[parts[0]] = parts[1]
        }
        let (process, output, errors) = try start(
            ["score", "--model", folder.file("run"), "--watch", folder.file("in")]
                + (faults.isEmpty ? ["--poll", "0.1"] : []), in: folder, environment: environment)
        let said = try Self.waiting(for: "ends it", in: errors, of: process)
        #expect(said.contains("watching \(folder.file("in")) \(words)"), "\(said)")
        try folder.write(png, to: "moved.png")
        try FileManager.default.moveItem(
            atPath: folder.file("moved.png"), toPath: folder.file("in/moved.png"))
        let rows = try Self.waiting(for: "moved.png", in: output, of: process)
        #expect(!rows.contains("before.png"))
        kill(process.processIdentifier, SIGTERM)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    }

    /// By the table of mounts: where other machines can write, the system does not tell of it.
    @Test func networkFileSystemsAreKnown() {
        let table = """
            22 28 0:21 / /proc rw,nosuid shared:13 - proc proc rw
            28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
            60 28 0:52 / /mnt/a\\040b rw shared:2 master:7 - nfs4 server:/a rw,vers=4.2
            61 28 0:53 / /mnt/c rw - fuse.sshfs server:/c rw
            62 28 8:300 / /mnt/d rw - fuseblk /dev/sdd rw
            63 28 0:54 / /mnt/e rw
            64 28 0:54 / /mnt/e rw - cifs //server/e rw
            """
        let expected: [(UInt64, String?)] = [
            (21, nil), (254 << 8 | 1, nil), (52, "nfs4"), (53, "fuse.sshfs"),
            (8 << 8 | 300 & 0xFF | 1 << 20, nil), (54, "cifs"), (99, nil),
        ]
        for (device, type) in expected {
            #expect(NetworkFileSystem.type(ofDevice: device, in: table) == type, "\(device)")
        }
    }

    /// A limit that says nothing about the folder is not the folder's fault; what is, is an error.
    @Test func whatCannotBeWatchedIsRefused() throws {
        let folder = try Self.trained()
        #expect(try shell("$OCC score --model run --watch none", in: folder).status == 66)
        let shim = try faultShim(in: folder)
        let denied = try shell(
            "export LD_PRELOAD=\(shim) FAULT_UNDER=data FAULT_CALL=inotify_add_watch FAULT_AT=1 FAULT_ERRNO=\(EACCES); "
                + "$OCC score --model run --watch data", in: folder)
        #expect(denied.status == 66 && denied.errors.contains("permissions"), "\(denied.errors)")
        for words in [
            "--watch data --poll 0", "--poll 1 data/test", "--watch data data/test", "- data/test", "",
        ] {
            #expect(try shell("$OCC score --model run \(words) </dev/null", in: folder).status == 64)
        }
    }
}
