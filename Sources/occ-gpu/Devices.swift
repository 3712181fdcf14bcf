import OneClass

let devicesCommand = Command(
    name: "devices",
    summary: "Lists the devices that plans can run on.",
    usage: "", examples: ["occ-gpu devices"], options: []
) { _ in
    let device = try Device.cpu()
    print("\(device.name): \(formatBytes(try device.availableMemory())) of memory free")
}
