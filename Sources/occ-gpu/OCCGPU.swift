import OCCCommandLine

@main
package enum OCCGPU {
    /// The program and its commands.
    package static let program = CommandLineProgram(
        name: "occ-gpu",
        summary: "Deep one-class classification: learns what normal images look like, and finds what is not.",
        commands: [
            trainCommand, evaluateCommand, scoreCommand, localizeCommand,
            explainCommand, exportCommand, compareCommand, protocolCommand, planCommand, devicesCommand,
            doctorCommand,
            selftestCommand, kernelsCommand,
        ],
        hint: """
            Start with: occ-gpu train --out runs/first --steps 300 --width 0.25
            Options of a command: occ-gpu COMMAND --help
            """
    )

    static func main() { program.main() }
}
