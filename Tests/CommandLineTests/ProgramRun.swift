import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// What the program did.
struct Outcome {
    /// The exit code, or the number of the signal that ended it.
    let status: Int32
    /// Whether a signal ended it, such as a trap's.
    let isSignaled: Bool
    let output: String, errors: String
}

/// The program, beside the test bundle.
let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appendingPathComponent("occ-gpu")

/// Starts the program; what it writes goes to the two files.
func start(
    _ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:],
    executable: URL = program
) throws -> (Process, URL, URL) {
    let process = Process(), id = UUID().uuidString
    let urls = ["out", "err"].map { URL(fileURLWithPath: folder.file("\(id).\($0)")) }
    for url in urls { #expect(FileManager.default.createFile(atPath: url.path, contents: nil)) }
    process.executableURL = executable
    process.arguments = arguments
    if !environment.isEmpty {
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    }
    process.standardOutput = try FileHandle(forWritingTo: urls[0])
    process.standardError = try FileHandle(forWritingTo: urls[1])
    try process.run()
    return (process, urls[0], urls[1])
}

/// Runs the program to its end.
func run(
    _ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:],
    executable: URL = program
) throws -> Outcome {
    let (process, output, errors) = try start(
        arguments, in: folder, environment: environment, executable: executable)
    process.waitUntilExit()
    return Outcome(
        status: process.terminationStatus, isSignaled: process.terminationReason == .uncaughtSignal,
        output: String(decoding: try readFile(output.path), as: UTF8.self),
        errors: String(decoding: try readFile(errors.path), as: UTF8.self))
}

/// Runs a shell's script in which $OCC is the program, in the folder; a trap leaves no backtrace, which takes
/// long.
func shell(_ script: String, in folder: TemporaryFolder) throws -> Outcome {
    try run(
        ["-c", "cd \"$FOLDER\"; \(script)"], in: folder,
        environment: ["OCC": program.path, "FOLDER": folder.path, "SWIFT_BACKTRACE": "enable=no"],
        executable: URL(fileURLWithPath: "/bin/sh"))
}

/// A folder with a small data set in MVTec AD's layout, `data`: dark pictures, and bright ones that are
/// anomalous.
func smallDataset(in folder: TemporaryFolder, name: String = "data", seed: UInt64 = 1) throws {
    for (part, count, light) in [("train/good", 8, 60.0), ("test/good", 3, 60), ("test/bad", 3, 160)] {
        for index in 0..<count {
            var random = CounterRandom(seed: seed, stream: UInt32(100 * light) + UInt32(index))
            let pixels = (0..<32 * 32 * 3).map { _ in UInt8(light + 60 * random.uniform()) }
            try folder.write(
                RGBImage(width: 32, height: 32, pixels: pixels).encodedPNG(),
                to: "\(name)/\(part)/\(index).png")
        }
    }
}

/// Options that make a run of `smallDataset` take a tenth of a second.
let smallRun = [
    "--encoder", "resnet10", "--width", "0.0625", "--head", "none", "--batch", "4", "--steps", "4",
    "--image-size", "32", "--hold-out", "0.25", "--quiet", "--device", "cpu", "--log-every", "1",
]
/// The same with patches, so that the model localizes.
let smallPatches = smallRun + ["--method", "cutpaste", "--patch", "16", "--stride", "8"]
