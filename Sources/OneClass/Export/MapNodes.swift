import OCCDetectors
import OCCEngine
import OCCNetworks

/// Appends to an ONNX graph what a detector sees of the maps of an encoder's stages, and the scores and maps that it gives:
/// what `MapExtractor` and a `MapClassifier` compute.
struct MapNodes {
    let graph: GraphBuilder
    let joining: MapJoining
    let shape: MapShape

    typealias Value = GraphBuilder.Value

    /// The nodes of a detector: rows of places float [N,places,channels] -> the scores of the places and of the images,
    /// double [N,places] and [N].
    private typealias Nodes =
        @Sendable (MapNodes, Value, DetectorState) throws -> (
            places: Value, images: Value?
        )

    /// The detectors that have nodes, by name.
    private static let known: [String: Nodes] = [
        PaDiM().name: { (try $0.gaussians($1, $2), nil) },
        PatchCore().name: { try $0.nearest($1, $2) },
    ]

    /// Appends the nodes: the maps of the stages, float [N,C,P,Q] -> the scores of images, double [N], and of their pixels,
    /// double [N,side,side].
    ///
    /// - Parameters:
    ///   - channels: of each stage's map.
    ///   - places: the rows and columns of each stage's map.
    ///   - name: the detector's.
    /// - Throws: `OCCError(.usage)` for a detector that has no nodes here.
    func callAsFunction(
        _ stages: [Value], channels: [Int], places: [(rows: Int, columns: Int)],
        _ classifier: any OneClassClassifier, named name: String
    ) throws -> (scores: Value, map: Value) {
        guard let nodes = Self.known[name], let mapping = classifier.mapping else {
            throw OCCError(
                .usage, "\(setting: "detector") \(name): cannot be exported",
                remedy: "Train with one of \(Self.known.keys.sorted().joined(separator: ", ")).")
        }
        let rows = joined(stages, channels, places)
        let members = (classifier as? DetectorEnsemble)?.members ?? [classifier]
        let found = try members.map { member in
            let (places, images) = try nodes(self, rows, member.state)
            let map = pixels(places, by: mapping.interpolation)
            return (score: images ?? highest(map), map: map)
        }
        return (mean(found.map { $0.score }), mean(found.map { $0.map }))
    }

    private func mean(_ values: [Value]) -> Value {
        guard values.count > 1 else { return values[0] }
        let sum = values.dropFirst().reduce(values[0]) { graph.add("Add", $0, $1) }
        return graph.add("Div", sum, graph.double(Double(values.count)))
    }

    // MARK: Maps

    /// Appends the rows of places: float [N,places,channels].
    private func joined(_ stages: [Value], _ channels: [Int], _ places: [(rows: Int, columns: Int)]) -> Value
    {
        let kept = joining.channels(ofStages: channels)
        let parts = stages.indices.compactMap { number -> Value? in
            guard !kept[number].isEmpty else { return nil }
            var map = stages[number]
            if kept[number].count < channels[number] {
                map = graph.gathered(map, at: graph.integers(kept[number]), axis: 1)
            }
            if joining.averages {
                map = graph.add(
                    "AveragePool", map,
                    attributes: [
                        .integers("kernel_shape", [3, 3]), .integers("pads", [1, 1, 1, 1]),
                        .integer("count_include_pad", 1),
                    ])
            }
            return resized(map, from: places[number])
        }
        let map = graph.reshaped(graph.concatenated(parts, axis: 1), [0, shape.channels, shape.places])
        return graph.transposed(map, [0, 2, 1])
    }

    /// A map in the size of the first one: a matrix along each axis.
    private func resized(_ map: Value, from places: (rows: Int, columns: Int)) -> Value {
        if places == (shape.rows, shape.columns) { return map }
        func matrix(_ length: Int, _ count: Int) -> Value {
            let values = FeatureMap.resizing(length, to: count, by: joining.interpolation)
            return graph.floats(values.map(Float.init), [count, length])
        }
        let lines = graph.add("MatMul", matrix(places.rows, shape.rows), map)
        return graph.add(
            "MatMul", lines, graph.transposed(matrix(places.columns, shape.columns), [1, 0]))
    }

    /// The map of pixels, double [N,side,side], of the scores of places, double [N,places]: resizing and smoothing are a
    /// matrix along each axis.
    private func pixels(_ scores: Value, by interpolation: FeatureMap.Interpolation) -> Value {
        let cells = graph.reshaped(scores, [-1, shape.rows, shape.columns])
        let down = graph.doubles(shape.spread(shape.rows, by: interpolation), [shape.side, shape.rows])
        let across = graph.doubles(
            shape.spread(shape.columns, by: interpolation), [shape.side, shape.columns])
        return graph.add("MatMul", graph.add("MatMul", down, cells), graph.transposed(across, [1, 0]))
    }

    /// The highest pixel of each map.
    private func highest(_ map: Value) -> Value {
        graph.add("ReduceMax", map, attributes: [.integers("axes", [1, 2]), .integer("keepdims", 0)])
    }

    // MARK: Detectors

    /// What rows of each place are multiplied by, from the right: [places,channels,channels].
    static func whitening(_ state: DetectorState, _ shape: MapShape) throws -> [Float] {
        let d = shape.channels, packed = try state.array("whitening").values
        var factors = [Float](repeating: 0, count: shape.places * d * d), next = 0
        for place in 0..<shape.places {
            for column in 0..<d {
                for row in column..<d {
                    factors[(place * d + column) * d + row] = Float(packed[next])
                    next += 1
                }
            }
        }
        return factors
    }

    /// The length of each whitened row of its place.
    private func gaussians(_ rows: Value, _ state: DetectorState) throws -> Value {
        let d = shape.channels, mean = try state.array("mean").values
        let factors = try Self.whitening(state, shape)
        let byPlace = graph.transposed(graph.cast(rows, to: .double), [1, 0, 2])
        let centered = graph.add("Sub", byPlace, graph.doubles(mean, [shape.places, 1, d]))
        let matrices = graph.cast(graph.floats(factors, [shape.places, d, d]), to: .double)
        let whitened = graph.add("MatMul", centered, matrices)
        let lengths = graph.add("Sqrt", graph.sumOfLast(graph.add("Mul", whitened, whitened), keeps: false))
        return graph.transposed(lengths, [1, 0])
    }

    /// The distance of each row from the nearest of the memory, and of each image that of the farthest row, weighted.
    private func nearest(_ rows: Value, _ state: DetectorState) throws -> (places: Value, images: Value) {
        let memory = try state.matrix("memory"), columns = memory.columns
        let support = min(memory.rows, Int(try state.number("support")))
        let stored = graph.floats(memory.values, [memory.rows, columns])
        let lengths = (0..<memory.rows).map { row in
            -0.5
                * memory.values[row * columns..<(row + 1) * columns].reduce(0.0) {
                    $0 + Double($1) * Double($1)
                }
        }
        let search = Search(
            graph: graph, memory: stored, turned: graph.transposed(stored, [1, 0]),
            lengths: graph.floats(lengths.map { Float($0) }, [1, memory.rows]), count: memory.rows)
        let all = graph.reshaped(rows, [-1, columns])
        let (distances, places) = search(all, 1)
        let byImage = graph.reshaped(distances, [-1, shape.places])
        let worst = graph.add(
            "ArgMax", byImage, attributes: [.integer("axis", 1), .integer("keepdims", 1)])
        let score = graph.add("GatherElements", byImage, worst, attributes: [.integer("axis", 1)])
        let flat = graph.add("Squeeze", score, graph.integers([1]))
        guard support > 1 else { return (byImage, flat) }
        // The farthest row of each image, and the neighbors of the kept one that is nearest to it.
        let kept = graph.add(
            "GatherElements", graph.reshaped(places, [-1, shape.places]), worst,
            attributes: [.integer("axis", 1)])
        let at = graph.reshaped(worst, [-1, 1, 1])
        let index = graph.add("Expand", at, graph.integers([1, 1, columns]))
        let row = graph.reshaped(
            graph.add("GatherElements", rows, index, attributes: [.integer("axis", 1)]), [-1, columns])
        let own = graph.gathered(stored, at: graph.add("Squeeze", kept, graph.integers([1])), axis: 0)
        let neighbors = search(own, support).places
        let away = search.distances(row, neighbors)
        let top = graph.add(
            "ReduceMax", away, attributes: [.integers("axes", [-1]), .integer("keepdims", 1)])
        let powers = graph.add("Exp", graph.add("Sub", away, top))
        let shares = graph.add("Div", powers, graph.sumOfLast(powers, keeps: true))
        func first(_ values: Value) -> Value { graph.gathered(values, at: graph.integer(0), axis: 1) }
        let weight = graph.add("Sub", graph.double(1), first(shares))
        return (byImage, graph.add("Mul", weight, first(away)))
    }

    /// A search for the nearest rows of a memory: products in single precision find a few more than are wanted, among which
    /// distances in double precision decide.
    private struct Search {
        let graph: GraphBuilder
        /// float [count,columns], and transposed.
        let memory: Value, turned: Value
        /// -|m|^2 / 2 of each row, float [1,count].
        let lengths: Value
        let count: Int

        /// The distances from rows, float [R,columns], of the rows of the memory in these places, [R,k]: double [R,k].
        func distances(_ rows: Value, _ places: Value) -> Value {
            let found = graph.cast(graph.gathered(memory, at: places, axis: 0), to: .double)
            let own = graph.add("Unsqueeze", graph.cast(rows, to: .double), graph.integers([1]))
            let difference = graph.add("Sub", found, own)
            return graph.add("Sqrt", graph.sumOfLast(graph.add("Mul", difference, difference), keeps: false))
        }

        /// The distances from the nearest rows, nearest first, and their places: [R,wanted].
        func callAsFunction(_ rows: Value, _ wanted: Int) -> (distances: Value, places: Value) {
            let products = graph.add("Add", graph.add("MatMul", rows, turned), lengths)
            let candidates = graph.largestWithPlaces(min(count, wanted + 3), of: products).places
            let (negative, order) = graph.largestWithPlaces(
                wanted, of: graph.add("Neg", distances(rows, candidates)))
            let places = graph.add("GatherElements", candidates, order, attributes: [.integer("axis", 1)])
            return (graph.add("Neg", negative), places)
        }
    }
}
