import Foundation
import OCCCommandLine
import OneClass

let exportCommand = Command(
    name: "export",
    summary: "Writes a model for other programs: from an image's bytes to its score, p-value, alarm and map.",
    usage: "--model FILE --onnx FILE",
    examples: ["occ-gpu export --model runs/bottle --onnx bottle.onnx"],
    options: [
        Option("model", "FILE", "A model file, or the folder of its run."),
        Option("onnx", "FILE", "Where the ONNX file goes."),
        Option("quiet", nil, "No progress."),
    ] + ThresholdOptions.options
) { arguments in
    guard let name = arguments["model"], let path = arguments["onnx"] else {
        throw OCCError(.usage, "export needs --model and --onnx")
    }
    let model = try ThresholdOptions.model(name, arguments)
    let files = [path, modelPath(name)].map { URL(fileURLWithPath: $0).resolvingSymlinksInPath() }
    guard files[0] != files[1] else {
        throw OCCError(.usage, "\(path): is the model itself", remedy: "Give another file to --onnx.")
    }
    ThresholdOptions.announce(model)
    let bytes = try model.onnx()
    try AtomicFile.write(bytes, to: path)
    say("wrote \(path): \(formatBytes(bytes.count)), ONNX opset 17, input images uint8 [N,H,W,3]")
}
