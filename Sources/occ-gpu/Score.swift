import Foundation
import OCCCommandLine
import OneClass

let scoreCommand = Command(
    name: "score",
    summary:
        "Scores image files: anomaly score (higher is more anomalous), p-value, and whether it is an alarm.",
    usage: "--model FILE IMAGE|FOLDER...",
    examples: [
        "occ-gpu score --model runs/bottle photo.png",
        "occ-gpu score --model runs/bottle --format jsonl incoming/ > scores.jsonl",
    ],
    options: [
        Option("model", "FILE", "A model file, or the folder of its run."),
        Option("format", "NAME", "csv (the default) or jsonl."),
        Option("threads", "N", "CPU threads; 0, the default, for one a core."),
    ]
) { arguments in
    guard let name = arguments["model"] else {
        throw OCCError(.usage, "which model?", remedy: "Give --model FILE.")
    }
    guard !arguments.positionals.isEmpty else {
        throw OCCError(.usage, "name image files or folders of them")
    }
    let format = try arguments.value("format", as: ScoreFormat.self) ?? .csv
    let model = try OneClassModel.load(modelPath(name), device: try RunOptions.device(arguments))
    let paths = try expandImagePaths(arguments.positionals)
    if format == .csv { print("file,score,p_value,alarm") }
    var unreadable = 0
    // In portions, so that memory does not grow with the number of files.
    for first in stride(from: 0, to: paths.count, by: 512) {
        let portion = Array(paths[first..<min(first + 512, paths.count)])
        var pixels: [UInt8] = [], readable: [String] = []
        for (path, image) in zip(portion, loadImages(portion, side: model.side)) {
            switch image {
            case .success(let bytes):
                pixels += bytes
                readable.append(path)
            case .failure(let error):
                unreadable += 1
                say("error: \(error.message)")
            }
        }
        let scores = try model.score(ImageBatch(side: model.side, pixels: pixels))
        for (path, score) in zip(readable, scores) {
            print(try format.line(path, score, model.calibration))
        }
    }
    if unreadable > 0 {
        throw OCCError(
            .badData, "\(unreadable) of \(paths.count) files could not be read; the others are scored")
    }
}

private enum ScoreFormat: String, CaseIterable {
    case csv, jsonl

    func line(_ path: String, _ score: Double, _ calibration: ThresholdCalibration) throws -> String {
        let p = calibration.pValue(score), alarm = calibration.isAlarm(score)
        switch self {
        case .csv:
            let quoted =
                path.contains { ",\"\n".contains($0) } ? "\"\(path.replacing("\"", with: "\"\""))\"" : path
            return "\(quoted),\(score),\(p),\(alarm)"
        case .jsonl:
            let fields: [String: Any] = ["file": path, "score": score, "p_value": p, "alarm": alarm]
            let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
            return String(
                decoding: try JSONSerialization.data(withJSONObject: fields, options: options), as: UTF8.self)
        }
    }
}
