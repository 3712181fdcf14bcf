import Foundation
import Synchronization

private let received = Atomic<Int32>(0)

/// The signals SIGTERM, SIGINT and SIGUSR1 as a wish to stop: the handler sets a flag, the trainer saves at
/// the next step. A second SIGINT ends the process at once.
public enum StopSignals {
    /// Handles SIGTERM, SIGINT and SIGUSR1 from now on, and unblocks them.
    public static func install() {
        // Whoever started the process may have had them blocked, and a mask is inherited.
        var mask = sigset_t()
        sigemptyset(&mask)
        for number in [SIGTERM, SIGINT, SIGUSR1] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                if number == SIGINT, received.load(ordering: .relaxed) == SIGINT { _exit(130) }
                received.store(number, ordering: .relaxed)
            }
            sigaction(number, &action, nil)
            sigaddset(&mask, number)
        }
        pthread_sigmask(SIG_UNBLOCK, &mask, nil)
    }

    /// The signal that asked to stop; nil for none so far.
    public static var requested: Int32? {
        let number = received.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }
}
