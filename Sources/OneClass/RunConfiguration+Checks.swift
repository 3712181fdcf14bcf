import Foundation
import OCCData
import OCCDetectors
import OCCEngine

/// What the ranges of single settings cannot say: settings that do not go together, and what they take together.
extension RunConfiguration {
    /// The values of a step's images at most: 64 GiB in single precision. Beyond, counts of operations overflow.
    private static let largestStep = 1 << 34
    /// The steps of a run at most: a step's number has 32 bits among the random numbers' counters.
    static let mostSteps = 1_000_000_000

    /// Checks settings against each other, as far as that needs no data.
    ///
    /// - Throws: `OCCError(.usage)` naming a setting.
    func checkCombinations() throws {
        if let scorePatch, patch == nil {
            throw OCCError(
                .usage, "\(setting: "score-patch") \(scorePatch): it is for models that learn from patches",
                remedy: "Give \(setting: "patch").")
        }
        if let stride {
            guard let scoredPatch, stride <= scoredPatch else {
                throw OCCError(
                    .usage, "\(setting: "stride") \(stride): it is for patches, and at most their side")
            }
        }
        if let imageSize {
            _ = try grid(side: imageSize)
            _ = try learnedGrid(side: imageSize)
        }
        if let side = patch ?? imageSize { try checkStep(side: side) }
        if let labeledNormals, let maxTrain, labeledNormals > maxTrain {
            throw OCCError(
                .usage,
                "\(setting: "labeled-normals") \(labeledNormals) is more than \(setting: "max-train") \(maxTrain)"
            )
        }
        try checkDetector(rows: mostRows, columns: 1)
        if calibration == .cross, let holdOut, holdOut > 0 {
            throw OCCError(
                .usage,
                "\(setting: "hold-out") \(holdOut): with \(setting: "calibration") cross nothing is held out",
                remedy: "Leave one of the two out.")
        }
        if detector is OwnScore, !(method is any OwnScoring) {
            let able = Methods.registry.entries.filter { $0 is any OwnScoring }.map(\.name)
            throw OCCError(
                .usage, "\(setting: "detector") own: the method \(method.name) has no score of its own",
                remedy: "Choose another detector, or one of the methods \(able.joined(separator: ", ")).")
        }
        if !method.trainsEncoder, !(detector is OwnScore) {
            throw OCCError(
                .usage,
                "\(setting: "detector") \(detector.name): the method \(method.name) does not train an encoder",
                remedy: "Choose the detector own, or another \(setting: "method").")
        }
        let curve = schedule ?? method.defaults.schedule
        guard curve != .milestones || milestones != nil || !method.defaults.milestones.isEmpty else {
            throw OCCError(
                .usage, "\(setting: "schedule") milestones: \(method.name) has none of its own",
                remedy: "Give \(setting: "milestones").")
        }
        // What would do nothing, and why, and what else to do than leave it out.
        let ignored: [(isGiven: Bool, setting: Wording, why: Wording, instead: Wording?)] = [
            (
                detector is OwnScore && calibration == .cross, "\(setting: "calibration") cross",
                "the folds would leave the training of \(method.name) as it is", nil
            ),
            (
                detector is OwnScore && layers != nil, "\(setting: "layers")",
                "\(method.name) scores by itself, not by the encoder's stages",
                "choose another \(setting: "detector")"
            ),
            (
                !method.trainsEncoder && weights != nil, "\(setting: "weights")",
                "\(method.name) has no encoder", nil
            ),
            (
                optimizerInForce.kind == .adam && nesterov, "\(setting: "nesterov")",
                "Adam does not look ahead", "give \(setting: "optimizer") sgd"
            ),
            (
                milestones != nil && curve != .milestones, "\(setting: "milestones")",
                "the \(setting: "schedule") is \(curve.rawValue)", "give \(setting: "schedule") milestones"
            ),
            (
                (holdSteps ?? 1) > 1 && curve != .cosine, "\(setting: "hold-steps")",
                "the \(setting: "schedule") is \(curve.rawValue)", "give \(setting: "schedule") cosine"
            ),
        ]
        if let found = ignored.first(where: \.isGiven) {
            throw OCCError(
                .usage, "\(found.setting) does nothing: \(found.why)",
                remedy: found.instead.map { "Leave it out, or \($0)." } ?? "Leave it out.")
        }
        if let outliers, normalized(outliers) == normalized(data) {
            throw OCCError(
                .usage, "\(setting: "outliers") \(outliers) is the data itself",
                remedy: "Give another data set: normal images must not be shown as outliers.")
        }
        switch (method.usesOutliers, outliers != nil) {
        case (true, false):
            throw OCCError(
                .usage, "\(setting: "method") \(method.name) needs images of something else",
                remedy: "Give \(setting: "outliers") a data set without the anomalies that are to be found.")
        case (false, true):
            let able = Methods.registry.entries.filter(\.usesOutliers).map(\.name)
            throw OCCError(
                .usage, "\(setting: "outliers"): the method \(method.name) does not learn from outliers",
                remedy: "Choose one of the methods \(able.joined(separator: ", ")).")
        default: break
        }
        if mapDetector != nil, patch != nil {
            throw OCCError(
                .usage,
                "\(setting: "patch") does not go with \(detector.name), which sees the maps of whole images",
                remedy: "Leave one of the two out.")
        }
        if locations == .each {
            guard patch != nil, detector.forEachLocation as (any Detector)? != nil else {
                let able = Detectors.registry.entries.filter { $0.forEachLocation as (any Detector)? != nil }
                throw OCCError(
                    .usage,
                    "\(setting: "locations") each needs \(setting: "patch"), and a detector that is for few rows: \(able.map(\.name).joined(separator: ", "))"
                )
            }
        }
    }

    /// A path without what makes two names of one place.
    private func normalized(_ path: String) -> String {
        path.contains(":") ? path : URL(fileURLWithPath: path).standardizedFileURL.path
    }

    /// The features that the detector is fitted on at most, as far as that is known without data: outliers come
    /// on top of the training images, and patches are many.
    private var mostRows: Int {
        guard patch == nil || locations == .each else { return .max }
        return min(labeledNormals ?? .max, contamination > 0 ? .max : maxTrain ?? .max)
    }

    /// Says which of the milestones that it is given a run on `images` training images does not reach; nil where it
    /// reaches all.
    package func lateMilestone(images: Int) -> String? {
        let total = totalSteps(images: images), each = stepsPerEpoch(images: images)
        guard total > 0, let late = milestones?.numbers.first(where: { $0 * each >= total }) else {
            return nil
        }
        return "the learning rate does not fall at milestone \(late): the run's \(total) steps end before, "
            + "at \(each) to an epoch"
    }

    /// Checks the size of a step on images or patches of this side.
    ///
    /// - Throws: `OCCError(.usage)` naming the batch.
    func checkStep(side: Int) throws {
        let rows = itemsPerStep * method.copies
        guard rows <= Self.largestStep / (side * side * 3) else {
            throw OCCError(
                .usage,
                "\(setting: "batch") \(itemsPerStep): a step of \(rows) views of \(side) x \(side) pixels is too large",
                remedy: "Lower \(setting: "batch").")
        }
    }

    /// Checks that the detector can be fitted on features of so many columns, as far as that needs no data.
    ///
    /// - Throws: `OCCError(.usage)` naming a setting.
    func checkDetector(columns: Int) throws { try checkDetector(rows: mostRows, columns: columns) }

    /// Asks the detector whether it can be fitted on so many rows, before anything is trained for it.
    ///
    /// - Parameters:
    ///   - rows: features there are at most; of one location, where each has its own detector.
    ///   - columns: of the features, at least.
    /// - Throws: `OCCError(.usage)` naming a setting.
    func checkDetector(rows: Int, columns: Int) throws {
        if locations == .each {
            try (detector.forEachLocation as (any Detector)?)?.checkRows(rows, columns: columns)
        } else {
            try detectorInForce.checkRows(min(rows, detectorRows), columns: columns)
        }
    }

    /// Checks that a detector can be fitted on images, and that there is memory for it.
    ///
    /// - Parameters:
    ///   - images: how many the detector is fitted on.
    ///   - grid: where their patches lie; nil for whole images.
    ///   - columns: of the features.
    /// - Throws: `OCCError(.usage)` naming a setting, `.deviceUnavailable` where there is too little memory.
    package func checkFit(images: Int, grid: PatchGrid?, columns: Int) throws {
        let each = locations == .each, patches = images * (grid?.count ?? 1)
        let detectors = calibration == .cross ? folds : 1
        guard detectors == 1 || images >= 2 * folds else {
            throw OCCError(
                .usage, "\(setting: "folds") \(folds): the detector is fitted on \(counted(images, "image"))",
                remedy: "Give two images to a fold at least: lower \(setting: "folds").")
        }
        // The largest fold's images are left out of its detector.
        let fitted = detectors == 1 ? images : images - (images + folds - 1) / folds
        try checkDetector(rows: each ? fitted : fitted * (grid?.count ?? 1), columns: columns)
        // Features; of one detector these once more, normalized, and in double precision. Then what each detector
        // takes besides: of Gaussians a covariance.
        let rows = min(patches, detectorRows)
        let own = detectorInForce.fittingMemory(rows: each ? fitted : rows, columns: columns)
        let besides = own * detectors * (each ? grid?.count ?? 1 : 1)
        let needed = columns * (each ? 4 * patches : 16 * rows) + besides
        let free = try Device.availableHostMemory()
        guard needed <= free else {
            let what: Wording =
                each
                ? "a detector for each of \(grid?.count ?? 1) locations"
                : "\(detector.name): \(rows) rows of \(columns) features"
            let remedy: Wording =
                each
                ? "Raise \(setting: "stride"), lower \(setting: "width"), or use \(setting: "locations") shared."
                : besides > needed / 2
                    ? "Lower \(setting: "width"), or choose another \(setting: "detector"), such as kde."
                    : "Lower \(setting: "detector-rows") or \(setting: "width")."
            throw OCCError(
                .deviceUnavailable, "\(what) need \(formatBytes(needed)); \(formatBytes(free)) are free",
                remedy: remedy)
        }
    }
}

extension TrainingPlan {
    /// Checks what can be checked before any data is read: that the networks can be built, and that the device
    /// has memory for the parameters and a step. Where the images' size is not known, the smallest there is
    /// stands for it.
    ///
    /// - Throws: `OCCError(.usage)` naming a setting, `.deviceUnavailable` where there is too little memory.
    public static func check(_ configuration: RunConfiguration, device: Device) throws {
        let side =
            configuration.imageSize ?? [configuration.patch, configuration.scorePatch].compactMap { $0 }.max()
            ?? ImageDataset.sides.lowerBound
        let training = try TrainingPlan(
            configuration, images: 1, outliers: configuration.outliers == nil ? 0 : 1, side: side,
            device: device)
        try configuration.checkDetector(columns: training.scoring.features.featureCount)
        try training.program.requireMemory()
    }
}
