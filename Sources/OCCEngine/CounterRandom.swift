import Foundation
import CKernels

/// A counter-based random source: draw `i` of a stream depends on (seed, stream, i) alone (Philox4x32-10), so
/// any state can be revisited and nothing has to be saved but a counter.
public struct CounterRandom: RandomNumberGenerator, Sendable {
    /// The run's seed: streams of different seeds have nothing in common.
    public let seed: UInt64
    /// Which stream of the seed is drawn; `RandomStream` lists those in use.
    public let stream: UInt32
    /// The number of 64-bit draws made so far.
    public private(set) var counter: UInt64

    /// A source that begins at a draw: `counter` draws of 64 bits are passed over, at no cost.
    public init(seed: UInt64, stream: UInt32, counter: UInt64 = 0) {
        self.seed = seed
        self.stream = stream
        self.counter = counter
    }

    /// Draws 64 bits.
    public mutating func next() -> UInt64 {
        let r = ck_philox(seed, counter, 0, stream)
        counter += 1
        return UInt64(r.v.0) << 32 | UInt64(r.v.1)
    }

    /// Draws uniformly from [0, 1), with 53 bits.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Draws from the standard normal distribution, by the Box-Muller transform.
    public mutating func normal() -> Double {
        let u = 1 - uniform(), v = uniform()
        return (-2 * log(u)).squareRoot() * cos(2 * .pi * v)
    }

    /// Draws a permutation of `0..<count` (Fisher-Yates).
    public mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        guard count > 1 else { return order }
        for i in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(i, Int(next().multipliedFullWidth(by: UInt64(i + 1)).high))
        }
        return order
    }
}
