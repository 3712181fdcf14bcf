import OCCEngine
import OCCNetworks

/// Appends an encoder to an ONNX graph. Maps are [N,C,H,W] here, as ONNX has them.
struct EncoderNodes {
    let graph: GraphBuilder
    private let steps: EncoderSteps
    /// In PyTorch's layout, by name.
    private let weights: [String: NamedWeights]

    /// Channels of each stage's map.
    var channels: [Int] { steps.channels }

    private typealias Value = GraphBuilder.Value

    /// The encoder for images of `side` pixels.
    ///
    /// - Parameter weights: the program's.
    /// - Throws: `OCCError(.usage)` naming an operation that has no nodes here.
    init(_ encoder: any Encoder, side: Int, weights: [NamedWeights], graph: GraphBuilder) throws {
        self.graph = graph
        self.weights = Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0) })
        steps = try EncoderSteps(encoder, side: side)
    }

    /// Appends the nodes: float [N,3,H,W] in 0...1 -> the map of each stage, [N,C,P,Q].
    func callAsFunction(_ input: GraphBuilder.Value) throws -> [GraphBuilder.Value] {
        var values = [0: input]
        for step in steps.steps {
            values[step.result] = try append(step.kind, values[step.operand]!) { values[$0]! }
        }
        return steps.stages.map { values[$0]! }
    }

    private func parameter(_ name: String) throws -> Value {
        guard let own = weights[name] else {
            throw OCCError(.failure, "\(name) is not a weight of the model")
        }
        return graph.parameter(own.name, own.values, own.shape)
    }

    private func append(
        _ kind: EncoderSteps.Kind, _ x: Value, _ value: (Int) -> Value
    ) throws -> Value {
        switch kind {
        case .convolution(let weight, let window, let normalization):
            let y = graph.add("Conv", x, try parameter(weight), attributes: attributes(window))
            return try normalization.map { try normalized(y, $0, value) } ?? y
        case .normalization(let own): return try normalized(x, own, value)
        case .maxPool(let window): return graph.add("MaxPool", x, attributes: attributes(window))
        case .crop(let border):
            return graph.add(
                "Slice", x, graph.integers([border, border]), graph.integers([-border, -border]),
                graph.integers([2, 3]))
        case .relu: return graph.add("Relu", x)
        case .leakyReLU(let factor):
            return graph.add("LeakyRelu", x, attributes: [.real("alpha", factor)])
        case .sum(let other): return graph.add("Add", x, value(other))
        case .dense(let weight, let bias):
            let pixels = graph.add("Flatten", graph.transposed(x, [0, 2, 3, 1]))
            var y = graph.add("MatMul", pixels, graph.transposed(try parameter(weight), [1, 0]))
            if let bias { y = graph.add("Add", y, try parameter(bias)) }
            return graph.reshaped(y, [0, -1, 1, 1])
        }
    }

    private func attributes(_ window: PlannedOperation.Window) -> [ONNX.Attribute] {
        [
            .integers("kernel_shape", [window.side, window.side]),
            .integers("strides", [window.stride, window.stride]),
            .integers("pads", [Int](repeating: window.padding, count: 4)),
        ]
    }

    private func normalized(
        _ x: Value, _ own: EncoderSteps.Normalization, _ value: (Int) -> Value
    ) throws -> Value {
        var y = graph.add(
            "BatchNormalization", x, try parameter("\(own.layer).weight"), try parameter("\(own.layer).bias"),
            try parameter("\(own.layer).running_mean"), try parameter("\(own.layer).running_var"),
            attributes: [.real("epsilon", own.epsilon)])
        if let residual = own.residual { y = graph.add("Add", y, value(residual)) }
        return own.relu ? graph.add("Relu", y) : y
    }
}
