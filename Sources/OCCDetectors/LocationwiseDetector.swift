import OCCEngine

/// A detector for each of L locations, such as the cells of a grid of patches: row i of a matrix is of location
/// i mod L. For objects that lie alike in every image (Li et al., CVPR 2021, section 4.2).
public struct LocationwiseDetector: OneClassClassifier {
    public let kind: DetectorKind
    private let detectors: [any OneClassClassifier]

    /// How many locations there are.
    public var locations: Int { detectors.count }

    /// The detector of one location.
    public func detector(at location: Int) -> any OneClassClassifier { detectors[location] }

    /// - Parameter features: whole images: a multiple of `locations` rows.
    init(fitting features: FeatureMatrix, _ kind: DetectorKind, locations: Int, _ options: DetectorOptions)
        throws
    {
        precondition(features.rows % locations == 0)
        var options = options
        options.shrinkage = options.shrinkage ?? -1
        let fitted = parallelMap(locations) { [options] location in
            Result {
                try kind.fit(Self.rows(of: features, location, locations), options: options)
            }
        }
        self.kind = kind
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

    init(state: DetectorState, kind: DetectorKind, locations: Int) throws {
        let detectors = try (0..<locations).map { location in
            var part = DetectorState()
            for name in state.arrays.keys {
                let array = try state.array(name)
                guard array.shape.first == locations else {
                    throw OCCError(
                        .badData, "the detector's array '\(name)' is not of \(locations) locations")
                }
                let count = array.values.count / locations
                let values = Array(array.values[location * count..<(location + 1) * count])
                if name.hasPrefix("number.") {
                    part.numbers[String(name.dropFirst("number.".count))] = values[0]
                } else {
                    part.set(name, values, shape: Array(array.shape.dropFirst()), isSingle: array.isSingle)
                }
            }
            return try kind.restore(part)
        }
        self.kind = kind
        self.detectors = detectors
    }

    // MARK: Scores

    public func scores(_ features: FeatureMatrix) throws -> [Double] {
        try collect(features) { detector, rows in try detector.scores(rows).map { [$0] } }.map { $0[0] }
    }

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
