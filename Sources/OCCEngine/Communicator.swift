import CKernels

/// The processes that train one model together, the ranks, as one of them sees them.
///
/// What it does is done by all ranks, in the same order.
public final class Communicator: @unchecked Sendable {
    /// Which of the ranks this process is, from 0.
    public let rank: Int
    /// How many there are.
    public let ranks: Int
    /// Kept where it is: devices that have joined call it.
    let functions: UnsafeMutablePointer<ck_communicator>

    /// The ranks that C functions reach; what these refer to outlives the process.
    package init(_ functions: ck_communicator) {
        rank = Int(functions.rank)
        ranks = Int(functions.ranks)
        self.functions = .allocate(capacity: 1)
        self.functions.initialize(to: functions)
    }

    deinit { functions.deallocate() }

    /// Whether this rank is the one that writes files and speaks to people.
    public var isFirst: Bool { rank == 0 }

    /// Gathers as many values from each rank, in order of rank.
    public func gather<Value: BitwiseCopyable>(_ mine: [Value]) throws -> [Value] {
        let bytes = MemoryLayout<Value>.stride * mine.count
        return try [Value](unsafeUninitializedCapacity: mine.count * ranks) { buffer, count in
            try mine.withUnsafeBytes { from in
                try check(
                    functions.pointee.all_gather(
                        functions.pointee.context, from.baseAddress, buffer.baseAddress, UInt64(bytes)))
            }
            count = mine.count * ranks
        }
    }

    /// The largest of all ranks' numbers.
    public func largest(_ mine: Int32) throws -> Int32 { try gather([mine]).max()! }

    /// Waits until every rank is here.
    public func meet() throws { _ = try gather([UInt8(0)]) }

    /// Gathers the bytes of each rank, as many as it has, in order of rank.
    public func gatherAll(_ mine: [UInt8]) throws -> [[UInt8]] {
        let sizes = try gather([Int64(mine.count)]).map { Int($0) }, size = sizes.max()!
        let all = try gather(mine + [UInt8](repeating: 0, count: size - mine.count))
        return sizes.enumerated().map { Array(all[$0 * size..<$0 * size + $1]) }
    }

    /// Hands what rank 0 has to all; the others' `mine` counts for nothing.
    ///
    /// - Returns: rank 0's bytes; nil where it has none.
    public func share(_ mine: [UInt8]?) throws -> [UInt8]? {
        let size = try gather([Int64(mine?.count ?? -1)])[0]
        guard size >= 0 else { return nil }
        var bytes = isFirst ? mine ?? [] : [UInt8](repeating: 0, count: Int(size))
        try bytes.withUnsafeMutableBytes { buffer in
            try check(
                functions.pointee.broadcast(
                    functions.pointee.context, buffer.baseAddress, UInt64(buffer.count)))
        }
        return bytes
    }
}

/// The part of a batch that a plan computes, where several ranks share one.
public struct BatchShare: Sendable, Equatable {
    /// Which of the ranks the plan is of, from 0.
    public let rank: Int
    /// How many share the batch, in equal parts.
    public let ranks: Int
    /// Whether batch normalization takes the statistics of the whole batch, or of each part by itself.
    public let normalizesTogether: Bool
    /// Where the plan's rows are in the whole batch.
    package let rows: ck_share

    /// A share whose row i is the row `batchRow(i)` of the whole batch.
    ///
    /// - Returns: nil where the rows are not in blocks of one length at equal distances.
    package init?(
        rank: Int, of ranks: Int, rows count: Int, normalizesTogether: Bool, batchRow: (Int) -> Int
    ) {
        self.rank = rank
        self.ranks = ranks
        self.normalizesTogether = normalizesTogether
        let first = batchRow(0)
        let block = (1..<count).first { batchRow($0) != first + $0 } ?? count
        let stride = block < count ? batchRow(block) - first : 0
        rows = ck_share(first: Int32(first), block: Int32(block), stride: Int32(stride))
        let fits = (0..<count).allSatisfy { batchRow($0) == first + $0 / block * stride + $0 % block }
        guard fits else { return nil }
    }

    /// Whether two shares are of the same rows.
    public static func == (a: BatchShare, b: BatchShare) -> Bool {
        (a.rank, a.ranks, a.normalizesTogether) == (b.rank, b.ranks, b.normalizesTogether)
            && (a.rows.first, a.rows.block, a.rows.stride) == (b.rows.first, b.rows.block, b.rows.stride)
    }
}
