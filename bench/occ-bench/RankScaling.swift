import Foundation
import OCCCommandLine
import OneClass

/// How training goes on with the number of ranks, beside what the alpha-beta model says of it. The latency and the
/// bandwidth are measured by the collective that training uses.
let ranksCommand = Command(
    name: "ranks",
    summary:
        "Under mpirun: latency and bandwidth between ranks, and a step of as many pairs a rank as one rank takes.",
    usage: "[--pairs N]",
    examples: ["mpirun -n 2 occ-bench ranks", "mpirun -n 4 --oversubscribe occ-bench ranks --pairs 16"],
    options: [
        Option("pairs", "N", .within(2...4096), standard: 32, "Pairs of a rank's share of a batch."),
        Option("width", "W", .within(0.01...4), standard: 0.25, "Width of the ResNet-18."),
        Option("threads", "N", .within(0...256), standard: 1, "Threads of a rank."),
        Option("repetitions", "N", .within(1...1000), standard: 7, "Repetitions of each."),
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

    // All gather blocks of two sizes: a line through the two times.
    let sizes = [1024, 4 << 20]
    let times = try sizes.map { size in
        let block = [UInt8](repeating: 1, count: size)
        return median(
            try (0..<4 * repetitions).map { _ in
                try ranks.meet()
                return try seconds { _ = try ranks.gather(block) }
            })
    }
    let others = Double(ranks.ranks - 1)
    let bandwidth = others * Double(sizes[1] - sizes[0]) / max(times[1] - times[0], 1e-9)
    let latency = max(0, times[0] / others - Double(sizes[0]) / bandwidth)
    let network = ExchangeModel(bandwidth: bandwidth, latency: latency)
    try emit(
        String(
            format: "%d ranks: %.1f us latency, %.2f GB/s", ranks.ranks, 1e6 * latency, bandwidth / 1e9))

    let pairs = arguments.value("pairs", as: Int.self) ?? 32
    var configuration = RunConfiguration()
    configuration.method = Contrastive()
    configuration.encoder = ResNet(.resnet18, width: arguments.value("width", as: Double.self) ?? 0.25)
    configuration.maxTrain = 512
    let device = try Device.cpu(threads: arguments.value("threads", as: Int.self) ?? 1)
    let images = try configuration.split(try ImageDataset.load("builtin:shapes")).train
    configuration.batch = pairs
    let alone = try Trainer(configuration: configuration, images: images, device: device)
    configuration.batch = pairs * ranks.ranks
    try device.join(ranks)
    let together = try Trainer(configuration: configuration, images: images, device: device)
    // One rank by itself, each rank by itself at the same time, and all on one batch, in turn.
    var one: [Double] = [], each: [Double] = [], shared: [Double] = []
    for _ in 0..<repetitions + 2 {
        try ranks.meet()
        if ranks.isFirst { one.append(try seconds { _ = try alone.advance() }) }
        try ranks.meet()
        each.append(try seconds { _ = try alone.advance() })
        try ranks.meet()
        shared.append(try seconds { _ = try together.advance() })
    }
    guard ranks.isFirst else { return }
    // The first steps warm up.
    let (a, b, c) = (
        median(Array(one.dropFirst(2))), median(Array(each.dropFirst(2))), median(Array(shared.dropFirst(2)))
    )
    let exchange = together.plan.operations.compactMap(ExchangeModel.exchange).reduce(0) {
        $0 + network.seconds($1)
    }
    try emit(
        String(
            format: """
                %d pairs by one rank alone           %7.1f ms
                %d pairs by each of %d, unconnected   %7.1f ms
                %d pairs by all together             %7.1f ms, efficiency %.2f of one alone, %.2f of unconnected ranks
                  foretold                            %7.1f ms: unconnected, and %.2f ms of exchanges
                """, pairs, 1e3 * a, pairs, ranks.ranks, 1e3 * b, pairs * ranks.ranks, 1e3 * c, a / c, b / c,
            1e3 * (b + exchange), 1e3 * exchange))
}
