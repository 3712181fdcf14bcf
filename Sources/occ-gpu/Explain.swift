import Foundation
import OCCCommandLine
import OneClass

private enum ExplanationMethod: String, CaseIterable {
    case integratedGradients = "integrated-gradients"
    case gradCAM = "grad-cam"
}

let explainCommand = Command(
    name: "explain",
    summary: "Shows which pixels a score comes from, by its gradient through the detector and the network.",
    usage: "--model FILE --out FOLDER IMAGE|FOLDER...",
    examples: [
        "occ-gpu explain --model runs/cats --out why photo.jpg",
        "occ-gpu explain --model runs/cats --out why --method grad-cam --score classifier incoming/",
    ],
    options: [
        Option("model", "FILE", "A model file, or the folder of its run."),
        Option("out", "FOLDER", "Where the pictures go."),
        Option(
            "method", ExplanationMethod.self, standard: .integratedGradients,
            "How: by the gradient along a path from a baseline, or by the last feature map."),
        Option(
            "baseline", Explainer.Baseline.self,
            "Where the path begins: at a black image, or at one of the image's mean color; by itself black, but mean where the network is as it was drawn, and for dagmm."
        ),
        Option(
            "score", Explainer.Score.self, standard: .detector,
            "What is explained: the detector's score, or that of the method's own classifier."),
        Option("raw", nil, "Write each map as .npy (float32) too."),
        Option("quiet", nil, "No progress."),
    ] + RunOptions.deviceOptions, takesWords: true
) { arguments in
    guard let name = arguments["model"], let out = arguments["out"] else {
        throw OCCError(.usage, "explain needs --model and --out")
    }
    guard !arguments.positionals.isEmpty else {
        throw OCCError(.usage, "name image files or folders of them")
    }
    let method = arguments.value("method", as: ExplanationMethod.self) ?? .integratedGradients
    let model = try OneClassModel.load(modelPath(name), device: try RunOptions.device(arguments))
    let explainer = try Explainer(
        model, score: arguments.value("score", as: Explainer.Score.self) ?? .detector)
    let writer = try PictureFolder(out)
    warn("out", out, liesIn: arguments.positionals)
    let baseline = arguments.value("baseline", as: Explainer.Baseline.self)
    guard method == .integratedGradients || baseline == nil else {
        throw OCCError(.usage, "--baseline does nothing: grad-cam has no path", remedy: "Leave it out.")
    }
    try emit(
        CSV.row([
            "file", "score", "baseline", "baseline_score", "steps", "completeness_error", "scale_top",
            "picture",
        ]))
    var missing: [Double] = [], below = 0
    try forEachPortion(of: arguments.positionals, for: model, portion: 16) { images, paths, _ in
        for (index, path) in paths.enumerated() {
            let image = images.image(index)
            let why =
                try method == .gradCAM
                ? explainer.gradCAM(of: image)
                : explainer.integratedGradients(of: image, from: baseline)
            let (shown, top) = why.shown
            let picture = Overlay.picture(image, map: shown, range: 0...top)
            let drawn = method == .gradCAM ? DrawnPicture.gradCAM : .integratedGradients
            let file = try writer.write(picture.encodedPNG(), drawn, of: path)
            if arguments.has("raw") {
                try writer.write(Overlay.npy(why.map, width: why.side), "\(method.rawValue).npy", of: path)
            }
            func text<T>(_ value: T?) -> String { value.map { "\($0)" } ?? "" }
            let numbers = [
                text(why.score), text(why.baseline?.rawValue), text(why.baselineScore), text(why.steps),
                text(why.completenessError), text(top),
            ]
            if let error = why.completenessError, error > worstCompleteness { missing.append(error) }
            if let start = why.baselineScore, why.score <= start { below += 1 }
            try emit(CSV.row([path] + numbers + [file]))
        }
    }
    if below > 0 {
        say(
            "warning: \(counted(below, "image")) \(below == 1 ? "scores" : "score") no higher than the baseline, so that the picture shows what "
                + "lowers the score from there; try another --baseline or --method grad-cam, or localize where the model is one of patches"
        )
    }
    if let worst = missing.max() {
        let percent = String(format: "%.0f %%", 100 * worst)
        say(
            "warning: \(counted(missing.count, "explanation")) \(missing.count == 1 ? "leaves" : "leave") out part of the difference of the scores, up to \(percent): the score "
                + "bends too sharply on the path; try another --baseline, or --method grad-cam")
    }
}

/// The share of the scores' difference that an explanation may miss without a warning.
private let worstCompleteness = 0.02
