import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Outputs that cannot be written, signals, and what an earlier run left behind.
@Suite struct OutputTests {
    private static let small = smallRun.joined(separator: " ")

    /// A folder with `data` and a model of it, `run`.
    private static func trained() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        #expect(try shell("$OCC train --data data --out run \(small)", in: folder).status == 0)
        return folder
    }

    @Test(arguments: [
        "score --model run data/test", "evaluate run --json", "devices", "doctor", "--help", "score --help",
    ])
    func resultsThatAreLostAreErrors(_ command: String) throws {
        let folder = try Self.trained()
        for lost in [">/dev/full", ">&-", "</dev/null 1<&0"] {
            let outcome = try shell("$OCC \(command) \(lost)", in: folder)
            #expect(outcome.status == 74 && !outcome.isSignaled, "\(lost): \(outcome.status)")
            #expect(outcome.errors.contains("standard output"), "\(lost): \(outcome.errors)")
        }
        // A reader that is gone, with SIGPIPE as it is by itself, and ignored.
        for (trap, code) in [("", 128 + SIGPIPE), ("trap '' PIPE;", 74)] {
            let outcome = try shell(
                "\(trap) { sleep 0.1; $OCC \(command); echo $? >status; } | true", in: folder)
            #expect(outcome.status == 0)
            #expect(try readFile(folder.file("status")) == Array("\(code)\n".utf8))
        }
    }

    /// What is for people may be lost; the run goes on, and no file takes the place of a closed descriptor.
    @Test func wordsThatAreLostAreNoErrors() throws {
        let folder = try Self.trained(), model = try readFile(folder.file("run/model.safetensors"))
        for (index, lost) in ["2>/dev/full", "2>&-", "0<&- 2>&-", "2>&1 >/dev/null | true"].enumerated() {
            let outcome = try shell(
                "$OCC train --data data --out run\(index) \(Self.small) \(lost)", in: folder)
            #expect(outcome.status == 0, "\(lost)")
            while !FileManager.default.fileExists(atPath: folder.file("run\(index)/report.html")) {
                usleep(1000)
            }
            #expect(try readFile(folder.file("run\(index)/model.safetensors")) == model, "\(lost)")
            let configuration = try readFile(folder.file("run\(index)/config.json"))
            #expect(throws: Never.self) { try RunConfiguration(json: configuration, name: "config.json") }
        }
        // With all three closed, the results are lost, which is an error; the files are well.
        #expect(
            try shell("$OCC train --data data --out all \(Self.small) <&- >&- 2>&-", in: folder).status == 74)
        #expect(try readFile(folder.file("all/model.safetensors")) == model)
    }

    // MARK: Signals

    /// A run that would take an hour, once it trains.
    private func longRun(in folder: TemporaryFolder, ignoring: String = "") throws -> Process {
        let arguments = "train --data data --out long \(Self.small) --steps 10000000"
        let (process, _, _) = try start(
            ["-c", "cd \"$FOLDER\"; \(ignoring) exec $OCC \(arguments)"], in: folder,
            environment: ["OCC": program.path, "FOLDER": folder.path],
            executable: URL(fileURLWithPath: "/bin/sh"))
        while process.isRunning, (try? readFile(folder.file("long/metrics.jsonl")).count) ?? 0 < 300 {
            usleep(2000)
        }
        return process
    }

    @Test func everySignalSaves() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2] {
            let process = try longRun(in: folder)
            kill(process.processIdentifier, signal)
            process.waitUntilExit()
            #expect(process.terminationReason == .exit && process.terminationStatus == 75, "\(signal)")
            #expect(throws: Never.self) { try RunDirectory.read(folder.file("long/checkpoint.safetensors")) }
            try FileManager.default.removeItem(atPath: folder.file("long"))
        }
    }

    /// Under nohup a run outlives its terminal.
    @Test func anIgnoredHangupStaysIgnored() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let process = try longRun(in: folder, ignoring: "trap '' HUP;")
        kill(process.processIdentifier, SIGHUP)
        let lines = try readFile(folder.file("long/metrics.jsonl")).count
        while process.isRunning, try readFile(folder.file("long/metrics.jsonl")).count < lines + 500 {
            usleep(2000)
        }
        #expect(process.isRunning)
        kill(process.processIdentifier, SIGTERM)
        process.waitUntilExit()
        #expect(process.terminationStatus == 75)
    }

    /// Whether a signal was sent to a process and no thread of it has taken it yet.
    private static func isPending(_ signal: Int32, at process: Process) throws -> Bool {
        let descriptor = open("/proc/\(process.processIdentifier)/status", O_RDONLY)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 14)
        let count = max(0, read(descriptor, &bytes, bytes.count))
        let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n")
        // The signals that wait for the process, as bits of a hexadecimal number; nothing is said of one that has ended.
        guard let line = lines.first(where: { $0.hasPrefix("ShdPnd:") }) else { return false }
        let mask = try #require(UInt64(line.split(separator: "\t")[1], radix: 16))
        return mask >> UInt64(signal - 1) & 1 == 1
    }

    /// How long all threads of a process have computed, in seconds.
    private static func computed(_ process: Process) -> Double {
        var clock = clockid_t(), time = timespec()
        clock_getcpuclockid(process.processIdentifier, &clock)
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
    }

    /// Two signals sent as one, as `timeout` does, save; another one a while later does not wait for that.
    @Test func aSecondSignalEndsAtOnce() throws {
        let folder = try TemporaryFolder()
        try smallDataset(in: folder)
        let process = try longRun(in: folder)
        kill(process.processIdentifier, SIGTERM)
        kill(process.processIdentifier, SIGTERM)
        process.waitUntilExit()
        #expect(process.terminationStatus == 75)
        // A step that takes seconds: the first signal waits for its end.
        let slow = try start(
            ["train", "--data", folder.file("data"), "--out", folder.file("slow")] + smallRun
                + ["--width", "1", "--batch", "256", "--threads", "1"], in: folder
        ).0
        while slow.isRunning, !FileManager.default.fileExists(atPath: folder.file("slow/metrics.jsonl")) {
            usleep(2000)
        }
        kill(slow.processIdentifier, SIGTERM)
        // Once it is taken, and the step has gone on for longer than two signals are taken as one.
        while slow.isRunning, try Self.isPending(SIGTERM, at: slow) { usleep(2000) }
        let taken = Self.computed(slow)
        while slow.isRunning, Self.computed(slow) < taken + 0.2 { usleep(2000) }
        kill(slow.processIdentifier, SIGTERM)
        slow.waitUntilExit()
        #expect(slow.terminationReason == .exit && slow.terminationStatus == 128 + SIGTERM)
    }

    /// Where there is nothing to save, a command ends at once, with whole lines and whole files.
    @Test func commandsWithoutAnythingToSaveStop() throws {
        let folder = try Self.trained()
        let paths = [String](repeating: folder.file("data/test"), count: 20000)
        let (process, output, errors) = try start(
            ["score", "--model", folder.file("run")] + paths, in: folder)
        while process.isRunning, try readFile(output.path).count < 100 { usleep(1000) }
        kill(process.processIdentifier, SIGTERM)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 75)
        #expect(try readFile(output.path).last == UInt8(ascii: "\n"))
        #expect(String(decoding: try readFile(errors.path), as: UTF8.self).contains("stopped by signal 15"))
    }

    // MARK: Folders

    /// What was killed while it wrote leaves temporary files; the next run removes these and nothing else.
    @Test func temporaryFilesOfTheDeadAreRemoved() throws {
        let folder = try Self.trained()
        let dead = try shell("echo $$", in: folder).output.trimmingCharacters(in: .whitespacesAndNewlines)
        let (sleeper, _, _) = try start(["60"], in: folder, executable: URL(fileURLWithPath: "/bin/sleep"))
        defer { sleeper.terminate() }
        // The machine's part of the name, as the program makes it.
        _ = try shell(
            "for i in 1 2 3 4; do timeout -s KILL 0.3 $OCC train --data data --out killed \(Self.small)"
                + " --steps 100000 --checkpoint-seconds 0; done", in: folder)
        let machine = try #require(Self.machine)
        let ours = "report.html.tmp-\(machine)-\(dead)-abcDE1", unmarked = "checkpoint.safetensors.tmp-abcdef"
        let kept = [
            "report.html.tmp-\(machine)-\(sleeper.processIdentifier)-abcDE1",
            "report.html.tmp-0123abcd-\(dead)-abcDE1", "my-notes.tmp-abcdef", "my.tmp-notes", "model.tmp-",
        ]
        for name in [ours, unmarked] + kept { try folder.write([], to: "run/\(name)") }
        #expect(try shell("$OCC train --data data --out run \(Self.small)", in: folder).status == 0)
        #expect(
            try shell("$OCC train --data data --out killed --overwrite \(Self.small)", in: folder).status == 0
        )
        for name in [ours, unmarked] {
            #expect(!FileManager.default.fileExists(atPath: folder.file("run/\(name)")), "\(name)")
        }
        for name in kept {
            #expect(FileManager.default.fileExists(atPath: folder.file("run/\(name)")), "\(name)")
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.file("killed"))
        #expect(left.allSatisfy { !$0.contains(".tmp-") }, "\(left)")
    }

    private static var machine: String? {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        return String(sha256(name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))).prefix(8))
    }

    /// The images count, not how their folder is spelled.
    @Test func resumingChecksTheImages() throws {
        let folder = try Self.trained(), train = "$OCC train --out run \(Self.small)"
        let again = try shell("\(train) --data ./data/", in: folder)
        #expect(again.status == 0 && again.errors.contains("resuming"), "\(again.errors)")
        try FileManager.default.copyItem(
            atPath: folder.file("data/test/bad/0.png"), toPath: folder.file("data/train/good/9.png"))
        let before = try readFile(folder.file("run/model.safetensors"))
        let changed = try shell("\(train) --data data", in: folder)
        #expect(changed.status == 65)
        #expect(
            changed.errors.contains("changed") && changed.errors.contains("--overwrite"), "\(changed.errors)")
        #expect(try readFile(folder.file("run/model.safetensors")) == before)
        let evaluated = try shell("$OCC evaluate run", in: folder)
        #expect(evaluated.status == 0 && evaluated.errors.contains("changed"), "\(evaluated.errors)")
        // From elsewhere the path leads nowhere.
        let moved = try shell("mkdir else; cd else; $OCC evaluate ../run", in: folder)
        #expect(moved.status == 66 && moved.errors.contains("--data"), "\(moved.errors)")
        #expect(try shell("cd else; $OCC evaluate ../run --data ../data", in: folder).status == 0)
    }

    /// One category that cannot be evaluated is named, and the others have their rows.
    @Test func oneBadCategoryIsNamed() throws {
        let folder = try TemporaryFolder()
        for (index, name) in ["alpha", "beta", "delta", "gamma"].enumerated() {
            try smallDataset(in: folder, name: "root/\(name)", seed: UInt64(index))
        }
        try FileManager.default.removeItem(atPath: folder.file("root/beta/test/bad"))
        for name in ["1", "2", "3"] { try folder.write([1], to: "root/delta/train/good/\(name).png") }
        let command = "$OCC protocol --data root --out runs --detectors kde \(Self.small)"
            .replacing(" --log-every 1", with: "")
        let outcome = try shell(command, in: folder)
        #expect(outcome.status == 65, "\(outcome.errors)")
        for name in ["beta", "delta"] {
            #expect(outcome.errors.contains("'\(name)', seed 1"), "\(outcome.errors)")
            #expect(outcome.output.contains("'\(name)', seed 1, failed"), "\(outcome.output)")
        }
        for name in ["alpha", "gamma"] {
            #expect(outcome.output.contains("| \(name) |  "), "\(outcome.output)")
            #expect(!outcome.output.contains("| \(name) |    failed"), "\(outcome.output)")
            #expect(FileManager.default.fileExists(atPath: folder.file("runs/\(name)-seed-1/result.json")))
        }
        let json = try shell("\(command) --json", in: folder)
        #expect(json.status == 65)
        let table = try JSONDecoder().decode(ProtocolTable.self, from: Data(json.output.utf8))
        #expect(table.failures.map(\.name) == ["beta", "delta"])
        #expect(table.failures.allSatisfy { $0.code == 65 })
        // Mended, the same command does what is left; a path spelled otherwise is the same data.
        try FileManager.default.removeItem(atPath: folder.file("root/delta"))
        try FileManager.default.removeItem(atPath: folder.file("root/beta"))
        let mended = try shell(command.replacing("--data root", with: "--data ./root/"), in: folder)
        #expect(mended.status == 0, "\(mended.errors)")
        #expect(!mended.errors.contains("run 1 of"), "\(mended.errors)")
    }
}
