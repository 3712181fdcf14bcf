import Foundation
import OCCEngine
import TestSupport
import Testing
import occ_gpu

/// Scripts that complete command lines, and the manual page.
@Suite struct CompletionTests {
    /// What bash offers for a line that is being written; its last word is the one that is completed.
    private static func completions(_ lines: [[String]], in folder: TemporaryFolder) throws -> [[String]] {
        let calls = lines.map { words in
            let list = words.map { "'\($0)'" }.joined(separator: " ")
            return "COMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1); _occ_gpu; echo \"${COMPREPLY[*]}\""
        }
        try folder.write(
            Array("source <(\"$OCC\" completion bash)\n\(calls.joined(separator: "\n"))\n".utf8), to: "script"
        )
        let outcome = try shell("bash script", in: folder)
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        return outcome.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            .map { $0.split(separator: " ").map(String.init) }
    }

    @Test func bashCompletes() throws {
        let folder = try TemporaryFolder()
        try folder.write([1], to: "pictures/a.png")
        let expected: [([String], [String])] = [
            (["occ-gpu", "tr"], ["train"]), (["occ-gpu", "train", "--met"], ["--method"]),
            (["occ-gpu", "train", "--method", "rot"], ["rotation", "rotation-exposed"]),
            (["occ-gpu", "train", "--method", "=", "rot"], ["rotation", "rotation-exposed"]),
            (["occ-gpu", "train", "--math", "="], ["strict", "fast", "bf16"]),
            (["occ-gpu", "train", "--out", "pic"], ["pictures"]),
            (["occ-gpu", "train", "--data", "pictures/"], ["pictures/a.png"]),
            (["occ-gpu", "train", "--seed", ""], []),
            (["occ-gpu", "train", "--quiet", "--over"], ["--overwrite"]),
            (["occ-gpu", "protocol", "--detectors", "kde,kn"], ["kde,knn", "kde,knn-mahalanobis"]),
            (["occ-gpu", "score", "pic"], ["pictures"]), (["occ-gpu", "kernels", ""], ["build"]),
            (["occ-gpu", "completion", ""], ["bash", "zsh", "fish"]),
            (["occ-gpu", "help", "dev"], ["devices"]), (["occ-gpu", "devices", "--"], ["--json", "--help"]),
        ]
        for (found, (line, words)) in zip(try Self.completions(expected.map(\.0), in: folder), expected) {
            #expect(found == words, "\(line)")
        }
    }

    /// Every command and option is offered, by the list that the help is made of.
    @Test func nothingIsMissing() throws {
        let folder = try TemporaryFolder(), commands = OCCGPU.program.commands
        let lines = [["occ-gpu", ""]] + commands.map { ["occ-gpu", $0.name, "--"] }
        let found = try Self.completions(lines, in: folder)
        #expect(found.first == commands.map { $0.name } + ["help", "--help", "--version"])
        for (command, options) in zip(commands, found.dropFirst()) {
            #expect(Set(options) == Set(command.options.map { "--\($0.name)" } + ["--help"]))
            #expect(options.count == Set(options).count, "\(command.name)")
        }
        for shell in ["zsh", "fish"] {
            let script = try run(["completion", shell], in: folder).output
            for option in commands.flatMap(\.options) {
                #expect(script.contains(shell == "zsh" ? "--\(option.name)" : "-l \(option.name) "))
            }
        }
        #expect(try run(["completion"], in: folder).status == 64)
        let other = try run(["completion", "tcsh"], in: folder)
        #expect(other.status == 64 && other.errors.contains("bash, zsh, fish"), "\(other.errors)")
    }

    /// The scripts are sound to their own shells, where these are installed; fish also says what it would
    /// offer.
    @Test func otherShellsReadTheirs() throws {
        let folder = try TemporaryFolder()
        for name in ["zsh", "fish"] {
            let outcome = try shell(
                "command -v \(name) >/dev/null || exit 0; $OCC completion \(name) >script; \(name) -n script",
                in: folder)
            #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        }
        let fish = try shell(
            "command -v fish >/dev/null || exit 0; fish -c 'source script; complete -C \"occ-gpu tr\"; "
                + "complete -C \"occ-gpu train --method rot\"; complete -C \"occ-gpu train --met\"'",
            in: folder)
        let first = fish.output.split(separator: "\n").map { $0.prefix { $0 != "\t" } }
        #expect(first.isEmpty || first == ["train", "rotation", "--method"], "\(fish.output) \(fish.errors)")
    }

    /// The page has every command, option and variable; `man`, where it is installed, has nothing to complain
    /// of.
    @Test func thePageIsWhole() throws {
        let folder = try TemporaryFolder()
        let outcome = try shell("$OCC man >occ-gpu.1; $OCC man", in: folder)
        #expect(outcome.status == 0)
        let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.first?.hasPrefix(".TH OCC\\-GPU 1") == true)
        // No line is empty, which roff would take for a paragraph, or begins with what is no macro of man(7).
        let macros: Set = ["TH", "SH", "SS", "TP", "PP", "B", "nf", "fi"]
        for line in lines {
            #expect(!line.isEmpty && !line.hasPrefix("'"))
            if line.hasPrefix(".") {
                #expect(macros.contains(String(line.dropFirst().prefix { $0 != " " })), "\(line)")
            }
        }
        for command in OCCGPU.program.commands {
            #expect(lines.contains(".SH OCC\\-GPU \(command.name.uppercased())"), "\(command.name)")
            for option in command.options {
                let label = "\\fB\\-\\-\(option.name.replacing("-", with: "\\-"))\\fR"
                #expect(lines.contains { $0.hasPrefix(label) }, "\(option.name)")
            }
        }
        let plain = try shell(
            "command -v man groff >/dev/null || exit 0; man --warnings -l occ-gpu.1 >page; cat page",
            in: folder)
        #expect(plain.status == 0 && plain.errors == "", "\(plain.errors)")
        for word in plain.output.isEmpty ? [] : ["EXIT STATUS", "OCC_KERNEL_CACHE", "--tensorboard FOLDER"] {
            #expect(plain.output.contains(word), "\(word)")
        }
    }
}
