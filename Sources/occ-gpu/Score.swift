import Foundation
import OCCCommandLine
import OneClass

let scoreCommand = Command(
    name: "score",
    summary:
        "Scores image files: anomaly score (higher is more anomalous), p-value, and whether it is an alarm.",
    usage: "--model FILE IMAGE|FOLDER...|FEATURES.npy...|-",
    examples: [
        "occ-gpu score --model runs/bottle photo.png",
        "occ-gpu score --model runs/bottle --format jsonl incoming/ > scores.jsonl",
        "occ-gpu score --model runs/bottle --false-alarm-rate 0.05 incoming/",
        "camera-paths | occ-gpu score --model runs/bottle --format jsonl -",
        "occ-gpu score --model runs/bottle --watch incoming/",
        "occ-gpu score --model detector.safetensors features.npy    # of fit",
    ],
    options: [
        Option("model", "FILE", "A model file, or the folder of its run."),
        Option("format", ScoreFormat.self, standard: .csv, "How results are printed."),
        Option(
            "watch", "FOLDER",
            "Score the image files that appear in a folder as soon as they are whole, until SIGINT or SIGTERM."
        ),
        Option(
            "poll", "SECONDS",
            "With --watch: look at the folder so often, and score files that have not changed from one look to the next. "
                + "By itself the system tells of files, and where it does not the folder is looked at every 2 seconds. "
                + "It is \(pollRange.words)."
        ) { (text) throws(SettingError) in
            _ = try pollRange.value(text, as: Double.self, of: "poll")
        },
        Option("quiet", nil, "No progress."),
    ] + ThresholdOptions.options + RunOptions.deviceOptions, takesWords: true
) { arguments in
    guard let name = arguments["model"] else {
        throw OCCError(.usage, "which model?", remedy: "Give --model FILE.")
    }
    let words = arguments.positionals, format = arguments.value("format", as: ScoreFormat.self) ?? .csv
    let isStream = words.contains("-")
    guard words.isEmpty == (arguments["watch"] != nil), !isStream || words.count == 1 else {
        throw OCCError(
            .usage,
            words.isEmpty
                ? "name image files or folders of them"
                : "image files, - for paths on standard input, and --watch are three ways: take one")
    }
    guard !words.contains(where: FeatureRows.isNamed) else {
        return try scoreFeatures(words, of: ThresholdOptions.featureModel(name, arguments), format)
    }
    guard arguments["poll"] == nil || arguments["watch"] != nil else {
        throw OCCError(.usage, "--poll says how often the folder of --watch is looked at: name one")
    }
    let model = try ThresholdOptions.model(name, arguments)
    ThresholdOptions.announce(model)
    guard !isStream, arguments["watch"] == nil else {
        var scorer = try StreamScorer(model, format)
        if let folder = arguments["watch"] {
            try watch(folder, every: arguments.value("poll", as: Double.self)) { try scorer.answer($0) }
        } else {
            try forEachInputLine { try scorer.answer($0) }
        }
        return try scorer.finish()
    }
    if format == .csv { try emit(CSV.row(ScoreRow.columns)) }
    try forEachPortion(of: words, for: model, portion: 512) { images, paths, _ in
        for (path, score) in zip(paths, try model.score(images)) {
            try emit(try format.line(ScoreRow(path, score, model.calibration)))
        }
    }
}

/// The files of a command that could not be used: each is said when it is met, and is an error in the end.
struct UnusableFiles {
    private var count = 0

    /// Notes a file, and says why.
    mutating func add(_ path: String, _ error: OCCError) {
        count += 1
        say("error: \(error.message.hasPrefix(path) ? "" : "\(path): ")\(error.message)")
    }

    /// Does what a file is for; where the file is damaged, missing or not to be opened, notes it.
    ///
    /// - Throws: what says nothing about the file: a failing disk, results that cannot be written.
    mutating func attempt(_ path: String, _ body: () throws -> Void) throws {
        do { try body() } catch let error as OCCError where [.badData, .noInput].contains(error.kind) {
            add(path, error)
        }
    }

    /// - Throws: `OCCError(.badData)` when there is one.
    func finish(of total: Int) throws {
        guard count > 0 else { return }
        throw OCCError(
            .badData, "\(count) of \(counted(total, "file")) could not be used; the others are done")
    }
}

/// Reads the image files that the paths name, a portion at a time, so that memory does not grow with their
/// number.
///
/// - Parameter body: is given images and their paths, and notes files that it cannot use itself.
/// - Throws: `OCCError(.badData)` in the end when some could not be used; the others are done.
func forEachPortion(
    of paths: [String], for model: OneClassModel, portion: Int,
    _ body: (ImageBatch, [String], inout UnusableFiles) throws -> Void
) throws {
    let paths = try imagePaths(paths)
    var unusable = UnusableFiles()
    for first in stride(from: 0, to: paths.count, by: portion) {
        let some = Array(paths[first..<min(first + portion, paths.count)])
        var pixels: [UInt8] = [], readable: [String] = []
        for (path, image) in zip(some, try loadImages(some, model.imageLoading)) {
            switch image {
            case .success(let bytes):
                pixels += bytes
                readable.append(path)
            case .failure(let error): unusable.add(path, error)
            }
        }
        try body(ImageBatch(side: model.side, pixels: pixels), readable, &unusable)
    }
    try unusable.finish(of: paths.count)
}

/// The image files that the paths name; says what else is there.
func imagePaths(_ paths: [String]) throws -> [String] {
    let (images, account) = try expandImagePaths(paths)
    if !account.kinds.isEmpty { say(account.lines.joined(separator: "\n")) }
    return images
}

/// The seconds between two looks at a folder.
private let pollRange = SettingRange.within(0.05...3600)

enum ScoreFormat: String, CaseIterable {
    case csv, jsonl

    func line(_ row: ScoreRow) throws -> String { try self == .csv ? CSV.row(row.fields) : row.json() }
}
