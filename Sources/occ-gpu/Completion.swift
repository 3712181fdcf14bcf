import OCCCommandLine
import OneClass

let completionCommand = Command(
    name: "completion",
    summary: "Prints a script by which a shell completes commands, options and their values.",
    usage: Completion.allCases.map(\.rawValue).joined(separator: "|"),
    examples: [
        "source <(occ-gpu completion bash)", "source <(occ-gpu completion zsh)",
        "occ-gpu completion fish > ~/.config/fish/completions/occ-gpu.fish",
    ], options: [], words: Completion.allCases.map(\.rawValue)
) { arguments in
    let names = Completion.allCases.map(\.rawValue)
    guard arguments.positionals.count == 1, let name = arguments.positionals.first else {
        throw OCCError(.usage, "for which shell?", remedy: "There is: \(names.joined(separator: ", ")).")
    }
    guard let shell = Completion(rawValue: name) else {
        throw OCCError(
            .usage, "there is no completion for '\(name)'",
            remedy: "There is: \(names.joined(separator: ", ")).")
    }
    try emit(shell.script(of: OCCGPU.program))
}
