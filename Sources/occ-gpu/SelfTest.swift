import Foundation
import OCCCommandLine
import OCCSelfTest
import OneClass

let selftestCommand = Command(
    name: "selftest",
    summary: "Compares every operation of a device, forward and backward, in every math mode, with the CPU.",
    usage: "[--device NAME]",
    examples: ["occ-gpu selftest", "occ-gpu selftest --device cuda:1 --json"],
    options: RunOptions.deviceOptions + [
        Option("large", nil, "The convolutions of a ResNet-18 too, on a CPU also."),
        Option("small", nil, "Only small cases on a GPU also, as under a sanitizer that takes its time."),
        Option("only", "WORDS", "Only operations whose names contain one of these words, with commas."),
        Option("json", nil, "Print JSON."),
    ],
    processes: .each
) { arguments in
    let device = try RunOptions.device(arguments), cpu = try Device.choose("cpu")
    let json = arguments.has("json")
    say("\(device.name) against the CPU in strict mode")
    if !json {
        try emit("operation                        mode    cases     NMSE     worst      time   CPU/time")
    }
    let words = arguments["only"].map { $0.split(separator: ",").map(String.init) }
    func isWanted(_ operation: OperationCase) -> Bool {
        words?.contains { operation.operationName.contains($0) } ?? true
    }
    let cases = OperationCases.all.filter(isWanted)
    guard !cases.isEmpty else {
        throw OCCError(
            .usage, "no operation's name contains '\(arguments["only"] ?? "")'",
            remedy: "Without --only all of them are listed.")
    }
    var lost: (any Error)?
    let takesLarge = arguments.has("large") || device.isGPU && !arguments.has("small")
    let rows = SelfTest.run(
        device, against: cpu, cases: cases, timed: takesLarge ? OperationCases.large.filter(isWanted) : []
    ) { row in
        guard !json, lost == nil else { return }
        do { try emit(row) } catch { lost = error }
    }
    if let lost { throw lost }
    let failed = rows.filter { !$0.failures.isEmpty }, count = rows.reduce(0) { $0 + $1.cases }
    if json {
        try emitJSON([
            "device": device.name,
            "rows": rows.map {
                [
                    "operation": $0.operation, "math": $0.math.rawValue, "cases": $0.cases, "nmse": $0.error,
                    "worst": $0.worst, "seconds": $0.seconds.isFinite ? $0.seconds : NSNull(),
                    "failures": $0.failures,
                ] as [String: Any]
            },
        ])
    }
    guard failed.isEmpty else {
        throw OCCError(.failure, "\(failed.count) of \(rows.count) rows failed; the device computes wrongly")
    }
    say("\(count) cases, all well")
}

private func emit(_ row: SelfTest.Row) throws {
    let name = row.operation.padding(toLength: 32, withPad: " ", startingAt: 0)
    let mode = row.math.rawValue.padding(toLength: 7, withPad: " ", startingAt: 0)
    try emit(
        "\(name) \(mode)"
            + String(
                format: "%6d %8.1e  %8.1e %7.1f us %8.1fx", row.cases, row.error, row.worst,
                1e6 * row.seconds, row.referenceSeconds / row.seconds)
            + (row.failures.isEmpty ? "" : "  FAILED"))
    for failure in row.failures.prefix(5) { try emit("    \(failure)") }
}
