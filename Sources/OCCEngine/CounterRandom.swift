import Foundation
import CKernels

/// A counter-based random source: draw `i` of a stream depends on (seed, stream, i) alone (Philox4x32-10), so
/// any state can be revisited and nothing has to be saved but a counter.
public struct CounterRandom: RandomNumberGenerator, Sendable {
    public let seed: UInt64
    public let stream: UInt32
    /// The number of 64-bit draws made so far.
    public private(set) var counter: UInt64

    public init(seed: UInt64, stream: UInt32, counter: UInt64 = 0) {
        self.seed = seed
        self.stream = stream
        self.counter = counter
    }

    public mutating func next() -> UInt64 {
        let r = ck_philox(seed, counter, 0, stream)
        counter += 1
        return UInt64(r.v.0) << 32 | UInt64(r.v.1)
    }

    /// Uniform in [0, 1), 53 bits.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Standard normal, by the Box-Muller transform.
    public mutating func normal() -> Double {
        let u = 1 - uniform(), v = uniform()
        return (-2 * log(u)).squareRoot() * cos(2 * .pi * v)
    }

    /// A permutation of `0..<count` (Fisher-Yates).
    public mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        guard count > 1 else { return order }
        for i in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(i, Int(next().multipliedFullWidth(by: UInt64(i + 1)).high))
        }
        return order
    }
}
