import Foundation
import Synchronization

/// The signals SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 as a wish to stop.
///
/// What has something to save does its work in `deferring`, looks at `requested` now and then, and saves.
/// Outside of that there is nothing to save, files being whole at any moment, and a program may end at once:
/// `install` is told how. A second SIGTERM or SIGINT ends the process without asking.
public enum StopSignals {
    private static let numbers = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]

    private static let received = Atomic<Int32>(0)
    /// When the first SIGTERM or SIGINT came, in milliseconds; 0 for not yet.
    private static let firstCame = Atomic<Int64>(0)
    /// Signals sent together count as one: `timeout` sends two of them, to the process and to its group.
    private static let together: Int64 = 50

    private struct State {
        var depth = 0
        /// Whether the signal that came was left to a caller, which ends as usual.
        var isLeft = false
        var note: String?
        var stop: (@Sendable (Int32, String?) -> Void)?
    }
    private static let state = Mutex(State())
    /// Posted by the handler, which may do little else.
    nonisolated(unsafe) private static let arrived = {
        let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
        return semaphore
    }()

    /// Handles the signals from now on, and unblocks them. SIGHUP stays ignored where it is, as under nohup.
    ///
    /// - Parameter stop: ends the process; called on a thread of its own, with the signal and the `noting` in
    ///   force, when a signal has come and nothing defers it. nil for a program that looks at `requested`
    ///   itself.
    public static func install(_ stop: (@Sendable (Int32, String?) -> Void)? = nil) {
        // Made before a handler needs them.
        (_, _, _) = (received.load(ordering: .relaxed), firstCame.load(ordering: .relaxed), arrived)
        if let stop {
            state.withLock { $0.stop = stop }
            Thread.detachNewThread {
                while true {
                    while sem_wait(arrived) != 0 {}
                    state.withLock { state in
                        guard state.depth == 0, !state.isLeft, let number = requested else { return }
                        stop(number, state.note)
                    }
                }
            }
        }
        // Whoever started the process may have had them blocked, and a mask is inherited.
        var mask = sigset_t()
        sigemptyset(&mask)
        for number in numbers {
            var action = sigaction()
            if number == SIGHUP, sigaction(number, nil, &action) == 0,
                unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
                    == unsafeBitCast(SIG_IGN, to: Int.self)
            {
                continue
            }
            action = sigaction()
            action.__sigaction_handler.sa_handler = handle
            action.sa_flags = SA_RESTART
            sigaction(number, &action, nil)
            sigaddset(&mask, number)
        }
        pthread_sigmask(SIG_UNBLOCK, &mask, nil)
    }

    private static let handle: @convention(c) (Int32) -> Void = { number in
        let code = errno
        if number == SIGTERM || number == SIGINT {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            let now = Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
            let first = StopSignals.firstCame.load(ordering: .relaxed)
            if first == 0 {
                StopSignals.firstCame.store(now, ordering: .relaxed)
            } else if now - first >= StopSignals.together {
                _exit(128 + number)
            }
        }
        _ = StopSignals.received.compareExchange(expected: 0, desired: number, ordering: .relaxed)
        sem_post(StopSignals.arrived)
        errno = code
    }

    /// The signal that asked to stop; nil for none so far.
    public static var requested: Int32? {
        let number = received.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }

    /// Stops a loop that has nothing to save.
    ///
    /// - Throws: `OCCError(.preempted)` when a signal has asked to stop.
    public static func check() throws {
        if let number = requested { throw OCCError(.preempted, "stopped by signal \(number)") }
    }

    /// Does what a signal must not cut short; one that comes meanwhile is heeded when it is done. Where
    /// `body` throws, the error says how things are, and the signal is left to the caller.
    public static func deferring<Result>(_ body: () throws -> Result) rethrows -> Result {
        state.withLock { $0.depth += 1 }
        do {
            let result = try body()
            state.withLock { ($0.depth, $0.isLeft) = ($0.depth - 1, false) }
            if requested != nil { sem_post(arrived) }
            return result
        } catch {
            // The thread that stops the process may wake only now, for a signal that came long ago.
            state.withLock { ($0.depth, $0.isLeft) = ($0.depth - 1, requested != nil) }
            throw error
        }
    }

    /// Does what may be cut short; a program that is stopped meanwhile adds the note: what is kept, how to go
    /// on.
    public static func noting<Result>(_ note: String, _ body: () throws -> Result) rethrows -> Result {
        let before = state.withLock { state in
            defer { state.note = note }
            return state.note
        }
        defer { state.withLock { $0.note = before } }
        return try body()
    }
}
