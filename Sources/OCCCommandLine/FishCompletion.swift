/// Completion by fish: a `complete` line for each command and option.
struct FishCompletion {
    let program: CommandLineProgram

    var script: String {
        let start = "complete -c \(program.name)"
        let commands = program.commands.map {
            "\(start) -n __fish_use_subcommand -f -a \($0.name) -d \(quoted(firstSentence($0.summary)))"
        }
        return """
            # Completion of \(program.name) for fish: \(program.name) completion fish | source
            \(start) -n __fish_use_subcommand -f -a help -d 'Shows the help of a command'
            \(commands.joined(separator: "\n"))
            \(start) -n '__fish_seen_subcommand_from help' -f -a '\(program.commands.map { $0.name }.joined(separator: " "))'
            \(program.commands.flatMap(lines).joined(separator: "\n"))
            """
    }

    private func lines(_ command: Command) -> [String] {
        let start = "complete -c \(program.name) -n '__fish_seen_subcommand_from \(command.name)'"
        let words =
            switch command.completedWords {
            case .names(let values): "\(start) -f -a '\(values.joined(separator: " "))'"
            case .files: "\(start) -F"
            default: "\(start) -f"
            }
        return [words]
            + command.completedOptions.map { option in
                "\(start) -l \(option.name)\(arguments(option.value)) -d \(quoted(option.summary))"
            }
    }

    private func arguments(_ value: CompletedValue) -> String {
        switch value {
        case .none: ""
        case .free: " -x"
        case .files: " -r -F"
        case .folders: " -x -a '(__fish_complete_directories)'"
        case .names(let names): " -x -a '\(names.joined(separator: " "))'"
        case .list(let names): " -x -a '(__fish_append , \(names.joined(separator: " ")))'"
        }
    }

    private func quoted(_ text: String) -> String {
        "'\(text.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'"
    }
}
