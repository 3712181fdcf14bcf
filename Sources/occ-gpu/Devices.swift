import CKernels
import OCCCommandLine
import OneClass

let devicesCommand = Command(
    name: "devices",
    summary: "Lists the devices that plans can run on, CUDA's libraries, and why something is missing.",
    usage: "", examples: ["occ-gpu devices"], options: [Option("json", nil, "Print JSON.")], processes: .each
) { arguments in
    let driver = ck_cuda_system_driver()!
    let cpu = try Device.cpu()
    var devices: [[String: Any]] = [
        ["name": cpu.name, "kind": "cpu", "free_bytes": try cpu.availableMemory()]
    ]
    var count: Int32 = 0, reason: String?
    if ck_cuda_count(driver, &count) != .CK_OK { reason = String(cString: ck_last_error()) }
    for ordinal in 0..<Int(count) {
        do {
            let device = try Device.cuda(ordinal)
            devices.append(
                ["name": device.name, "kind": "cuda", "free_bytes": try device.availableMemory()])
        } catch {
            devices.append(["name": "cuda:\(ordinal)", "kind": "cuda", "reason": "\(error)"])
        }
    }
    let libraries = (0..<CK_LIBRARY_COUNT.rawValue).map { index -> [String: Any] in
        let library = ck_cuda_library(rawValue: index),
            found = ck_cuda_library_found(driver, library)!.pointee
        return [
            "name": String(cString: ck_cuda_library_name(library)), "path": text(found.path),
            "version": "\(found.version / 1000).\(found.version % 1000 / 10)", "reason": text(found.reason),
        ]
    }
    guard !arguments.has("json") else {
        var report: [String: Any] = ["devices": devices, "libraries": libraries]
        if let reason { report["no_gpu"] = reason }
        return try emitJSON(report)
    }
    for device in devices {
        let free = (device["free_bytes"] as? Int).map { "\(formatBytes($0)) of memory free" }
        try emit("\(device["name"]!): \(free ?? device["reason"]!)")
    }
    if let reason { try emit("no GPU: \(reason)") }
    for library in libraries {
        let missing = library["reason"] as! String
        try emit(
            "\(library["name"]!): \(missing.isEmpty ? "\(library["version"]!), \(library["path"]!)" : missing)"
        )
    }
}

/// A C array of characters.
private func text<T>(_ characters: T) -> String {
    withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
