import Foundation
import OCCCommandLine
import OneClass

let trainCommand = Command(
    name: "train",
    summary:
        "Learns an encoder from normal images, fits a detector and a threshold; writes a model and a report.",
    usage: "[--data PATH] [--normal CLASS] --out FOLDER",
    examples: [
        "occ-gpu train --data good-images --out runs/own",
        "occ-gpu train --data fashion-mnist --normal Sandal --method rotation --width 0.25 --steps 2000 --out runs/sandal",
        "occ-gpu train --data mvtec/bottle --image-size 256 --method cutpaste-3way --patch 64 --stride 16 --locations each"
            + " --detector gaussian --width 0.25 --steps 700 --out runs/bottle",
        "occ-gpu train --config runs/sandal/config.json --seed 2 --out runs/sandal-2",
    ],
    options: [Option("out", "FOLDER", "Where the run is kept.")] + RecipeOptions.options
        + RunOptions.options + [
            Option(
                "resume", "HOW",
                "auto (the default: continue what --out holds), never, or the folder or checkpoint to continue from."
            ),
            Option("overwrite", nil, "Discard what --out holds."),
            RunOptions.checkpointSeconds,
            Option(
                "log-every", "STEPS", .count(from: 1), standard: 10, "Steps between lines of metrics.jsonl."),
            Option("tensorboard", "FOLDER", "Write event files that TensorBoard shows."),
            Option("quiet", nil, "No progress."),
            Option("json", nil, "Print the evaluation as JSON."),
        ],
    processes: .together
) { arguments in
    guard let out = arguments["out"] else {
        throw OCCError(.usage, "where to?", remedy: "Give --out FOLDER.")
    }
    var recipe = try RecipeOptions(arguments)
    let resume: TrainingRun.Resume =
        switch arguments["resume"] {
        case nil, "auto": .auto
        case "never": .never
        case let path?: .from(path)
        }
    let device = try RunOptions.device(arguments)
    if let ranks = Ranks.communicator, !ranks.isFirst {
        return try TrainingRun.follow(ranks, device: device)
    }
    try device.planning(for: Ranks.communicator) {
        try TrainingPlan.check(recipe.configuration, device: device)
    }
    if let choice = recipe.choice { say(choice) }
    let dataset = try recipe.configuration.dataset(), split = try recipe.configuration.split(dataset)
    let locations = recipe.look(at: dataset, split)
    let directory = try RunDirectory(out)
    if arguments.has("overwrite") {
        try directory.clear()
    } else if resume == .never, directory.isUsed {
        throw OCCError(
            .cannotCreate, "\(out): holds a run already", remedy: "Add --overwrite, or choose another --out.")
    }
    warn(
        "out", out, liesIn: [recipe.configuration.data],
        consequence: "what is put there is looked at with them")
    say(dataset.summary)
    say(
        "training on \(counted(split.train.count, "image")) of '\(split.normalClass)', \(split.calibration.count) held out; \(device.name)"
    )
    announceThreshold(recipe.configuration, split)
    announceTest(split)
    if let locations { say(locations) }
    if let steps = try recipe.fixSteps(
        split, device, ranks: Ranks.communicator?.ranks ?? 1, continuing: resume.configuration(of: directory))
    {
        say(steps)
    }
    let configuration = recipe.configuration
    try device.planning(for: Ranks.communicator) { try announceMemory(configuration, split, device) }
    announceHead(configuration, split)
    if let ranks = Ranks.communicator {
        say("\(ranks.ranks) ranks share each batch of \(configuration.itemsPerStep)")
    }
    var run = TrainingRun(directory: directory, split: split, configuration: configuration)
    if let seconds = arguments.value("checkpoint-seconds", as: Double.self) {
        run.checkpointInterval = seconds
    }
    if let every = arguments.value("log-every", as: Int.self) { run.recordEvery = every }
    run.tensorBoard = arguments["tensorboard"]
    run.communicator = Ranks.communicator
    let model = try run.run(device: device, resume: resume, notice: say)
    say("wrote \(directory.model)")
    let scored = try ScoredTest(model, on: split)
    // What learning is worth takes seconds where a map takes one pass; `evaluate` has an option for it.
    let isCompared = model.mapsInOnePass && split.test.count > 0 && model.configuration.steps != 0
    let evaluation = try Evaluation(
        model, on: split, scored: scored, rawPixels: true,
        untrained: isCompared ? try model.untrained(on: split) : nil)
    try AtomicFile.write(Array((try evaluation.json() + "\n").utf8), to: directory.evaluation)
    let page = try Report(model, split, scored, evaluation).html(
        modelPath: directory.model, metricsPath: directory.metrics)
    try AtomicFile.write(Array(page.utf8), to: directory.report)
    say("wrote \(directory.report)")
    if let folder = arguments["tensorboard"] {
        let steps = configuration.totalSteps(images: split.train.count)
        let log = try TensorBoardLog(folder, resumingAt: steps)
        try log.append(evaluation, of: model, on: split, scored, step: steps)
        say("wrote \(folder)")
    }
    try emit(arguments.has("json") ? try evaluation.json() : evaluation.summary)
    for bias in model.scoreBiases { say("warning: \(bias.warning)") }
    for warning in evaluation.warnings { say("warning: \(warning)") }
    if split.test.count == 0 {
        say("without test images, go on by: \(CommandLine.arguments[0]) score --model \(out) IMAGE|FOLDER...")
    }
}

/// Says what the threshold will promise, and where that is not what was asked for.
private func announceThreshold(_ configuration: RunConfiguration, _ split: OneClassSplit) {
    let images = configuration.calibration == .cross ? split.detectorFit : split.calibration
    let promise = FalseAlarmPromise(
        count: images.count, asked: configuration.falseAlarmRate, kind: configuration.calibration)
    say("threshold: \(promise.summary)")
    if let shortfall = promise.shortfall { say("warning: \(shortfall); it promises the lowest that it can") }
}

/// Says where the run ends before its head lets it learn.
private func announceHead(_ configuration: RunConfiguration, _ split: OneClassSplit) {
    let c = configuration.resolved, steps = c.totalSteps(images: split.train.count)
    guard let quick = c.quickHead(steps: steps), let head = c.head else { return }
    say(
        "warning: with the head \(head.widthsText) the loss of \(c.method.name) stays near chance for hundreds of steps, "
            + "and there are \(steps); --head \(quick.widths.widthsText) learns from the first on")
}

/// Says what the test images will not tell.
private func announceTest(_ split: OneClassSplit) {
    let outliers = split.testLabels.count { $0 == 1 }, normals = split.testLabels.count - outliers
    switch (normals, outliers) {
    case (0, 0):
        say("there are no test images: the report shows the held-out scores and the most unusual images")
    case (0, _):
        say("warning: the test images are all anomalous: there is no AUROC, and no rate of false alarms")
    case (_, 0):
        say("warning: the test images are all normal: there is no AUROC, and no share of anomalies found")
    default: break
    }
}

extension TrainingRun.Resume {
    /// The configuration file of the run that is continued; nil for a new one.
    fileprivate func configuration(of directory: RunDirectory) -> String? {
        switch self {
        case .auto: directory.configuration
        case .never: nil
        case .from(let path): "\(FileKind(path)?.isFolder == true ? path : parentFolder(path))/config.json"
        }
    }
}

/// Says what the run will take before it takes it.
private func announceMemory(_ configuration: RunConfiguration, _ split: OneClassSplit, _ device: Device)
    throws
{
    let training = try TrainingPlan(
        configuration, images: split.train.count, side: split.train.side, device: device)
    let memory = try training.program.memoryNeeded()
    say(
        "\(counted(training.totalSteps, "step")) of \(counted(training.imagesPerStep, "image")); \(counted(training.program.layout.trainedCount, "parameter")); "
            + "memory \(formatBytes(memory.total))")
}
