import Foundation
import OneClass

/// A program of several commands.
package struct CommandLineProgram: Sendable {
    let name: String
    let summary: String
    package let commands: [Command]
    /// Printed below the list of commands.
    let hint: String
    /// The variables that it heeds, and what each means.
    let variables: [(name: String, help: String)]
    /// The release; `.github/CHANGELOG.md` says what each brought.
    static let release = "0.1.0"
    /// The release with the commit and the build.
    package static let version: String = {
        #if DEBUG
            let build = "debug"
        #else
            let build = "release"
        #endif
        return "\(release), commit \(buildCommit), \(build) build"
    }()

    package init(
        name: String, summary: String, commands: [Command], hint: String,
        variables: [(name: String, help: String)] = []
    ) {
        self.name = name
        self.summary = summary
        self.commands = commands
        self.hint = hint
        self.variables = variables
    }

    private var overview: String {
        let width = commands.map(\.name.count).max()! + 2
        let list = commands.map {
            "  " + $0.name.padding(toLength: width, withPad: " ", startingAt: 0) + $0.summary
        }
        return
            "\(summary)\n\nUSAGE\n  \(name) COMMAND [OPTIONS]\n\nCOMMANDS\n\(list.joined(separator: "\n"))\n\n\(hint)"
    }

    /// Runs the command that the words say.
    package func run(_ words: [String]) throws {
        guard let first = words.first, first != "--help", first != "-h" else { return try emit(overview) }
        if first == "help", words.count == 1 { return try emit(overview) }
        if first == "--version" { return try emit("\(name) \(Self.version)") }
        let wanted = first == "help" ? words[1] : first
        guard let command = commands.first(where: { $0.name == wanted }) else {
            let nearest =
                nearestMatch(to: wanted, in: commands.map(\.name)).map { "Did you mean '\($0)'? " } ?? ""
            throw OCCError(
                .usage, "\(name) has no command '\(wanted)'", remedy: "\(nearest)See \(name) --help.")
        }
        if first == "help" || words.dropFirst().contains(where: { $0 == "--help" || $0 == "-h" }) {
            return try emit(command.help(of: name))
        }
        let arguments = try Arguments(Array(words.dropFirst()), of: command)
        try Ranks.join(for: command.name, command.processes)
        StandardStreams.isSilent = Ranks.communicator?.isFirst == false
        let quiet = arguments.has("quiet") || StandardStreams.isSilent
        try WorkReporter.following(quiet: quiet) { try command.run(arguments) }
        Ranks.leave()
    }

    /// Says what ends the command, and returns its exit code.
    private static func report(_ error: OCCError) -> Int32 {
        let rank = Ranks.communicator.map { "rank \($0.rank) " } ?? ""
        // Where all ranks fail alike, the first says so and ends the others.
        if StandardStreams.isSilent { Thread.sleep(forTimeInterval: 0.5) }
        StandardStreams.isSilent = StandardStreams.isSilent && error.kind == .preempted
        // On the command line a setting is an option.
        say("\(rank)\(error.kind == .preempted ? "stopped" : "error"): \(error.text { "--\($0)" })")
        Ranks.end(with: error)
        return error.kind.rawValue
    }

    /// Runs the command that the process was started with; exits with its error's code.
    package func main() {
        StandardStreams.prepare()
        StopSignals.install { number, note in
            _exit(
                Self.report(
                    OCCError(.preempted, "stopped by signal \(number)", remedy: note.map { Wording($0) })))
        }
        do {
            try run(Array(PathText.arguments.dropFirst()))
            try StandardStreams.closeOutput()
        } catch let error as OCCError {
            exit(Self.report(error))
        } catch {
            exit(Self.report(OCCError(.failure, "\(error)")))
        }
    }
}
