import OCCEngine

/// The order of items over a run: a fresh permutation every epoch, drawn from the seed and the epoch alone,
/// so that any step's batch can be named without the steps before it.
///
/// An epoch drops its last incomplete batch; a set smaller than one batch is repeated until it fills one.
package struct BatchSampler {
    let items: Int, batch: Int
    let seed: UInt64
    private var epoch = -1
    private var order: [Int] = []

    package init(items: Int, batch: Int, seed: UInt64) {
        self.items = items
        self.batch = batch
        self.seed = seed
    }

    package mutating func indices(step: Int) -> [Int] {
        let perEpoch = items / batch
        guard perEpoch > 0 else {
            return (0..<batch).map { index in
                let position = step * batch + index
                prepare(epoch: position / items)
                return order[position % items]
            }
        }
        prepare(epoch: step / perEpoch)
        return Array(order[(step % perEpoch * batch)..<(step % perEpoch * batch + batch)])
    }

    private mutating func prepare(epoch next: Int) {
        guard next != epoch else { return }
        // The epoch is the high half of the counter: epochs never share draws.
        var random = CounterRandom(seed: seed, stream: RandomStream.batches, counter: UInt64(next) << 32)
        order = random.permutation(items)
        epoch = next
    }
}
