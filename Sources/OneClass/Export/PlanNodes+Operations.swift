import Foundation
import OCCEngine

/// The nodes of each operation; operands are in the order of `ck_operations.h`, the outputs first.
extension PlanNodes {
    /// Appends one operation.
    ///
    /// - Returns: the values of its outputs, in their order; what is left out has none.
    /// - Throws: `OCCError(.usage)` naming the operation where there are no nodes for it.
    func append(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> [Value?] {
        switch operation.name {
        case "conv2d_forward": [try convolution(operation, operand)]
        case "conv2d_inference":
            [
                try normalized(
                    try convolution(operation, operand), try (3...6).map { try operand($0) },
                    residual: operand.optional(7), operation)
            ]
        case "batchnorm_inference":
            [
                try normalized(
                    operand(1), try (3...6).map { try operand($0) }, residual: operand.optional(2), operation)
            ]
        // Between output and input are the places of the largest values.
        case "max_pool_forward": [try windowed("MaxPool", operation, operand(2))]
        case "crop_forward": [try cropped(operation, operand)]
        case "global_average_pool_forward":
            [
                graph.add(
                    "ReduceMean", try operand(1),
                    attributes: [.integers("axes", [2, 3]), .integer("keepdims", 0)])
            ]
        case "upsample_forward": [upsampled(try operand(1), operand.shape(1))]
        case "dihedral": [try turned(operation, operand)]
        case "dense_forward": [try dense(operand)]
        case "relu_forward": [graph.add("Relu", try operand(1))]
        case "tanh_forward": [graph.add("Tanh", try operand(1))]
        case "leaky_relu_forward":
            [graph.add("LeakyRelu", try operand(1), attributes: [.real("alpha", operation.factor ?? 0)])]
        case "softmax": [graph.add("Softmax", try operand(1), attributes: [.integer("axis", -1)])]
        case "scale": [graph.add("Mul", try operand(1), graph.float(operation.factor ?? 1))]
        case "add": [graph.add("Add", try operand(1), try operand(2))]
        case "concatenate":
            [graph.concatenated([try operand(1), try operand(2)], axis: Self.channels(operand.shape(0)))]
        // In a plan without gradients it is a split.
        case "concatenate_backward": try halves(operand)
        case "l2_normalize_forward": try unit(operation, operand)
        case "row_distance_forward": [try distances(operation, operand)]
        case "reconstruction_features_forward": [try comparison(operation, operand)]
        case "dequantize_forward": try dequantized(operation, operand)
        case "coupling_mask": [try kept(operation, operand)]
        case "coupling_forward": try coupled(operation, operand)
        case "squeeze_forward": [squeezed(try operand(1), operand.shape(1))]
        case "normal_forward": [try normalDensity(operand)]
        case "bits_per_dimension_forward": [nil, try bits(operation, operand)]
        default: throw Self.unknown(operation, "the operation \(operation.name) cannot be exported")
        }
    }

    private static func unknown(_ operation: PlannedOperation, _ what: String) -> OCCError {
        OCCError(
            .usage, "layer \(operation.layer): \(what)",
            remedy: "Export a model of another encoder or method: every built-in one can be.")
    }

    /// The axis of a value's channels, by the shape of its tensor.
    private static func channels(_ shape: [Int]) -> Int { shape.count == 4 ? 1 : shape.count - 1 }

    /// The sums of a value's elements for each element of the first axis, in double precision; [N], or [N,1,...].
    private func sums(_ value: Value, _ shape: [Int], keeps: Bool = false) -> Value {
        guard shape.count > 1 else { return graph.cast(value, to: .double) }
        return graph.add(
            "ReduceSum", graph.cast(value, to: .double), graph.integers(Array(1..<shape.count)),
            attributes: [.integer("keepdims", keeps ? 1 : 0)])
    }

    // MARK: Layers

    private func windowed(_ name: String, _ operation: PlannedOperation, _ x: Value, _ w: Value? = nil)
        throws -> Value
    {
        guard let window = operation.window else {
            preconditionFailure("\(operation.name) has no windows")
        }
        let attributes: [ONNX.Attribute] = [
            .integers("kernel_shape", [window.side, window.side]),
            .integers("strides", [window.stride, window.stride]),
            .integers("pads", [Int](repeating: window.padding, count: 4)),
        ]
        return w.map { graph.add(name, x, $0, attributes: attributes) }
            ?? graph.add(name, x, attributes: attributes)
    }

    private func convolution(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> Value {
        try windowed("Conv", operation, operand(1), operand(2))
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

    private func cropped(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> Value {
        let border = operation.window?.padding ?? 0
        return graph.add(
            "Slice", try operand(1), graph.integers([border, border]), graph.integers([-border, -border]),
            graph.integers([2, 3]))
    }

    private func dense(_ operand: OperandNodes) throws -> Value {
        let product = graph.add("MatMul", try operand(1), graph.transposed(try operand(2), [1, 0]))
        return try operand.optional(3).map { graph.add("Add", product, $0) } ?? product
    }

    /// Each pixel repeated 2 x 2.
    private func upsampled(_ x: Value, _ shape: [Int]) -> Value {
        let (height, width, channels) = (shape[1], shape[2], shape[3])
        let apart = graph.reshaped(x, [-1, channels, height, 1, width, 1])
        let repeated = graph.add("Expand", apart, graph.integers([1, 1, 1, 2, 1, 2]))
        return graph.reshaped(repeated, [-1, channels, 2 * height, 2 * width])
    }

    /// Images under a symmetry of the square (ck_dihedral.h), which must be known.
    private func turned(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> Value {
        guard let symmetry = operand.number(2) else {
            throw Self.unknown(operation, "which symmetry images are seen under is not known")
        }
        var x = try operand(1)
        func flip(_ axes: [Int]) {
            let ones = [Int](repeating: -1, count: axes.count)
            x = graph.add(
                "Slice", x, graph.integers(ones), graph.integers(axes.map { _ in Int(Int32.min) }),
                graph.integers(axes), graph.integers(ones))
        }
        switch symmetry / 2 {
        case 1:
            x = graph.transposed(x, [0, 1, 3, 2])
            flip([2])
        case 2: flip([2, 3])
        case 3:
            x = graph.transposed(x, [0, 1, 3, 2])
            flip([3])
        default: break
        }
        if symmetry % 2 == 1 { flip([3]) }
        return x
    }

    /// The first and the second half of the channels.
    private func halves(_ operand: OperandNodes) throws -> [Value?] {
        let x = try operand(2), axis = Self.channels(operand.shape(2))
        let first = operand.shape(0).last ?? 0, all = operand.shape(2).last ?? 0
        return [(0, first), (first, all)].map { from, to in
            graph.add(
                "Slice", x, graph.integers([from]), graph.integers([to]), graph.integers([axis]))
        }
    }

    // MARK: Rows

    private func norm(_ value: Value, _ shape: [Int], atLeast least: Float, keeps: Bool = false) -> Value {
        let own = graph.cast(value, to: .double)
        let squares = sums(graph.add("Mul", own, own), shape, keeps: keeps)
        return graph.add("Max", graph.add("Sqrt", squares), graph.double(Double(least)))
    }

    /// Rows divided by their norms, and these.
    private func unit(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> [Value?] {
        let x = try operand(2)
        let norm = norm(x, operand.shape(2), atLeast: operation.leastNorm ?? 0, keeps: true)
        let y = graph.cast(graph.add("Div", graph.cast(x, to: .double), norm), to: .float)
        return [y, graph.reshaped(graph.cast(norm, to: .float), [-1])]
    }

    /// A factor times the squared distance of rows from their targets, or the only one.
    private func distances(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> Value {
        let gap = graph.cast(graph.add("Sub", try operand(1), try operand(2)), to: .double)
        let squares = graph.sumOfLast(graph.add("Mul", gap, gap), keeps: false)
        return graph.cast(
            graph.add("Mul", squares, graph.double(Double(operation.factor ?? 1))), to: .float)
    }

    /// The relative distance and the cosine of x and its restoration.
    private func comparison(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> Value {
        let shape = operand.shape(1), least = operation.leastNorm ?? 0
        let x = graph.cast(try operand(1), to: .double), restored = graph.cast(try operand(2), to: .double)
        let own = norm(x, shape, atLeast: least), other = norm(restored, shape, atLeast: least)
        let gap = norm(graph.add("Sub", x, restored), shape, atLeast: 0)
        let product = sums(graph.add("Mul", x, restored), shape)
        let parts = [
            graph.add("Div", gap, own), graph.add("Div", product, graph.add("Mul", own, other)),
        ]
        return graph.concatenated(
            parts.map { graph.reshaped(graph.cast($0, to: .float), [-1, 1]) }, axis: 1)
    }

    // MARK: Flows

    /// logit(m + (1 - 2m) (255 x + 1/2) / 256), and the logarithm of its derivative for each image.
    private func dequantized(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> [Value?] {
        guard let (margin, noise) = operation.dequantization, noise == 0 else {
            throw Self.unknown(operation, "what draws noise cannot be exported")
        }
        let shape = operand.shape(2), scale = 1 - 2 * margin
        let levels = graph.add("Mul", try operand(2), graph.float(255))
        let value = graph.add(
            "Mul", graph.add("Add", levels, graph.float(0.5)), graph.float(1.0 / 256))
        let share = graph.cast(
            graph.add("Add", graph.add("Mul", value, graph.float(scale)), graph.float(margin)), to: .double)
        let first = graph.add("Log", share)
        let second = graph.add("Log", graph.add("Sub", graph.double(1), share))
        let size = Double(shape.dropFirst().reduce(1, *))
        let total = sums(graph.add("Add", first, second), shape)
        let log = graph.add("Sub", graph.double(size * Foundation.log(Double(scale))), total)
        return [graph.cast(graph.add("Sub", first, second), to: .float), graph.cast(log, to: .float)]
    }

    /// Which values a coupling keeps, as an array that goes with the value.
    private func mask(_ operation: PlannedOperation, _ shape: [Int]) -> Value {
        guard let kept = operation.kept else { preconditionFailure("\(operation.name) keeps nothing") }
        let channels = shape.last ?? 1, pixels = kept.count / channels
        let ordered = (0..<channels).flatMap { channel in
            (0..<pixels).map { kept[$0 * channels + channel] }
        }
        return graph.bools(ordered, [1, channels] + shape.dropFirst().dropLast())
    }

    private func kept(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> Value {
        graph.add("Where", mask(operation, operand.shape(1)), try operand(1), graph.float(0))
    }

    /// x exp(s) + t where it is not kept, and the sum of s for each row.
    private func coupled(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> [Value?] {
        let shape = operand.shape(2), channels = shape.last ?? 1, mask = mask(operation, shape)
        let x = try operand(2), net = try operand(3)
        let parts = [(0, channels), (channels, 2 * channels)].map { from, to in
            graph.add(
                "Slice", net, graph.integers([from]), graph.integers([to]),
                graph.integers([Self.channels(shape)]))
        }
        let factor = graph.reshaped(
            try operand(4), [1, channels] + [Int](repeating: 1, count: shape.count - 2))
        let s = graph.add("Mul", factor, graph.add("Tanh", parts[0]))
        let changed = graph.add("Add", graph.add("Mul", x, graph.add("Exp", s)), parts[1])
        var log = sums(graph.add("Where", mask, graph.float(0), s), shape)
        if let before = try operand.optional(5) {
            log = graph.add("Add", log, graph.cast(before, to: .double))
        }
        return [graph.add("Where", mask, x, changed), graph.cast(log, to: .float)]
    }

    /// Each square of 2 x 2 pixels as one of four times the channels.
    private func squeezed(_ x: Value, _ shape: [Int]) -> Value {
        let (height, width, channels) = (shape[1], shape[2], shape[3])
        let apart = graph.reshaped(x, [-1, channels, height / 2, 2, width / 2, 2])
        return graph.reshaped(
            graph.transposed(apart, [0, 3, 5, 1, 2, 4]), [-1, 4 * channels, height / 2, width / 2])
    }

    /// The log density of rows under the standard normal distribution, and what came before.
    private func normalDensity(_ operand: OperandNodes) throws -> Value {
        let shape = operand.shape(1), size = Double(shape.dropFirst().reduce(1, *))
        let z = graph.cast(try operand(1), to: .double)
        let half = graph.add("Mul", sums(graph.add("Mul", z, z), shape), graph.double(-0.5))
        var log = graph.add("Sub", half, graph.double(0.5 * size * Foundation.log(2 * Double.pi)))
        if let before = try operand.optional(2) {
            log = graph.add("Add", log, graph.cast(before, to: .double))
        }
        return graph.cast(log, to: .float)
    }

    /// -log2 of likelihoods over the dimensions, and the levels' bits.
    private func bits(_ operation: PlannedOperation, _ operand: OperandNodes) throws -> Value {
        guard let (dimensions, levels) = operation.likelihood else {
            preconditionFailure("\(operation.name) has no dimensions")
        }
        let own = graph.add(
            "Div", graph.cast(try operand(2), to: .double), graph.double(Double(dimensions) * M_LN2))
        return graph.cast(graph.add("Sub", graph.double(Double(levels)), own), to: .float)
    }
}
