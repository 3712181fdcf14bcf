import OCCCommandLine

@main
package enum OCCGPU {
    /// The program and its commands.
    package static let program: CommandLineProgram = CommandLineProgram(
        name: "occ-gpu",
        summary: "Deep one-class classification: learns what normal images look like, and finds what is not.",
        commands: [
            trainCommand, evaluateCommand, scoreCommand, localizeCommand,
            explainCommand, exportCommand, compareCommand, embedCommand, fitCommand, protocolCommand,
            reproduceCommand, planCommand, devicesCommand,
            doctorCommand,
            selftestCommand, kernelsCommand,
            completionCommand, manCommand,
        ],
        hint: """
            Start with: occ-gpu train --out runs/first --steps 300 --width 0.25
            Options of a command: occ-gpu COMMAND --help
            """,
        variables: [
            ("OCC_DEVICE", "The device where --device is not given: auto, cpu, cuda or cuda:N."),
            ("OCC_CUDA_PATH", "Folders with CUDA's libraries, separated by colons."),
            ("OCC_KERNEL_CACHE", "The folder for compiled kernels."),
            ("OCC_SYNC", "1: wait after each operation on a GPU, so that an error names its own."),
            (
                "OCC_ONNXRUNTIME_PATH",
                "Folders with ONNX Runtime's library, separated by colons, for export to check its file with."
            ),
            ("OCC_SIMD", "The most that the CPU's convolutions use: avx512, avx2 or plain."),
        ]
    )

    static func main() { program.main() }
}
