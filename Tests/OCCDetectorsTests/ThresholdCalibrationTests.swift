import OCCDetectors
import TestSupport
import Testing

@Suite struct ThresholdCalibrationTests {
    /// The promise itself: over many draws of held-out and new scores, alarms come no more often than the
    /// rate, and (with distinct scores) not much less often than rate - 1 / (n + 1).
    @Test(arguments: [(99, 0.01), (100, 0.01), (19, 0.1), (40, 0.05), (500, 0.02)])
    func falseAlarmsKeepThePromise(_ count: Int, _ rate: Double) {
        var random = TestRandom(UInt64(count))
        let trials = 20_000
        var alarms = 0
        for _ in 0..<trials {
            let scores = (0..<count).map { _ in random.uniform() }
            if ThresholdCalibration(scores: scores, falseAlarmRate: rate).isAlarm(random.uniform()) {
                alarms += 1
            }
        }
        let share = Double(alarms) / Double(trials),
            deviation = (rate * (1 - rate) / Double(trials)).squareRoot()
        #expect(share <= rate + 4 * deviation)
        #expect(share >= rate - 1 / Double(count + 1) - 4 * deviation)
    }

    @Test func tooFewScoresNeverRaiseAnAlarm() {
        let few = ThresholdCalibration(scores: [1, 2, 3], falseAlarmRate: 0.01)
        #expect(!few.isSufficient)
        #expect(!few.isAlarm(1e300))
        #expect(few.neededCount == 99)
        #expect(
            ThresholdCalibration(scores: Array(repeating: 0, count: 99), falseAlarmRate: 0.01).isSufficient)
        #expect(
            !ThresholdCalibration(scores: Array(repeating: 0, count: 98), falseAlarmRate: 0.01).isSufficient)
    }

    /// p-values by their definition, ties included; and an alarm is a p-value at most the rate.
    @Test func pValuesCountScores() {
        let scores: [Double] = [3, 1, 2, 2, 5, 4, 2, 9, 8, 7, 6, 0, 1, 3, 4, 5, 6, 7, 8]
        let calibration = ThresholdCalibration(scores: scores, falseAlarmRate: 0.1)
        for query in stride(from: -1.0, through: 10, by: 0.5) {
            let expected = Double(1 + scores.count { $0 >= query }) / Double(1 + scores.count)
            #expect(calibration.pValue(query) == expected)
            #expect(calibration.isAlarm(query) == (expected <= 0.1))
        }
    }
}
