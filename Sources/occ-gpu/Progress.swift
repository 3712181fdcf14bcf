import Foundation
import OCCCommandLine
import OneClass

/// How a run is going: one line that renews itself on a terminal, a plain line now and then elsewhere.
final class Progress {
    private let isTerminal = isatty(2) == 1
    private let quiet: Bool
    private let start = Date()
    private var firstStep: Int?
    private var last = Date.distantPast
    private var open = false

    init(quiet: Bool) { self.quiet = quiet }

    func show(_ record: StepRecord) {
        guard !quiet else { return }
        let now = Date(), done = record.step == record.totalSteps
        guard done || now.timeIntervalSince(last) >= (isTerminal ? 0.2 : 10) else { return }
        last = now
        firstStep = firstStep ?? record.step
        let steps = Double(record.step - firstStep!), elapsed = now.timeIntervalSince(start)
        let left =
            steps > 0 ? duration(elapsed / steps * Double(record.totalSteps - record.step)) + " left" : ""
        let text =
            String(
                format: "step %d of %d  loss %.4f  rank %.1f  %.0f images/s", record.step, record.totalSteps,
                record.loss,
                record.collapse.effectiveRank, record.imagesPerSecond) + (done ? "" : "  " + left)
        guard isTerminal else { return say(text) }
        let share = Double(record.step) / Double(max(1, record.totalSteps)), cells = 20
        let filled = Int(share * Double(cells))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: cells - filled)
        FileHandle.standardError.write(Data("\r\u{1B}[K\(bar) \(text)".utf8))
        open = true
        if done { finish() }
    }

    /// Ends an open line.
    func finish() {
        if open { say("") }
        open = false
    }

    private func duration(_ seconds: Double) -> String {
        let total = Int(seconds.rounded())
        return total < 60
            ? "\(total) s" : total < 3600 ? "\(total / 60) min" : "\(total / 3600) h \(total % 3600 / 60) min"
    }
}
