import OCCEngine
import OCCNetworks

/// Appends an encoder to an ONNX graph. Maps are [N,C,H,W]; where the encoder does not pad, the images may be of another
/// size than its plan's.
struct EncoderNodes {
    private let nodes: PlanNodes
    private let images: Tensor
    private let stages: [Tensor]

    /// Channels of each stage's map.
    var channels: [Int] { stages.map { $0.shape[3] } }

    /// Rows and columns of each stage's map, of images of the plan's size.
    var places: [(rows: Int, columns: Int)] { stages.map { ($0.shape[1], $0.shape[2]) } }

    /// The encoder for images of `side` pixels.
    ///
    /// - Parameters:
    ///   - chosen: the numbers of the stages that are wanted, from 1; nil for all.
    ///   - weights: the program's.
    init(
        _ encoder: any Encoder, side: Int, stages chosen: [Int]? = nil, weights: [NamedWeights],
        graph: GraphBuilder
    ) throws {
        var images: Tensor?, stages: [Tensor] = []
        nodes = try PlanNodes(graph: graph, weights: weights) { plan in
            let own = try plan.input("images", [1, side, side, 3], type: .float32)
            images = own
            let all = try encoder(own, in: plan).stages
            stages = chosen?.map { all[$0 - 1] } ?? all
            return stages
        }
        (self.images, self.stages) = (images!, stages)
    }

    /// Appends the nodes: float [N,3,H,W] in 0...1 -> the map of each wanted stage, [N,C,P,Q].
    ///
    /// - Throws: `OCCError(.usage)` naming an operation that has no nodes here.
    func callAsFunction(_ input: GraphBuilder.Value) throws -> [GraphBuilder.Value] {
        try nodes([images: input])
    }
}
