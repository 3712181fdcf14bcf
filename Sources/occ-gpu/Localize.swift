import Foundation
import OCCCommandLine
import OneClass

let localizeCommand = Command(
    name: "localize",
    summary: "Shows where images are anomalous: an overlay for each, and the raw maps where wanted.",
    usage: "--model FILE --out FOLDER [IMAGE|FOLDER...]",
    examples: [
        "occ-gpu localize --model runs/bottle --out pictures incoming/",
        "occ-gpu localize --model runs/cloth --out pictures --full-size roll-of-cloth.png",
        "occ-gpu localize --model runs/bottle --out pictures --regions regions.jsonl --masks masks incoming/",
        "occ-gpu localize --model runs/bottle --out pictures --raw    # the test images of its data set",
    ],
    options: [
        Option("model", "FILE", "A model file, or the folder of its run."),
        Option("out", "FOLDER", "Where the pictures go."),
        Option(
            "data", "PATH",
            "Without images: take the test images of another data set of the same layout. With --full-size: where the "
                + "data set of the model is now."),
        Option(
            "full-size", nil,
            "Take images as large as they are, in tiles of the size that was trained on, instead of resizing them. The "
                + "threshold is then by the held-out images as large as they are."
        ),
        Option(
            "regions", "FILE",
            "Write the regions above the threshold, a line of JSON an image: box, area, peak, mean and p-value."
        ),
        Option("masks", "FOLDER", "Write a PNG for each image: 255 above the threshold, 0 elsewhere."),
        Option("raw", nil, "Write each map as .npy (float32) and 16-bit .png too."),
        Option("quiet", nil, "No progress."),
    ] + ThresholdOptions.options + RunOptions.deviceOptions, takesWords: true
) { arguments in
    guard let name = arguments["model"], let out = arguments["out"] else {
        throw OCCError(.usage, "localize needs --model and --out")
    }
    let model = try ThresholdOptions.model(name, arguments)
    try model.requireLocalizing()
    let writer = try PictureFolder(out)
    let inputs =
        arguments.positionals.isEmpty
        ? [arguments["data"] ?? model.configuration.data] : arguments.positionals
    warn("out", out, liesIn: inputs)
    ThresholdOptions.announce(model)
    let middle =
        model.mapCalibration.threshold == nil
        ? "the highest of some training images' maps" : "the threshold of maps"
    say(
        String(
            format:
                "scale of the pictures: %g (an ordinary \(model.mapUnit.rawValue)) to %g; \(middle), %g, is in the middle",
            model.scale.lowerBound, model.scale.upperBound, model.alarmScore))
    try emit(CSV.row(ScoreRow.columns + ["picture"]))
    let regions = try RegionOutput(model, regions: arguments["regions"], masks: arguments["masks"])
    if let masks = arguments["masks"] { warn("masks", masks, liesIn: inputs) }
    // Also where files could not be used, and where the command ends early.
    defer { regions?.finish() }
    /// - Parameters:
    ///   - map: the map over the image as it is, which may be larger than what the model saw.
    ///   - calibrations: those for images of its size; nil where there are none.
    func write(
        _ found: OneClassModel.Localized, _ map: [Float], _ image: RGBImage, _ name: String, _ mask: [UInt8]?,
        _ calibrations: FullSizeCalibration.Pair?
    ) throws {
        let picture = Overlay.picture(
            image, map: map, range: model.scale, mask: mask,
            threshold: (calibrations?.maps ?? model.mapCalibration).threshold, numbers: true)
        let path = try writer.write(picture.encodedPNG(), .overlay, of: name)
        if arguments.has("raw") {
            let width = found.map.count == map.count ? image.width : model.side
            try writer.write(Overlay.npy(found.map, width: width), "npy", of: name)
            try writer.write(Overlay.png16(found.map, width: width, range: model.scale), .map, of: name)
        }
        try regions?.add(map, width: image.width, score: found.score, calibrations?.maps, of: name)
        let row = ScoreRow(
            name, found.score, calibrations?.scores ?? model.calibration,
            isCalibrated: calibrations != nil)
        try emit(CSV.row(row.fields + [path]))
    }
    let own = FullSizeCalibration.Pair(scores: model.calibration, maps: model.mapCalibration)
    if arguments.has("full-size") {
        guard !arguments.positionals.isEmpty else {
            throw OCCError(.usage, "--full-size is for images: name files or folders of them")
        }
        var unusable = UnusableFiles()
        let thresholds = FullSizeThresholds(model, arguments)
        let paths = try imagePaths(arguments.positionals)
        for path in paths {
            try unusable.attempt(path) {
                let image = try RGBImage(
                    bytes: try readFile(path), name: path, white: model.configuration.white)
                let found = try model.localize(image)
                try write(found, found.map, image, path, nil, thresholds.calibration(of: found, image))
            }
        }
        thresholds.finish()
        return try unusable.finish(of: paths.count)
    }
    guard arguments.positionals.isEmpty else {
        let loading = model.imageLoading
        return try forEachPortion(of: arguments.positionals, for: model, portion: 16) {
            images, paths, unusable in
            for (path, found) in zip(paths, try model.localize(images)) {
                // It is read again, as large as it is, and may be gone or another by now.
                try unusable.attempt(path) {
                    let image = try RGBImage(bytes: try readFile(path), name: path, white: loading.white)
                    let map = mapOverImage(
                        found.map, side: model.side, width: image.width, height: image.height,
                        fit: loading.fit)
                    try write(found, map, image, path, nil, own)
                }
            }
        }
    }
    let split = try testSplit(of: model, arguments)
    for first in stride(from: 0, to: split.test.count, by: 16) {
        let range = first..<min(first + 16, split.test.count), images = split.test.subset(range)
        for (place, found) in try model.localize(images).enumerated() {
            let index = first + place, mask = split.testLabels[index] == 1 ? split.testMasks[index] : nil
            try write(
                found, found.map, images.image(place), split.testNames[index], mask, own)
        }
    }
}
