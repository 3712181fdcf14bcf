/// Completion by zsh: a function for its completion system.
struct ZshCompletion {
    let program: CommandLineProgram

    private var function: String { "_" + program.name.replacing("-", with: "_") }

    var script: String {
        let list = program.commands.map { "        \(quoted("\($0.name):\(escaped($0.summary))"))" }
        return """
            #compdef \(program.name)
            # Completion of \(program.name) for zsh: source <(\(program.name) completion zsh)
            \(function)() {
                local -a commands
                commands=(
            \(list.joined(separator: "\n"))
                )
                if (( CURRENT == 2 )); then
                    _describe command commands
                    return
                fi
                shift words
                (( CURRENT-- ))
                case $words[1] in
                help) (( CURRENT == 2 )) && _describe command commands ;;
            \(program.commands.map(branch).joined(separator: "\n"))
                esac
            }
            if [ "$funcstack[1]" = "\(function)" ]; then
                \(function) "$@"
            else
                compdef \(function) \(program.name)
            fi
            """
    }

    private func branch(_ command: Command) -> String {
        var arguments = command.completedOptions.map { option in
            guard option.value != .none else { return "--\(option.name)[\(escaped(option.summary))]" }
            return "--\(option.name)=[\(escaped(option.summary))]:\(option.name):\(action(option.value))"
        }
        switch command.completedWords {
        case .names(let values): arguments.append("1:word:(\(values.joined(separator: " ")))")
        case .files: arguments.append("*:file:_files")
        default: break
        }
        let lines = arguments.map { "            \(quoted($0))" }
        return "    \(command.name))\n        _arguments \\\n\(lines.joined(separator: " \\\n"))\n        ;;"
    }

    private func action(_ value: CompletedValue) -> String {
        switch value {
        case .files: "_files"
        case .folders: "_files -/"
        case .names(let names): "(\(names.joined(separator: " ")))"
        case .list(let names): "_sequence compadd - \(names.joined(separator: " "))"
        // A space: there is an argument, and nothing to offer.
        case .free, .none: " "
        }
    }

    /// What has a meaning in the words of `_arguments` and `_describe`.
    private func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("[", with: "\\[").replacing("]", with: "\\]")
            .replacing(":", with: "\\:")
    }

    private func quoted(_ text: String) -> String { "'\(text.replacing("'", with: "'\\''"))'" }
}
