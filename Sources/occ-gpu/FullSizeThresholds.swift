import OCCCommandLine
import OneClass

/// What `localize --full-size` says of alarms: by the model's held-out images as large as they are, which are scored when the
/// first image needs it.
final class FullSizeThresholds {
    private let model: OneClassModel
    private let arguments: Arguments
    /// The thresholds, or why there are none.
    private var found: Result<FullSizeCalibration, Missing>?
    private var others = 0

    /// Why there are no thresholds.
    private struct Missing: Error {
        let why: String
    }

    init(_ model: OneClassModel, _ arguments: Arguments) {
        (self.model, self.arguments) = (model, arguments)
    }

    /// The calibrations for an image; nil where there are none for its size, or a person states the threshold, which says
    /// nothing of p-values of other sizes.
    ///
    /// - Throws: `OCCError(.inputOutput)` where the disk fails.
    func calibration(of localized: OneClassModel.Localized, _ image: RGBImage) throws
        -> FullSizeCalibration.Pair?
    {
        let own = model.calibration
        if localized.isCalibrated {
            return FullSizeCalibration.Pair(scores: own, maps: model.mapCalibration)
        }
        guard own.threshold != nil, !own.isStated else { return nil }
        let thresholds = try found ?? find()
        found = thresholds
        let calibration = (try? thresholds.get())?.calibration(width: image.width, height: image.height)
        if calibration == nil { others += 1 }
        return calibration
    }

    /// Says in the end of which images nothing is said about alarms, and why.
    func finish() {
        guard others > 0, let found else { return }
        let why: String
        switch found {
        case .failure(let missing): why = missing.why
        case .success(let thresholds):
            let sizes = thresholds.sizes.prefix(3).map { "\($0.width) x \($0.height)" }
            why = "no held-out image has their size; those have \(sizes.joined(separator: ", "))"
        }
        say(
            "note: of \(counted(others, "image")) of another size than \(model.side) x \(model.side) alarm and p_value are empty: "
                + "among more patches the highest score is higher in normal images too, and \(why). Else "
                + "give --threshold SCORE, or leave --full-size out.")
    }

    private func find() throws -> Result<FullSizeCalibration, Missing> {
        guard model.configuration.calibration == .split else {
            return .failure(
                Missing(
                    why: "the threshold is by folds, without held-out images: train with --calibration split")
            )
        }
        guard let digest = model.dataDigest else {
            return .failure(
                Missing(
                    why:
                        "the model's file does not say which images it was trained on, as an older version wrote it: "
                        + "train again"))
        }
        do {
            let split = try testSplit(of: model, arguments)
            guard digest == split.trainingDigest else {
                return .failure(
                    Missing(
                        why:
                            "the images in \(arguments["data"] ?? model.configuration.data) are not those that the model "
                            + "was trained on: give their folder by --data"))
            }
            guard split.calibrationNames.allSatisfy({ FileKind($0) == .file }) else {
                return .failure(Missing(why: "the held-out images are no files of their own"))
            }
            let thresholds = try FullSizeCalibration(model, heldOut: split.calibrationNames)
            for size in thresholds.sizes {
                guard let own = thresholds.calibration(width: size.width, height: size.height)?.scores,
                    let threshold = own.threshold
                else { continue }
                say(
                    "of images of \(size.width) x \(size.height) alarm is true for scores above \(threshold): "
                        + own.summary)
                if let shortfall = own.promise.shortfall { say("warning: \(shortfall)") }
            }
            return .success(thresholds)
        } catch let error as OCCError where error.kind != .inputOutput {
            return .failure(
                Missing(why: "the held-out images cannot be had: \(error.message). \(error.remedy ?? "")"))
        }
    }
}
