import OCCEngine

/// Rows that stand for all of a matrix: none is far from one of them.
enum Coreset {
    /// The rows that a greedy search for k centers chooses (Sener & Savarese 2018): again and again the row that is
    /// farthest from all before, the first one from `start`, which is not chosen by itself.
    ///
    /// - Parameters:
    ///   - count: how many rows, of 1...rows.
    ///   - start: the row whose farthest one is the first.
    ///   - work: what the chosen rows count for.
    /// - Returns: the rows in the order of their choice.
    static func greedy(_ features: FeatureMatrix, count: Int, start: Int, work: Work) -> [Int] {
        let rows = features.rows, columns = features.columns, part = 2048
        let parts = (rows + part - 1) / part
        // The squared distance from the nearest center, by parts of the rows.
        var nearest = (0..<parts).map { number in
            [Float](repeating: .infinity, count: min(part, rows - number * part))
        }
        var chosen: [Int] = [], center = start
        chosen.reserveCapacity(count)
        for _ in 0..<count {
            let found = parallelMap(parts) { [nearest, center] number in
                closer(features, columns, first: number * part, center: center, nearest[number])
            }
            nearest = found.map { $0.nearest }
            let farthest = found.indices.reduce(0) {
                found[$1].largest > found[$0].largest ? $1 : $0
            }
            center = farthest * part + found[farthest].place
            nearest[farthest][found[farthest].place] = 0
            chosen.append(center)
            work.advance()
        }
        return chosen
    }

    /// The squared distances of some rows from the nearest center after one more, and where the largest is.
    private static func closer(
        _ features: FeatureMatrix, _ columns: Int, first: Int, center: Int, _ nearest: [Float]
    ) -> (nearest: [Float], largest: Float, place: Int) {
        var result = nearest, largest: Float = -1, place = 0
        features.values.withUnsafeBufferPointer { values in
            let own = UnsafeBufferPointer(rebasing: values[center * columns..<(center + 1) * columns])
            for row in result.indices {
                let from = (first + row) * columns
                var sum = SIMD8<Float>.zero, column = 0
                while column + 8 <= columns {
                    var difference = SIMD8<Float>.zero
                    for lane in 0..<8 {
                        difference[lane] = values[from + column + lane] - own[column + lane]
                    }
                    sum += difference * difference
                    column += 8
                }
                var distance = sum.sum()
                while column < columns {
                    let difference = values[from + column] - own[column]
                    distance += difference * difference
                    column += 1
                }
                result[row] = min(result[row], distance)
                if result[row] > largest { (largest, place) = (result[row], row) }
            }
        }
        return (result, largest, place)
    }
}
