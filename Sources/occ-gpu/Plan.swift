import Foundation
import OCCCommandLine
import OneClass

let planCommand = Command(
    name: "plan",
    summary:
        "Prints what a training step would run, before it runs: operations, shapes, bytes, FLOP, memory.",
    usage: "[the options of train]",
    examples: [
        "occ-gpu plan --method contrastive --width 0.25", "occ-gpu plan --profile",
        "occ-gpu plan --method contrastive --math bf16 --device-model h100",
        "occ-gpu plan --method contrastive --batch 1024 --ranks 8 --bandwidth 300 --latency 5",
        "mpirun -n 2 occ-gpu plan --method contrastive --width 0.25 --profile",
    ],
    options: RunOptions.options + [
        Option("profile", nil, "Run some steps and show each operation's time."),
        Option(
            "device-model", "NAME",
            "Foretell each operation's time on a device that need not be there, by arithmetic, with --math bf16: "
                + DeviceModel.all.map(\.name).joined(separator: ", ") + "."),
        Option(
            "ranks", "N", .within(1...65536), standard: 1,
            "Show the plan of one of N ranks, and what they exchange; by itself of those that are started together."
        ),
        Option(
            "bandwidth", "RATE", .within(0.001...1e6), standard: 10.0,
            "GB that a rank sends in a second, for the time of exchanges; under mpirun or srun it is measured."
        ),
        Option(
            "latency", "US", .within(0...1e6), standard: 5.0,
            "Microseconds from the start of an exchange to its first byte; under mpirun or srun they are measured."
        ),
        Option("json", nil, "Print JSON."),
    ],
    processes: .together
) { arguments in
    let configuration = try RunOptions.configuration(arguments)
    let repeats = 5, started = Ranks.communicator
    let ranks = arguments.value("ranks", as: Int.self) ?? started?.ranks ?? 1
    let others = ranks > 1 ? Communicator(planned: 0, of: ranks) : nil
    let network = try Network(arguments, started)
    guard ranks == started?.ranks ?? 1 || !arguments.has("profile") else {
        throw OCCError(
            .usage,
            "--profile runs the steps of \(started?.ranks ?? 1) process\(started == nil ? "" : "es"), and --ranks \(ranks) are looked at",
            remedy: "Leave one of the two out, or start \(ranks) processes by mpirun or srun.")
    }
    // The others are needed for what is measured.
    guard started?.isFirst ?? true || arguments.has("profile") else { return }
    let split = try configuration.split(try configuration.dataset())
    let training: TrainingPlan
    var seconds: [Double]?, launches: Int?
    if let name = arguments["device-model"] {
        guard let model = DeviceModel.all.first(where: { $0.name == name }) else {
            throw OCCError(
                .usage, "--device-model: there is no '\(name)'",
                remedy: "There is: \(DeviceModel.all.map(\.name).joined(separator: ", ")).")
        }
        guard configuration.math == .bf16, !arguments.has("profile") else {
            throw OCCError(
                .usage, "--device-model foretells steps in bf16, and runs none",
                remedy: "Give --math bf16, and no --profile.")
        }
        let cpu = try Device.cpu()
        training = try cpu.planning(for: others) {
            try TrainingPlan(
                configuration, images: split.train.count, outliers: split.outliers?.count ?? 0,
                side: split.train.side, device: cpu,
                activations: .bfloat16)
        }
        seconds = training.plan.operations.map(model.seconds)
        launches = training.plan.operations.reduce(0) { $0 + model.launches(of: $1) }
    } else if arguments.has("profile") {
        let device = try RunOptions.device(arguments)
        try started.map(device.join)
        defer { device.leaveRanks() }
        let trainer = try Trainer(
            configuration: configuration, images: split.train, outliers: split.outliers, device: device)
        _ = try trainer.profile(steps: 2)
        seconds = try trainer.profile(steps: repeats)
        training = trainer.training
        guard started?.isFirst ?? true else { return }
    } else {
        let device = try RunOptions.device(arguments)
        training = try device.planning(for: others) {
            try TrainingPlan(
                configuration, images: split.train.count, outliers: split.outliers?.count ?? 0,
                side: split.train.side, device: device)
        }
    }
    let memory = try training.program.memoryNeeded()
    let exchanges = training.plan.operations.compactMap(ExchangeModel.exchange)
    let sent = exchanges.reduce(0) { $0 + $1.bytes }
    let exchangeSeconds = exchanges.reduce(0) { $0 + network.model.seconds($1) }
    // A GPU's exchanges go on beside its kernels; a CPU's are the work of the cores that compute.
    let isBeside = training.program.device.isGPU || arguments["device-model"] != nil
    let stepSeconds = seconds.map {
        network.model.seconds(of: training.plan, computing: $0, isBeside: isBeside)
    }
    if arguments.has("json") {
        let operations = training.plan.operations.enumerated().map { index, operation -> [String: Any] in
            var fields: [String: Any] = [
                "operation": operation.name, "label": operation.layer, "flop": operation.flop,
                "bytes": operation.bytes,
                "shapes": operation.tensors.map { $0?.shape as Any? ?? NSNull() },
            ]
            if let seconds { fields["seconds"] = seconds[index] }
            return fields
        }
        var fields: [String: Any] = [
            "operations": operations, "flop": training.plan.flop, "images_per_step": training.imagesPerStep,
            "ranks": ranks, "exchanges": exchanges.count, "exchanged_bytes": sent,
            "exchange_seconds": exchangeSeconds,
            "network": network.model.fields.merging(["measured": network.isMeasured]) { $1 },
            "memory": [
                "parameters": memory.parameters, "gradients": memory.gradients,
                "velocities": memory.velocities, "squares": memory.squares,
                "inputs": memory.inputs, "activations": memory.transient, "workspace": memory.workspace,
                "total": memory.total,
            ],
        ]
        if let stepSeconds { fields["step_seconds"] = stepSeconds }
        return try emitJSON(fields)
    }
    func column(_ text: String, _ width: Int) -> String {
        text.padding(toLength: width, withPad: " ", startingAt: 0)
    }
    for (index, operation) in training.plan.operations.enumerated() {
        let shape = operation.tensors[0]!.shape.map(String.init).joined(separator: "x")
        var line =
            column(operation.name, 32) + column(operation.layer, 24) + column(shape, 18)
            + column(formatBytes(operation.bytes), 10)
            + column(String(format: "%.1f MFLOP", Double(operation.flop) / 1e6), 15)
        if let seconds {
            line += String(
                format: "%8.3f ms %7.1f GFLOP/s", 1e3 * seconds[index],
                Double(operation.flop) / seconds[index] / 1e9)
        }
        try emit(line)
    }
    try emit(
        String(
            format: "%d operations, %.2f GFLOP", training.plan.operations.count,
            Double(training.plan.flop) / 1e9))
    if let seconds { try emit(String(format: "%.2f ms a step", 1e3 * seconds.reduce(0, +))) }
    if let launches {
        try emit(
            "\(launches) kernels, \(formatBytes(training.plan.operations.reduce(0) { $0 + $1.bytes })) of tensors"
        )
    }
    if ranks > 1 {
        try emit(
            String(
                format: "each of %d ranks: %d exchanges of %@ in all, %.2f ms at %.3g GB/s and %.3g us%@",
                ranks, exchanges.count, formatBytes(sent), 1e3 * exchangeSeconds,
                network.model.bandwidth / 1e9, network.model.latency * 1e6,
                network.isMeasured ? ", measured between \(started!.ranks) ranks" : ""))
        if let stepSeconds {
            try emit(
                String(
                    format: "%.2f ms a step foretold, exchanges %@", 1e3 * stepSeconds,
                    isBeside ? "as far as computation does not hide them" : "and computation by turns"))
        }
    }
    try emit(
        "memory: parameters \(formatBytes(memory.parameters)), gradients \(formatBytes(memory.gradients)), "
            + "velocities \(formatBytes(memory.velocities)), "
            + (memory.squares > 0 ? "squares \(formatBytes(memory.squares)), " : "")
            + "data and inputs \(formatBytes(memory.inputs)), "
            + "activations \(formatBytes(memory.transient)), workspace \(formatBytes(memory.workspace)); "
            + "in all \(formatBytes(memory.total))")
}

/// What the time of exchanges is foretold by: what the options say, and what they do not say as it is measured between the
/// ranks that have been started together, or a usual network.
private struct Network {
    let model: ExchangeModel
    let isMeasured: Bool

    init(_ arguments: Arguments, _ ranks: Communicator?) throws {
        let bandwidth = arguments.value("bandwidth", as: Double.self).map { 1e9 * $0 }
        let latency = arguments.value("latency", as: Double.self).map { 1e-6 * $0 }
        isMeasured = ranks != nil && (bandwidth == nil || latency == nil)
        let measured =
            isMeasured ? try ExchangeModel.measured(ranks!) : ExchangeModel(bandwidth: 10e9, latency: 5e-6)
        model = ExchangeModel(
            bandwidth: bandwidth ?? measured.bandwidth, latency: latency ?? measured.latency)
    }
}
