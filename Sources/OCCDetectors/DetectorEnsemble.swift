import OCCEngine

/// Detectors of one kind, each fitted without one fold of the rows: scores are the means of theirs, and those
/// of a fold's rows by the one fitted without them calibrate a threshold, so that no row has to be held out.
///
/// Each of these scores is that of a normal example new to its detector. The mean of detectors that are new
/// to an example is not quite the same number, which is why the promise of such a threshold is approximate:
/// as of cross-conformal prediction (Vovk 2015; Barber et al. 2021, CV+), whose worst case is twice the rate.
public struct DetectorEnsemble: OneClassClassifier {
    /// The detectors, by fold.
    public let members: [any OneClassClassifier]

    /// Deals `count` examples out to folds at random: the fold of each. Folds differ by one example at most.
    public static func folds(_ folds: Int, of count: Int, seed: UInt64) -> [Int] {
        var random = CounterRandom(seed: seed, stream: RandomStream.folds)
        var result = [Int](repeating: 0, count: count)
        for (place, index) in random.permutation(count).enumerated() { result[index] = place % folds }
        return result
    }

    /// Fits a detector for each fold on the rows of the others.
    ///
    /// - Parameters:
    ///   - folds: the fold of each row, 0..<count.
    ///   - count: the number of folds.
    ///   - fit: fits one detector.
    public init(
        fitting features: FeatureMatrix, folds: [Int], count: Int,
        _ fit: (FeatureMatrix) throws -> any OneClassClassifier
    ) rethrows {
        precondition(folds.count == features.rows)
        try self.init(count: count) { fold in
            try fit(features.subset(folds.indices.filter { folds[$0] != fold }))
        }
    }

    /// Fits a detector for each of `count` folds.
    ///
    /// - Parameter fit: fits the one of a fold, on the rows of the others.
    public init(count: Int, _ fit: (Int) throws -> any OneClassClassifier) rethrows {
        members = try (0..<count).map(fit)
    }

    // MARK: State

    private static func prefix(_ fold: Int) -> String { "fold\(fold)." }

    /// The members' states, their names after `fold0.`, `fold1.`, ...
    public var state: DetectorState {
        var result = DetectorState()
        for (fold, member) in members.enumerated() {
            let own = member.state
            for (name, array) in own.arrays { result.arrays[Self.prefix(fold) + name] = array }
            for (name, number) in own.numbers { result.numbers[Self.prefix(fold) + name] = number }
        }
        return result
    }

    /// The ensemble that a state was taken from.
    ///
    /// - Parameter restore: the detector of a member's state.
    public init(
        state: DetectorState, count: Int, _ restore: (DetectorState) throws -> any OneClassClassifier
    ) rethrows {
        members = try (0..<count).map { fold in
            func own<Value>(_ all: [String: Value]) -> [String: Value] {
                let prefix = Self.prefix(fold)
                let chosen = all.filter { $0.key.hasPrefix(prefix) }
                return Dictionary(
                    uniqueKeysWithValues: chosen.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
            }
            var part = DetectorState()
            part.arrays = own(state.arrays)
            part.numbers = own(state.numbers)
            return try restore(part)
        }
    }

    // MARK: Scores

    /// The mean of the members' scores of each row.
    public func scores(_ features: FeatureMatrix) throws -> [Double] {
        try mean { try $0.scores(features) }
    }

    /// The same on a GPU where the members can use one.
    public func scores(_ features: FeatureMatrix, on device: Device) throws -> [Double] {
        try mean { try $0.scores(features, on: device) }
    }

    /// The mean of the members' gradients, [rows, columns].
    public func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        let values = try mean { try $0.scoreGradient(features).values.map(Double.init) }
        return FeatureMatrix(rows: features.rows, columns: features.columns, values: values.map(Float.init))
    }

    private func mean(_ values: (any OneClassClassifier) throws -> [Double]) rethrows -> [Double] {
        var sum = try values(members[0])
        for member in members.dropFirst() {
            for (index, value) in try values(member).enumerated() { sum[index] += value }
        }
        return sum.map { $0 / Double(members.count) }
    }
}
