import Foundation
import OneClass

/// An option of a command.
package struct Option: Sendable {
    package enum Value: Sendable {
        case flag
        /// What stands for the value in the help.
        case value(String)
    }

    package let name: String
    package let value: Value
    package let help: String
    /// The heading that it stands under in the help; nil for the first one.
    let group: String?

    package init(_ name: String, _ placeholder: String? = nil, _ help: String, group: String? = nil) {
        self.name = name
        value = placeholder.map { .value($0) } ?? .flag
        self.help = help
        self.group = group
    }

    /// The option of a declared setting.
    package init(_ setting: SettingDescription, group: String? = nil) {
        self.init(setting.name, setting.placeholder, setting.sentence, group: group)
    }
}

/// A command: what its help says, and what it does.
package struct Command: Sendable {
    package let name: String
    package let summary: String
    let usage: String
    let examples: [String]
    package let options: [Option]
    let run: @Sendable (Arguments) throws -> Void

    package init(
        name: String, summary: String, usage: String, examples: [String], options: [Option],
        run: @escaping @Sendable (Arguments) throws -> Void
    ) {
        self.name = name
        self.summary = summary
        self.usage = usage
        self.examples = examples
        self.options = options
        self.run = run
    }

    func help(of program: String) -> String {
        let width = (options.map { label($0).count }.max() ?? 0) + 2
        var lines =
            [summary, "", "USAGE", "  \(program) \(name) \(usage)", "", "EXAMPLES"]
            + examples.map { "  \($0)" }
        let all = options + [Option("help", nil, "Show this.")]
        let groups = all.map(\.group).reduce(into: [String?]()) { if !$0.contains($1) { $0.append($1) } }
        for group in groups {
            lines += ["", group ?? "OPTIONS"]
            for option in all where option.group == group { lines += rows(option, width: width) }
        }
        return lines.joined(separator: "\n")
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

    private func label(_ option: Option) -> String {
        if case .value(let placeholder) = option.value { return "--\(option.name) \(placeholder)" }
        return "--\(option.name)"
    }
}

/// The words after a command, checked against its options.
package struct Arguments {
    private var values: [String: String] = [:]
    private var flags: Set<String> = []
    package private(set) var positionals: [String] = []

    package init(_ words: [String], of command: Command) throws {
        var index = 0, optionsEnded = false
        while index < words.count {
            let word = words[index]
            index += 1
            guard word.hasPrefix("-"), word.count > 1, !optionsEnded else {
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
            guard word.hasPrefix("--"), let option = command.options.first(where: { $0.name == name }) else {
                let nearest =
                    nearestMatch(to: name, in: command.options.map(\.name)).map { "Did you mean --\($0)? " }
                    ?? ""
                throw OCCError(
                    .usage, "\(command.name) has no option \(word)",
                    remedy: "\(nearest)See \(command.name) --help.")
            }
            switch option.value {
            case .flag:
                guard parts.count == 1 else { throw OCCError(.usage, "--\(name) takes no value") }
                flags.insert(name)
            case .value(let placeholder):
                if parts.count == 2 {
                    values[name] = String(parts[1])
                } else {
                    guard index < words.count else {
                        throw OCCError(.usage, "--\(name) needs a value, \(placeholder)")
                    }
                    values[name] = words[index]
                    index += 1
                }
            }
        }
    }

    package func has(_ name: String) -> Bool { flags.contains(name) }
    package subscript(name: String) -> String? { values[name] }

    /// The value of an option as a number, a name, ...
    package func value<T: LosslessStringConvertible>(_ name: String, as type: T.Type) throws -> T? {
        guard let text = values[name] else { return nil }
        guard let value = T(text) else {
            throw OCCError(.usage, "--\(name): '\(text)' is no \(typeName(T.self))")
        }
        return value
    }

    package func value<T: RawRepresentable & CaseIterable>(_ name: String, as type: T.Type) throws -> T?
    where T.RawValue == String {
        try values[name].map { try choice($0, of: name) }
    }

    /// The comma-separated names of an option.
    package func list(_ name: String) -> [String]? {
        values[name]?.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    private func choice<T: RawRepresentable & CaseIterable>(_ text: String, of name: String) throws -> T
    where T.RawValue == String {
        if let value = T(rawValue: text) { return value }
        let names = T.allCases.map(\.rawValue)
        let nearest = nearestMatch(to: text, in: names).map { "Did you mean \($0)? " } ?? ""
        throw OCCError(
            .usage, "--\(name): there is no '\(text)'",
            remedy: "\(nearest)There is: \(names.joined(separator: ", ")).")
    }

    private func typeName(_ type: Any.Type) -> String {
        switch type {
        case is Int.Type, is UInt64.Type: "whole number"
        case is Double.Type: "number"
        default: "\(type)"
        }
    }
}
