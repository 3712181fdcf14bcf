import OCCDetectors
import OCCEngine
import OCCNetworks

extension OneClassModel {
    /// The bytes an ONNX file can have: protocol buffers count them in 31 bits.
    private static let onnxLimit = Int(Int32.max)

    /// Makes an ONNX file (opset 17) of the model, with all that it takes to score images: resizing, encoder,
    /// detector, calibration, and of a model of patches the map.
    ///
    /// Its input is `images`, uint8 [N,H,W,3] in RGB. Its outputs are `score`, double [N]; with calibration
    /// scores `p_value`, double [N]; with a threshold `anomalous`, bool [N]; of a model of patches or of an encoder's maps,
    /// and of a method that scores pixels, `map`, float [N,side,side].
    ///
    /// - Throws: `OCCError(.usage)` naming an operation or a detector that cannot be exported, or where
    ///   the file would have more than 2 GiB.
    public func onnx() throws -> [UInt8] {
        let bytes = ONNX.Model(graph: try onnxGraph(), metadata: try metadata()).encoded
        guard bytes.count <= Self.onnxLimit else {
            throw OCCError(
                .usage, "\(name): has \(formatBytes(bytes.count)) as ONNX, which allows 2 GiB",
                remedy: "Lower \(setting: "detector-rows") or \(setting: "width"), and train again.")
        }
        return bytes
    }

    /// The graph of `onnx`.
    package func onnxGraph() throws -> ONNX.Graph {
        let graph = GraphBuilder()
        let pixels = ImageNodes(graph: graph, fit: configuration.fit, side: side)("images")
        let score = try appendScores(of: pixels, to: graph)
        let images = ONNX.Extent.any("N")
        var outputs = [ONNX.ValueInfo(name: "score", type: .double, shape: [images])]
        if !calibration.scores.isEmpty {
            appendPValue(of: score, to: graph)
            outputs.append(ONNX.ValueInfo(name: "p_value", type: .double, shape: [images]))
        }
        if let threshold = calibration.threshold {
            _ = graph.add("Greater", score, graph.double(threshold), as: "anomalous")
            outputs.append(ONNX.ValueInfo(name: "anomalous", type: .bool, shape: [images]))
        }
        if localizes {
            outputs.append(
                ONNX.ValueInfo(name: "map", type: .float, shape: [images, .fixed(side), .fixed(side)]))
        }
        let input = ONNX.ValueInfo(
            name: "images", type: .uint8, shape: [images, .any("H"), .any("W"), .fixed(3)])
        return ONNX.Graph(
            name: "occ_gpu", nodes: graph.nodes, arrays: graph.arrays, inputs: [input], outputs: outputs)
    }

    /// Appends the scores of images [N,3,side,side], as "score", and their maps, where there are such, as "map".
    private func appendScores(of pixels: GraphBuilder.Value, to graph: GraphBuilder) throws
        -> GraphBuilder.Value
    {
        if let extractor = scoring.features as? MapExtractor {
            let encoder = try EncoderNodes(
                configuration.encoder, side: side, stages: configuration.layers?.numbers,
                weights: try exportWeights(), graph: graph)
            let nodes = MapNodes(graph: graph, joining: extractor.joining, shape: extractor.shape)
            let all = try encoder(pixels),
                own = configuration.layers == nil ? [all.count - 1] : Array(all.indices)
            let (score, map) = try nodes(
                own.map { all[$0] }, channels: own.map { encoder.channels[$0] },
                places: own.map { encoder.places[$0] }, detector, named: configuration.detector.name)
            _ = graph.add(
                "Cast", map, attributes: [.integer("to", ONNX.ElementType.float.rawValue)], as: "map")
            return graph.add("Identity", score, as: "score")
        }
        let (features, pixelScores) = try appendFeatures(of: pixels, to: graph)
        let places = DetectorNodes(graph: graph, places: grid?.count ?? 1)
        let scores = try places(
            features, detector, named: configuration.detectorInForce.name, columns: featureCount)
        if let pixelScores {
            appendMap(ofPixels: pixelScores, to: graph)
        } else if let grid {
            appendMap(of: scores, grid, to: graph)
        }
        return graph.add(
            "ReduceMax", scores, attributes: [.integers("axes", [1]), .integer("keepdims", 0)], as: "score")
    }

    /// Appends what the detector sees of images [N,3,side,side], or of their patches; and the scores of pixels, where the
    /// method gives these.
    private func appendFeatures(of pixels: GraphBuilder.Value, to graph: GraphBuilder) throws -> (
        features: GraphBuilder.Value, maps: GraphBuilder.Value?
    ) {
        let weights = try exportWeights()
        guard configuration.detector is OwnScore, let method = configuration.method as? any OwnScoring else {
            let features = try FeatureNodes(
                graph: graph, encoder: configuration.encoder, side: side, grid: grid,
                layers: configuration.layers, weights: weights)(pixels)
            return (features, nil)
        }
        return try OwnScoreNodes(
            graph: graph, method: method, encoder: configuration.encoder,
            headWidths: configuration.headWidths, side: grid?.patch ?? side, hasMaps: ownMaps != nil,
            weights: weights)(grid.map { graph.patches(pixels, $0) } ?? pixels)
    }

    /// Appends the map of `OwnMaps` for scores of pixels [N,side,side]: smoothing is a matrix along each axis.
    private func appendMap(ofPixels scores: GraphBuilder.Value, to graph: GraphBuilder) {
        let lines = (0..<side).map { place -> [Float] in
            var line = FeatureMap(
                rows: 1, columns: side, channels: 1, values: [Float](repeating: 0, count: side))
            line.values[place] = 1
            return line.blurred(sigma: FeatureMap.smoothing).values
        }
        // Row y of what is multiplied from the left says what each pixel adds to pixel y.
        let down = (0..<side).flatMap { y in (0..<side).map { lines[$0][y] } }
        let across = lines.flatMap { $0 }
        let product = graph.add("MatMul", graph.floats(down, [side, side]), scores)
        _ = graph.add("MatMul", product, graph.floats(across, [side, side]), as: "map")
    }

    /// Appends `ThresholdCalibration.pValue`: (1 + scores at least as high) / (1 + scores).
    private func appendPValue(of score: GraphBuilder.Value, to graph: GraphBuilder) {
        let held = graph.doubles(calibration.scores, [1, calibration.scores.count])
        let isHigher = graph.add("GreaterOrEqual", held, graph.reshaped(score, [-1, 1]))
        let higher = graph.sumOfLast(graph.cast(isHigher, to: .double), keeps: false)
        _ = graph.add(
            "Div", graph.add("Add", higher, graph.double(1)),
            graph.double(Double(1 + calibration.scores.count)), as: "p_value")
    }

    /// Appends the map of `localize` for patches' scores [N,P].
    private func appendMap(of scores: GraphBuilder.Value, _ grid: PatchGrid, to graph: GraphBuilder) {
        let scale = mapScale, (ordinary, unit) = (scale.ordinary, scale.unit)
        let above = graph.add(
            "Div", graph.add("Sub", scores, graph.double(ordinary)), graph.double(unit))
        // asinh and sinh have no kernels of double precision everywhere.
        let size = graph.add("Abs", above)
        let root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", size, size), graph.double(1)))
        let logs = graph.add("Mul", graph.add("Sign", above), graph.add("Log", graph.add("Add", size, root)))
        let cells = graph.reshaped(logs, [-1, grid.rows.count, grid.columns.count])
        func spread(_ positions: [Int], _ length: Int) -> GraphBuilder.Value {
            graph.doubles(grid.spread(positions, length), [length, positions.count])
        }
        let down = spread(grid.rows, grid.height)
        let across = graph.transposed(spread(grid.columns, grid.width), [1, 0])
        let means = graph.add("MatMul", graph.add("MatMul", down, cells), across)
        let grown = graph.add("Exp", means), shrunk = graph.add("Exp", graph.add("Neg", means))
        let sinh = graph.add("Sub", grown, shrunk)
        let values = graph.add(
            "Add", graph.add("Mul", sinh, graph.double(unit / 2)), graph.double(ordinary))
        _ = graph.add(
            "Cast", values, attributes: [.integer("to", ONNX.ElementType.float.rawValue)], as: "map")
    }
}
