import OCCEngine
import OCCNetworks

/// Appends an encoder to an ONNX graph: the operations of its inference plan, one after the other.
///
/// Maps are [N,C,H,W] here, as ONNX has them. The plan's batch and, where the encoder does not pad, its image
/// size do not matter: nothing in the nodes depends on them.
struct EncoderNodes {
    let graph: GraphBuilder
    /// The encoder's plan for one image.
    private let operations: [PlannedOperation]
    private let images: Tensor
    private let stages: [Tensor]
    /// In PyTorch's layout, by name.
    private let weights: [String: NamedWeights]

    /// Channels of each stage's map.
    var channels: [Int] { stages.map { $0.shape[3] } }

    private typealias Value = GraphBuilder.Value

    /// The encoder for images of `side` pixels.
    ///
    /// - Parameter weights: the program's.
    init(_ encoder: any Encoder, side: Int, weights: [NamedWeights], graph: GraphBuilder) throws {
        self.graph = graph
        self.weights = Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0) })
        let scratch = Program(device: try .cpu(), math: .strict)
        let (plan, (images, stages)) = try scratch.add("export", .inference) { builder in
            let images = try builder.input("images", [1, side, side, 3], type: .float32)
            return (images, try encoder(images, in: builder).stages)
        }
        (self.images, self.stages) = (images, stages)
        // What the stages need: nothing behind them, such as the pooling of the last one.
        var needed = Set(stages), kept: [PlannedOperation] = []
        for operation in plan.operations.reversed() {
            guard let output = operation.tensors[0], needed.contains(output) else { continue }
            needed.formUnion(operation.tensors.compactMap { $0 })
            kept.append(operation)
        }
        operations = kept.reversed()
    }

    /// Appends the nodes: float [N,3,H,W] in 0...1 -> the map of each stage, [N,C,P,Q].
    ///
    /// - Throws: `OCCError(.usage)` naming an operation that has no nodes here.
    func callAsFunction(_ input: GraphBuilder.Value) throws -> [GraphBuilder.Value] {
        var values = [images: input]
        for operation in operations {
            guard let output = operation.tensors[0] else { continue }
            values[output] = try append(operation) { tensor in
                if let known = values[tensor] { return known }
                guard let own = weights[tensor.name] else {
                    throw OCCError(
                        .failure, "\(operation.layer): \(tensor.name) is not a weight of the model")
                }
                return graph.parameter(own.name, own.values, own.shape)
            }
        }
        return stages.map { values[$0]! }
    }

    /// Appends one operation; its tensors are in the order of `ck_operations.h`, the output first.
    private func append(_ operation: PlannedOperation, _ value: (Tensor) throws -> Value) throws -> Value {
        func operand(_ place: Int) throws -> Value? {
            guard place < operation.tensors.count else { return nil }
            return try operation.tensors[place].map(value)
        }
        func input(_ place: Int) throws -> Value {
            guard let found = try operand(place) else {
                preconditionFailure("\(operation.name) has no operand \(place)")
            }
            return found
        }
        func convolution(_ window: PlannedOperation.Window) throws -> Value {
            graph.add(
                "Conv", try input(1), try input(2),
                attributes: [
                    .integers("kernel_shape", [window.side, window.side]),
                    .integers("strides", [window.stride, window.stride]),
                    .integers("pads", [Int](repeating: window.padding, count: 4)),
                ])
        }
        switch (operation.name, operation.window) {
        case ("conv2d_forward", let window?): return try convolution(window)
        case ("conv2d_inference", let window?):
            let variables = try (3...6).map { try input($0) }
            return try normalized(convolution(window), variables, residual: operand(7), operation)
        case ("batchnorm_inference", _):
            let variables = try (3...6).map { try input($0) }
            return try normalized(input(1), variables, residual: operand(2), operation)
        case ("max_pool_forward", let window?):
            // Between output and input are the places of the largest values.
            return graph.add(
                "MaxPool", try input(2),
                attributes: [
                    .integers("kernel_shape", [window.side, window.side]),
                    .integers("strides", [window.stride, window.stride]),
                    .integers("pads", [Int](repeating: window.padding, count: 4)),
                ])
        case ("crop_forward", let window?):
            let border = window.padding
            return graph.add(
                "Slice", try input(1), graph.integers([border, border]), graph.integers([-border, -border]),
                graph.integers([2, 3]))
        case ("relu_forward", _): return graph.add("Relu", try input(1))
        case ("add", _): return graph.add("Add", try input(1), try input(2))
        default:
            throw OCCError(
                .usage, "layer \(operation.layer): the operation \(operation.name) cannot be exported",
                remedy: "Export a model of another encoder: every built-in one can be.")
        }
    }

    private func normalized(
        _ x: Value, _ variables: [Value], residual: Value?, _ operation: PlannedOperation
    ) throws -> Value {
        guard let (epsilon, relu) = operation.normalization else {
            preconditionFailure("\(operation.name) does not normalize")
        }
        var y = graph.add(
            "BatchNormalization", x, variables[0], variables[1], variables[2], variables[3],
            attributes: [.real("epsilon", epsilon)])
        if let residual { y = graph.add("Add", y, residual) }
        return relu ? graph.add("Relu", y) : y
    }
}
