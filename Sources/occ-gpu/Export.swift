import CKernels
import Foundation
import OCCCommandLine
import OneClass

let exportCommand = Command(
    name: "export",
    summary: "Writes a model for other programs: from an image's bytes to its score, p-value, alarm and map.",
    usage: "--model FILE --onnx FILE | --torch FOLDER",
    examples: [
        "occ-gpu export --model runs/bottle --onnx bottle.onnx",
        "occ-gpu export --model runs/bottle --torch bottle    # then, in Python: from bottle.occ_model import load",
    ],
    options: [
        Option("model", "FILE", "A model file, or the folder of its run."),
        Option(
            "onnx", "FILE",
            "Where an ONNX file goes. It is compared with the model where ONNX Runtime's library is found."),
        Option("torch", "FOLDER", "Where a Python module for PyTorch goes, and the file of its arrays."),
        Option("quiet", nil, "No progress."),
    ] + ThresholdOptions.options
) { arguments in
    guard let name = arguments["model"], arguments["onnx"] != nil || arguments["torch"] != nil else {
        throw OCCError(.usage, "export needs --model, and --onnx or --torch")
    }
    let model = try ThresholdOptions.model(name, arguments, isReference: true)
    ThresholdOptions.announce(model)
    if let path = arguments["onnx"] {
        let files = [path, modelPath(name)].map { URL(fileURLWithPath: $0).resolvingSymlinksInPath() }
        guard files[0] != files[1] else {
            throw OCCError(.usage, "\(path): is the model itself", remedy: "Give another file to --onnx.")
        }
        try exportONNX(model, to: path)
    }
    if let folder = arguments["torch"] {
        let files = try model.writeTorch(to: folder)
        say("wrote \(files.joined(separator: " and ")), which take torch and safetensors")
    }
}

/// Writes an ONNX file once ONNX Runtime, where it is found, says of it what the model says.
private func exportONNX(_ model: OneClassModel, to path: String) throws {
    let bytes = try model.onnx()
    var check = "not checked: \(path) is no regular file"
    try AtomicFile.write(bytes, to: path) { temporary in
        let folders = ck_setting(CK_SETTING_ONNXRUNTIME_PATH).map { String(cString: $0) }
        let runtime: ONNXRuntime
        do { runtime = try ONNXRuntime(in: folders) } catch let error as OCCError {
            check =
                "not checked against the model: \(error.problem). To have it checked: \(error.advice ?? "")"
            return
        }
        let (images, difference) = try model.checkONNX(temporary, named: path, by: runtime)
        check = String(
            format:
                "checked by ONNX Runtime \(runtime.version) on \(counted(images, "drawn image")): differs from the model by %.1e at "
                + "most", difference)
    }
    say("wrote \(path): \(formatBytes(bytes.count)), ONNX opset 17, input images uint8 [N,H,W,3]")
    say(check)
}
