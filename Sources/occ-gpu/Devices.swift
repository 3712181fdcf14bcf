import OCCCommandLine
import OneClass

let devicesCommand = Command(
    name: "devices",
    summary: "Lists the devices that plans can run on.",
    usage: "", examples: ["occ-gpu devices"], options: [Option("json", nil, "Print JSON.")]
) { arguments in
    let device = try Device.cpu()
    let free = try device.availableMemory()
    guard arguments.has("json") else { return print("\(device.name): \(formatBytes(free)) of memory free") }
    try printJSON(["devices": [["name": device.name, "kind": "cpu", "free_bytes": free]]])
}
