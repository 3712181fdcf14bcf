import CKernels
import Foundation

/// What ranks exchange in a step, and how long that takes on a network that need not be there: an exchange of b bytes
/// takes latency + b / bandwidth, its rounds one after the other (the alpha-beta model; Hockney, Parallel Computing 20,
/// 1994).
public struct ExchangeModel: Sendable {
    /// Bytes that a rank sends and receives in a second.
    public let bandwidth: Double
    /// Seconds from the start of an exchange to its first byte.
    public let latency: Double

    /// A network of this bandwidth, in bytes a second, and latency, in seconds.
    public init(bandwidth: Double, latency: Double) {
        self.bandwidth = bandwidth
        self.latency = latency
    }

    /// What a rank does in one exchange with all others: how often it speaks with another, and the bytes that it sends.
    public struct Exchange: Sendable, Equatable {
        /// Messages that a rank sends, one after the other.
        public let rounds: Int
        /// Bytes that a rank sends; it receives as many.
        public let bytes: Int
    }

    /// What an operation exchanges; nil for one that exchanges nothing.
    public static func exchange(of operation: PlannedOperation) -> Exchange? {
        let p = operation.params.collective, others = Int(p.ranks) - 1
        switch operation.kind {
        case .CK_KIND_all_gather:
            return Exchange(rounds: Int(p.blocks) * others, bytes: others * Int(p.count) * Int(p.blocks) * 4)
        case .CK_KIND_mean_over_ranks, .CK_KIND_begin_mean_over_ranks:
            // Each rank adds up its part of the values, and hands it out.
            let values = Int(p.count) * Int(p.blocks)
            return Exchange(rounds: 2 * others, bytes: 2 * others * (values * 4 / Int(p.ranks)))
        default: return nil
        }
    }

    /// The seconds that an exchange takes.
    public func seconds(_ exchange: Exchange) -> Double {
        Double(exchange.rounds) * latency + Double(exchange.bytes) / bandwidth
    }

    /// The seconds that a plan takes, exchanges among them.
    ///
    /// Exchanges follow each other in the order of the plan. One that is begun goes on beside what comes after it, and
    /// shows as far as it is not done when it is finished; others show whole, and so does what they have to wait for.
    ///
    /// - Parameters:
    ///   - seconds: what each operation takes; those of exchanges do not count.
    ///   - isBeside: whether something else moves the bytes than what computes, such as NCCL on a stream of its own. Where
    ///     it is the same cores, as among ranks of one node on the CPU, exchanges show whole.
    public func seconds(of plan: Plan, computing seconds: [Double], isBeside: Bool) -> Double {
        var now = 0.0, network = 0.0, begun: [Tensor: Double] = [:]
        for (operation, own) in zip(plan.operations, seconds) {
            if operation.kind == .CK_KIND_finish_mean_over_ranks {
                now = max(now, begun[operation.tensors[0]!] ?? 0)
            } else if let exchange = Self.exchange(of: operation) {
                network = max(network, now) + self.seconds(exchange)
                if isBeside, operation.kind == .CK_KIND_begin_mean_over_ranks {
                    begun[operation.tensors[0]!] = network
                } else {
                    now = network
                }
            } else {
                now += own
            }
        }
        return now
    }
}

extension ExchangeModel {
    /// The network between ranks as their own collectives find it; all ranks call it.
    ///
    /// All gather blocks of two sizes, and the line through the two times gives both: the time of n - 1 messages of no
    /// bytes, and what each byte adds.
    ///
    /// - Parameter repetitions: of either size; the median counts. The first ones, which warm up, are not counted.
    /// - Throws: `OCCError(.failure)` where an exchange fails.
    public static func measured(_ ranks: Communicator, repetitions: Int = 28) throws -> ExchangeModel {
        let sizes = [1024, 4 << 20], others = Double(max(1, ranks.ranks - 1))
        let times = try sizes.map { size in
            let block = [UInt8](repeating: 1, count: size)
            let all = try (0..<repetitions + 3).map { _ in
                try ranks.meet()
                let start = ContinuousClock.now
                _ = try ranks.gather(block)
                return (ContinuousClock.now - start) / .seconds(1)
            }
            // Of the slowest rank: all wait for it.
            let slowest = try ranks.gather(all)
            let each = (3..<all.count).map { round in
                (0..<ranks.ranks).map { slowest[$0 * all.count + round] }.max()!
            }
            return each.sorted()[each.count / 2]
        }
        let bandwidth = others * Double(sizes[1] - sizes[0]) / max(times[1] - times[0], 1e-9)
        return ExchangeModel(
            bandwidth: bandwidth, latency: max(0, times[0] / others - Double(sizes[0]) / bandwidth))
    }

    /// What `occ-gpu plan` takes for this network: GB a second, and microseconds.
    public var fields: [String: Any] { ["bandwidth": bandwidth / 1e9, "latency": latency * 1e6] }

    /// The same on its command line.
    public var options: String {
        String(format: "--bandwidth %.3g --latency %.3g", bandwidth / 1e9, latency * 1e6)
    }
}
