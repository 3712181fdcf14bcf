import Foundation
import OCCEngine
import OneClass
import TestSupport
import Testing

/// Thresholds that are moved where a model is used.
extension CommandLineTests {
    @Test func thresholdsMoveWithoutTraining() throws {
        let folder = try TemporaryFolder(), out = folder.file("run")
        try smallDataset(in: folder)
        #expect(
            try run(["train", "--data", folder.file("data"), "--out", out] + smallRun, in: folder).status == 0
        )
        let before = try readFile("\(out)/model.safetensors")
        let scores = try OneClassModel.load("\(out)/model.safetensors").calibration.scores
        #expect(scores.count == 2)
        func score(_ more: [String]) throws -> Outcome {
            try run(
                ["score", "--model", out, "--device", "cpu"] + more + [folder.file("data/test")], in: folder)
        }
        // One in three is what two scores can promise; at two in three the threshold is the lower one.
        let strict = try score(["--false-alarm-rate", "0.3"])
        #expect(strict.status == 64 && strict.output.isEmpty)
        for part in ["--false-alarm-rate", "2 normal images", "0.333", "--hold-out"] {
            #expect(strict.errors.contains(part), "\(part): \(strict.errors)")
        }
        let loose = try score(["--false-alarm-rate", "0.67"])
        #expect(loose.status == 0 && loose.errors.contains("alarm is true for scores above \(scores[0])"))

        // Just below and above an image's score.
        let rows = loose.output.split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
        let value = try #require(rows.compactMap { Double($0[1]) }.max())
        for (threshold, alarms) in [(value.nextDown, 1), (value, 0)] {
            let stated = try score(["--threshold", "\(threshold)"])
            #expect(
                stated.status == 0 && stated.errors.contains("\(threshold) as stated"), "\(stated.errors)")
            #expect(stated.output.components(separatedBy: ",true").count - 1 == alarms)
        }
        let low = try score(["--threshold=\(scores[0] - 1)"])
        #expect(low.status == 64 && low.errors.contains("every image would be an alarm"))
        let both = try score(["--threshold", "1", "--false-alarm-rate", "0.5"])
        #expect(both.status == 64 && both.errors.contains("Give one"))

        let evaluated = try run(["evaluate", out, "--threshold", "\(value)", "--json"], in: folder)
        #expect(evaluated.status == 0, "\(evaluated.errors)")
        #expect(evaluated.output.contains("\"thresholdIsStated\" : true"))
        #expect(evaluated.output.contains("\"testDetections\" : 0"))
        #expect(try readFile("\(out)/model.safetensors") == before)
    }

    /// Without calibration scores a threshold can be stated, and a rate cannot.
    @Test func statedThresholdsNeedNoScores() throws {
        let none = ThresholdCalibration(scores: [], falseAlarmRate: nil)
        #expect(throws: OCCError.self) { try none.at(falseAlarmRate: 0.5) }
        let stated = try none.at(threshold: 3)
        #expect(stated.isAlarm(3.5) == true && stated.isAlarm(3) == false && stated.pValue(4) == nil)
        #expect(stated.summary.contains("nothing was held out"))
        // Of nine scores three are above: the promise of rank 6, (9 + 1 - 6) / (9 + 1).
        let nine = ThresholdCalibration(scores: (1...9).map(Double.init), falseAlarmRate: nil)
        let six = try nine.at(threshold: 6.5)
        #expect(six.promise.rank == 6 && six.promise.rate == 0.4 && six.threshold == 6.5)
        #expect(try nine.at(threshold: 100).promise.rate == 0.1)
        #expect(try nine.at(falseAlarmRate: 0.4).threshold == 6)
    }
}
