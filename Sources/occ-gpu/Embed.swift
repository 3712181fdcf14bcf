import OCCCommandLine
import OneClass

/// A part of a model's data set.
enum DataPart: String, CaseIterable {
    case train
    case heldOut = "held-out"
    case test
}

let embedCommand = Command(
    name: "embed",
    summary:
        "Writes the features that a model's encoder gives images, as a NumPy file; of a model of patches, theirs. Of a method without an encoder, what it scores by.",
    usage: "--model FILE --out FEATURES.npy [IMAGE|FOLDER...]",
    examples: [
        "occ-gpu embed --model runs/own --out new.npy incoming/",
        "occ-gpu embed --model runs/own --part train --out normal.npy    # of its data set",
    ],
    options: [
        Option("model", "FILE", "A model file, or the folder of its run."),
        Option(
            "out", "FILE",
            "A .npy file; a .paths.txt file beside it has a line for each row: what image it is of."),
        Option("part", DataPart.self, standard: .test, "Without images: which part of its data set."),
        Option("data", "PATH", "Without images: another data set of the same layout."),
    ] + RunOptions.deviceOptions + [Option("quiet", nil, "No progress.")], takesWords: true
) { arguments in
    guard let name = arguments["model"], let out = arguments["out"] else {
        throw OCCError(.usage, "embed needs --model and --out")
    }
    guard FeatureRows.isNamed(out) else {
        throw OCCError(.usage, "--out \(out): is not named .npy", remedy: "Give --out FEATURES.npy.")
    }
    let words = arguments.positionals
    guard words.isEmpty || arguments["part"] == nil && arguments["data"] == nil else {
        throw OCCError(.usage, "images, and --part or --data, are two ways: take one")
    }
    let model = try OneClassModel.load(modelPath(name), device: try RunOptions.device(arguments))
    let patches = model.grid?.count ?? 1, columns = try model.embeddingCount()
    var values: [Float] = [], names: [String] = []
    /// Refuses what there is no memory for before it is computed.
    func reserve(_ images: Int) throws {
        // The array and the file's bytes.
        let needed = 2 * 4 * images * patches * columns, free = try Device.availableHostMemory()
        guard needed <= free else {
            throw OCCError(
                .deviceUnavailable,
                "\(images) images of \(counted(patches, "row")) of \(counted(columns, "feature")) need \(formatBytes(needed)); "
                    + "\(formatBytes(free)) are free", remedy: "Give fewer images at a time.")
        }
        values.reserveCapacity(images * patches * columns)
    }
    func add(_ images: ImageBatch, _ own: [String]) throws {
        // A few images at a time: their features are on the device too.
        for first in stride(from: 0, to: images.count, by: portion(model)) {
            let some = images.subset(first..<min(first + portion(model), images.count))
            values += try model.embeddings(of: some).values
        }
        names += own.flatMap { [String](repeating: $0, count: patches) }
    }
    let result = Result {
        if words.isEmpty {
            let split = try testSplit(of: model, arguments)
            let (images, own) =
                switch arguments.value("part", as: DataPart.self) ?? .test {
                case .train: (split.train, split.trainNames)
                case .heldOut: (split.calibration, split.calibrationNames)
                case .test: (split.test, split.testNames)
                }
            try reserve(images.count)
            try add(images, own)
        } else {
            try reserve(try expandImagePaths(words).images.count)
            try forEachPortion(of: words, for: model, portion: 512) { images, paths, _ in
                try add(images, paths)
            }
        }
    }
    // Where some files cannot be read, the others are written, and it is an error in the end.
    if case .failure(let error) = result, (error as? OCCError)?.kind != .badData || names.isEmpty {
        throw error
    }
    let features = FeatureMatrix(rows: names.count, columns: columns, values: values)
    try FeatureRows.write(features, names: names, to: out)
    say(
        "wrote \(out): \(counted(features.rows, "row")) of \(counted(features.columns, "feature")), and \(FeatureRows.paths(of: out))"
    )
    try result.get()
}

/// Images whose features are computed at a time.
private func portion(_ model: OneClassModel) -> Int { model.grid == nil ? 1024 : 16 }
