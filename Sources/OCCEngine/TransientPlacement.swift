/// Places a plan's transient tensors: two may share memory when one's last use comes before the other's
/// first.
///
/// Greedy by size (largest first, at the lowest free offset), which comes within a few per cent of the lower
/// bound on the chain-like lifetimes of a training step.
struct TransientPlacement {
    /// Byte offset of each transient, by its position.
    private(set) var offsets: [Int]
    /// Bytes of the whole.
    private(set) var bytes = 0

    init(_ builder: PlanBuilder) {
        let tensors = builder.transients
        var first = [Int](repeating: Int.max, count: tensors.count)
        var last = [Int](repeating: -1, count: tensors.count)
        for (index, operation) in builder.operations.enumerated() {
            for case let tensor? in operation.tensors where tensor.region == .transient {
                first[tensor.position] = min(first[tensor.position], index)
                last[tensor.position] = index
            }
        }
        for tensor in builder.outputs where tensor.region == .transient { last[tensor.position] = Int.max }

        offsets = [Int](repeating: 0, count: tensors.count)
        var placed: [(first: Int, last: Int, from: Int, until: Int)] = []
        let order = tensors.indices.sorted { (tensors[$0].bytes, $1) > (tensors[$1].bytes, $0) }
        for index in order where last[index] >= 0 {
            let size = Region.aligned(tensors[index].bytes)
            var offset = 0
            for other in placed where other.first <= last[index] && first[index] <= other.last {
                if offset + size <= other.from { break }
                offset = max(offset, other.until)
            }
            offsets[index] = offset
            bytes = max(bytes, offset + size)
            let entry = (first[index], last[index], offset, offset + size)
            placed.insert(entry, at: placed.firstIndex { $0.from > offset } ?? placed.endIndex)
        }
    }
}
