import OCCCommandLine
import OneClass

/// The options that move a model's threshold where it is used, without training again.
enum ThresholdOptions {
    static let options = [
        Option(
            "false-alarm-rate", "SHARE",
            "Raise alarms at another rate of false alarms than the model was trained with, by its held-out scores. "
                + "It is above 0 and below 1."
        ) { (text) throws(SettingError) in
            _ = try SettingRange.between(0, 1).value(text, as: Double.self, of: "false-alarm-rate")
        },
        Option(
            "threshold", "SCORE", "Raise an alarm at any score above this one. It is -1e300 to 1e300."
        ) { (text) throws(SettingError) in
            _ = try SettingRange.within(-1e300...1e300).value(text, as: Double.self, of: "threshold")
        },
    ]

    /// Loads the model of a run or file, with the threshold that the options say, and says what an alarm means.
    ///
    /// - Throws: `OCCError(.usage)` for a rate that the model cannot promise, and as loading does.
    ///
    /// - Parameter isReference: whether it computes on the CPU, in the strict mode, whatever it was trained with.
    static func model(
        _ name: String, _ arguments: Arguments, isReference: Bool = false
    ) throws -> OneClassModel {
        let (rate, threshold) = try given(arguments)
        let model = try OneClassModel.load(
            modelPath(name), device: isReference ? .cpu() : try RunOptions.device(arguments),
            math: isReference ? .strict : nil)
        if let rate { try model.setThreshold(falseAlarmRate: rate) }
        if let threshold { try model.setThreshold(threshold) }
        return model
    }

    /// Loads the detector of features of a file, with the threshold that the options say.
    static func featureModel(_ name: String, _ arguments: Arguments) throws -> FeatureModel {
        let (rate, threshold) = try given(arguments)
        var model = try FeatureModel.load(modelPath(name))
        if let rate { try model.setThreshold(falseAlarmRate: rate) }
        if let threshold { try model.setThreshold(threshold) }
        return model
    }

    private static func given(_ arguments: Arguments) throws -> (rate: Double?, threshold: Double?) {
        let rate = arguments.value("false-alarm-rate", as: Double.self)
        let threshold = arguments.value("threshold", as: Double.self)
        guard rate == nil || threshold == nil else {
            throw OCCError(
                .usage, "--false-alarm-rate and --threshold both say when there is an alarm",
                remedy: "Give one.")
        }
        return (rate, threshold)
    }

    /// Says what the column `alarm` of a model's rows means, or why it is empty.
    static func announce(_ model: OneClassModel) { announce(model.calibration) }

    /// The same by a model's calibration.
    static func announce(_ calibration: ThresholdCalibration) {
        guard let threshold = calibration.threshold else {
            return say(
                "warning: the model has no threshold, so that alarm and p_value are empty: it was trained with "
                    + "nothing held out. Give --threshold, or train without --hold-out 0 or with --calibration cross."
            )
        }
        let (stated, summary) = (calibration.isStated, calibration.summary)
        say("alarm is true for scores above \(stated ? summary : "\(threshold): \(summary)")")
        if !stated, let shortfall = calibration.promise.shortfall { say("warning: \(shortfall)") }
    }
}
