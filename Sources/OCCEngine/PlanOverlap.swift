import CKernels

/// Means of gradients over ranks that go on while other gradients are still computed.
extension PlanBuilder {
    /// The least number of bytes that ranks exchange at a time beside the computation.
    ///
    /// The last piece is that of the first layers, behind which nothing is left to compute: its time shows, and it is
    /// the shorter the smaller pieces are. Each piece has its latency, however: among n ranks 2 (n - 1) times that of a
    /// message, for 2 (n - 1) / n of its bytes. These two are equal at n latency * bandwidth bytes, which is 0.4 MB for
    /// 8 ranks of a network with 5 us and 10 GB/s, and 12 MB with the 300 GB/s between the GPUs of a node. PyTorch's
    /// DistributedDataParallel has pieces of 25 MiB, its first of 1 MiB (Li et al., VLDB 2020).
    package static let exchangeBytes = 2 << 20

    /// Cuts each mean of gradients over ranks into pieces of at least `bytes`, begins the mean of a piece as soon as the
    /// last operation that touches it is through, and waits where the mean was. No value changes: means are taken value by
    /// value.
    ///
    /// - Parameter onHost: whether exchanges are of host memory, which takes room for what is on its way; the plan's
    ///   placement keeps that apart from all else between the two operations.
    func beginMeansOfGradientsEarly(bytes: Int, onHost: Bool) {
        for index in operations.indices.reversed() where operations[index].kind == .CK_KIND_mean_over_ranks {
            let mean = operations[index], whole = mean.tensors[0]!
            guard whole.region == .gradients else { continue }
            let pieces = cut(whole, before: index, bytes: bytes)
            guard pieces.count > 1 else { continue }
            let halves = pieces.map { begun(mean, $0.piece, onHost: onHost) }
            operations.replaceSubrange(index...index, with: halves.map(\.finish))
            // From the last on, so that places before stay.
            for (piece, half) in zip(pieces, halves).reversed() {
                operations.insert(half.begin, at: piece.ready)
            }
        }
    }

    /// A tensor in pieces, in the order in which they are ready.
    ///
    /// - Parameter index: where the whole is needed.
    /// - Returns: for each piece the place before which nothing touches it any more.
    private func cut(_ whole: Tensor, before index: Int, bytes: Int) -> [(piece: Tensor, ready: Int)] {
        let end = whole.position + whole.bytes
        let touched = operations[..<index].enumerated().flatMap { place, operation in
            operation.tensors.compactMap { $0 }.filter {
                $0.region == whole.region && $0.position < end && $0.position + $0.bytes > whole.position
            }.map { (from: $0.position, until: $0.position + $0.bytes, place: place) }
        }
        // The reverse pass comes to the parameters that were declared last first.
        let starts = Set(touched.map(\.from)).sorted(by: >)
        var pieces: [(piece: Tensor, ready: Int)] = [], until = end
        for start in starts where until - start >= bytes || start == starts.last {
            let from = start == starts.last ? whole.position : start
            let last = touched.filter { $0.from < until && $0.until > from }.map(\.place).max()!
            let piece = Tensor(
                name: whole.name, shape: [(until - from) / whole.type.size], type: whole.type,
                region: whole.region, position: from)
            pieces.append((piece, last + 1))
            until = from
        }
        return pieces.sorted { ($0.ready, $1.piece.position) < ($1.ready, $0.piece.position) }
    }

    private func begun(
        _ mean: PlannedOperation, _ piece: Tensor, onHost: Bool
    ) -> (begin: PlannedOperation, finish: PlannedOperation) {
        var params = mean.params
        (params.collective.count, params.collective.blocks) = (Int64(piece.count), 1)
        let ranks = Int(params.collective.ranks)
        let parts: Tensor? =
            onHost
            ? transient("parts of \(piece.name)", [2 * ranks * ((piece.count + ranks - 1) / ranks)]) : nil
        func half(_ kind: ck_kind, flop: Int) -> PlannedOperation {
            PlannedOperation(
                kind: kind, layer: mean.layer, tensors: [piece, parts], params: params, flop: flop)
        }
        return (
            half(.CK_KIND_begin_mean_over_ranks, flop: piece.count * ranks),
            half(.CK_KIND_finish_mean_over_ranks, flop: 0)
        )
    }
}
