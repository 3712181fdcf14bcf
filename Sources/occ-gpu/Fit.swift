import OCCCommandLine
import OneClass

let fitCommand = Command(
    name: "fit",
    summary: "Fits a detector and a threshold on features of normal examples, whatever program made them.",
    usage: "FEATURES.npy --out FILE",
    examples: [
        "occ-gpu fit normal.npy --detector knn --neighbors 5 --out detector.safetensors",
        "occ-gpu fit normal.npy --calibration cross --false-alarm-rate 0.05 --out detector.safetensors",
        "occ-gpu score --model detector.safetensors new.npy > scores.csv",
    ],
    options: [Option("out", "FILE", "Where the detector goes: a .safetensors file, or a folder for it.")]
        + fitOptions + [Option("quiet", nil, "No progress.")], takesWords: true
) { arguments in
    guard let out = arguments["out"] else {
        throw OCCError(.usage, "where to?", remedy: "Give --out FILE.")
    }
    guard arguments.positionals.count == 1, let path = arguments.positionals.first else {
        throw OCCError(.usage, "name one file of features, such as normal.npy")
    }
    guard arguments["detector"] != OwnScore().name else {
        throw OCCError(
            .usage, "--detector own is a method's own score of images, and fit has features alone",
            remedy: "Choose another detector, such as kde.")
    }
    let configuration = try RunOptions.configuration(arguments)
    let features = try FeatureFile(path)
    // A number that is not finite is an error wherever it is, in rows that are not fitted on too.
    for range in features.portions { _ = try features.rows(range) }
    let model: FeatureModel
    do {
        model = try FeatureModel(fitting: features, configuration: configuration)
    } catch let error as OCCError where error.kind == .badData {
        throw OCCError(.badData, "\(path): \(error.problem)", remedy: error.advice)
    }
    let file = out.hasSuffix(".safetensors") ? out : "\(out)/model.safetensors"
    if file != out { try createFolder(out, remedy: "Choose another --out.") }
    AtomicFile.removeStrays(beside: file)
    try model.save(file)
    ThresholdOptions.announce(model.calibration)
    say(
        "wrote \(file): \(configuration.detector.name) on \(counted(features.rows, "row")) of \(counted(features.columns, "feature"))"
    )
}

/// The options that a detector alone has: its own, and those of its calibration.
private let fitOptions: [Option] = {
    let detectors = Detectors.registry.entries.flatMap { $0.settingDescriptions.map(\.name) }
    let names = Set(
        detectors + [
            "detector", "detector-rows", "hold-out", "calibration", "folds", "false-alarm-rate", "seed",
        ])
    return RunOptions.options.filter { names.contains($0.name) }
}()
