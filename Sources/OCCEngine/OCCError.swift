/// An error a user can act on: what went wrong, where, and what to do about it.
///
/// The kind decides the exit code of the command line (sysexits.h).
public struct OCCError: Error, CustomStringConvertible, Sendable, Equatable {
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
    /// What went wrong, naming the file, flag or operation.
    public let message: String
    /// What the user can do about it.
    public let remedy: String?

    public init(_ kind: Kind, _ message: String, remedy: String? = nil) {
        self.kind = kind
        self.message = message
        self.remedy = remedy
    }

    public var description: String { remedy.map { "\(message)\n  \($0)" } ?? message }
}
