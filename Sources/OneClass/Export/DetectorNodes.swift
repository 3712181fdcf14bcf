import OCCDetectors
import OCCEngine

/// Appends a fitted detector's scores to an ONNX graph, in double precision.
struct DetectorNodes {
    let graph: GraphBuilder
    /// Places of an image: patches, or 1 for a whole image.
    let places: Int

    typealias Value = GraphBuilder.Value

    /// The nodes of a detector: rows [L,R,D] and the classifier -> scores [L,R].
    private typealias Nodes = @Sendable (DetectorNodes, Value, FittedDetector) throws -> Value

    /// The detectors that have nodes and see normalized rows, by name.
    private static let ofNormalized: [String: Nodes] = [
        "kde": { try $0.kernelDensity($1, $2) },
        "gaussian": { try $0.gaussian($1, $2) },
        "knn": { try $0.nearestNeighbors($1, $2) },
        "ocsvm-rbf": { try $0.supportVectors($1, $2) },
        "svdd": { try $0.dataDescription($1, $2) },
    ]

    /// Those that see rows as they are.
    private static let ofPlain: [String: Nodes] = [
        "ocsvm-linear": { try $0.linearSupportVectors($1, $2) },
        "knn-mahalanobis": { try $0.nearestWhitened($1, $2) },
        FlowDensity().name: { try $0.flow($1, $2) },
    ]

    /// Those of what methods score by themselves, which see rows as they are.
    private static let ofMethods: [String: Nodes] = [
        OwnScore().name: { try $0.score($1, $2) },
        LogitDifference().name: { try $0.logitDifference($1, $2) },
        ShiftedInstanceScore(shifts: 1).name: { try $0.shiftedInstances($1, $2) },
        MixtureEnergy(components: 1, epsilon: 0).name: { try $0.mixture($1, $2) },
    ]

    /// Appends the nodes: features float [N P,D], image by image -> scores double [N,P].
    ///
    /// - Parameters:
    ///   - name: the detector's.
    ///   - columns: of the features, D.
    /// - Throws: `OCCError(.usage)` for a detector that has no nodes here.
    func callAsFunction(
        _ features: Value, _ classifier: any OneClassClassifier, named name: String, columns: Int
    ) throws -> Value {
        guard let nodes = Self.ofNormalized[name] ?? Self.ofPlain[name] ?? Self.ofMethods[name] else {
            let able = [String](Self.ofNormalized.keys) + Self.ofPlain.keys
            throw OCCError(
                .usage, "\(setting: "detector") \(name): cannot be exported",
                remedy: "Train with one of \(able.sorted().joined(separator: ", ")).")
        }
        let rows =
            Self.ofNormalized[name] == nil ? graph.cast(features, to: .double) : normalized(features)
        let all = try FittedDetector.all(of: classifier).map { try scores(rows, $0, columns, nodes) }
        guard all.count > 1 else { return all[0] }
        let sum = all.dropFirst().reduce(all[0]) { graph.add("Add", $0, $1) }
        return graph.add("Div", sum, graph.double(Double(all.count)))
    }

    private func scores(
        _ rows: Value, _ fitted: FittedDetector, _ columns: Int, _ nodes: Nodes
    ) throws -> Value {
        let grouped: Value
        if fitted.locations == 1 {
            grouped = graph.reshaped(rows, [1, -1, columns])
        } else {
            grouped = graph.transposed(graph.reshaped(rows, [-1, places, columns]), [1, 0, 2])
        }
        let found = try nodes(self, grouped, fitted)
        let byRow = fitted.locations == 1 ? found : graph.transposed(found, [1, 0])
        return graph.reshaped(byRow, [-1, places])
    }

    /// Rows divided by their norm and rounded to single precision, as `FeatureMatrix.normalized` does; in
    /// double.
    func normalized(_ features: Value) -> Value {
        let rows = graph.cast(features, to: .double)
        let squares = graph.sumOfLast(graph.add("Mul", rows, rows), keeps: true)
        let norms = graph.add("Sqrt", squares), least = graph.double(FeatureMatrix.leastNorm)
        let counts = graph.cast(graph.add("Not", graph.add("Less", norms, least)), to: .double)
        let inverse = graph.add("Div", counts, graph.add("Max", norms, least))
        return graph.cast(graph.cast(graph.add("Mul", rows, inverse), to: .float), to: .double)
    }

    // MARK: Parts

    /// The products of rows [L,R,D] with the training rows [L,S,D] that the state keeps: [L,R,S].
    private func products(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let support = try fitted.support()
        let stored = graph.floats(support.values.map(Float.init), support.shape)
        return graph.add("MatMul", rows, graph.transposed(graph.cast(stored, to: .double), [0, 2, 1]))
    }

    /// A number of each location, as [L,1,1] or [L,1].
    private func numbers(_ values: [Double], rank: Int) -> Value {
        graph.doubles(values, [values.count] + [Int](repeating: 1, count: rank - 1))
    }

    // MARK: Detectors

    /// -(1 / gamma) log sum exp(2 gamma u . x), the largest exponent taken out of the sum.
    private func kernelDensity(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let gamma = try fitted.numbers("gamma")
        let exponents = graph.add(
            "Mul", try products(rows, fitted), numbers(gamma.map { 2 * $0 }, rank: 3))
        let top = graph.add(
            "ReduceMax", exponents, attributes: [.integers("axes", [-1]), .integer("keepdims", 1)])
        let sum = graph.sumOfLast(graph.add("Exp", graph.add("Sub", exponents, top)), keeps: true)
        let logs = graph.add("Add", graph.add("Log", sum), top)
        let scores = graph.add("Div", logs, numbers(gamma.map { -$0 }, rank: 3))
        return graph.add("Squeeze", scores, graph.integers([-1]))
    }

    /// The inverse Cholesky factor times (u - mean): [L,R,D].
    private func whitened(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let mean = try fitted.mean(), whitening = try fitted.whitening()
        let centered = graph.add(
            "Sub", rows, graph.doubles(mean.values, [fitted.locations, 1, try fitted.columns]))
        return graph.add("MatMul", centered, graph.doubles(whitening.values, whitening.shape))
    }

    /// Half the squared length of the inverse Cholesky factor times (u - mean), and the normalization.
    private func gaussian(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let solved = try whitened(rows, fitted)
        let distances = graph.sumOfLast(graph.add("Mul", solved, solved), keeps: false)
        return graph.add(
            "Add", graph.add("Mul", distances, graph.double(0.5)),
            numbers(try fitted.normalization(), rank: 2))
    }

    /// 1 - the mean of the largest products.
    private func nearestNeighbors(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let neighbors = Int(try fitted.numbers("neighbors")[0])
        var cosines = try products(rows, fitted)
        let lengths = try fitted.squaredLengths()
        if lengths.contains(0) {
            // Rows of zeros are like each other.
            let known = graph.doubles(
                lengths.map { $0 == 0 ? 1 : 0 }, [fitted.locations, 1, lengths.count / fitted.locations])
            let squares = graph.sumOfLast(graph.add("Mul", rows, rows), keeps: true)
            let zeros = graph.cast(graph.add("Equal", squares, graph.double(0)), to: .double)
            cosines = graph.add("Add", cosines, graph.add("Mul", zeros, known))
        }
        let largest = graph.largest(neighbors, of: cosines)
        let mean = graph.add("Div", graph.sumOfLast(largest, keeps: false), graph.double(Double(neighbors)))
        return graph.add("Sub", graph.double(1), mean)
    }

    /// The mean distance to the nearest whitened training rows.
    private func nearestWhitened(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let neighbors = Int(try fitted.numbers("neighbors")[0])
        let own = graph.cast(graph.cast(try whitened(rows, fitted), to: .float), to: .double)
        // The largest of 2 z t - |t|^2 are nearest, and |z|^2 less them are squared distances.
        let lengths = try fitted.squaredLengths()
        let twice = try products(graph.add("Mul", own, graph.double(2)), fitted)
        let nearness = graph.add(
            "Sub", twice,
            graph.doubles(lengths, [fitted.locations, 1, lengths.count / fitted.locations]))
        let largest = graph.largest(neighbors, of: nearness)
        let length = graph.sumOfLast(graph.add("Mul", own, own), keeps: true)
        let squares = graph.add("Max", graph.add("Sub", length, largest), graph.double(0))
        let sum = graph.sumOfLast(graph.add("Sqrt", squares), keeps: false)
        return graph.add("Div", sum, graph.double(Double(neighbors)))
    }

    /// The kernel sum -sum a exp(-gamma |u - x|^2).
    private func supportVectors(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        graph.add("Neg", try kernelSums(rows, fitted))
    }

    private func kernelSums(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let lengths = try fitted.squaredLengths()
        let own = graph.sumOfLast(graph.add("Mul", rows, rows), keeps: true)
        let both = graph.add("Add", own, graph.doubles(lengths, [1, 1, lengths.count]))
        let twice = graph.add("Mul", try products(rows, fitted), graph.double(2))
        let distances = graph.add("Sub", both, twice)
        let gamma = try fitted.numbers("gamma").map { -$0 }
        let kernel = graph.add("Exp", graph.add("Mul", distances, numbers(gamma, rank: 3)))
        let multipliers = try fitted.multipliers().values
        let weighted = graph.add(
            "MatMul", kernel, graph.doubles(multipliers, [1, multipliers.count, 1]))
        return graph.add("Squeeze", weighted, graph.integers([-1]))
    }

    /// -sum a u . x, whose sum over the training rows is known beforehand.
    private func linearSupportVectors(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let normal = try fitted.normal()
        let scores = graph.add("MatMul", rows, graph.doubles(normal, [1, normal.count, 1]))
        return graph.add("Squeeze", scores, graph.integers([-1]))
    }

    /// 1 - 2 sum a k(u, x) / sum a + the squared norm of the center.
    private func dataDescription(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let (offset, factor) = try fitted.description()
        let share = graph.add("Mul", try kernelSums(rows, fitted), graph.double(factor))
        return graph.add("Add", share, graph.double(offset))
    }
}
