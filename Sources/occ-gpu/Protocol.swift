import OCCCommandLine
import OneClass

let protocolCommand = Command(
    name: "protocol",
    summary:
        "Trains with every class as the normal one, or on every category, under several seeds; prints one table.",
    usage: "--data PATH --out FOLDER [the options of train]",
    examples: [
        "occ-gpu protocol --data fashion-mnist --width 0.25 --steps 300 --out runs/fashion",
        "occ-gpu protocol --data mvtec_anomaly_detection --image-size 256 --method cutpaste-3way --patch 64 --stride 16"
            + " --detector gaussian --locations each --width 0.25 --steps 700 --out runs/mvtec",
        "occ-gpu protocol --data cifar-10 --classes 0,cat --seeds 5 --detectors kde,gaussian --out runs/cifar",
    ],
    options: [
        Option("out", "FOLDER", "Where the runs are kept, a folder each; the same command again continues."),
        Option(
            list: "classes",
            "Classes by index or name, or categories by name, such as 0,1,dog; by itself all."),
        RunOptions.seeds,
        RunOptions.shard,
        Option("collect", nil, "Train nothing: print the table of the results that are there."),
        Option(
            list: "detectors", of: Detectors.registry.names,
            "Detectors to compare on the same features, such as knn,kde. (ocsvm-rbf,kde)"),
        RunOptions.checkpointSeconds,
        Option("quiet", nil, "No progress."),
        Option("json", nil, "Print JSON."),
    ] + RunOptions.options.filter { !["normal", "seed"].contains($0.name) },
    processes: .together
) { arguments in
    guard let out = arguments["out"] else {
        throw OCCError(.usage, "where to?", remedy: "Give --out FOLDER.")
    }
    var detectors: [any Detector]
    do {
        let names = arguments.list("detectors") ?? ["ocsvm-rbf", "kde"]
        detectors = try names.map { try Detectors.registry.entry($0) }
    } catch let error as SettingError {
        throw error.error()
    }
    var configuration = try RunOptions.configuration(arguments, comparing: &detectors)
    if configuration.detector is OwnScore {
        // A method's own score, unless others are asked for, which see the encoder's features.
        if arguments.list("detectors") == nil {
            detectors = [configuration.detector]
        } else {
            configuration.detector = detectors[0]
        }
    }
    // The configured detector keeps what its file says.
    detectors = detectors.map { $0.name == configuration.detector.name ? configuration.detector : $0 }
    let list = RunOptions.seeds(arguments)
    let device = try RunOptions.device(arguments)
    try TrainingPlan.check(configuration, device: device)
    let categories = try ImageDataset.categories(configuration.data)
    var run: ProtocolRun
    if categories.isEmpty {
        let dataset = try configuration.dataset()
        let classes = try arguments.list("classes")?.map(dataset.classIndex)
        say(dataset.summary)
        run = ProtocolRun(
            dataset: dataset, configuration: configuration, detectors: detectors, classes: classes,
            seeds: list,
            folder: out)
    } else {
        let wanted = arguments.list("classes")
        if let unknown = wanted?.first(where: { !categories.contains($0) }) {
            throw OCCError(
                .usage, "\(configuration.data) has no category '\(unknown)'",
                remedy: "Its categories are: \(categories.joined(separator: ", ")).")
        }
        run = ProtocolRun(
            categories: wanted ?? categories, configuration: configuration, detectors: detectors, seeds: list,
            folder: out)
    }
    if let seconds = arguments.value("checkpoint-seconds", as: Double.self) {
        run.checkpointInterval = seconds
    }
    run.communicator = Ranks.communicator
    run.shard = RunOptions.shard(arguments)
    let table: ProtocolTable
    if arguments.has("collect") {
        let found = try run.collected()
        table = run.table(found.results)
        if let first = found.missing.first {
            say(
                "warning: \(found.missing.count) of \(run.tasks.count * list.count) runs have no result yet; the first is '\(first.name)', seed \(first.seed)"
            )
        }
    } else {
        table = try run.run(
            device: device,
            started: { index, count, name, seed in
                say("run \(index + 1) of \(count): '\(name)', seed \(seed)")
            }, notice: say)
    }
    try emit(
        arguments.has("json")
            ? try table.json()
            : "AUROC in %, method \(configuration.method.name), \(counted(list.count, "seed"))\n\n\(table.text)"
    )
    if let first = table.failures.first {
        throw OCCError(
            OCCError.Kind(rawValue: first.code) ?? .failure,
            "\(table.failures.count) of \(run.tasks.count * list.count) runs failed; the first was '\(first.name)', seed \(first.seed): \(first.reason)",
            remedy: "The others are done: run the same command again when the cause is mended.")
    }
}
