import Foundation
import OCCCommandLine
import OneClass

/// How training goes on with the number of ranks, beside what the alpha-beta model says of it, and what it brings that
/// gradients are exchanged while others are computed. The latency and the bandwidth are measured by the collective that
/// training uses.
let ranksCommand = Command(
    name: "ranks",
    summary:
        "Under mpirun: latency and bandwidth between ranks, and a step of as many pairs a rank as one rank takes.",
    usage: "[--pairs N] [--json]",
    examples: ["mpirun -n 2 occ-bench ranks", "mpirun -n 4 --oversubscribe occ-bench ranks --pairs 16"],
    options: [
        Option("pairs", "N", .within(2...4096), standard: 32, "Pairs of a rank's share of a batch."),
        Option("width", "W", .within(0.01...4), standard: 0.25, "Width of the ResNet-18."),
        Option("threads", "N", .within(0...256), standard: 1, "Threads of a rank."),
        Option("repetitions", "N", .within(1...1000), standard: 7, "Repetitions of each."),
        Option("json", nil, "Print JSON."),
    ],
    processes: .together
) { arguments in
    guard let ranks = Ranks.communicator else {
        throw OCCError(
            .usage, "there is one process", remedy: "Start it by mpirun, built with --traits MPI.")
    }
    let repetitions = arguments.value("repetitions", as: Int.self) ?? 7
    func seconds(_ body: () throws -> Void) throws -> Double {
        let start = ContinuousClock.now
        try body()
        return (ContinuousClock.now - start) / .seconds(1)
    }
    func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

    let network = try ExchangeModel.measured(ranks, repetitions: 4 * repetitions)
    let pairs = arguments.value("pairs", as: Int.self) ?? 32
    var configuration = RunConfiguration()
    configuration.method = Contrastive()
    configuration.encoder = ResNet(.resnet18, width: arguments.value("width", as: Double.self) ?? 0.25)
    configuration.maxTrain = 512
    let threads = arguments.value("threads", as: Int.self) ?? 1
    let images = try configuration.split(try ImageDataset.load("builtin:shapes")).train
    func trainer(_ batch: Int, _ ranks: Communicator?, exchangeBytes: Int? = nil) throws -> Trainer {
        let device = try Device.cpu(threads: threads)
        if let exchangeBytes { device.exchangeBytes = exchangeBytes }
        try ranks.map(device.join)
        configuration.batch = batch
        return try Trainer(configuration: configuration, images: images, device: device)
    }
    let alone = try trainer(pairs, nil), together = try trainer(pairs * ranks.ranks, ranks)
    // The gradients in one exchange, when all are there.
    let atTheEnd = try trainer(pairs * ranks.ranks, ranks, exchangeBytes: .max)
    // One rank by itself, each rank by itself at the same time, and all on one batch, in turn.
    var one: [Double] = [], each: [Double] = [], shared: [Double] = [], inOne: [Double] = []
    for _ in 0..<repetitions + 2 {
        try ranks.meet()
        if ranks.isFirst { one.append(try seconds { _ = try alone.advance() }) }
        try ranks.meet()
        each.append(try seconds { _ = try alone.advance() })
        try ranks.meet()
        shared.append(try seconds { _ = try together.advance() })
        try ranks.meet()
        inOne.append(try seconds { _ = try atTheEnd.advance() })
    }
    guard ranks.isFirst else { return }
    // The first steps warm up.
    let medians = [one, each, shared, inOne].map { median(Array($0.dropFirst(2))) }
    let exchanges = together.plan.operations.compactMap(ExchangeModel.exchange)
    // The cores that compute also exchange: these times add up.
    let exchange = exchanges.reduce(0) { $0 + network.seconds($1) }, foretold = medians[1] + exchange
    if arguments.has("json") {
        return try emitJSON([
            "ranks": ranks.ranks, "pairs": pairs, "network": network.fields, "alone_seconds": medians[0],
            "unconnected_seconds": medians[1], "together_seconds": medians[2],
            "together_in_one_exchange_seconds": medians[3], "foretold_seconds": foretold,
            "exchanges": exchanges.count, "exchanged_bytes": exchanges.reduce(0) { $0 + $1.bytes },
            "efficiency": medians[0] / medians[2],
        ])
    }
    let named = [
        ("\(pairs) pairs by one rank alone", medians[0], ""),
        ("\(pairs) pairs by each of \(ranks.ranks), unconnected", medians[1], ""),
        (
            "\(pairs * ranks.ranks) pairs by all together", medians[2],
            String(
                format: ", efficiency %.2f of one alone, %.2f of unconnected ranks", medians[0] / medians[2],
                medians[1] / medians[2])
        ),
        ("  with gradients in one exchange", medians[3], ""),
        (
            "  foretold", foretold,
            String(
                format: ": unconnected, and %d exchanges of %@ in %.2f ms", exchanges.count,
                formatBytes(exchanges.reduce(0) { $0 + $1.bytes }), 1e3 * exchange)
        ),
    ]
    try emit(
        String(
            format: "%d ranks: %.1f us latency, %.2f GB/s; occ-gpu plan --ranks %d %@", ranks.ranks,
            1e6 * network.latency, network.bandwidth / 1e9, ranks.ranks, network.options))
    for (name, time, rest) in named {
        try emit(
            name.padding(toLength: 40, withPad: " ", startingAt: 0)
                + String(format: "%8.1f ms", 1e3 * time) + rest)
    }
}
