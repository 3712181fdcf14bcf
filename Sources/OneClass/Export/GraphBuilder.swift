/// Appends nodes to an ONNX graph, each of which makes a value with a name of its own.
final class GraphBuilder {
    /// A value of the graph, by its name.
    typealias Value = String

    private(set) var nodes: [ONNX.Node] = []
    private(set) var arrays: [ONNX.Array] = []
    private let names: Names

    /// Graphs within a graph see its values, and share its names.
    private final class Names {
        var count = 0
        var taken: Set<String> = []
    }

    init() { names = Names() }

    private init(within outer: GraphBuilder) { names = outer.names }

    private func unused(_ prefix: String) -> String {
        names.count += 1
        return "\(prefix)_\(names.count)"
    }

    // MARK: Nodes

    /// Appends a node of one output.
    func add(
        _ operation: String, _ inputs: Value..., attributes: [ONNX.Attribute] = [], as name: Value? = nil
    ) -> Value {
        let output = name ?? unused(operation)
        nodes.append(
            ONNX.Node(
                name: unused(operation), operation: operation, inputs: inputs, outputs: [output],
                attributes: attributes))
        return output
    }

    /// Appends a conversion to another type.
    func cast(_ value: Value, to type: ONNX.ElementType) -> Value {
        add("Cast", value, attributes: [.integer("to", type.rawValue)])
    }

    /// Appends values side by side; a single one stays as it is.
    func concatenated(_ values: [Value], axis: Int) -> Value {
        guard values.count > 1 else { return values[0] }
        let output = unused("Concat")
        nodes.append(
            ONNX.Node(
                name: unused("Concat"), operation: "Concat", inputs: values, outputs: [output],
                attributes: [.integer("axis", axis)]))
        return output
    }

    /// Appends the sum over the last axis, which stays with an extent of 1 where asked for.
    func sumOfLast(_ value: Value, keeps: Bool) -> Value {
        add("ReduceSum", value, integers([-1]), attributes: [.integer("keepdims", keeps ? 1 : 0)])
    }

    /// Appends the largest elements along the last axis, in falling order.
    func largest(_ count: Int, of value: Value) -> Value { largestWithPlaces(count, of: value).values }

    /// The same, and where they are, int64.
    func largestWithPlaces(_ count: Int, of value: Value) -> (values: Value, places: Value) {
        let output = unused("TopK"), places = unused("places")
        nodes.append(
            ONNX.Node(
                name: unused("TopK"), operation: "TopK", inputs: [value, integers([count])],
                outputs: [output, places]))
        return (output, places)
    }

    /// Appends a value in another shape: 0 for an extent that stays, -1 for the one that follows.
    func reshaped(_ value: Value, _ shape: [Int]) -> Value { add("Reshape", value, integers(shape)) }

    func transposed(_ value: Value, _ order: [Int]) -> Value {
        add("Transpose", value, attributes: [.integers("perm", order)])
    }

    /// Appends the elements at `indices` of an axis, in their shape.
    func gathered(_ value: Value, at indices: Value, axis: Int) -> Value {
        add("Gather", value, indices, attributes: [.integer("axis", axis)])
    }

    /// Appends `start` changed `count` times by the nodes that `body` appends.
    ///
    /// - Parameter body: gets the number of the turn, an int64 scalar, and the value so far.
    func repeated(
        _ count: Value, from start: Value, of type: ONNX.ElementType,
        _ body: (GraphBuilder, _ turn: Value, _ value: Value) -> Value
    ) -> Value {
        let inner = GraphBuilder(within: self)
        let turn = unused("turn"), goesOn = unused("goes_on"), before = unused("before")
        let after = body(inner, turn, before)
        let still = inner.add("Identity", goesOn)
        let graph = ONNX.Graph(
            name: unused("body"), nodes: inner.nodes, arrays: inner.arrays,
            inputs: [
                ONNX.ValueInfo(name: turn, type: .int64, shape: []),
                ONNX.ValueInfo(name: goesOn, type: .bool, shape: []),
                ONNX.ValueInfo(name: before, type: type, shape: nil),
            ],
            outputs: [
                ONNX.ValueInfo(name: still, type: .bool, shape: []),
                ONNX.ValueInfo(name: after, type: type, shape: nil),
            ])
        return add("Loop", count, "", start, attributes: [.graph("body", graph)])
    }

    // MARK: Arrays

    /// A scalar.
    func double(_ value: Double) -> Value { array(.double, [value], []) }
    /// A scalar.
    func float(_ value: Float) -> Value { array(.float, [value], []) }
    /// A scalar.
    func integer(_ value: Int) -> Value { array(.int64, [Int64(value)], []) }
    /// A vector.
    func integers(_ values: [Int]) -> Value { array(.int64, values.map(Int64.init), [values.count]) }

    /// An array of whole numbers of any shape.
    func integers(_ values: [Int], _ shape: [Int]) -> Value { array(.int64, values.map(Int64.init), shape) }
    func doubles(_ values: [Double], _ shape: [Int]) -> Value { array(.double, values, shape) }
    func bools(_ values: [Bool], _ shape: [Int]) -> Value { array(.bool, values, shape) }
    func floats(_ values: [Float], _ shape: [Int]) -> Value { array(.float, values, shape) }

    /// The array of a parameter, which keeps its name and is stored once.
    func parameter(_ name: String, _ values: [Float], _ shape: [Int]) -> Value {
        if names.taken.insert(name).inserted { arrays.append(ONNX.Array(name, .float, values, shape)) }
        return name
    }

    private func array<Element: BitwiseCopyable>(
        _ type: ONNX.ElementType, _ values: [Element], _ shape: [Int]
    ) -> Value {
        let name = unused("constant")
        arrays.append(ONNX.Array(name, type, values, shape))
        return name
    }
}
