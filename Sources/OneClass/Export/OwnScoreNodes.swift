import OCCEngine
import OCCNetworks

/// Appends what a method scores images by itself to an ONNX graph: what `PartExtractor` computes of it.
struct OwnScoreNodes {
    let graph: GraphBuilder
    let method: any OwnScoring
    let encoder: any Encoder
    /// Widths of the projection head.
    let headWidths: [Int]
    /// The side of the images, or of their patches.
    let side: Int
    /// Whether the scores of pixels are wanted.
    let hasMaps: Bool
    /// The program's.
    let weights: [NamedWeights]

    typealias Value = GraphBuilder.Value

    /// Appends the nodes: float [N,3,side,side] in 0...1 -> [N,D], the views side by side; and [N,side,side], the scores
    /// of pixels.
    ///
    /// - Throws: `OCCError(.usage)` naming an operation that cannot be exported.
    func callAsFunction(_ images: Value) throws -> (features: Value, maps: Value?) {
        var inputs: [Tensor] = [], shown: Tensor?
        let isPlain = method.scoredViews == [[]], rowInputs = isPlain ? [] : method.rowInputs
        let nodes = try PlanNodes(graph: graph, weights: weights) { plan in
            let own = try plan.input("images", [1, side, side, 3], type: .float32)
            let rows = try RowInputTensors(rowInputs, rows: 1, prefix: "", in: plan)
            (shown, inputs) = (own, rowInputs.map { rows[$0.name] })
            let batch = ScoringBatch(images: own, inputs: rows, encoder: encoder, headWidths: headWidths)
            guard hasMaps, let method = method as? any MapScoring else {
                return [try method.scoreFeatures(batch, in: plan)]
            }
            let scored = try method.scoreMaps(batch, in: plan)
            return [scored.features, scored.maps]
        }
        guard let shown, rowInputs.allSatisfy({ $0.width == 1 }) else {
            throw OCCError(
                .usage, "\(method.name): its views are of several numbers, which cannot be exported",
                remedy: "Train with another \(setting: "detector"), such as kde.")
        }
        let found = try method.scoredViews.map { view in
            try nodes([shown: images], numbers: Dictionary(uniqueKeysWithValues: zip(inputs, view)))
        }
        return (graph.concatenated(found.map { $0[0] }, axis: 1), hasMaps ? found[0][1] : nil)
    }
}
