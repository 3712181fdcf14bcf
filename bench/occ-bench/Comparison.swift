import Foundation
import OCCCommandLine
import OneClass

/// One piece of work, timed here and by peers in turn.
struct Comparison {
    let name: String
    /// What a second of it is worth, such as images.
    let items: Double
    let unit: String
    /// One repetition of ours.
    let body: () throws -> Void
    /// The jobs of the peers, see bench/peers/serve.py.
    let peers: [[String: Any]]
    /// Other ways of ours to do the work, by name: timed in turn like the peers.
    var alternatives: [(name: String, body: () throws -> Void)] = []
    /// The part of the items that a peer's repetition does, where the whole would take minutes; its times are
    /// divided by it.
    var peerShare = 1.0
    /// Waits for what `body` has begun.
    var wait: () throws -> Void = {}
    /// What else there is to say of our side, once it is measured.
    var note: (() throws -> String)?

    struct Timing {
        let name: String
        let seconds: [Double]
        let peakBytes: Int?
        /// The middle one of the sorted repetitions.
        var median: Double { seconds.sorted()[seconds.count / 2] }
    }

    struct Result {
        let name: String
        let ours: Timing
        let peers: [Timing]
        let items: Double
        let unit: String
        let note: String?

        var best: Timing? { peers.min { $0.median < $1.median } }
        /// The best peer's median time over ours; above 1 we are faster.
        var ratio: Double? { best.map { $0.median / ours.median } }

        var json: [String: Any] {
            func fields(_ timing: Timing) -> [String: Any] {
                var result: [String: Any] = [
                    "name": timing.name, "median_seconds": timing.median, "seconds": timing.seconds,
                ]
                if let bytes = timing.peakBytes { result["peak_bytes"] = bytes }
                return result
            }
            var result: [String: Any] = ["work": name, "ours": fields(ours), "peers": peers.map(fields)]
            if let ratio { result["ratio"] = ratio }
            if let note { result["note"] = note }
            return result
        }

        var lines: [String] {
            func line(_ timing: Timing) -> String {
                let rate = items / timing.median
                let memory = timing.peakBytes.map { "  peak " + formatBytes($0) } ?? ""
                return "  " + timing.name.padding(toLength: 34, withPad: " ", startingAt: 0)
                    + String(format: "%10.2f ms %12.1f ", 1e3 * timing.median, rate) + "\(unit)/s" + memory
            }
            var result = [name, line(ours)] + peers.map(line)
            if let ratio, let best {
                result.append(String(format: "  %.2f times as fast as ", ratio) + best.name)
            }
            if let note { result.append("  " + note) }
            return result
        }
    }

    /// Alternates ours and every peer's, after repetitions that do not count. A repetition does the
    /// work as often as fills half a second on its side.
    func run(repetitions: Int, python: String?, scripts: String?) throws -> Result {
        let processes =
            try python.map { python in
                try peers.map { try Peer(python: python, scripts: scripts, job: $0) }
            } ?? []
        func count(toFill seconds: Double) -> Int { min(1000, Int(0.5 / seconds) + 1) }
        func timed(_ count: Int, _ body: () throws -> Void) throws -> Double {
            let start = ContinuousClock.now
            for _ in 0..<count { try body() }
            try wait()
            return (ContinuousClock.now - start) / .seconds(count)
        }
        _ = try timed(2, body)  // a GPU's first run loads kernels, its second makes the graph
        let ownCount = count(toFill: try timed(1, body))
        let otherCounts = try alternatives.map { count(toFill: try timed(1, $0.body)) }
        let counts = try processes.map { count(toFill: try $0.repetition(count: 1).seconds) }
        var ours: [Double] = [], theirs = processes.map { _ in [Double]() }
        var others = alternatives.map { _ in [Double]() }, peaks = processes.map { _ in 0 }
        for _ in 0..<repetitions {
            ours.append(try timed(ownCount, body))
            for (index, other) in alternatives.enumerated() {
                others[index].append(try timed(otherCounts[index], other.body))
            }
            for (index, process) in processes.enumerated() {
                let measured = try process.repetition(count: counts[index])
                theirs[index].append(measured.seconds / peerShare)
                peaks[index] = max(peaks[index], measured.peakBytes)
            }
        }
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let share = peerShare == 1 ? "" : String(format: " (%.0f %% of it, scaled)", 100 * peerShare)
        return Result(
            name: name, ours: Timing(name: "occ-gpu", seconds: ours, peakBytes: usage.ru_maxrss * 1024),
            peers: alternatives.indices.map {
                Timing(name: alternatives[$0].name, seconds: others[$0], peakBytes: nil)
            }
                + processes.indices.map {
                    Timing(name: processes[$0].name + share, seconds: theirs[$0], peakBytes: peaks[$0])
                }, items: items, unit: unit, note: try note?())
    }
}
