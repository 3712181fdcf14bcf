import Foundation
import OneClass

/// An option of a command, declared once: the help, the check of what is written, and tests of all wrong values read this.
package struct Option: Sendable {
    /// Checks a value that a person wrote.
    package typealias Check = @Sendable (String) throws(SettingError) -> Void

    package let name: String
    /// What stands for the value in the help; nil for a flag.
    package let placeholder: String?
    package let help: String
    /// The heading that it stands under in the help; nil for the first one.
    let group: String?
    /// Refuses values that cannot be; nil where any text is allowed. Nothing is none.
    package let check: Check?
    /// Whether its value is a number, or several.
    package let isNumber: Bool
    /// The names that its value can be, or of a list each part, as far as they are declared.
    package let choices: [String]
    /// Whether its value is a list with commas.
    package let isList: Bool

    private init(
        _ name: String, _ placeholder: String?, _ help: String, group: String? = nil, isNumber: Bool = false,
        choices: [String] = [], isList: Bool = false, check: Check?
    ) {
        self.name = name
        self.placeholder = placeholder
        self.help = help
        self.group = group
        self.isNumber = isNumber
        self.choices = choices
        self.isList = isList
        self.check = check
    }

    /// A flag, or with a placeholder an option whose value is any text, such as a path.
    package init(_ name: String, _ placeholder: String? = nil, _ help: String) {
        self.init(name, placeholder, help, check: nil)
    }

    /// An option whose value is checked.
    ///
    /// - Parameter choices: names that it can be, for completion.
    package init(
        _ name: String, _ placeholder: String, _ help: String, choices: [String] = [],
        check: @escaping Check
    ) {
        self.init(name, Optional(placeholder), help, choices: choices, check: Optional(check))
    }

    /// An option whose value is a number in a range.
    ///
    /// - Parameter standard: what it is by itself.
    package init<Value: SettingNumber>(
        _ name: String, _ placeholder: String, _ range: SettingRange, standard: Value, _ help: String
    ) {
        let shown = (try? standard.json.text()) ?? ""
        self.init(name, placeholder, "\(help) It is \(range.words). (\(shown))", isNumber: true) {
            (text) throws(SettingError) in _ = try range.value(text, as: Value.self, of: name)
        }
    }

    /// An option whose value is one of a few names; without a standard the help says what is taken by itself.
    package init<Choice: RawRepresentable & CaseIterable & Sendable>(
        _ name: String, _ type: Choice.Type, standard: Choice? = nil, _ help: String
    ) where Choice.RawValue == String {
        let choices = Choice.allCases.map(\.rawValue)
        self.init(
            name, "NAME",
            "\(help) One of \(choices.joined(separator: ", "))."
                + (standard.map { " (\($0.rawValue))" } ?? ""),
            choices: choices,
            check: { (text) throws(SettingError) in try Self.requireOne(of: choices, text, name) })
    }

    /// An option whose value is a list with commas.
    ///
    /// - Parameter choices: the names that it may hold; nil for any.
    package init(list name: String, of choices: [String]? = nil, _ help: String) {
        self.init(name, Optional("LIST"), help, choices: choices ?? [], isList: true) {
            (text) throws(SettingError) in
            for part in Self.parts(of: text) {
                guard !part.isEmpty else { throw SettingError(name, "'\(text)' has an empty place") }
                if let choices { try Self.requireOne(of: choices, part, name) }
            }
        }
    }

    /// The option of a declared setting.
    package init(_ setting: SettingDescription, group: String? = nil) {
        self.init(
            setting.name, setting.placeholder, setting.sentence, group: group,
            isNumber: setting.range != nil, choices: setting.choices,
            check: setting.takesAnyText ? nil : setting.check)
    }

    private static func requireOne(of choices: [String], _ text: String, _ name: String) throws(SettingError)
    {
        guard choices.contains(text) else {
            throw SettingError(name, "there is no '\(text)'", choices: choices, given: text)
        }
    }

    /// The parts of a list with commas.
    static func parts(of text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
}

/// A command: what its help says, and what it does.
package struct Command: Sendable {
    /// What a command is to several processes that a launcher has started together.
    package enum Processes: Sendable {
        /// The work of one process: several would do it over and over.
        case one
        /// One work that they share.
        case together
        /// Something that each may do for itself, such as describing its machine.
        case each
    }

    package let name: String
    package let summary: String
    let usage: String
    let examples: [String]
    package let options: [Option]
    /// Whether words that are no options are for it, such as image files.
    let takesWords: Bool
    /// Such words, where there are only a few.
    let words: [String]
    /// What several processes are to the command.
    let processes: Processes
    let run: @Sendable (Arguments) throws -> Void

    package init(
        name: String, summary: String, usage: String, examples: [String], options: [Option],
        takesWords: Bool = false, words: [String] = [], processes: Processes = .one,
        run: @escaping @Sendable (Arguments) throws -> Void
    ) {
        self.name = name
        self.summary = summary
        self.usage = usage
        self.examples = examples
        self.options = options
        self.takesWords = takesWords || !words.isEmpty
        self.words = words
        self.processes = processes
        self.run = run
    }

    func help(of program: String) -> String {
        let width = (groups.flatMap(\.options).map { label($0).count }.max() ?? 0) + 2
        var lines =
            [summary, "", "USAGE", "  \(program) \(name) \(usage)", "", "EXAMPLES"]
            + examples.map { "  \($0)" }
        for (title, options) in groups {
            lines += ["", title]
            for option in options { lines += rows(option, width: width) }
        }
        return lines.joined(separator: "\n")
    }

    /// The options under their headings, --help among them.
    var groups: [(title: String, options: [Option])] {
        let all = options + [Option("help", nil, "Show this.")]
        let names = all.map(\.group).reduce(into: [String?]()) { if !$0.contains($1) { $0.append($1) } }
        return names.map { name in (name ?? "OPTIONS", all.filter { $0.group == name }) }
    }

    /// An option's lines, its help in a column of its own.
    private func rows(_ option: Option, width: Int) -> [String] {
        var lines: [String] = []
        var row = "  " + label(option).padding(toLength: width, withPad: " ", startingAt: 0)
        for word in option.help.split(separator: " ") {
            if row.count + word.count + 1 > 100 {
                lines.append(row)
                row = String(repeating: " ", count: width + 2)
            }
            row += (row.hasSuffix(" ") ? "" : " ") + word
        }
        return lines + [row]
    }

    func label(_ option: Option) -> String {
        option.placeholder.map { "--\(option.name) \($0)" } ?? "--\(option.name)"
    }
}

/// The words after a command, checked against its options: an option's value is what it is declared to be.
///
/// Of an option given twice the last one counts, so that a command can be continued with other values.
package struct Arguments {
    private var values: [String: String] = [:]
    private var flags: Set<String> = []
    package private(set) var positionals: [String] = []

    /// - Throws: `OCCError(.usage)` naming the option.
    package init(_ words: [String], of command: Command) throws {
        var index = 0, optionsEnded = false
        while index < words.count {
            let word = words[index]
            index += 1
            guard word.hasPrefix("-"), word.count > 1, !optionsEnded else {
                guard command.takesWords else {
                    throw OCCError(
                        .usage, "\(command.name) takes no '\(word)'", remedy: "See \(command.name) --help.")
                }
                guard !word.isEmpty else { throw OCCError(.usage, "\(command.name): an empty name") }
                positionals.append(word)
                continue
            }
            if word == "--" {
                optionsEnded = true
                continue
            }
            let parts = word.drop { $0 == "-" }.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard word.hasPrefix("--\(name)"), let option = command.options.first(where: { $0.name == name })
            else {
                let nearest =
                    nearestMatch(to: name, in: command.options.map(\.name)).map { "Did you mean --\($0)? " }
                    ?? ""
                throw OCCError(
                    .usage, "\(command.name) has no option \(word)",
                    remedy: "\(nearest)See \(command.name) --help.")
            }
            guard let placeholder = option.placeholder else {
                guard parts.count == 1 else {
                    throw OCCError(.usage, "\(setting: name) takes no value; it is there or not")
                }
                flags.insert(name)
                continue
            }
            let value: String
            if parts.count == 2 {
                value = String(parts[1])
            } else {
                guard index < words.count, !words[index].hasPrefix("--") else {
                    throw OCCError(
                        .usage, "\(setting: name) needs a value, \(placeholder)",
                        remedy: index < words.count
                            ? "A value that begins with -- is written \(setting: name)=VALUE." : nil)
                }
                value = words[index]
                index += 1
            }
            guard !value.isEmpty else {
                throw OCCError(.usage, "\(setting: name) is empty; it needs a value, \(placeholder)")
            }
            do {
                // An encoder's option may be another's too, in another range.
                let others = command.options.filter { $0.name == name }.dropFirst()
                if !others.contains(where: { (try? $0.check?(value)) != nil }) { try option.check?(value) }
            } catch let error {
                throw error.error()
            }
            values[name] = value
        }
    }

    package func has(_ name: String) -> Bool { flags.contains(name) }
    package subscript(name: String) -> String? { values[name] }

    /// The value of an option that is declared as such a number; nil where it is not given.
    package func value<T: SettingNumber>(_ name: String, as type: T.Type) -> T? {
        values[name].map { text in
            guard let value = T(text: text) else { preconditionFailure("--\(name) is declared otherwise") }
            return value
        }
    }

    /// The value of an option that is declared as one of a few names; nil where it is not given.
    package func value<T: RawRepresentable & CaseIterable>(_ name: String, as type: T.Type) -> T?
    where T.RawValue == String {
        values[name].map { text in
            guard let value = T(rawValue: text) else {
                preconditionFailure("--\(name) is declared otherwise")
            }
            return value
        }
    }

    /// The parts of an option that is declared as a list; nil where it is not given.
    package func list(_ name: String) -> [String]? { values[name].map(Option.parts) }
}
