/// An error a user can act on: what went wrong, where, and what to do about it.
///
/// Settings in the texts are marked (`\(setting: "batch")`), so that a program can call them as its users do:
/// the library writes `batch`, the command line `--batch`.
public struct OCCError: Error, CustomStringConvertible, Sendable, Equatable {
    /// What kind of trouble it is; the command line exits with its value (sysexits.h).
    public enum Kind: Int32, Sendable {
        /// Something failed that no other kind says: a run diverges, a kernel fails.
        case failure = 1
        /// A setting, name or request that cannot be.
        case usage = 64
        /// A file's contents are not what they should be.
        case badData = 65
        /// A file is missing or cannot be opened.
        case noInput = 66
        /// The device or a library it needs is missing, or has too little memory.
        case deviceUnavailable = 69
        /// A file or folder cannot be made.
        case cannotCreate = 73
        /// Reading or writing failed.
        case inputOutput = 74
        /// The run stopped on request, after a save; it can go on.
        case preempted = 75
    }

    /// What a program may want to tell from other errors of a kind.
    public enum Cause: Sendable {
        /// The features of a training run have become one point, or a line.
        case collapse
    }

    /// What kind of trouble it is.
    public let kind: Kind
    /// The cause, where there is a name for it.
    public let cause: Cause?
    /// What went wrong, naming the file, setting or operation.
    public let problem: Wording
    /// What the user can do about it.
    public let advice: Wording?

    /// An error and, where there is something to do about it, a sentence that says so.
    public init(_ kind: Kind, _ problem: Wording, remedy: Wording? = nil, cause: Cause? = nil) {
        self.kind = kind
        self.cause = cause
        self.problem = problem
        advice = remedy
    }

    /// What went wrong, with settings by their names.
    public var message: String { problem.description }
    /// What the user can do about it, with settings by their names.
    public var remedy: String? { advice?.description }

    /// The error in words, with settings by their JSON keys.
    public var description: String { text { settingKey($0) } }

    /// Words the error, with settings as `name` calls them; the remedy is on a line of its own.
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
    /// A text without settings.
    public init(stringLiteral value: String) { self.init(value) }
    /// A text with values and settings in it: `"\(setting: "batch") is too large"`.
    public init(stringInterpolation: Interpolation) { parts = stringInterpolation.parts }

    /// Collects the pieces of an interpolated text.
    public struct Interpolation: StringInterpolationProtocol {
        var parts: [Part] = []

        /// An empty text to collect pieces in.
        public init(literalCapacity: Int, interpolationCount: Int) {}
        /// Appends plain text.
        public mutating func appendLiteral(_ literal: String) { parts.append(.text(literal)) }
        /// Appends a value as Swift describes it.
        public mutating func appendInterpolation(_ value: some Any) { parts.append(.text("\(value)")) }
        /// Appends another text; settings in it stay marked.
        public mutating func appendInterpolation(_ value: Wording) { parts += value.parts }
        /// Appends a setting, by its name with hyphens.
        public mutating func appendInterpolation(setting: String) { parts.append(.setting(setting)) }
    }

    /// The text, with settings by their JSON keys.
    public var description: String { text { settingKey($0) } }

    /// Puts the text together, with settings as `name` calls them.
    public func text(settings name: (String) -> String) -> String {
        parts.map { part in
            switch part {
            case .text(let text): text
            case .setting(let setting): name(setting)
            }
        }.joined()
    }

    /// Joins two texts, one after the other.
    public static func + (first: Wording, second: Wording) -> Wording {
        var both = first
        both.parts += second.parts
        return both
    }
}
