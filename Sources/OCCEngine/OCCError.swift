/// An error a user can act on: what went wrong, where, and what to do about it.
///
/// Settings in the texts are marked (`\(setting: "batch")`), so that a program can call them as its users do: the library
/// writes `batch`, the command line `--batch`.
public struct OCCError: Error, CustomStringConvertible, Sendable, Equatable {
    /// What kind of trouble it is; the command line exits with its value (sysexits.h).
    public enum Kind: Int32, Sendable {
        case failure = 1
        case usage = 64
        case badData = 65
        case noInput = 66
        case deviceUnavailable = 69
        case cannotCreate = 73
        case inputOutput = 74
        case preempted = 75
    }

    public let kind: Kind
    /// What went wrong, naming the file, setting or operation.
    public let problem: Wording
    /// What the user can do about it.
    public let advice: Wording?

    public init(_ kind: Kind, _ problem: Wording, remedy: Wording? = nil) {
        self.kind = kind
        self.problem = problem
        advice = remedy
    }

    /// What went wrong, with settings by their names.
    public var message: String { problem.description }
    /// What the user can do about it, with settings by their names.
    public var remedy: String? { advice?.description }

    public var description: String { text { settingKey($0) } }

    /// The error in words, with settings as `name` calls them.
    public func text(settings name: (String) -> String) -> String {
        let first = problem.text(settings: name)
        return advice.map { "\(first)\n  \($0.text(settings: name))" } ?? first
    }
}

/// A text for people in which settings are marked.
public struct Wording: Sendable, Equatable, ExpressibleByStringInterpolation, CustomStringConvertible {
    /// A piece of it.
    enum Part: Sendable, Equatable {
        case text(String)
        /// A setting, by its name with hyphens.
        case setting(String)
    }

    var parts: [Part]

    /// A text that a program made.
    public init(_ text: String) { parts = [.text(text)] }
    public init(stringLiteral value: String) { self.init(value) }
    public init(stringInterpolation: Interpolation) { parts = stringInterpolation.parts }

    /// Collects the pieces of an interpolated text.
    public struct Interpolation: StringInterpolationProtocol {
        var parts: [Part] = []

        public init(literalCapacity: Int, interpolationCount: Int) {}
        public mutating func appendLiteral(_ literal: String) { parts.append(.text(literal)) }
        public mutating func appendInterpolation(_ value: some Any) { parts.append(.text("\(value)")) }
        public mutating func appendInterpolation(_ value: Wording) { parts += value.parts }
        public mutating func appendInterpolation(setting: String) { parts.append(.setting(setting)) }
    }

    public var description: String { text { settingKey($0) } }

    /// The text, with settings as `name` calls them.
    public func text(settings name: (String) -> String) -> String {
        parts.map { part in
            switch part {
            case .text(let text): text
            case .setting(let setting): name(setting)
            }
        }.joined()
    }

    /// Both, one after the other.
    public static func + (first: Wording, second: Wording) -> Wording {
        var both = first
        both.parts += second.parts
        return both
    }
}
