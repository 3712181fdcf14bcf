/// The messages of an ONNX file (onnx.proto, IR version 8) that models are written with, and their bytes.
package enum ONNX {
    /// The version of the format.
    package static let irVersion = 8
    /// The version of the operators.
    package static let operatorSet = 17

    /// The types of elements, by their numbers in `TensorProto.DataType`.
    package enum ElementType: Int {
        case float = 1, uint8 = 2, int64 = 7, bool = 9, double = 11
    }

    /// An array of the file; its bytes are row-major and little-endian.
    package struct Array {
        package let name: String, type: ElementType, shape: [Int], bytes: [UInt8]

        package init<Element: BitwiseCopyable>(
            _ name: String, _ type: ElementType, _ values: [Element], _ shape: [Int]
        ) {
            precondition(shape.reduce(1, *) == values.count)
            (self.name, self.type, self.shape) = (name, type, shape)
            bytes = values.withUnsafeBytes { Swift.Array($0) }
        }

        var message: ProtocolBuffer {
            var message = ProtocolBuffer()
            for extent in shape { message.integer(1, extent) }
            message.integer(2, type.rawValue)
            message.text(8, name)
            message.bytes(9, bytes)
            return message
        }
    }

    /// A setting of a node.
    package enum Attribute {
        case integer(String, Int)
        case real(String, Float)
        case integers(String, [Int])
        case graph(String, Graph)

        var message: ProtocolBuffer {
            var message = ProtocolBuffer()
            // The numbers of `AttributeProto.AttributeType`.
            switch self {
            case .integer(let name, let value):
                message.text(1, name)
                message.integer(3, value)
                message.integer(20, 2)
            case .real(let name, let value):
                message.text(1, name)
                message.real(2, value)
                message.integer(20, 1)
            case .integers(let name, let values):
                message.text(1, name)
                for value in values { message.integer(8, value) }
                message.integer(20, 7)
            case .graph(let name, let graph):
                message.text(1, name)
                message.message(6, graph.message)
                message.integer(20, 5)
            }
            return message
        }
    }

    /// An operator with its inputs and outputs by name.
    package struct Node {
        package let name: String, operation: String, inputs: [String], outputs: [String]
        package let attributes: [Attribute]

        package init(
            name: String, operation: String, inputs: [String], outputs: [String],
            attributes: [Attribute] = []
        ) {
            (self.name, self.operation, self.attributes) = (name, operation, attributes)
            (self.inputs, self.outputs) = (inputs, outputs)
        }

        var message: ProtocolBuffer {
            var message = ProtocolBuffer()
            for input in inputs { message.text(1, input) }
            for output in outputs { message.text(2, output) }
            message.text(3, name)
            message.text(4, operation)
            for attribute in attributes { message.message(5, attribute.message) }
            return message
        }
    }

    /// An extent of an input or output.
    package enum Extent {
        case fixed(Int)
        case any(String)
    }

    /// An input or output of a graph; nil for a shape that is not stated.
    package struct ValueInfo {
        package let name: String, type: ElementType, shape: [Extent]?

        package init(name: String, type: ElementType, shape: [Extent]?) {
            (self.name, self.type, self.shape) = (name, type, shape)
        }

        var message: ProtocolBuffer {
            var tensor = ProtocolBuffer()
            tensor.integer(1, type.rawValue)
            if let shape {
                var extents = ProtocolBuffer()
                for extent in shape {
                    var one = ProtocolBuffer()
                    switch extent {
                    case .fixed(let value): one.integer(1, value)
                    case .any(let name): one.text(2, name)
                    }
                    extents.message(1, one)
                }
                tensor.message(2, extents)
            }
            var type = ProtocolBuffer(), message = ProtocolBuffer()
            type.message(1, tensor)
            message.text(1, name)
            message.message(2, type)
            return message
        }
    }

    /// Nodes in the order in which they run, and the arrays that they use.
    package struct Graph {
        package let name: String
        package let nodes: [Node]
        package let arrays: [Array]
        package let inputs: [ValueInfo]
        package let outputs: [ValueInfo]

        package init(
            name: String, nodes: [Node], arrays: [Array] = [], inputs: [ValueInfo], outputs: [ValueInfo]
        ) {
            (self.name, self.nodes, self.arrays) = (name, nodes, arrays)
            (self.inputs, self.outputs) = (inputs, outputs)
        }

        var message: ProtocolBuffer {
            var message = ProtocolBuffer()
            for node in nodes { message.message(1, node.message) }
            message.text(2, name)
            for array in arrays { message.message(5, array.message) }
            for input in inputs { message.message(11, input.message) }
            for output in outputs { message.message(12, output.message) }
            return message
        }
    }

    /// A file: a graph, and free text by key.
    package struct Model {
        package let graph: Graph
        package let metadata: [String: String]

        package init(graph: Graph, metadata: [String: String]) {
            (self.graph, self.metadata) = (graph, metadata)
        }

        /// The file's bytes; equal models have equal bytes.
        package var encoded: [UInt8] {
            var operators = ProtocolBuffer(), message = ProtocolBuffer()
            operators.text(1, "")
            operators.integer(2, ONNX.operatorSet)
            message.integer(1, ONNX.irVersion)
            message.text(2, "occ-gpu")
            message.message(7, graph.message)
            message.message(8, operators)
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
                var entry = ProtocolBuffer()
                entry.text(1, key)
                entry.text(2, value)
                message.message(14, entry)
            }
            return message.encoded
        }
    }
}
