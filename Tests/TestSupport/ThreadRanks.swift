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
        /// What each rank sends in the exchanges that have been begun.
        var begun: [[Int]: [[UInt8]?]] = [:]

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
        /// How many exchanges of each kind it has begun.
        var begun = [0, 0]
        init(_ meeting: Meeting, _ rank: Int) { (self.meeting, self.rank) = (meeting, rank) }

        static func of(_ context: UnsafeMutableRawPointer?) -> Place {
            Unmanaged<Place>.fromOpaque(context!).takeUnretainedValue()
        }
    }

    /// An exchange that has been begun. Until it is finished its buffers are nobody's: what is sent stays as it is, and
    /// nothing is where something will be received.
    private final class Begun {
        let mine: UnsafeRawPointer, theirs: UnsafeMutableRawPointer
        let sent: [UInt8], received: Int
        /// The exchange's kind and number among those of its kind, which all ranks begin in one order.
        let key: [Int]
        /// How often somebody has asked in vain.
        var asked = 0

        init(
            _ mine: UnsafeRawPointer, count: Int, _ theirs: UnsafeMutableRawPointer, received: Int, key: [Int]
        ) {
            (self.mine, self.theirs, self.received, self.key) = (mine, theirs, received, key)
            sent = Array(UnsafeRawBufferPointer(start: mine, count: count))
            memset(theirs, 0xff, received)
        }

        /// Whether nobody has touched the buffers.
        var isWhole: Bool {
            sent.elementsEqual(UnsafeRawBufferPointer(start: mine, count: sent.count))
                && UnsafeRawBufferPointer(start: theirs, count: received).allSatisfy { $0 == 0xff }
        }
    }

    /// Begins an exchange: of the same bytes with all, or of a part of them with each.
    private static func begin(
        _ context: UnsafeMutableRawPointer?, _ mine: UnsafeRawPointer?, _ theirs: UnsafeMutableRawPointer?,
        _ bytes: UInt64, isGather: Bool, _ request: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> ck_status {
        let place = Place.of(context), meeting = place.meeting, kind = isGather ? 0 : 1
        let begun = Begun(
            mine!, count: Int(bytes) * (isGather ? 1 : meeting.ranks), theirs!,
            received: Int(bytes) * meeting.ranks,
            key: [kind, place.begun[kind]])
        place.begun[kind] += 1
        meeting.condition.withLock {
            meeting.begun[begun.key, default: .init(repeating: nil, count: meeting.ranks)][place.rank] =
                begun.sent
            meeting.condition.broadcast()
        }
        request!.pointee = Unmanaged.passRetained(begun).toOpaque()
        return .CK_OK
    }

    private static func finish(
        _ context: UnsafeMutableRawPointer?, _ request: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
        waits: Bool, _ isDone: UnsafeMutablePointer<Int32>?
    ) -> ck_status {
        let place = Place.of(context), meeting = place.meeting, kept = request!.pointee!
        let begun = Unmanaged<Begun>.fromOpaque(kept).takeUnretainedValue()
        func all() -> [[UInt8]]? {
            let sent = meeting.begun[begun.key]!.compactMap { $0 }
            return sent.count == meeting.ranks ? sent : nil
        }
        meeting.condition.lock()
        while waits && all() == nil { meeting.condition.wait() }
        let sent = all()
        meeting.condition.unlock()
        begun.asked += 1
        // Ranks learn at different times that an exchange is done.
        guard let sent, waits || begun.asked > 2 * place.rank else {
            isDone!.pointee = 0
            return .CK_OK
        }
        isDone!.pointee = 1
        request!.pointee = nil
        defer { Unmanaged<Begun>.fromOpaque(kept).release() }
        guard begun.isWhole else {
            return ck_failed(.CK_INTERNAL_ERROR, "what is being exchanged has been touched")
        }
        let bytes = begun.received / meeting.ranks, from = begun.key[0] == 0 ? 0 : place.rank * bytes
        for (rank, other) in sent.enumerated() {
            other.withUnsafeBytes { _ = memcpy(begun.theirs + rank * bytes, $0.baseAddress! + from, bytes) }
        }
        return .CK_OK
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
        functions.begin_all_gather = { ThreadRanks.begin($0, $1, $2, $3, isGather: true, $4) }
        functions.begin_all_to_all = { ThreadRanks.begin($0, $1, $2, $3, isGather: false, $4) }
        functions.finish = { ThreadRanks.finish($0, $1, waits: $2 != 0, $3) }
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
