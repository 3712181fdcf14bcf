import CKernels
import Foundation
import OCCCommandLine
import OneClass

let doctorCommand = Command(
    name: "doctor",
    summary: "Looks over what runs need here: processor, GPU, libraries, memory, disk; says what to do.",
    usage: "[--out FOLDER]",
    examples: ["occ-gpu doctor", "occ-gpu doctor --device cuda --out /scratch/runs --json"],
    options: [Option("out", "FOLDER", "Where runs would be kept. (runs)")] + RunOptions.deviceOptions + [
        Option("json", nil, "Print JSON.")
    ], processes: .each
) { arguments in
    let limits = ContainerLimits()
    let devices = try DeviceReport(threads: arguments.value("threads", as: Int.self) ?? 0)
    let wanted = arguments["device"] ?? ck_setting(CK_SETTING_DEVICE).map { String(cString: $0) } ?? "auto"
    let gpus = Checkup.gpus(devices, wanted: Device.Request(wanted))
    let hasGPU = gpus.contains { $0.status != .note }
    let out = arguments["out"] ?? "runs"
    let findings =
        [
            Checkup.program(), Checkup.processor(),
            Checkup.threads(Int(ck_thread_count()), limits: limits), Checkup.blas(),
            Checkup.memory(free: devices.cpu.freeBytes ?? 0, limits: limits),
        ] + gpus + devices.libraries.map { Checkup.library($0, hasGPU: hasGPU) } + [
            Checkup.kernelCache(hasGPU: hasGPU), Checkup.imageLibraries(),
            Checkup.disk(out, FolderProbe(out)),
            Checkup.terminal(
                encoding: Checkup.localeEncoding,
                columns: isatty(STDERR_FILENO) == 1 ? WorkReporter.columns : nil),
            Checkup.variables(ProcessInfo.processInfo.environment),
        ]
    let problems = findings.count { $0.status == .problem }, notes = findings.count { $0.status == .note }
    if arguments.has("json") {
        let report = JSONValue.object([
            "findings": .array(findings.map(\.json)), "problems": .integer(Int64(problems)),
            "notes": .integer(Int64(notes)),
        ])
        try emit(try report.text(pretty: true))
    } else {
        let width = findings.map(\.name.count).max() ?? 0
        for line in findings.flatMap({ $0.lines(width: width) }) { try emit(line) }
    }
    guard problems == 0 else {
        throw OCCError(.failure, "\(problems == 1 ? "1 problem" : "\(problems) problems"): see above")
    }
}
