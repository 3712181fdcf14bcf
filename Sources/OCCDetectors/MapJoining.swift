/// How the maps of an encoder's stages become one, which has the places of the first stage's and the channels of all: a
/// linear map.
public struct MapJoining: Sendable, Equatable {
    /// Whether each place has the mean of the 3 x 3 places around it first, zeros beyond the edge counted.
    public let averages: Bool
    /// How places between those of later stages, which have fewer, get their values.
    public let interpolation: FeatureMap.Interpolation
    /// The channels that are kept, in rising order, numbered through all stages; nil for all.
    public let chosen: [Int]?

    /// A way to join maps. Chosen channels must be in rising order.
    public init(averages: Bool = false, interpolation: FeatureMap.Interpolation, chosen: [Int]? = nil) {
        precondition(chosen.map { zip($0, $0.dropFirst()).allSatisfy(<) && !$0.isEmpty } ?? true)
        (self.averages, self.interpolation, self.chosen) = (averages, interpolation, chosen)
    }

    /// The channels that are kept of each stage, of so many; all where none are chosen.
    package func channels(ofStages counts: [Int]) -> [[Int]] {
        var before = 0
        return counts.map { count in
            let range = before..<before + count
            before += count
            return chosen.map { $0.filter(range.contains).map { $0 - range.lowerBound } } ?? Array(0..<count)
        }
    }

    /// Makes one map of those of the stages, the first of which has the most places.
    public func callAsFunction(_ stages: [FeatureMap]) -> FeatureMap {
        let kept = channels(ofStages: stages.map(\.channels))
        return .joined(
            zip(stages, kept).filter { !$1.isEmpty }.map { stage, own in
                let some = own.count == stage.channels ? stage : stage.selected(own)
                return (averages ? some.averaged() : some).resized(
                    rows: stages[0].rows, columns: stages[0].columns, by: interpolation)
            })
    }

    /// From the gradient of a number by the joined map, those by the maps of the stages, which have these extents.
    package func gradients(
        of joined: FeatureMap, stages: [(rows: Int, columns: Int, channels: Int)]
    ) -> [[Float]] {
        var before = 0
        return zip(stages, channels(ofStages: stages.map(\.channels))).map { stage, own in
            var result = [Float](repeating: 0, count: stage.rows * stage.columns * stage.channels)
            guard !own.isEmpty else { return result }
            let part = joined.selected(Array(before..<before + own.count))
            before += own.count
            let resized = part.resizedAdjoint(rows: stage.rows, columns: stage.columns, by: interpolation)
            let found = averages ? resized.averaged() : resized
            for place in 0..<stage.rows * stage.columns {
                for (index, channel) in own.enumerated() {
                    result[place * stage.channels + channel] = found.values[place * own.count + index]
                }
            }
            return result
        }
    }
}
