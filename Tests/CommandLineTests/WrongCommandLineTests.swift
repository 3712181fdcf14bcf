import Foundation
import OCCCommandLine
import OCCEngine
import OneClass
import TestSupport
import Testing
import occ_gpu

/// Wrong command lines, made from the options that the commands declare: each is refused before anything is read or
/// written, with exit code 64 and the option's name.
@Suite struct WrongCommandLineTests {
    /// What people write by mistake; a value that an option allows is no mistake.
    private static let values = [
        "-1", "-0.5", "nan", "inf", "-inf", "1e400", "9e18", "99999999999999999999", "text",
    ]

    /// What makes a command complete, so that it is the option that is wrong.
    private static func rest(of command: Command, out: String) -> [String] {
        switch command.name {
        case "train", "protocol": ["--out", out]
        case "localize", "explain": ["--model", "\(out)/model", "--out", out, "a.png"]
        case "score": ["--model", "\(out)/model", "a.png"]
        case "export": ["--model", "\(out)/model", "--onnx", "\(out)/model.onnx"]
        case "evaluate": ["\(out)/model"]
        case "embed": ["--model", "\(out)/model", "--out", "\(out).npy"]
        case "fit": ["features.npy", "--out", out]
        case "kernels": ["build", "--out", out]
        default: []
        }
    }

    /// An option's wrong values; nil where it ends the line without one.
    private static func wrong(_ option: OCCCommandLine.Option) -> [String?] {
        guard option.placeholder != nil else { return ["=1", "="] }
        guard let check = option.check else { return [nil, ""] }
        return [nil, ""] + values.filter { (try? check($0)) == nil }
    }

    private func lines(_ command: Command, out: String) -> [(words: [String], name: String)] {
        let rest = Self.rest(of: command, out: out)
        return command.options.flatMap { option in
            Self.wrong(option).flatMap { value -> [[String]] in
                let name = "--\(option.name)"
                guard option.placeholder != nil else { return [rest + [name + value!]] }
                guard let value else { return [rest + [name]] }
                return [[name, value] + rest, rest + ["\(name)=\(value)"]]
            }.map { ($0, "--\(option.name)") }
        }
    }

    @Test func wrongValuesAreRefused() throws {
        let folder = try TemporaryFolder(), out = folder.file("out")
        var count = 0
        let start = ContinuousClock.now
        for command in OCCGPU.program.commands {
            for (words, name) in lines(command, out: out) {
                count += 1
                let line = ([command.name] + words).joined(separator: " ")
                let error = #expect(throws: OCCError.self, "\(line)") {
                    try OCCGPU.program.run([command.name] + words)
                }
                #expect(error?.kind == .usage, "\(line): \(error?.message ?? "")")
                let text = error?.text { "--\($0)" } ?? ""
                #expect(text.contains(name), "\(line): \(text)")
            }
        }
        #expect(count >= 500)
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(!FileManager.default.fileExists(atPath: out))
    }

    /// What is a number has a range on both sides, whatever else it allows.
    @Test func numbersHaveRanges() {
        for command in OCCGPU.program.commands {
            for option in command.options where option.isNumber {
                for value in ["nan", "inf", "-inf", "1e400", "9e30", "-9e30", "text", " 1", "1 "] {
                    #expect(throws: SettingError.self, "\(command.name) --\(option.name) \(value)") {
                        try option.check?(value)
                    }
                }
            }
        }
    }

    /// The program itself: the exit code, and that nothing traps.
    @Test func theProgramExitsWith64() throws {
        let folder = try TemporaryFolder(), out = folder.file("out")
        let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("occ-gpu")
        let all = OCCGPU.program.commands.flatMap { command in
            lines(command, out: out).map { ([command.name] + $0.words, $0.name) }
        }
        for (words, name) in stride(from: 0, to: all.count, by: max(1, all.count / 40)).map({ all[$0] }) {
            let process = Process(), errors = Pipe(), output = Pipe()
            process.executableURL = program
            process.arguments = words
            process.standardError = errors
            process.standardOutput = output
            try process.run()
            let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationReason == .exit && process.terminationStatus == 64, "\(words)")
            #expect(said.contains(name), "\(words): \(said)")
            #expect(output.fileHandleForReading.readDataToEndOfFile().isEmpty)
        }
        #expect(!FileManager.default.fileExists(atPath: out))
    }

    /// Settings that are each in range and do not go together, and other slips.
    @Test(arguments: [
        ("train --patch 64 --image-size 32", "--patch"), ("train --stride 4", "--stride"),
        ("train --patch 32 --stride 33", "--stride"), ("train --batch 65536 --image-size 1024", "--batch"),
        ("train --max-train 9 --labeled-normals 10", "--labeled-normals"),
        ("train --detector knn --neighbors 9 --max-train 8", "--neighbors"),
        ("train --detector knn --neighbors 9 --detector-rows 8 --patch 32", "--neighbors"),
        ("train --detector gaussian --ridge 0 --max-train 3 --width 0.0625", "--ridge"),
        ("train --locations each", "--locations"),
        ("train --patch 32 --locations each --detector svdd", "--locations"),
        ("train --method contrastive --head none", "--head"), ("train --head 8x65", "--head"),
        ("train --head 8x40,8x40", "--head"), ("train --image-size 48", "--image-size"),
        ("train --method denoising --patch 72 --image-size 96", "--patch"), ("train --patch 20", "--patch"),
        ("train --augment blurry", "--augment"), ("train --steps 3 --steps nan", "--steps"),
        ("train --steps nan --steps 3", "--steps"), ("train --stpes 3", "--steps"),
        ("train -steps 3", "--steps"),
        ("train ---steps 3", "--steps"), ("train --data --json", "--data"), ("train extra", "extra"),
        ("protocol extra", "extra"), ("plan extra", "extra"), ("devices extra", "extra"),
        ("selftest extra", "extra"), ("protocol --classes 0,,1", "--classes"),
        ("protocol --detectors kde,kd", "--detectors"), ("kernels build --arch sm_99999", "--arch"),
        ("train --device cuda:x", "--device"), ("train --device cuda:99999999999", "--device"),
    ])
    func slipsAreNamed(_ line: String, _ name: String) throws {
        let folder = try TemporaryFolder(), out = folder.file("out")
        var words = line.split(separator: " ").map(String.init)
        if ["train", "protocol"].contains(words[0]) { words += ["--out", out, "--device", "cpu"] }
        if line.contains("cuda") { words.removeLast(2) }
        let error = #expect(throws: OCCError.self) { try OCCGPU.program.run(words) }
        #expect(error?.kind == .usage)
        let said = error?.text { "--\($0)" } ?? ""
        #expect(said.contains(name), "\(said)")
        #expect(!FileManager.default.fileExists(atPath: out))
    }

    /// What looks odd and is right.
    @Test func oddValuesAreTaken() throws {
        let plan = try #require(OCCGPU.program.commands.first { $0.name == "plan" })
        let arguments = try Arguments(
            [
                "--data=--here", "--normal", "-1", "--steps", "3", "--steps=4", "--seed",
                "18446744073709551615",
            ],
            of: plan)
        #expect(arguments["data"] == "--here")
        #expect(arguments["normal"] == "-1")
        #expect(arguments["steps"] == "4")
    }
}
