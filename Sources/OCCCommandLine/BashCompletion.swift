/// Completion by bash: a function that fills COMPREPLY.
struct BashCompletion {
    let program: CommandLineProgram

    private var function: String { "_" + program.name.replacing("-", with: "_") }

    var script: String {
        let names = program.commands.map { $0.name }.joined(separator: " ")
        return """
            # Completion of \(program.name) for bash: source <(\(program.name) completion bash)
            \(function)() {
                local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
                local options="" kind="" values="" words="" prefix=""
                COMPREPLY=()
                # bash takes --option=value apart.
                if [ "$current" = "=" ]; then
                    current=""
                elif [ "$option" = "=" ]; then
                    option=${COMP_WORDS[COMP_CWORD - 2]}
                fi
                if [ "$COMP_CWORD" = 1 ]; then
                    COMPREPLY=($(compgen -W "\(names) help --help --version" -- "$current"))
                    return
                fi
                case $command in
                help) words="\(names)" kind=names values=$words ;;
            \(program.commands.map(branch).joined(separator: "\n"))
                esac
                if [ -z "$kind" ]; then
                    case $current in
                    -*) kind=names values=$options ;;
                    *) kind=$words ;;
                    esac
                fi
                case $kind in
                names) COMPREPLY=($(compgen -W "$values" -- "$current")) ;;
                list)
                    case $current in *,*) prefix=${current%,*}, ;; esac
                    COMPREPLY=($(compgen -P "$prefix" -W "$values" -- "${current##*,}"))
                    ;;
                files | folders)
                    compopt -o filenames 2>/dev/null
                    mapfile -t COMPREPLY < <(compgen -"$([ $kind = files ] && echo f || echo d)" -- "$current")
                    ;;
                esac
            }
            complete -F \(function) \(program.name)
            """
    }

    /// What is after a command.
    private func branch(_ command: Command) -> String {
        let options = command.completedOptions
        func names(_ kind: CompletedValue) -> String {
            options.filter { $0.value == kind }.map { "--\($0.name)" }.joined(separator: " | ")
        }
        var cases: [String] = []
        for (value, kind) in [(CompletedValue.files, "files"), (.folders, "folders"), (.free, "free")] {
            let own = names(value)
            if !own.isEmpty { cases.append("        \(own)) kind=\(kind) ;;") }
        }
        for option in options {
            switch option.value {
            case .names(let values):
                cases.append(
                    "        --\(option.name)) kind=names values=\"\(values.joined(separator: " "))\" ;;")
            case .list(let values):
                cases.append(
                    "        --\(option.name)) kind=list values=\"\(values.joined(separator: " "))\" ;;")
            default: break
            }
        }
        let words =
            switch command.completedWords {
            case .names(let values): "names values=\"\(values.joined(separator: " "))\""
            case .files: "files"
            default: "free"
            }
        let all = options.map { "--\($0.name)" }.joined(separator: " ")
        return """
                \(command.name))
                    options="\(all)" words=\(words)
                    case $option in
            \(cases.joined(separator: "\n"))
                    esac
                    ;;
            """
    }
}
