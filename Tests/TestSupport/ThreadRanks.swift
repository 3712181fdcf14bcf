import CKernels
import Foundation
import OCCEngine

/// What the threads of a run return.
private final class Results<Result>: @unchecked Sendable {
    let lock = NSLock()
    var all: [Int: Swift.Result<Result, any Error>] = [:]
}

/// Ranks as threads of the test's process.
public enum ThreadRanks {
    /// Where the ranks of a group meet and see each other's bytes.
    private final class Meeting {
        let ranks: Int
        let condition = NSCondition()
        var mine: [UnsafeRawPointer?]
        var arrived = 0, left = 0, round = 0

        init(_ ranks: Int) {
            self.ranks = ranks
            mine = .init(repeating: nil, count: ranks)
        }

        /// Shows `bytes` to the others, and reads theirs when all are here; nobody goes before all have read.
        func meet(_ rank: Int, _ bytes: UnsafeRawPointer?, _ read: ([UnsafeRawPointer?]) -> Void) {
            condition.lock()
            mine[rank] = bytes
            let start = round
            arrived += 1
            if arrived == ranks { (arrived, round) = (0, round + 1) }
            condition.broadcast()
            while round == start { condition.wait() }
            condition.unlock()
            read(mine)
            condition.lock()
            left += 1
            let end = round
            if left == ranks { (left, round) = (0, round + 1) }
            condition.broadcast()
            while round == end { condition.wait() }
            condition.unlock()
        }
    }

    /// What a communicator's functions get: whose they are.
    private final class Place {
        let meeting: Meeting, rank: Int
        init(_ meeting: Meeting, _ rank: Int) { (self.meeting, self.rank) = (meeting, rank) }

        static func of(_ context: UnsafeMutableRawPointer?) -> Place {
            Unmanaged<Place>.fromOpaque(context!).takeUnretainedValue()
        }
    }

    private static func communicator(_ meeting: Meeting, _ rank: Int) -> Communicator {
        var functions = ck_communicator()
        functions.rank = Int32(rank)
        functions.ranks = Int32(meeting.ranks)
        // A communicator outlives the process's devices, and its place does so with it.
        functions.context = Unmanaged.passRetained(Place(meeting, rank)).toOpaque()
        functions.all_gather = { context, mine, all, bytes in
            let place = Place.of(context)
            place.meeting.meet(place.rank, mine) { others in
                for (r, other) in others.enumerated() {
                    memcpy(all! + r * Int(bytes), other!, Int(bytes))
                }
            }
            return .CK_OK
        }
        functions.all_to_all = { context, mine, toMe, bytes in
            let place = Place.of(context)
            place.meeting.meet(place.rank, mine) { others in
                for (r, other) in others.enumerated() {
                    memcpy(toMe! + r * Int(bytes), other! + place.rank * Int(bytes), Int(bytes))
                }
            }
            return .CK_OK
        }
        functions.broadcast = { context, data, bytes in
            let place = Place.of(context)
            place.meeting.meet(place.rank, data) { others in
                if place.rank > 0 { memcpy(data!, others[0]!, Int(bytes)) }
            }
            return .CK_OK
        }
        return Communicator(functions)
    }

    /// Runs `body` on as many threads, each a rank, and returns what they return, in order of rank.
    public static func run<Result: Sendable>(
        _ ranks: Int, _ body: @escaping @Sendable (Communicator) throws -> Result
    ) throws -> [Result] {
        let meeting = Meeting(ranks), results = Results<Result>(), done = DispatchSemaphore(value: 0)
        for rank in 0..<ranks {
            let communicator = communicator(meeting, rank)
            let thread = Thread {
                let result = Swift.Result { try body(communicator) }
                results.lock.withLock { results.all[rank] = result }
                done.signal()
            }
            thread.stackSize = 16 << 20
            thread.start()
        }
        for _ in 0..<ranks { done.wait() }
        return try (0..<ranks).map { try results.all[$0]!.get() }
    }
}
