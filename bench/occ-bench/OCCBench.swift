import Foundation
import OCCCommandLine
import OneClass

private let options = [
    Option("python", "PATH", "Interpreter with torch and scikit-learn (python3)."),
    Option(
        "vs", PeerChoice.self, standard: .pytorch,
        "The peer, for detectors scikit-learn in any case; none to measure ours only."),
    Option("threads", "N", .within(0...256), standard: 0, "Threads of both sides; 0 for one a core."),
    Option("repetitions", "N", .within(1...1000), standard: 7, "Repetitions of each side."),
    Option("only", "TEXT", "Only work whose name contains this."),
    Option("scripts", "FOLDER", "Where serve.py is (bench/peers)."),
    Option("json", nil, "Print JSON: a record with machine and commit."),
]

private let loadOptions = [Option("images", "FOLDER", "The image files to load.")]

private let gpuOptions = [
    Option("device", "NAME", "cuda (the default), cuda:N or cpu."),
    Option("tiny", nil, "Sizes that any machine does in seconds, to try the comparison out."),
    Option(
        "forms", "LIST",
        "Which forms of PyTorch: eager, graph, compile-graph (these by default), compile, max-autotune."),
]

private enum PeerChoice: String, CaseIterable { case pytorch, none }

private func peer(_ arguments: Arguments) -> PeerChoice {
    arguments.value("vs", as: PeerChoice.self) ?? .pytorch
}

/// Measures a group, prints each result as it comes.
private func measure(_ groups: [String], _ arguments: Arguments, quiet: Bool) throws -> [Comparison.Result] {
    let threads = arguments.value("threads", as: Int.self) ?? 0
    let repetitions = arguments.value("repetitions", as: Int.self) ?? 7
    let python = peer(arguments) == .none ? nil : arguments["python"] ?? "python3"
    var results: [Comparison.Result] = []
    for group in groups {
        let workloads =
            group == "gpu"
            ? GPUWorkloads(
                device: try .choose(arguments["device"] ?? "cuda", threads: threads),
                tiny: arguments.has("tiny"),
                forms: arguments["forms"]?.split(separator: ",").map(String.init)
                    ?? ["eager", "graph", "compile-graph"]
            ).all
            : try Workloads.all(group, threads: threads, images: arguments["images"])
        for (name, make) in workloads {
            if let only = arguments["only"], !name.contains(only) { continue }
            let result = try make().run(
                repetitions: repetitions, python: python, scripts: arguments["scripts"])
            if !quiet { try emit(result.lines.joined(separator: "\n")) }
            results.append(result)
        }
    }
    return results
}

private func record(_ results: [Comparison.Result]) throws {
    func output(_ words: String...) -> String {
        let process = Process(), pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.standardOutput = pipe
        guard (try? process.run()) != nil else { return "unknown" }
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
    try emitJSON([
        "commit": output("git", "describe", "--always", "--dirty", "--exclude", "*"),
        "processor": processorName,
        "cores": ProcessInfo.processInfo.activeProcessorCount, "results": results.map(\.json),
    ])
}

private func command(_ group: String, _ summary: String) -> Command {
    Command(
        name: group, summary: summary, usage: "[--python PATH]",
        examples: ["occ-bench \(group)", "occ-bench \(group) --vs none"],
        options: options + (group == "gpu" ? gpuOptions : group == "load" ? loadOptions : [])
    ) { arguments in
        let results = try measure([group], arguments, quiet: arguments.has("json"))
        if arguments.has("json") { try record(results) }
    }
}

private let check = Command(
    name: "check", summary: "Runs what bench/thresholds.json lists and fails when a ratio is lost.",
    usage: "[--python PATH]",
    examples: ["occ-bench check"], options: options
) { arguments in
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("thresholds.json").path
    guard
        let thresholds = try JSONSerialization.jsonObject(with: Data(try readFile(path))) as? [String: Double]
    else {
        throw OCCError(.badData, "\(path): is not a map of ratios by work")
    }
    guard peer(arguments) != .none else {
        throw OCCError(.usage, "a check needs the peers: leave --vs out")
    }
    let results = try measure(Workloads.groups, arguments, quiet: false)
    let lost = results.compactMap { result -> String? in
        guard let threshold = thresholds[result.name], let ratio = result.ratio, !(ratio >= threshold) else {
            return nil
        }
        return "\(result.name): \(String(format: "%.2f", ratio)) < \(threshold)"
    }
    guard lost.isEmpty else { throw OCCError(.failure, "lost: \(lost.joined(separator: "; "))") }
}

@main
enum OCCBench {
    static func main() {
        CommandLineProgram(
            name: "occ-bench",
            summary: "Times occ-gpu and its peers (PyTorch, scikit-learn) in turn, in one run.",
            commands: [
                command("step", "Training steps of ResNet-18 at 32 x 32."),
                command("layers", "Convolutions, forward and both backwards."),
                command("infer", "Features of images."),
                command("patches", "Scores and maps of images, patch by patch."),
                command("maps", "Scores and maps of an image, in one pass and patch by patch."),
                command(
                    "anomalib", "Scores and maps of PaDiM and PatchCore; see bench/peers/anomalib_models.py."),
                command("detectors", "KDE scores, OC-SVM fit."),
                command("augment", "The standard augmentation."),
                command("load", "Image files: reading, decoding, resizing; see bench/peers/load_images.py."),
                command("gpu", "Steps, inference, NT-Xent and KDE on a GPU; see bench/gpu."),
                calibrationCommand, roundingCommand, ranksCommand, check,
            ],
            hint: "For the time of every operation of a step: occ-gpu plan --profile."
        ).main()
    }
}
