/// A shell that completes command lines by a script, which is made of the declarations that the help shows.
package enum Completion: String, CaseIterable, Sendable {
    case bash, zsh, fish

    /// The script for a program.
    package func script(of program: CommandLineProgram) -> String {
        switch self {
        case .bash: BashCompletion(program: program).script
        case .zsh: ZshCompletion(program: program).script
        case .fish: FishCompletion(program: program).script
        }
    }
}

/// What follows an option, or a command.
enum CompletedValue: Equatable {
    /// Nothing: it is a flag.
    case none
    /// A number, or text of one's own.
    case free
    case files, folders
    /// One of a few names.
    case names([String])
    /// Some of a few names, with commas.
    case list([String])

    init(_ option: Option) {
        guard let placeholder = option.placeholder else {
            self = .none
            return
        }
        if !option.choices.isEmpty {
            self = option.isList ? .list(option.choices) : .names(option.choices)
        } else {
            switch placeholder {
            case "FOLDER": self = .folders
            case "FILE", "PATH", "HOW": self = .files
            default: self = .free
            }
        }
    }
}

/// An option as a shell sees it.
struct CompletedOption {
    let name: String, help: String, value: CompletedValue

    /// The first sentence of what it means.
    var summary: String { firstSentence(help) }
}

/// A text up to the end of its first sentence, without the full stop.
func firstSentence(_ text: String) -> String {
    let end = text.firstRange(of: ". ")?.lowerBound ?? text.endIndex, sentence = text[..<end]
    return String(sentence.hasSuffix(".") ? sentence.dropLast() : sentence)
}

extension Command {
    /// The options, each once: encoders can have one of the same name.
    var completedOptions: [CompletedOption] {
        groups.flatMap(\.options).reduce(into: []) { all, option in
            guard !all.contains(where: { $0.name == option.name }) else { return }
            all.append(CompletedOption(name: option.name, help: option.help, value: CompletedValue(option)))
        }
    }

    /// What words that are no options are.
    var completedWords: CompletedValue {
        words.isEmpty ? takesWords ? .files : .none : .names(words)
    }
}
