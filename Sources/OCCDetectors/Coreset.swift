import OCCEngine

/// Rows that stand for all of a matrix: none is far from one of them.
enum Coreset {
    /// The rows that a greedy search for k centers chooses (Sener & Savarese 2018): `start`, and then again and again the
    /// row that is farthest from all before.
    ///
    /// A row is not compared with a new center that is more than twice as far from the row's nearest one as the row
    /// itself: by the triangle inequality it is no nearer.
    ///
    /// - Parameters:
    ///   - count: how many rows, of 1...rows.
    ///   - start: the first one.
    ///   - work: what the chosen rows count for.
    /// - Returns: the rows in the order of their choice.
    static func greedy(_ features: FeatureMatrix, count: Int, start: Int, work: Work) -> [Int] {
        let rows = features.rows, columns = features.columns
        let parts = Part.all(rows)
        var chosen = [start], farthest = start
        // The squared distance of each row from its nearest center, and that center's number.
        let nearest = UnsafeMutablePointer<Float>.allocate(capacity: rows)
        let owner = UnsafeMutablePointer<Int32>.allocate(capacity: rows)
        nearest.initialize(repeating: .infinity, count: rows)
        owner.initialize(repeating: 0, count: rows)
        defer {
            nearest.deallocate()
            owner.deallocate()
        }
        nonisolated(unsafe) let (near, own) = (nearest, owner)
        work.advance()
        features.values.withUnsafeBufferPointer { buffer in
            nonisolated(unsafe) let values = buffer.baseAddress!
            // From the new center to each: nothing is nearer than infinity for the first.
            var apart: [Float] = [.infinity]
            for number in 0..<count - 1 {
                let center = values + farthest * columns
                nonisolated(unsafe) let from = center
                let found = parallelMap(parts.count) { [apart] index -> (largest: Float, row: Int) in
                    var best: (largest: Float, row: Int) = (-1, 0)
                    for row in parts[index].rows {
                        // A little less than a quarter, as squares are rounded.
                        if number == 0 || apart[Int(own[row])] * 0.249 < near[row] {
                            let distance = roundedSquaredDistance(values + row * columns, from, columns)
                            if distance < near[row] { (near[row], own[row]) = (distance, Int32(number)) }
                        }
                        if near[row] > best.largest { best = (near[row], row) }
                    }
                    return best
                }
                farthest = found.reduce(found[0]) { $1.largest > $0.largest ? $1 : $0 }.row
                nearest[farthest] = 0
                chosen.append(farthest)
                // From the next center to those before.
                nonisolated(unsafe) let next = values + farthest * columns
                let blocks = Part.all(chosen.count)
                apart = parallelMap(blocks.count) { [chosen] index in
                    blocks[index].rows.map {
                        roundedSquaredDistance(values + chosen[$0] * columns, next, columns)
                    }
                }.flatMap { $0 }
                work.advance()
            }
        }
        return chosen
    }

    /// Rows that a thread looks at together.
    private struct Part {
        let rows: Range<Int>

        static func all(_ rows: Int) -> [Part] {
            stride(from: 0, to: rows, by: 2048).map { Part(rows: $0..<min($0 + 2048, rows)) }
        }
    }
}
