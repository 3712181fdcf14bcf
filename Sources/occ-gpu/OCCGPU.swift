import Foundation
import OneClass

let commands = [trainCommand, evaluateCommand, scoreCommand, protocolCommand, planCommand, devicesCommand]

func overview() -> String {
    let width = commands.map(\.name.count).max()! + 2
    return """
        Deep one-class classification: learns what normal images look like, and finds what is not.

        USAGE
          occ-gpu COMMAND [OPTIONS]

        COMMANDS
        \(commands.map { "  " + $0.name.padding(toLength: width, withPad: " ", startingAt: 0) + $0.summary }.joined(separator: "\n"))

        Start with: occ-gpu train --out runs/first --steps 300 --width 0.25
        """
}

func run(_ words: [String]) throws {
    guard let name = words.first, name != "--help", name != "-h" else { return print(overview()) }
    if name == "help", words.count == 1 { return print(overview()) }
    let wanted = name == "help" ? words[1] : name
    guard let command = commands.first(where: { $0.name == wanted }) else {
        let nearest = nearestMatch(to: wanted, in: commands.map(\.name)).map { "Did you mean '\($0)'? " } ?? ""
        throw OCCError(.usage, "occ-gpu has no command '\(wanted)'", remedy: "\(nearest)See occ-gpu --help.")
    }
    if name == "help" || words.dropFirst().contains(where: { $0 == "--help" || $0 == "-h" }) {
        return print(command.help)
    }
    try command.run(try Arguments(Array(words.dropFirst()), of: command))
}

@main
enum OCCGPU {
    static func main() {
        do {
            try run(Array(CommandLine.arguments.dropFirst()))
        } catch let error as OCCError {
            say("\(error.kind == .preempted ? "stopped" : "error"): \(error)")
            exit(error.kind.rawValue)
        } catch {
            say("error: \(error)")
            exit(1)
        }
    }
}
