import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// The program itself, run as its users run it.
@Suite struct CommandLineTests {
    static let tiny = [
        "--encoder", "resnet10", "--width", "0.0625", "--head", "16", "--batch", "8", "--steps", "30",
        "--max-train", "64",
        "--max-test", "60", "--quiet",
    ]

    @Test func helpNamesEveryCommand() throws {
        let folder = try TemporaryFolder(), overview = try run([], in: folder)
        #expect(overview.status == 0)
        for command in ["train", "evaluate", "score", "protocol", "plan", "devices"] {
            #expect(overview.output.contains(command))
            let help = try run([command, "--help"], in: folder)
            #expect(help.status == 0)
            #expect(help.output.contains("EXAMPLES"))
        }
    }

    @Test(arguments: [
        (["trian"], 64, "train"), (["train", "--widht", "1", "--out", "x"], 64, "--width"),
        (["train", "--width", "wide", "--out", "x"], 64, "number"), (["train"], 64, "--out"),
        (["train", "--method", "rotat", "--out", "x"], 64, "rotation"), (["score", "a.png"], 64, "--model"),
        (["score", "--model", "nowhere", "a.png"], 66, "nowhere"), (["evaluate", "nowhere"], 66, "nowhere"),
        (["train", "--data", "nowhere", "--out", "x"], 66, "nowhere"), (["train", "--out"], 64, "FOLDER"),
        (["train", "--config", "nowhere.json", "--out", "x"], 66, "nowhere.json"),
        (["train", "--out", "/proc/occ"], 73, "/proc/occ"),
        (["protocol", "--detectors", "kd", "--out", "x"], 64, "kde"),
    ])
    func mistakesAreExplained(_ arguments: [String], _ status: Int32, _ word: String) throws {
        let outcome = try run(arguments, in: try TemporaryFolder())
        #expect(outcome.status == status)
        #expect(outcome.errors.contains(word), "\(outcome.errors)")
        #expect(outcome.output == "")
    }

    @Test func trainsEvaluatesAndScores() throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        let trained = try run(
            ["train", "--out", out, "--json", "--false-alarm-rate", "0.2"] + Self.tiny, in: folder)
        #expect(trained.status == 0, "\(trained.errors)")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(trained.output.utf8)) as? [String: Any])
        let auroc = try #require(report["auroc"] as? Double)
        let evaluated = try run(["evaluate", out, "--json"], in: folder)
        let again = try #require(
            try JSONSerialization.jsonObject(with: Data(evaluated.output.utf8)) as? [String: Any])
        #expect(again["auroc"] as? Double == auroc)

        let picture = try RGBImageFile.write(to: folder)
        try folder.write(Array("no picture".utf8), to: "pictures/broken.png")
        let scored = try run(["score", "--model", out, folder.file("pictures")], in: folder)
        #expect(scored.status == 65)
        #expect(scored.errors.contains("broken.png"))
        let lines = scored.output.split(separator: "\n")
        #expect(lines.first == "file,score,p_value,alarm")
        #expect(lines.count == 2 && lines[1].hasPrefix("\(picture),"))
        let json = try run(["score", "--model", out, "--format", "jsonl", picture], in: folder)
        #expect(json.status == 0)
        #expect(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) is [String: Any])

        // The configuration beside the results reproduces the run.
        let second = try run(
            ["train", "--config", "\(out)/config.json", "--out", folder.file("again"), "--quiet"], in: folder)
        #expect(second.status == 0)
        #expect(try readFile("\(out)/model.safetensors") == readFile(folder.file("again/model.safetensors")))
        // A finished folder is not overwritten by accident, nor continued under another configuration.
        #expect(try run(["train", "--out", out, "--resume", "never"] + Self.tiny, in: folder).status == 73)
        let other = try run(["train", "--out", out, "--seed", "9"] + Self.tiny, in: folder)
        #expect(other.status == 64)
        #expect(other.errors.contains("seed"))
    }

    /// What the recipe chose is in config.json, and the library makes the same model of it.
    @Test func theLibraryGivesTheSameModel() throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        let arguments = [
            "train", "--out", out, "--method", "cutpaste", "--patch", "16", "--encoder", "resnet10",
            "--width", "0.0625", "--steps", "6", "--max-train", "32", "--max-test", "10", "--quiet",
            "--device", "cpu",
        ]
        #expect(try run(arguments, in: folder).status == 0)
        let file = "\(out)/config.json"
        let c = try RunConfiguration(json: try readFile(file), name: file)
        let model = try OneClassModel.fit(c.split(c.dataset()), configuration: c)
        try model.save(folder.file("library.safetensors"))
        #expect(
            try readFile(folder.file("library.safetensors")) == readFile("\(out)/model.safetensors"))
        // The recipe's own method has another rate; this one keeps its own.
        #expect(c.learningRate == 0.03 && c.method.name == "cutpaste" && c.steps == 6)
    }

    /// CutPaste begins slowly in a recipe of patches; another method on patches has its own warm-up.
    @Test(arguments: [("cutpaste", 100), ("denoising", nil)])
    func warmUpIsOfTheMethod(_ method: String, _ warmup: Int?) throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        let outcome = try run(
            [
                "train", "--out", out, "--data", "builtin:surface", "--patch", "32", "--method", method,
                "--encoder", "resnet10", "--width", "0.0625", "--steps", "1", "--batch", "4",
                "--max-train", "12", "--max-test", "4", "--quiet", "--device", "cpu",
            ], in: folder)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let c = try RunConfiguration(json: readFile("\(out)/config.json"), name: "config.json")
        #expect(c.method.name == method && c.patch == 32 && c.warmup == warmup)
    }

    /// Naming the file's own method, encoder and detector again changes nothing.
    @Test func aChoiceMadeAgainKeepsItsSettings() throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        let text = #"{"method":"contrastive","temperature":0.07,"head":[8],"detector":"kde","gamma":3}"#
        try folder.write(Array(text.utf8), to: "c.json")
        let arguments = [
            "train", "--out", out, "--config", folder.file("c.json"), "--method", "contrastive", "--detector",
            "kde", "--encoder", "resnet10", "--width", "0.0625", "--steps", "1", "--batch", "4",
            "--max-train",
            "16", "--max-test", "8", "--quiet", "--device", "cpu",
        ]
        #expect(try run(arguments, in: folder).status == 0)
        let written = try RunConfiguration(json: readFile("\(out)/config.json"), name: "config.json")
        #expect((written.method as? Contrastive)?.temperature == 0.07)
        #expect((written.detector as? KernelDensity)?.gamma == 3)
    }

    /// The options of a detector that is only compared count for it, and a result with others is not taken
    /// for it.
    @Test func comparedDetectorsTakeTheirOptions() throws {
        let folder = try TemporaryFolder()
        func protocolRun(_ more: [String]) throws -> Outcome {
            try run(
                ["protocol", "--out", folder.file("runs"), "--detectors", "ocsvm-rbf,kde"] + Self.tiny + more,
                in: folder)
        }
        #expect(try protocolRun(["--nu", "0.1", "--gamma", "3"]).status == 0)
        #expect(try protocolRun(["--nu", "0.1", "--gamma", "3"]).status == 0)
        let other = try protocolRun(["--nu", "0.2", "--gamma", "3"])
        #expect(other.status == 64 && other.errors.contains("ocsvm-rbf"), "\(other.errors)")
        #expect(try protocolRun(["--neighbors", "2"]).status == 64)
        // Nor is one of a program that augmented images in another way.
        let file = folder.file("runs/class-0-seed-1/result.json")
        let written = String(decoding: try readFile(file), as: UTF8.self)
        let earlier = written.replacing("\"augmentation\" : 3", with: "\"augmentation\" : 2")
        #expect(earlier != written)
        try Data(earlier.utf8).write(to: URL(fileURLWithPath: file))
        let refused = try protocolRun(["--nu", "0.1", "--gamma", "3"])
        #expect(refused.status == 64 && refused.errors.contains("augments"), "\(refused.errors)")
        #expect(try protocolRun(["--nu", "0.1", "--patch", "16"]).status == 64)
    }

    /// An option that the chosen method or detector does not have is refused, not ignored.
    @Test(arguments: [
        (["--temperature", "0.5"], "contrastive"), (["--nu", "0.1"], "ocsvm-rbf"),
        (["--method", "contrastive", "--noise", "0.1"], "denoising"),
        (["--method", "denoising", "--head", "8"], "--head"),
        (["--method", "contrastive", "--distribution-augmentation", "rot"], "da-contrastive"),
        (["--detector", "ocsvm-linear", "--gamma", "2"], "kde"),
    ])
    func optionsOfOthersAreRefused(_ options: [String], _ word: String) throws {
        let folder = try TemporaryFolder()
        let outcome = try run(["train", "--out", folder.file("run"), "--steps", "1"] + options, in: folder)
        #expect(outcome.status == 64)
        #expect(outcome.errors.contains(word), "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.file("run")))
    }

    /// One thread, two and five: the same bytes.
    @Test(arguments: ["rotation", "contrastive", "da-contrastive", "denoising"])
    func threadsDoNotShow(_ method: String) throws {
        let folder = try TemporaryFolder()
        let models = try ["1", "2", "5"].map { threads in
            let out = folder.file(threads)
            var arguments = ["train", "--out", out, "--method", method, "--threads", threads] + Self.tiny
            if method == "denoising" { arguments += ["--head", "none"] }
            #expect(try run(arguments, in: folder).status == 0)
            return try readFile("\(out)/model.safetensors")
        }
        #expect(models[1] == models[0])
        #expect(models[2] == models[0])
    }

    @Test func signalsSaveAndExit75() throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        let whole = try run(
            ["train", "--out", folder.file("whole")] + Self.tiny + ["--steps", "400"], in: folder)
        #expect(whole.status == 0)
        for signal in [SIGTERM, SIGINT, SIGUSR1] {
            let (process, _, errors) = try start(
                ["train", "--out", out, "--log-every", "1"] + Self.tiny + ["--steps", "400"], in: folder)
            // Once it trains, it has installed its handlers.
            while process.isRunning, (try? readFile("\(out)/metrics.jsonl").count) ?? 0 < 300 { usleep(2000) }
            kill(process.processIdentifier, signal)
            process.waitUntilExit()
            #expect(
                process.terminationStatus == 75, "\((try? String(contentsOf: errors, encoding: .utf8)) ?? "")"
            )
            try? FileManager.default.removeItem(atPath: "\(out)/metrics.jsonl")
        }
        #expect(try run(["train", "--out", out] + Self.tiny + ["--steps", "400"], in: folder).status == 0)
        #expect(try readFile("\(out)/model.safetensors") == readFile(folder.file("whole/model.safetensors")))
    }

    /// Killed at twenty random moments, resumed each time: the final model is the uninterrupted one's, byte
    /// for byte.
    @Test func killedRunsContinueBitForBit() throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        let arguments = Self.tiny + ["--steps", "150", "--checkpoint-seconds", "0.02"]
        let begin = Date()
        #expect(try run(["train", "--out", folder.file("whole")] + arguments, in: folder).status == 0)
        let duration = Date().timeIntervalSince(begin)
        var random = TestRandom(UInt64(Date().timeIntervalSince1970)), kills = 0
        while kills < 20 {
            let (process, _, errors) = try start(["train", "--out", out] + arguments, in: folder)
            usleep(UInt32(1e6 * duration * (0.02 + 0.5 * random.uniform())))
            guard process.isRunning else {
                process.waitUntilExit()
                #expect(
                    process.terminationStatus == 0,
                    "\((try? String(contentsOf: errors, encoding: .utf8)) ?? "")")
                #expect(
                    try readFile("\(out)/model.safetensors")
                        == readFile(folder.file("whole/model.safetensors")))
                try FileManager.default.removeItem(atPath: out)
                continue
            }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            kills += 1
        }
        let last = try run(["train", "--out", out] + arguments, in: folder)
        #expect(last.status == 0, "\(last.errors)")
        #expect(try readFile("\(out)/model.safetensors") == readFile(folder.file("whole/model.safetensors")))
    }

    @Test func plansAreNumbers() throws {
        let outcome = try run(["plan", "--json"] + Self.tiny.dropLast(), in: try TemporaryFolder())
        let plan = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        #expect((plan["operations"] as? [Any])?.count ?? 0 > 50)
        #expect(plan["flop"] as? Int ?? 0 > 1_000_000)
    }
}

private enum RGBImageFile {
    /// A copy of a fixture under `pictures`, and its path.
    static func write(to folder: TemporaryFolder) throws -> String {
        try folder.write(try readFile(fixturePath("images/rgb.png")), to: "pictures/rgb.png")
    }
}
