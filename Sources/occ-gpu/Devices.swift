import OCCCommandLine
import OneClass

let devicesCommand = Command(
    name: "devices",
    summary: "Lists the devices that plans can run on, CUDA's libraries, and why something is missing.",
    usage: "", examples: ["occ-gpu devices"], options: [Option("json", nil, "Print JSON.")], processes: .each
) { arguments in
    let found = try DeviceReport(), devices = [found.cpu] + found.gpus
    guard !arguments.has("json") else {
        var report: [String: Any] = [
            "devices": devices.enumerated().map { index, device in
                var entry: [String: Any] = ["name": device.name, "kind": index == 0 ? "cpu" : "cuda"]
                entry["free_bytes"] = device.freeBytes
                entry["reason"] = device.reason
                return entry
            },
            "libraries": found.libraries.map {
                ["name": $0.name, "path": $0.path, "version": $0.version, "reason": $0.reason]
            },
        ]
        report["no_gpu"] = found.noGPU
        return try emitJSON(report)
    }
    for device in devices {
        let free = device.freeBytes.map { "\(formatBytes($0)) of memory free" }
        try emit("\(device.name): \(free ?? device.reason ?? "")")
    }
    if let reason = found.noGPU { try emit("no GPU: \(reason)") }
    for library in found.libraries {
        try emit(
            "\(library.name): \(library.reason.isEmpty ? "\(library.version), \(library.path)" : library.reason)"
        )
    }
}
