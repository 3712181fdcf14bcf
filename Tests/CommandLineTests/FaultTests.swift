import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// System calls on the files of a command that fail, each kind at each place, once or from then on, by
/// `Tests/FaultShim/shim.c`: no trap, nothing that was there is lost, and the error names the file.
///
/// A sample of the faults is tried; OCC_FAULTS=all tries each.
@Suite struct FaultTests {
    /// A command, in a folder that holds what earlier ones left.
    private struct Scenario {
        /// The words of the command; DATA and WORK stand for folders.
        let words: [String]
        /// What the same command must give when it is run again, after a failure.
        var product: String?
    }

    private static let runOptions = smallRun.filter { $0 != "--log-every" && $0 != "1" }
    private static let cpu = ["--device", "cpu"]

    private static let scenarios = [
        Scenario(
            words: ["train", "--data", "DATA", "--out", "WORK/fresh"] + smallRun,
            product: "fresh/model.safetensors"),
        Scenario(
            words: ["train", "--data", "DATA", "--out", "WORK/half", "--checkpoint-seconds", "0"] + smallRun,
            product: "half/model.safetensors"),
        Scenario(
            words: ["train", "--data", "DATA", "--out", "WORK/shown", "--tensorboard", "WORK/events"]
                + smallPatches, product: "shown/model.safetensors"),
        Scenario(words: ["evaluate", "WORK/run", "--report", "WORK/report.html"] + cpu),
        Scenario(words: ["compare", "WORK/run", "WORK/patches", "--report", "WORK/comparison.html"]),
        Scenario(words: ["embed", "--model", "WORK/run", "--out", "WORK/new.npy", "DATA/test"] + cpu),
        Scenario(words: ["score", "--model", "WORK/run", "DATA/test"] + cpu),
        Scenario(words: ["localize", "--model", "WORK/patches", "--out", "WORK/pictures", "--raw"] + cpu),
        Scenario(
            words: ["explain", "--model", "WORK/run", "--out", "WORK/pictures", "--method", "grad-cam"] + cpu
                + [
                    "DATA/test/bad"
                ]),
        Scenario(
            words: ["export", "--model", "WORK/run", "--onnx", "WORK/model.onnx"], product: "model.onnx"),
        Scenario(
            words: ["export", "--model", "WORK/run", "--torch", "WORK/torch"], product: "torch/occ_model.py"),
        Scenario(
            words: [
                "protocol", "--data", "DATA", "--out", "WORK/protocol", "--detectors", "kde", "--seeds", "2",
            ]
                + runOptions, product: "protocol/class-0-seed-2/result.json"),
    ]

    /// A call that fails: the Nth of its kind, or all from there on.
    private struct Fault: CustomStringConvertible {
        let call: String
        let at: Int
        let isForever: Bool
        let code: Int32
        var description: String { "\(call) \(at)\(isForever ? " and on" : "") (\(errnoText(code)))" }
    }

    /// What a command did: its outcome, what is in the folder, and the calls that failed, or, without a
    /// fault, all.
    private struct Attempt {
        let outcome: Outcome
        let files: [String: [UInt8]]
        let calls: [(name: String, path: String)]
    }

    @Test func noFaultTrapsOrLosesAnything() throws {
        let isWhole = ProcessInfo.processInfo.environment["OCC_FAULTS"] == "all"
        let folder = try TemporaryFolder(), shim = try faultShim(in: folder)
        try Self.prepare(folder)
        let before = try Self.files(below: folder.file("before"))
        var wrong: [String] = [], tried = 0
        for scenario in Self.scenarios {
            let sound = try Self.attempt(scenario, nil, shim, folder)
            #expect(sound.outcome.status == 0, "\(sound.outcome.errors)")
            let all = Self.faults(of: sound)
            // Neighbors differ in the kind of fault: a stride that is no multiple of these meets them all.
            var step = isWhole ? 1 : max(1, all.count / 20)
            if step % 3 == 0 { step += 1 }
            for place in stride(from: 0, to: all.count, by: step) {
                let found = try Self.attempt(scenario, all[place], shim, folder)
                guard !found.calls.isEmpty else { continue }
                tried += 1
                var problems = Self.problems(found, all[place], sound, before)
                if let product = scenario.product, found.outcome.status != 0 || isWhole {
                    let again = try run(Self.arguments(scenario, folder), in: folder)
                    let bytes = try readFileIfPresent(folder.file("work/\(product)"))
                    if again.status != 0 || bytes != sound.files[product] {
                        problems.append("run again: \(again.status), \(again.errors)")
                    }
                }
                let command = scenario.words.prefix(4).joined(separator: " ")
                wrong += problems.map { "\(command), \(all[place]) at \(found.calls[0].path): \($0)" }
            }
        }
        #expect(wrong == [])
        #expect(tried > 100)
        if isWhole { print("\(tried) faults") }
    }

    private static func faults(of sound: Attempt) -> [Fault] {
        let names = Set(sound.calls.map(\.name)).sorted()
        return names.flatMap { name in
            (1...sound.calls.count { $0.name == name }).flatMap { at in
                let codes = name == "write" || name == "fsync" ? [EIO, ENOSPC, EINTR] : [EIO, EMFILE, EINTR]
                return [(false, codes[0]), (true, codes[at % 2]), (false, codes[2])].map {
                    Fault(call: name, at: at, isForever: $0.0, code: $0.1)
                }
            }
        }
    }

    /// What is wrong with how a command took a fault.
    private static func problems(
        _ found: Attempt, _ fault: Fault, _ sound: Attempt, _ before: [String: [UInt8]]
    ) -> [String] {
        let outcome = found.outcome
        guard !outcome.isSignaled else { return ["ended by signal \(outcome.status)"] }
        var wrong: [String] = []
        switch outcome.status {
        case 0:
            if outcome.output != sound.outcome.output {
                wrong.append("exits with 0, and prints '\(outcome.output)'")
            }
            for (name, bytes) in sound.files
            where found.files[name] != bytes && !name.hasSuffix("metrics.jsonl") && !name.contains("tfevents")
            {
                wrong.append("exits with 0, and \(name) is another")
            }
        case 74 where fault.code != EINTR:
            let isMute = found.calls.contains { $0.path.hasSuffix(".err") }
            let isNamed = found.calls.contains { call in
                let file = call.path.split(separator: "/").last!.split(separator: ".tmp-")[0]
                return outcome.errors.contains(file.hasSuffix(".out") ? "standard output" : file)
            }
            if !isMute, !isNamed { wrong.append("names no file: \(outcome.errors)") }
        default: wrong.append("exits with \(outcome.status): \(outcome.errors)")
        }
        for (name, old) in before where found.files[name] != sound.files[name] {
            guard let new = found.files[name] else {
                wrong.append("\(name) is lost")
                continue
            }
            let isWell =
                name.hasSuffix("metrics.jsonl")
                ? new.starts(with: old)
                : new == old || name.contains("checkpoint") && (step(new) ?? -1) >= step(old)!
            if !isWell { wrong.append("\(name) is neither the old one nor a new one") }
        }
        for name in found.files.keys where name.contains(".tmp-") || name.hasSuffix(".link") {
            wrong.append("\(name) is left behind")
        }
        return wrong
    }

    /// The step of a sound checkpoint.
    private static func step(_ bytes: [UInt8]) -> Int? {
        guard let folder = try? TemporaryFolder(), let path = try? folder.write(bytes, to: "c") else {
            return nil
        }
        return (try? RunDirectory.read(path))?.metadata["step"].flatMap { Int($0) }
    }

    // MARK: Running

    private static func arguments(_ scenario: Scenario, _ folder: TemporaryFolder) -> [String] {
        scenario.words.map {
            $0.replacing("DATA", with: folder.file("data")).replacing("WORK", with: folder.file("work"))
        }
    }

    private static func attempt(
        _ scenario: Scenario, _ fault: Fault?, _ shim: String, _ folder: TemporaryFolder
    ) throws -> Attempt {
        let log = folder.file("calls"), work = folder.file("work")
        unlink(log)
        try? FileManager.default.removeItem(atPath: work)
        try FileManager.default.copyItem(atPath: folder.file("before"), toPath: work)
        var environment = [
            "LD_PRELOAD": shim, "FAULT_UNDER": folder.path, "FAULT_LOG": log, "SWIFT_BACKTRACE": "enable=no",
        ]
        if let fault {
            environment["FAULT_CALL"] = fault.call
            environment["FAULT_AT"] = String(fault.at)
            environment["FAULT_ERRNO"] = String(fault.code)
            if fault.isForever { environment["FAULT_FOREVER"] = "1" }
        }
        let outcome = try run(arguments(scenario, folder), in: folder, environment: environment)
        let lines = String(decoding: try readFileIfPresent(log) ?? [], as: UTF8.self).split(separator: "\n")
        let calls = lines.map { line in
            let words = line.split(separator: " ", maxSplits: 1)
            return (name: String(words[0]), path: String(words[1]))
        }
        return Attempt(outcome: outcome, files: try files(below: work), calls: calls)
    }

    /// Every file below a folder, by its path from there.
    private static func files(below folder: String) throws -> [String: [UInt8]] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder)
        let files = names.filter { name in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: "\(folder)/\(name)", isDirectory: &isFolder)
                && !isFolder.boolValue && !name.hasSuffix(".lock")
        }
        return Dictionary(uniqueKeysWithValues: try files.map { ($0, try readFile("\(folder)/\($0)")) })
    }

    /// Makes what every scenario begins with, in `before`: finished runs, a run that is half done, an old
    /// report, old pictures.
    private static func prepare(_ folder: TemporaryFolder) throws {
        try smallDataset(in: folder)
        let before = folder.file("before"), data = ["--data", folder.file("data")]
        for arguments in [
            ["train", "--out", "\(before)/run"] + data + smallRun,
            ["train", "--out", "\(before)/patches"] + data + smallPatches,
            ["protocol", "--out", "\(before)/protocol", "--detectors", "kde"] + data + runOptions,
            ["evaluate", "\(before)/run", "--report", "\(before)/report.html"],
            ["localize", "--model", "\(before)/patches", "--out", "\(before)/pictures"],
        ] {
            let outcome = try run(arguments, in: folder)
            try #require(outcome.status == 0, "\(outcome.errors)")
        }
        // Two of four steps, with a checkpoint after each.
        let configuration = try RunConfiguration(
            json: try readFile("\(before)/run/config.json"), name: "config.json")
        let split = try configuration.split(try configuration.dataset())
        let directory = try RunDirectory("\(before)/half")
        let trainer = try Trainer(
            configuration: configuration, images: split.train, device: try .cpu(),
            dataDigest: split.trainingDigest)
        let log = try MetricsLog(directory.metrics, resumingAt: 0)
        _ = try trainer.run(
            recordEvery: 1, record: { try log.append($0) },
            shouldStop: {
                try directory.save(try trainer.checkpoint())
                return trainer.step == 2
            })
        try AtomicFile.write(
            Array((try configuration.json(pretty: true) + "\n").utf8), to: directory.configuration)
    }
}

/// `Tests/FaultShim/shim.c` as a library.
func faultShim(in folder: TemporaryFolder) throws -> String {
    let source = URL(fileURLWithPath: fixturePath("")).deletingLastPathComponent()
        .appendingPathComponent("FaultShim/shim.c").path
    let compile = "-shared -fPIC -o shim.so '\(source)'"
    let built = try shell("clang \(compile) || cc \(compile) || gcc \(compile)", in: folder)
    try #require(built.status == 0, "\(built.errors)")
    return folder.file("shim.so")
}
