import CKernels

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
        case .CK_KIND_mean_over_ranks:
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
}
