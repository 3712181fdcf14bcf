import Foundation
import OneClass

/// Says how work goes on standard error: on a terminal in one line that renews itself, elsewhere in a line after the
/// first second and then now and then. Work of less than a second is not worth a line.
package final class WorkReporter: WorkObserver, @unchecked Sendable {
    private static let first = Duration.seconds(1)
    private static let interval = Duration.seconds(15)
    /// Whose line is open on the terminal.
    nonisolated(unsafe) private static weak var current: WorkReporter?

    private let isTerminal: Bool
    private let write: @Sendable (String) -> Void
    private let lock = NSLock()
    private var works: [Work] = []
    private var next = ContinuousClock.now
    private var isLineOpen = false
    private var timer: (any DispatchSourceTimer)?

    /// - Parameter write: takes what is to be written, line ends and all.
    package init(isTerminal: Bool, write: @escaping @Sendable (String) -> Void) {
        self.isTerminal = isTerminal
        self.write = write
    }

    deinit { timer?.cancel() }

    /// Runs a command, and reports its work unless that is not wanted.
    static func following(quiet: Bool, _ body: () throws -> Void) rethrows {
        guard !quiet else { return try body() }
        let reporter = WorkReporter(isTerminal: isatty(2) == 1, write: StandardStreams.writeError)
        current = reporter
        defer { current = nil }
        try Work.$observer.withValue(reporter, operation: body)
    }

    /// Makes room on the terminal for a line of something else.
    static func clearLine() { current?.clear() }

    package func began(_ work: Work) {
        lock.withLock {
            works.append(work)
            guard works.count == 1 else { return }
            next = .now + Self.first
            guard timer == nil else { return }
            let timer = DispatchSource.makeTimerSource()
            timer.schedule(deadline: .now() + 0.25, repeating: 0.25)
            timer.setEventHandler { [weak self] in self?.tick() }
            timer.resume()
            self.timer = timer
        }
    }

    package func ended(_ work: Work) {
        lock.withLock {
            works.removeAll { $0 === work }
            guard works.isEmpty else { return }
            timer?.cancel()
            timer = nil
            let elapsed = ContinuousClock.now - work.start
            guard elapsed >= Self.first else { return }
            let amount = work.done > work.alreadyDone ? " \(work.done - work.alreadyDone) \(work.unit)" : ""
            let detail = work.detail.isEmpty ? "" : ", \(work.detail)"
            show("\(work.name):\(amount) in \(Self.words(elapsed))\(detail)", stays: true)
        }
    }

    /// Shows how it goes, when it is time.
    private func tick() {
        lock.withLock {
            guard !works.isEmpty, ContinuousClock.now >= next else { return }
            next = .now + (isTerminal ? Self.first : Self.interval)
            var parts: [String] = []
            for work in works {
                parts.append(Self.text(work, elapsed: .now - work.start))
                if !work.hasParts { break }
            }
            show(parts.joined(separator: " | "), stays: false)
        }
    }

    private func show(_ text: String, stays: Bool) {
        guard isTerminal else { return write(text + "\n") }
        write("\r\u{1B}[K" + (stays ? text + "\n" : String(text.prefix(Self.columns - 1))))
        isLineOpen = !stays
    }

    private func clear() {
        lock.withLock {
            if isLineOpen { write("\r\u{1B}[K") }
            isLineOpen = false
        }
    }

    /// The width of the terminal.
    package static var columns: Int {
        var size = winsize()
        return ioctl(2, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 80
    }

    /// How work goes: what is done of what, the rate, the time left.
    package static func text(_ work: Work, elapsed: Duration) -> String {
        let done = work.done, new = done - work.alreadyDone, seconds = elapsed / .seconds(1)
        var parts: [String] = []
        switch work.total {
        case let total?: parts.append("\(done) of \(total) \(work.unit)")
        case nil where done > 0: parts.append("\(done) \(work.unit)")
        case nil: break
        }
        if new > 0, seconds > 0 {
            let rate = Double(new) / seconds
            parts.append(rate < 10 ? String(format: "%.1f/s", rate) : String(format: "%.0f/s", rate))
            if let total = work.total {
                parts.append("\(words(.seconds(Double(max(0, total - done)) / rate))) left")
            }
        } else {
            parts.append(words(elapsed))
        }
        if !work.detail.isEmpty { parts.append(work.detail) }
        return "\(work.name): \(parts.joined(separator: ", "))"
    }

    /// A duration in the units that matter.
    package static func words(_ duration: Duration) -> String {
        let total = Int(min(1e9, duration / .seconds(1)).rounded())
        switch total {
        case ..<100: return "\(total) s"
        case ..<6000: return "\((total + 30) / 60) min"
        default: return "\(total / 3600) h \(total % 3600 / 60) min"
        }
    }
}
