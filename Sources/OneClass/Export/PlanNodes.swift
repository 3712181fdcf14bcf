import OCCEngine

/// Appends a network to an ONNX graph: the operations of an inference plan for one image, one after the other.
///
/// Values have the plan's shapes but for images and maps, which are [N,C,H,W] here, as ONNX has them, and for the first
/// extent, which is as many times larger as there are images: nothing in the nodes depends on their number. Where the plan
/// sees a tensor in another shape, the value is brought into it.
struct PlanNodes {
    let graph: GraphBuilder
    private let operations: [PlannedOperation]
    /// In PyTorch's layout, by name.
    private let weights: [String: NamedWeights]
    private let outputs: [Tensor]

    typealias Value = GraphBuilder.Value

    /// The operations that some outputs need.
    ///
    /// - Parameters:
    ///   - build: appends the network to a plan; its outputs.
    ///   - weights: the program's.
    init(
        graph: GraphBuilder, weights: [NamedWeights], _ build: (PlanBuilder) throws -> [Tensor]
    ) throws {
        self.graph = graph
        self.weights = Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0) })
        let scratch = Program(device: try .cpu(), math: .strict)
        let (plan, outputs) = try scratch.add("export", .inference, build)
        self.outputs = outputs
        operations = plan.operations(neededFor: outputs)
    }

    /// Appends the nodes.
    ///
    /// - Parameters:
    ///   - inputs: values of the plan's inputs.
    ///   - numbers: the number that each row of an input of whole numbers is.
    /// - Returns: the values of the outputs.
    /// - Throws: `OCCError(.usage)` naming an operation that has no nodes here.
    func callAsFunction(_ inputs: [Tensor: Value], numbers: [Tensor: Int] = [:]) throws -> [Value] {
        var known = Known(inputs)
        for operation in operations {
            let made = try append(
                operation,
                OperandNodes(operation: operation, numbers: numbers) { try value(of: $0, among: &known) })
            for (tensor, value) in zip(operation.outputs, made) {
                if let tensor, let value { known.set(value, for: tensor) }
            }
        }
        return try outputs.map { try value(of: $0, among: &known) }
    }

    /// The values so far, and the tensors that they are of in the order in which they were made.
    private struct Known {
        private var values: [Tensor: Value]
        private var made: [Tensor]

        init(_ inputs: [Tensor: Value]) { (values, made) = (inputs, Array(inputs.keys)) }

        subscript(tensor: Tensor) -> Value? { values[tensor] }

        mutating func set(_ value: Value, for tensor: Tensor) {
            values[tensor] = value
            made.append(tensor)
        }

        /// What was made first of those that a tensor is a view of.
        func source(of tensor: Tensor) -> Tensor? { made.first { $0.isView(of: tensor) } }
    }

    /// The value of a tensor in its shape: as it was made, or what it is a view of; or a weight.
    private func value(of tensor: Tensor, among known: inout Known) throws -> Value {
        if let found = known[tensor] { return found }
        if let source = known.source(of: tensor), let found = known[source] {
            let seen = reshaped(found, from: source.shape, to: tensor.shape)
            known.set(seen, for: tensor)
            return seen
        }
        guard let own = weights[tensor.name] else {
            throw OCCError(.failure, "\(tensor.name) is not a weight of the model")
        }
        return graph.parameter(own.name, own.values, own.shape)
    }

    /// A value in another shape; the elements are in the plan's order, channels last.
    private func reshaped(_ value: Value, from old: [Int], to new: [Int]) -> Value {
        let rows = old.count == 4 ? graph.transposed(value, [0, 2, 3, 1]) : value
        let flat = graph.reshaped(rows, [-1] + new.dropFirst())
        return new.count == 4 ? graph.transposed(flat, [0, 3, 1, 2]) : flat
    }
}

/// The operands of an operation as values of a graph.
struct OperandNodes {
    let operation: PlannedOperation
    let numbers: [Tensor: Int]
    let value: (Tensor) throws -> GraphBuilder.Value

    /// The operand at a place, in the order of `ck_operations.h`; nil where an optional one is absent.
    func optional(_ place: Int) throws -> GraphBuilder.Value? {
        guard place < operation.tensors.count else { return nil }
        return try operation.tensors[place].map(value)
    }

    /// The operand at a place.
    func callAsFunction(_ place: Int) throws -> GraphBuilder.Value {
        guard let found = try optional(place) else {
            preconditionFailure("\(operation.name) has no operand \(place)")
        }
        return found
    }

    /// The shape of an operand in the plan.
    func shape(_ place: Int) -> [Int] { operation.tensors[place]?.shape ?? [] }

    /// The number that each row of an operand is; nil where it is not known.
    func number(_ place: Int) -> Int? { operation.tensors[place].flatMap { numbers[$0] } }
}
