import OneClass

/// A program's page for `man`, in roff with the macros of man(7): what the help of its commands says.
struct ManualPage {
    let program: CommandLineProgram

    var text: String {
        let name = program.name
        var lines = [
            // No date: the same commit makes the same page.
            ".TH \(Self.escaped(name.uppercased())) 1 \"\" \"\(Self.escaped("\(name) \(CommandLineProgram.release)"))\" "
                + "\"User Commands\"",
            ".SH NAME", Self.line("\(name) - \(firstSentence(program.summary))"), ".SH SYNOPSIS",
            ".B \(Self.escaped(name))", "\\fICOMMAND\\fR [\\fIOPTIONS\\fR]", ".SH DESCRIPTION",
            Self.line(program.summary), ".SH COMMANDS",
        ]
        for command in program.commands {
            lines += [".TP", ".B \(Self.escaped(command.name))", Self.line(command.summary)]
        }
        for command in program.commands { lines += section(command) }
        if !program.variables.isEmpty { lines.append(".SH ENVIRONMENT") }
        for variable in program.variables {
            lines += [".TP", ".B \(Self.escaped(variable.name))", Self.line(variable.help)]
        }
        lines.append(".SH EXIT STATUS")
        for (status, words) in Self.exits {
            lines += [".TP", ".B \(status)", Self.line(words)]
        }
        return lines.joined(separator: "\n")
    }

    private func section(_ command: Command) -> [String] {
        let synopsis = Self.escaped(command.usage).isEmpty ? "" : " \(Self.escaped(command.usage))"
        var lines = [
            ".SH \(Self.escaped("\(program.name) \(command.name)".uppercased()))", Self.line(command.summary),
            ".PP",
            "\\fB\(Self.escaped("\(program.name) \(command.name)"))\\fR\(synopsis)",
        ]
        for (title, options) in command.groups {
            lines.append(".SS \(Self.escaped(title))")
            for option in options {
                let value = option.placeholder.map { " \\fI\(Self.escaped($0))\\fR" } ?? ""
                lines += [
                    ".TP", "\\fB\(Self.escaped("--\(option.name)"))\\fR\(value)", Self.line(option.help),
                ]
            }
        }
        lines += [".SS EXAMPLES", ".nf"] + command.examples.map(Self.line) + [".fi"]
        return lines
    }

    private static let exits: [(Int32, String)] =
        [
            (0, "Done.")
        ]
        + [
            (OCCError.Kind.failure, "Something failed that no other status says."),
            (.usage, "An option, a name or a request that cannot be."),
            (.badData, "A file's contents are wrong."),
            (.noInput, "A file is missing or cannot be opened."),
            (.deviceUnavailable, "The device or a library it needs is missing, or has too little memory."),
            (.cannotCreate, "A file or folder cannot be made."), (.inputOutput, "Reading or writing failed."),
            (.preempted, "Stopped on request, after a save: the same command continues."),
        ].map { ($0.0.rawValue, $0.1) }

    /// A line of text: a dot or a quotation mark at its start is no request.
    private static func line(_ text: String) -> String {
        let own = escaped(text)
        return own.hasPrefix(".") || own.hasPrefix("'") ? "\\&\(own)" : own
    }

    /// Text without what roff takes for requests; hyphens are such as can be copied.
    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\e").replacing("-", with: "\\-").replacing("\"", with: "\\(dq")
    }
}

extension CommandLineProgram {
    /// The page for `man`.
    package var manualPage: String { ManualPage(program: self).text }
}
