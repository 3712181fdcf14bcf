import Foundation
import OCCCommandLine
import OneClass

let evaluateCommand = Command(
    name: "evaluate",
    summary: "Evaluates a trained run on the test images of its data set.",
    usage: "FOLDER|MODEL [--data PATH]",
    examples: [
        "occ-gpu evaluate runs/shapes", "occ-gpu evaluate runs/shapes --report report.html",
        "occ-gpu evaluate runs/sandal/model.safetensors --json",
    ],
    options: [
        Option("data", "PATH", "Another data set of the same layout."),
        Option("raw-pixels", nil, "Fit the detector on raw pixels too, for comparison."),
        Option("untrained", nil, "Fit the same model without training too, for comparison."),
        Option("report", "FILE", "Write a report: one HTML file with curves, tables and pictures."),
    ] + ThresholdOptions.options + RunOptions.deviceOptions + [
        Option("quiet", nil, "No progress."), Option("json", nil, "Print JSON."),
    ], takesWords: true
) { arguments in
    guard arguments.positionals.count == 1 else {
        throw OCCError(.usage, "name one run folder or model file")
    }
    let model = try ThresholdOptions.model(arguments.positionals[0], arguments)
    let split = try testSplit(of: model, arguments)
    let scored = try ScoredTest(model, on: split)
    let evaluation = try Evaluation(
        model, on: split, scored: scored, rawPixels: arguments.has("raw-pixels"),
        untrained: arguments.has("untrained") ? try model.untrained(on: split) : nil)
    if let path = arguments["report"] {
        let file = modelPath(arguments.positionals[0])
        let page = try Report(model, split, scored, evaluation).html(
            modelPath: file, metricsPath: "\(parentFolder(file))/metrics.jsonl")
        AtomicFile.removeStrays(beside: path)
        try AtomicFile.write(Array(page.utf8), to: path)
        say("wrote \(path)")
    }
    try emit(arguments.has("json") ? try evaluation.json() : evaluation.summary)
    for warning in evaluation.warnings { say("warning: \(warning)") }
}

/// A model file, or the one of a run folder: a file is taken as it is, whatever its name.
func modelPath(_ path: String) -> String {
    path.hasSuffix(".safetensors") || FileKind(path) == .file ? path : "\(path)/model.safetensors"
}

/// The split of the model's data set, or of the one that --data names.
func testSplit(of model: OneClassModel, _ arguments: Arguments) throws -> OneClassSplit {
    var configuration = model.configuration
    if let data = arguments["data"] { configuration.data = data }
    configuration.imageSize = model.side
    let dataset: ImageDataset
    do {
        dataset = try configuration.dataset()
    } catch let error as OCCError where error.kind == .noInput && arguments["data"] == nil {
        throw OCCError(
            .noInput, "\(error.problem)",
            remedy:
                "The model was trained on \(configuration.data), as seen from where train ran: give --data PATH."
        )
    }
    // What the method was shown as outliers is no part of a test, and need not be there.
    configuration.outliers = nil
    let split = try configuration.split(dataset)
    if arguments["data"] == nil, let digest = model.dataDigest,
        digest != split.trainingDigest
    {
        say("warning: the training images in \(configuration.data) have changed since the model was trained")
    }
    return split
}
