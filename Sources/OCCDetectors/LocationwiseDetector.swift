import OCCEngine

/// A detector for each of L locations, such as the cells of a grid of patches: row i of a matrix is of
/// location i mod L. For objects that lie alike in every image (Li et al., CVPR 2021, section 4.2).
public struct LocationwiseDetector: OneClassClassifier {
    private let detectors: [any OneClassClassifier]

    /// How many locations there are.
    public var locations: Int { detectors.count }

    /// The detector of one location.
    public func detector(at location: Int) -> any OneClassClassifier { detectors[location] }

    /// Fits one at every location.
    ///
    /// - Parameters:
    ///   - features: whole images: a multiple of `locations` rows.
    /// - Throws: `OCCError(.usage)` for a detector that is not for so few rows.
    public init(_ detector: any Detector, fitting features: FeatureMatrix, locations: Int) throws {
        precondition(features.rows % locations == 0)
        guard let own = detector.forEachLocation as (any Detector)? else {
            throw OCCError(.usage, "\(detector.name) is not for a detector at each location")
        }
        let fitted = parallelMap(locations) { location in
            Result { try own.fit(Self.rows(of: features, location, locations)) }
        }
        detectors = try fitted.map { try $0.get() }
    }

    private static func rows(of features: FeatureMatrix, _ location: Int, _ locations: Int) -> FeatureMatrix {
        features.subset(Array(stride(from: location, to: features.rows, by: locations)))
    }

    // MARK: State

    /// The locations' states, each array stacked along a new first dimension.
    public var state: DetectorState {
        var result = DetectorState()
        let states = detectors.map(\.state)
        for (name, array) in states[0].arrays {
            result.set(
                name, states.flatMap { $0.arrays[name]!.values }, shape: [states.count] + array.shape,
                isSingle: array.isSingle)
        }
        for name in states[0].numbers.keys {
            result.set("number.\(name)", states.map { $0.numbers[name]! }, shape: [states.count])
        }
        return result
    }

    /// The detectors that a state was taken from.
    ///
    /// - Throws: `OCCError(.badData)` when the state is of another number of locations, or malformed.
    public init(_ detector: any Detector, state: DetectorState, locations: Int) throws {
        let detectors = try (0..<locations).map { location in
            var part = DetectorState()
            for name in state.arrays.keys {
                let array = try state.array(name)
                guard array.shape.first == locations else {
                    throw OCCError(
                        .badData, "the detector's array '\(name)' is not of \(locations) locations")
                }
                let own = array.part(location)
                if name.hasPrefix("number.") {
                    part.numbers[String(name.dropFirst("number.".count))] = own.values[0]
                } else {
                    part.arrays[name] = own
                }
            }
            return try detector.restore(part)
        }
        self.detectors = detectors
    }

    // MARK: Scores

    /// The score of each row by the detector of its location; rows are whole images, one after the other.
    public func scores(_ features: FeatureMatrix) throws -> [Double] {
        try collect(features) { detector, rows in try detector.scores(rows).map { [$0] } }.map { $0[0] }
    }

    /// The gradient d score / d features by the detector of each row's location, [rows, columns].
    public func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        let gradients = try collect(features) { detector, rows in
            let gradient = try detector.scoreGradient(rows)
            return (0..<gradient.rows).map {
                Array(gradient.values[$0 * gradient.columns..<($0 + 1) * gradient.columns])
            }
        }
        return FeatureMatrix(
            rows: features.rows, columns: features.columns, values: gradients.flatMap { $0 })
    }

    /// What `body` makes of each location's rows, in the order of all rows.
    private func collect<Value: Sendable>(
        _ features: FeatureMatrix,
        _ body: @Sendable (any OneClassClassifier, FeatureMatrix) throws -> [Value]
    ) throws -> [Value] {
        guard features.rows % locations == 0 else {
            throw OCCError(.badData, "\(features.rows) rows are not of \(locations) locations each")
        }
        let parts = parallelMap(locations) { location in
            Result { try body(detectors[location], Self.rows(of: features, location, locations)) }
        }
        let values = try parts.map { try $0.get() }
        return (0..<features.rows).map { values[$0 % locations][$0 / locations] }
    }
}
