import OCCCommandLine
import OneClass

let reproduceCommand = Command(
    name: "reproduce",
    summary: "Does what a table or figure of the papers shows, and prints ours beside the published values.",
    usage: "NAME --data PATH --out FOLDER [the options of train]",
    examples: [
        "occ-gpu reproduce    # the names, a line each",
        "occ-gpu reproduce table5 --data fashion-mnist --budget 0.01 --width 0.25 --classes 5 --out runs/papers",
        "occ-gpu reproduce contamination --data cifar-10 --seeds 5 --report contamination.html --out runs/papers",
        "occ-gpu reproduce table7 --data cifar-10,fashion-mnist --rows rotnet,rotation --out runs/papers",
        "occ-gpu reproduce cutpaste --data mvtec_anomaly_detection --classes bottle,carpet --out runs/papers",
    ],
    options: [
        Option("list", nil, "Print the names, a line each."),
        Option(list: "data", "Data sets: folders, or builtin:NAME."),
        Option(
            "out", "FOLDER",
            "Where the runs are kept; the same command again continues, and another experiment takes those that it shares."
        ),
        Option(list: "rows", "Rows or curves by name; by itself all."),
        Option(
            list: "classes",
            "Classes by index or name, or categories by name, such as 0,1,dog; by itself all."),
        RunOptions.seeds,
        Option(
            "budget", "SHARE", .above(0, upTo: 1), standard: 1.0,
            "The share of each row's steps, in place of --steps or --epochs."),
        RunOptions.shard,
        Option("collect", nil, "Train nothing: print the table of the results that are there."),
        RunOptions.checkpointSeconds,
        Option("report", "FILE", "Write a page with the figure, the table and any pictures: one HTML file."),
        Option("quiet", nil, "No progress."),
        Option("json", nil, "Print JSON."),
    ] + trainingOptions, words: Experiment.registry.names, processes: .together
) { arguments in
    guard let name = arguments.positionals.first, !arguments.has("list") else {
        let width = (Experiment.registry.names.map(\.count).max() ?? 0) + 2
        for one in Experiment.registry.entries {
            try emit("\(one.name.padding(toLength: width, withPad: " ", startingAt: 0))\(one.summary)")
        }
        return
    }
    guard arguments.positionals.count == 1 else {
        throw OCCError(.usage, "reproduce takes one name, and not '\(arguments.positionals[1])' as well")
    }
    let experiment: Experiment
    do { experiment = try Experiment.registry.entry(name) } catch let error as SettingError {
        let nearest = nearestMatch(to: name, in: error.choices).map { "Did you mean \($0)? " } ?? ""
        throw OCCError(
            .usage, "there is no experiment '\(name)'",
            remedy: "\(nearest)There is: \(error.choices.joined(separator: ", ")).")
    }
    guard let data = arguments.list("data") else {
        throw OCCError(.usage, "on which data?", remedy: "Give --data PATH.")
    }
    guard let out = arguments["out"] else {
        throw OCCError(.usage, "where to?", remedy: "Give --out FOLDER.")
    }
    if arguments["budget"] != nil, let other = ["steps", "epochs"].first(where: { arguments[$0] != nil }) {
        throw OCCError(
            .usage, "--budget and --\(other) both say how long to train", remedy: "Give one of them.")
    }
    let isCollecting = arguments.has("collect"), shard = isCollecting ? nil : RunOptions.shard(arguments)
    guard experiment.pictures == nil || shard != nil || arguments["report"] != nil else {
        throw OCCError(.usage, "\(name) draws pictures: where to?", remedy: "Give --report FILE.")
    }
    try RunOptions.checkLength(arguments)
    var overrides = RunOptions.written(arguments)
    overrides["data"] = nil
    var reproduction = try Reproduction(
        experiment, data: data, rows: arguments.list("rows"), overrides: overrides,
        budget: arguments.value("budget", as: Double.self), folder: out)
    reproduction.classes = arguments.list("classes")
    reproduction.seeds = RunOptions.seeds(arguments)
    if let seconds = arguments.value("checkpoint-seconds", as: Double.self) {
        reproduction.checkpointInterval = seconds
    }
    reproduction.communicator = Ranks.communicator
    reproduction.shard = shard
    let device = try RunOptions.device(arguments)
    try reproduction.check(device)
    let table = try reproduction.run(
        device: device, collecting: isCollecting, started: say, notice: say)
    if table.missingRuns > 0, isCollecting {
        say("warning: \(table.missingRuns) runs have no result yet")
    }
    if arguments["report"] != nil, shard != nil {
        say("the report is of all parts: when they are done, give --collect in place of --shard")
    } else if let path = arguments["report"], Ranks.communicator?.isFirst != false {
        AtomicFile.removeStrays(beside: path)
        try AtomicFile.write(Array(table.html().utf8), to: path)
        say("wrote \(path)")
    }
    try emit(arguments.has("json") ? try table.json() : table.text)
    if let first = table.failures.first {
        throw OCCError(
            OCCError.Kind(rawValue: first.failure.code) ?? .failure,
            "\(table.failures.count) runs failed; the first was \(first.row), '\(first.failure.name)', seed \(first.failure.seed): \(first.failure.reason)",
            remedy: "The others are done: run the same command again when the cause is mended.")
    }
}

/// The options of `train` that do not say what the experiment does.
private let trainingOptions: [Option] = {
    let detectors = Detectors.all.flatMap { $0.settingDescriptions.map(\.name) }
    let learners =
        Encoders.registry.entries.flatMap { $0.settingDescriptions.map(\.name) }
        + Methods.registry.entries.flatMap { $0.settingDescriptions.map(\.name) }
    let own = ["config", "data", "normal", "seed", "method", "detector"]
    return RunOptions.options.filter { option in
        !own.contains(option.name)
            && !(detectors.contains(option.name) && !learners.contains(option.name))
    }
}()
