import Foundation
import OCCData
import OCCEngine

/// A folder of event files that TensorBoard shows: what metrics.jsonl has, step by step, and in the end the
/// evaluation with some maps.
///
/// Every process that trains begins a file of its own, which says from which step on those before it do not
/// count: a resumed run has no step twice.
public final class TensorBoardLog {
    /// The folder.
    public let folder: String
    private let first: Int
    private var file: EventFile?

    private static let mark = "events.out.tfevents."
    private static let evaluationEnding = ".occ-gpu.evaluation"

    /// Prepares the folder for a run that goes on after `step`, or begins after 0. An earlier evaluation
    /// goes: the run ends with another one.
    ///
    /// - Throws: `OCCError(.cannotCreate)` or `.inputOutput` naming the folder or a file.
    public init(_ folder: String, resumingAt step: Int) throws {
        self.folder = folder
        first = step + 1
        try createFolder(folder, remedy: "Choose another \(setting: "tensorboard").")
        for name in try folderNames(folder)
        where name.hasPrefix(Self.mark) && name.hasSuffix(Self.evaluationEnding) {
            let code = removeFile("\(folder)/\(name)")
            guard code == 0 || code == ENOENT else {
                throw OCCError(.inputOutput, "\(folder)/\(name): cannot be removed (\(errnoText(code)))")
            }
        }
    }

    /// Appends what a step reports.
    ///
    /// - Throws: `OCCError(.inputOutput)` or `.cannotCreate` naming the file.
    public func append(_ record: StepRecord) throws {
        var scalars = [
            ("training/loss", record.loss), ("training/learning_rate", record.learningRate),
            ("training/images_per_second", record.imagesPerSecond),
            ("collapse/effective_rank", record.collapse.effectiveRank),
            ("collapse/spread", record.collapse.spread),
            ("collapse/gradient_norm", record.collapse.gradientNorm),
        ]
        if let sphere = record.sphere {
            scalars += [("sphere/alignment", sphere.alignment), ("sphere/uniformity", sphere.uniformity)]
        }
        // A run that has nothing left to do makes no file.
        let file = try self.file ?? create(ending: ".occ-gpu", from: first)
        self.file = file
        try file.append(TensorBoardEvent(step: record.step, .scalars(scalars)))
    }

    /// Writes how the model does on its test images, and the maps of a few of them where it localizes.
    ///
    /// - Parameter step: the number of steps that it was trained for.
    public func append(
        _ evaluation: Evaluation, of model: OneClassModel, on split: OneClassSplit, _ scored: ScoredTest,
        step: Int
    ) throws {
        let scalars = [
            ("auroc", evaluation.auroc), ("average_precision", evaluation.averagePrecision),
            ("pixel_auroc", evaluation.pixelAUROC), ("aupro", evaluation.aupro),
            ("auroc_untrained", evaluation.untrainedAUROC), ("auroc_raw_pixels", evaluation.rawPixelAUROC),
        ].compactMap { name, value in value.map { (name: "evaluation/\(name)", value: $0) } }
        let pictures = try Self.pictures(model, split, scored)
        guard !scalars.isEmpty || !pictures.isEmpty else { return }
        // What was trained counts as it is: this file takes nothing back.
        let file = try create(ending: Self.evaluationEnding, from: nil)
        if !scalars.isEmpty { try file.append(TensorBoardEvent(step: step, .scalars(scalars))) }
        for picture in pictures {
            try file.append(
                TensorBoardEvent(
                    step: step,
                    .picture(
                        name: picture.name, width: picture.image.width, height: picture.image.height,
                        png: try picture.image.encodedPNG())))
        }
    }

    /// The anomalies with the highest scores and the one with the lowest, and the normal images with the
    /// highest, each beside its map.
    private static func pictures(_ model: OneClassModel, _ split: OneClassSplit, _ scored: ScoredTest) throws
        -> [(name: String, image: RGBImage)]
    {
        guard let maps = scored.maps else { return [] }
        let order = scored.scores.indices.sorted { scored.scores[$0] > scored.scores[$1] }
        let outliers = order.filter { split.testLabels[$0] == 1 }
        let normals = order.filter { split.testLabels[$0] == 0 }
        let chosen = outliers.prefix(3) + outliers.dropFirst(3).suffix(1) + normals.prefix(2)
        return chosen.enumerated().map { place, index in
            let name = fileName(split.testNames[index])
            return (
                "maps/\(place + 1) \(split.testClasses[index]) \(name)",
                Overlay.picture(
                    split.test.image(index), map: maps[index], range: model.scale,
                    mask: split.testLabels[index] == 1 ? split.testMasks[index] : nil,
                    threshold: model.mapCalibration.threshold, numbers: true)
            )
        }
    }

    /// Begins a file; TensorBoard reads files in the order of their names, whatever the clock did meanwhile.
    ///
    /// - Parameter step: from which on the files before do not count; nil where all do.
    private func create(ending: String, from step: Int?) throws -> EventFile {
        let last = try folderNames(folder).compactMap { name -> Int? in
            guard name.hasPrefix(Self.mark) else { return nil }
            return Int(name.dropFirst(Self.mark.count).prefix { $0 != "." })
        }.max()
        let number = max(Int(Date().timeIntervalSince1970), (last ?? 0) + 1)
        let file = try EventFile(
            creating: "\(folder)/\(Self.mark)\(String(format: "%010d", number))\(ending)")
        try file.append(TensorBoardEvent(.version))
        if let step { try file.append(TensorBoardEvent(step: step, .start)) }
        return file
    }
}
