import Foundation
import OCCCommandLine
import OCCEngine
import OneClass
import TestSupport
import Testing

/// What is said of work, where, and when.
@Suite struct WorkReporterTests {
    /// What a reporter wrote, and what an observer was told.
    private final class Record: WorkObserver, @unchecked Sendable {
        private let lock = NSLock()
        private var text = ""
        private var open: [String] = []
        private var all: [String] = []

        var written: String { lock.withLock { text } }
        var log: [String] { lock.withLock { all } }
        func write(_ more: String) { lock.withLock { text += more } }
        func began(_ work: Work) {
            lock.withLock {
                open.append(work.name)
                all.append(
                    "\(open.joined(separator: "/")): \(work.total.map(String.init) ?? "?") \(work.unit)")
            }
        }
        func ended(_ work: Work) {
            lock.withLock {
                _ = open.popLast()
                all.append("\(work.name) ended at \(work.done)")
            }
        }
    }

    private func reported(terminal: Bool, seconds: Double) -> String {
        let record = Record(), reporter = WorkReporter(isTerminal: terminal) { record.write($0) }
        Work.$observer.withValue(reporter) {
            Work.track("runs", "runs", total: 2, hasParts: true) { _ in
                Work.track("training", "steps", total: 100, alreadyDone: 20) { work in
                    work.advance(by: 40)
                    work.detail = "loss 0.5"
                    Thread.sleep(forTimeInterval: seconds)
                }
            }
        }
        return record.written
    }

    @Test func elsewhereLinesAreWhole() {
        let lines = reported(terminal: false, seconds: 1.6).split(separator: "\n").map(String.init)
        #expect(lines.count == 2, "\(lines)")
        #expect(
            lines.first?.hasPrefix("runs: 0 of 2 runs, 1 s | training: 60 of 100 steps, ") == true, "\(lines)"
        )
        #expect(lines.first?.hasSuffix(" s left, loss 0.5") == true, "\(lines)")
        #expect(lines.last == "runs: in 2 s", "\(lines)")
    }

    @Test func aTerminalHasOneLine() {
        let text = reported(terminal: true, seconds: 1.6)
        #expect(text.hasPrefix("\r\u{1B}[Kruns: 0 of 2"), "\(text)")
        #expect(text.hasSuffix("\r\u{1B}[Kruns: in 2 s\n"), "\(text)")
        #expect(text.filter { $0 == "\n" }.count == 1)
    }

    @Test func shortWorkIsNotMentioned() {
        #expect(reported(terminal: true, seconds: 0.01) == "")
        #expect(reported(terminal: false, seconds: 0.01) == "")
    }

    @Test func durations() {
        let words = [0.4, 99, 130, 5990, 7320, 1e300].map { WorkReporter.words(.seconds(min($0, 1e12))) }
        #expect(words == ["0 s", "99 s", "2 min", "100 min", "2 h 2 min", "277777 h 46 min"])
    }

    /// Everything of a run that may take long is told of, from loading on, in order and to its end.
    @Test func aRunIsFollowed() throws {
        let record = Record()
        try Work.$observer.withValue(record) {
            var c = RunConfiguration()
            (c.method, c.encoder) = (CutPastePrediction(.rectangle), ResNet(.resnet10, width: 0.0625))
            (c.head, c.batch, c.steps, c.maxTrain, c.maxTest) = ([], 4, 3, 16, 12)
            (c.patch, c.stride, c.detector) = (16, 16, GaussianDensity())
            let split = try c.split(try c.dataset()), model = try OneClassModel.fit(split, configuration: c)
            _ = try Evaluation(model, on: split, rawPixels: true)
        }
        let begun = record.log.filter { !$0.contains("ended") },
            ended = record.log.filter { $0.contains("ended") }
        let held = 100 * 4
        #expect(
            begun == [
                "drawing: 1000 pictures", "drawing: 600 pictures", "training: 3 steps",
                "computing features: 64 patches", "fitting gaussian on 64 rows: ? ",
                "scoring: \(held) patches", "scoring: 48 patches", "raw pixels, for comparison: 12 images",
                "comparing 12 maps with masks: ? ", "comparing 12 maps with masks: ? ",
            ], "\(record.log)")
        #expect(ended.contains("training ended at 3"))
        #expect(ended.contains("drawing ended at 1000"))
        #expect(ended.contains("scoring ended at \(held)"))
        #expect(ended.contains("raw pixels, for comparison ended at 12"))
    }
}
