import Foundation
import OCCCommandLine
import OneClass

/// What activations in bf16 cost in accuracy, where no GPU is: the CPU keeps them in bf16 and computes in single
/// precision.
let roundingCommand = Command(
    name: "rounding",
    summary: "Trains with activations in single precision and in bf16, seed by seed: AUROC of both.",
    usage: "[--data DATA] [--normal CLASS]",
    examples: ["occ-bench rounding --data fashion-mnist --normal Sandal --steps 700"],
    options: [
        Option("data", "DATA", "A folder or a built-in data set (builtin:shapes)."),
        Option("normal", "CLASS", "The normal class."),
        Option("method", "NAME", "The method (rotation)."),
        Option("width", "W", "Width of the ResNet-10 (0.25)."),
        Option("steps", "N", "Steps of a run (300)."),
        Option("seeds", "N", "Runs of each (3)."),
    ]
) { arguments in
    let data = try ImageDataset.load(arguments["data"] ?? "builtin:shapes")
    let split = try OneClassSplit(data, normal: arguments["normal"])
    let device = try Device.cpu()
    var configuration = RunConfiguration()
    do {
        configuration.method = try Methods.registry.entry(arguments["method"] ?? "rotation")
    } catch let error as SettingError { throw error.error() }
    configuration.encoder = ResNet(.resnet10, width: arguments.value("width", as: Double.self) ?? 0.25)
    configuration.steps = arguments.value("steps", as: Int.self) ?? 300
    configuration.math = .bf16
    try emit("| seed | single precision | activations in bf16 | difference |\n| --- | --- | --- | --- |")
    var differences: [Double] = []
    for seed in 1...(arguments.value("seeds", as: Int.self) ?? 3) {
        configuration.seed = UInt64(seed)
        let aurocs = try [ElementType.float32, .bfloat16].map { type in
            let trainer = try Trainer(
                configuration: configuration, images: split.train, device: device, activations: type)
            _ = try trainer.run { _ in }
            return try Evaluation(OneClassModel(trainer, split: split), on: split).auroc ?? .nan
        }
        differences.append(aurocs[1] - aurocs[0])
        let cells = (aurocs + [aurocs[1] - aurocs[0]]).map { String(format: "%.2f %%", 100 * $0) }
        try emit("| \(seed) | \(cells.joined(separator: " | ")) |")
    }
    let mean = differences.reduce(0, +) / Double(differences.count)
    try emit(String(format: "mean difference: %.2f points", 100 * mean))
}
