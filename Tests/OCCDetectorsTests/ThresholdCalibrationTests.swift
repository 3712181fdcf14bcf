import Foundation
import OCCDetectors
import OCCEngine
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
            if ThresholdCalibration(scores: scores, falseAlarmRate: rate).isAlarm(random.uniform()) == true {
                alarms += 1
            }
        }
        let share = Double(alarms) / Double(trials),
            deviation = (rate * (1 - rate) / Double(trials)).squareRoot()
        #expect(share <= rate + 4 * deviation)
        #expect(share >= rate - 1 / Double(count + 1) - 4 * deviation)
    }

    /// The bound holds for 95 % of the calibrations, and not for clearly more: of uniform scores the rate is
    /// what lies above the threshold.
    @Test(arguments: [(1, nil), (20, 0.05), (52, nil), (99, 0.01), (300, 0.1)] as [(Int, Double?)])
    func boundsHoldWithTheirConfidence(_ count: Int, _ asked: Double?) throws {
        var random = TestRandom(UInt64(count))
        let trials = 4000, promise = FalseAlarmPromise(count: count, asked: asked)
        let bound = try #require(promise.bound())
        var held = 0
        for _ in 0..<trials {
            let scores = (0..<count).map { _ in random.uniform() }
            let threshold = try #require(
                ThresholdCalibration(scores: scores, falseAlarmRate: asked).threshold)
            if 1 - threshold <= bound { held += 1 }
        }
        let deviation = (0.95 * 0.05 / Double(trials)).squareRoot()
        #expect(abs(Double(held) / Double(trials) - 0.95) < 4 * deviation)
    }

    @Test func aRateThatIsNotAttainableBecomesTheLowestThatIs() {
        let few = ThresholdCalibration(scores: [1, 2, 3], falseAlarmRate: 0.01)
        #expect(few.threshold == 3)
        #expect(few.promise.rate == 0.25)
        #expect(few.promise.fallsShort && few.promise.neededCount == 99)
        #expect(few.promise.shortfall?.contains("99") == true)
        #expect(few.isAlarm(3) == false && few.isAlarm(3.1) == true)
        for (count, falls) in [(98, true), (99, false)] {
            let promise = FalseAlarmPromise(count: count, asked: 0.01)
            #expect(promise.fallsShort == falls)
            #expect(promise.rank == count)
        }
    }

    /// Without a rate asked for, it is 1 % or what is attainable; nothing falls short.
    @Test func theDefaultIsWhatCanBePromised() {
        for (count, rate) in [(1, 0.5), (20, 1.0 / 21), (98, 1.0 / 99), (99, 0.01), (5000, 0.01)] {
            let promise = FalseAlarmPromise(count: count, asked: nil)
            #expect(promise.rate == rate)
            #expect(!promise.fallsShort && promise.shortfall == nil)
        }
    }

    /// Without scores nothing is said about alarms, not even that there is none.
    @Test func noScoresNoAlarms() {
        let none = ThresholdCalibration(scores: [], falseAlarmRate: 0.05)
        #expect(none.threshold == nil && none.isAlarm(1e300) == nil && none.pValue(1) == nil)
        #expect(none.promise.rate == nil && none.promise.rank == nil && none.promise.bound() == nil)
        #expect(none.promise.summary.contains("no threshold"))
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

/// The promise of whole models, over drawn features: the small form of `occ-bench calibration`.
@Suite struct CalibrationSimulationTests {
    private func simulation(_ name: String) throws -> CalibrationSimulation {
        var result = CalibrationSimulation(try Detectors.registry.entry(name))
        (result.columns, result.queries) = (4, 200)
        // The promise is of any density: of one that is hardly trained, too.
        if name == "flow" { #expect(try result.detector.set(name: "flow-steps", text: "5")) }
        return result
    }

    @Test(arguments: Detectors.registry.names)
    func promisesAreKept(_ name: String) throws {
        for way in [CalibrationSimulation.Way.split(heldOut: 12), .cross(folds: 5)] {
            for outcome in try simulation(name).run(images: 40, way, rates: [0.05, 0.1, 0.2]) {
                let promise = try #require(outcome.promise.rate)
                #expect(
                    outcome.falseAlarms.value <= promise + 2 * outcome.falseAlarms.error,
                    "\(name), \(way), \(promise): \(outcome.falseAlarms)")
                // Of 200 seeds within a bound of 95 %: 91 % are three deviations fewer.
                if let within = outcome.withinBound { #expect(within > 0.9) }
            }
        }
    }

    /// What the folds are for: the images that a detector was fitted on score too low.
    @Test func ownScoresBreakThePromise() throws {
        for name in ["gaussian", "knn", "kde"] {
            let outcome = try simulation(name).run(images: 40, .own, rates: [0.05])[0]
            #expect(outcome.falseAlarms.value > 0.05 + 4 * outcome.falseAlarms.error, "\(name)")
        }
    }

    /// Where a split cannot promise the rate, folds can, and find as much.
    @Test func foldsPromiseMore() throws {
        let simulation = try simulation("gaussian")
        let split = try simulation.run(images: 40, .split(heldOut: 10), rates: [0.05])[0]
        let cross = try simulation.run(images: 40, .cross(folds: 5), rates: [0.05])[0]
        #expect(split.promise.fallsShort && !cross.promise.fallsShort)
        #expect(cross.falseAlarms.deviation < split.falseAlarms.deviation)
    }
}

/// Against scipy: Tests/Fixtures/make_beta_fixtures.py.
@Suite struct BetaDistributionTests {
    private struct Fixture: Decodable {
        let cumulative, quantiles, intervals, tails: [[Double]]
    }

    private static let fixture = Result {
        try JSONDecoder().decode(Fixture.self, from: Data(try readFile(fixturePath("beta.json"))))
    }

    private func close(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-10 * abs(b) + 1e-15 }

    @Test func tailsAgree() throws {
        for row in try Self.fixture.get().cumulative {
            let got = BetaDistribution(a: row[0], b: row[1]).cumulative(row[2])
            #expect(close(got, row[3]), "\(row): \(got)")
        }
    }

    @Test func quantilesAgree() throws {
        for row in try Self.fixture.get().quantiles {
            let got = BetaDistribution(a: row[0], b: row[1]).quantile(row[2])
            #expect(close(got, row[3]), "\(row): \(got)")
        }
        #expect(BetaDistribution(a: 2, b: 3).quantile(0) == 0)
        #expect(BetaDistribution(a: 2, b: 3).quantile(1) == 1)
    }

    @Test func intervalsAgree() throws {
        for row in try Self.fixture.get().intervals {
            let got = ObservedShare(count: Int(row[0]), of: Int(row[1])).interval()
            #expect(close(got.lowerBound, row[2]) && close(got.upperBound, row[3]), "\(row): \(got)")
        }
    }

    @Test func testsOfThePromiseAgree() throws {
        for row in try Self.fixture.get().tails {
            let (n, k) = (Int(row[0]), Int(row[1]))
            // The rate whose rank is k.
            let promise = FalseAlarmPromise(count: n, asked: Double(n + 1 - k) / Double(n + 1))
            #expect(promise.rank == k)
            let got = try #require(
                promise.probability(of: ObservedShare(count: Int(row[3]), of: Int(row[2]))))
            // scipy's far tails are what its sums leave: 1e-13, of 7e-49.
            #expect(close(got, row[4]) || abs(got - row[4]) < 1e-12, "\(row): \(got)")
        }
    }
}
