import OCCData
import OCCEngine

/// A time that training may take, and how many steps that makes.
public struct TrainingBudget: Sendable, Equatable {
    /// The time in seconds.
    public let seconds: Double

    /// A budget of so many seconds, above 0.
    public init(seconds: Double) { self.seconds = seconds }

    /// Reads `300`, `90s`, `5m` or `1.5h`; nil for anything else, and for times that are not above 0 and at most a
    /// year.
    public init?(text: String) {
        let units = ["s": 1.0, "m": 60, "h": 3600]
        let unit = text.last.flatMap { units[String($0)] }
        guard text.allSatisfy({ "0123456789.smh".contains($0) }),
            let value = Double(unit == nil ? text : String(text.dropLast())), value.isFinite
        else {
            return nil
        }
        seconds = value * (unit ?? 1)
        guard seconds > 0, seconds <= 366 * 86400 else { return nil }
    }

    /// The time for people: `45 s`, `5 min`.
    public var words: String {
        func short(_ value: Double) -> String {
            value == value.rounded() ? String(Int(value)) : String((value * 10).rounded() / 10)
        }
        return seconds < 120
            ? "\(short(seconds)) s"
            : seconds < 7200 ? "\(short(seconds / 60)) min" : "\(short(seconds / 3600)) h"
    }

    /// Finds the number of steps that fit, by timing a few; at most what the method's epochs make.
    ///
    /// The steps are of a run like the one to come, whose state is thrown away. The number is rounded down to two
    /// digits, and is at least 1. It depends on the machine and its load: whoever wants a run again gives it as steps.
    public func steps(
        of configuration: RunConfiguration, images: ImageBatch, outliers: ImageBatch? = nil, device: Device
    ) throws -> Int {
        var probe = configuration
        probe.steps = nil
        let limit = max(1, probe.resolved.totalSteps(images: images.count))
        probe.steps = limit
        let trainer = try Trainer(
            configuration: probe, images: images, outliers: outliers, device: device)
        let longest = min(5, max(0.5, 0.02 * seconds))
        var fastest = Double.infinity
        // The first steps allocate and compile; of the others the fastest third of the time counts, as a machine that
        // is busy for a moment is no measure.
        for _ in 0..<min(2, limit) {
            try trainer.advance()
            _ = try trainer.loss()
        }
        for _ in 0..<3 {
            let start = ContinuousClock.now
            var done = 0.0, elapsed = 0.0
            while elapsed < longest / 3, trainer.step < limit || done == 0 {
                try trainer.advance()
                _ = try trainer.loss()
                done += 1
                elapsed = (ContinuousClock.now - start) / .seconds(1)
            }
            if done > 0 { fastest = min(fastest, elapsed / done) }
        }
        let fitting = min(Double(limit), seconds / fastest)
        guard fitting >= 1 else { return 1 }
        var digit = 1.0
        while fitting / digit >= 100 { digit *= 10 }
        return fitting == Double(limit) ? limit : Int((fitting / digit).rounded(.down) * digit)
    }
}
