import CKernels
import OCCCommandLine
import OneClass

let kernelsCommand = Command(
    name: "kernels",
    summary: "Compiles the CUDA kernels ahead of time, on a machine with or without a GPU.",
    usage: "build --arch sm_80,sm_90 [--out FOLDER]",
    examples: [
        "occ-gpu kernels build --arch sm_90", "occ-gpu kernels build --arch sm_80,sm_90 --out kernels",
    ],
    options: [
        Option("arch", "LIST", "Architectures, such as sm_80,sm_90.") { (text) throws(SettingError) in
            _ = try architectures(text)
        },
        Option("out", "FOLDER", "Where to; by default the cache that runs look in (OCC_KERNEL_CACHE)."),
        Option("json", nil, "Print JSON."),
    ], words: ["build"], processes: .each
) { arguments in
    guard arguments.positionals == ["build"] else {
        throw OCCError(.usage, "say: kernels build --arch sm_90")
    }
    guard let list = arguments["arch"] else {
        throw OCCError(.usage, "for which architectures?", remedy: "Give --arch sm_80,sm_90.")
    }
    let collected = KernelReports()
    for architecture in try architectures(list) {
        collected.architecture = "sm_\(architecture)"
        let status = ck_cuda_build_kernels(
            ck_cuda_system_driver(), architecture, arguments["out"],
            { context, kernel in
                Unmanaged<KernelReports>.fromOpaque(context!).takeUnretainedValue().add(kernel!.pointee)
            }, Unmanaged.passUnretained(collected).toOpaque())
        guard status == .CK_OK else {
            throw OCCError(
                status == .CK_DEVICE_UNAVAILABLE ? .deviceUnavailable : .failure,
                Wording(String(cString: ck_last_error())))
        }
    }
    let spilling = collected.rows.filter { $0.spilled > 0 }
    if arguments.has("json") {
        try emitJSON([
            "kernels": collected.rows.map {
                [
                    "architecture": $0.architecture, "source": $0.source, "kernel": $0.kernel,
                    "registers": $0.registers, "spilled_bytes": $0.spilled, "shared_bytes": $0.shared,
                ] as [String: Any]
            }
        ])
    } else {
        try emit("arch    registers  spilled  shared  kernel")
        for row in collected.rows {
            func column(_ value: Int, _ width: Int) -> String {
                let text = value < 0 ? "?" : String(value)
                return String(repeating: " ", count: max(0, width - text.count)) + text
            }
            try emit(
                "\(row.architecture)  \(column(row.registers, 10))\(column(row.spilled, 9))\(column(row.shared, 8))  \(row.kernel)"
            )
        }
    }
    say("\(collected.rows.count) kernels compiled, \(spilling.count) spill registers")
}

/// The numbers of a list such as sm_80,sm_90.
private func architectures(_ list: String) throws(SettingError) -> [Int32] {
    var result: [Int32] = []
    for name in list.split(separator: ",", omittingEmptySubsequences: false) {
        guard name.hasPrefix("sm_"), let number = Int32(name.dropFirst(3)), (80...999).contains(number) else {
            throw SettingError("arch", "'\(name)' is no architecture; they are sm_80 to sm_999")
        }
        result.append(number)
    }
    return result
}

private final class KernelReports {
    struct Row {
        let architecture: String, source: String, kernel: String, registers: Int, spilled: Int, shared: Int
    }
    var architecture = ""
    var rows: [Row] = []

    func add(_ kernel: ck_cuda_kernel_report) {
        rows.append(
            Row(
                architecture: architecture, source: String(cString: kernel.module),
                kernel: String(cString: kernel.kernel), registers: Int(kernel.registers),
                spilled: Int(kernel.spill_bytes), shared: Int(kernel.shared_bytes)))
    }
}
