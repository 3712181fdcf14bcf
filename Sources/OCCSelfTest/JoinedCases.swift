import CKernels

/// Convolutions with batch normalization by the batch, in one operation: what a GPU's tiles add up as they go, in whole
/// and cut tiles, at both strides, in few parts and in many.
enum JoinedCases {
    private static let epsilon = 1e-5

    private static let shapes: [(ConvolutionCases.Shape, isAdded: Bool, relu: Bool)] = [
        // Channels that are no multiple of eight, and such that are.
        (.init(2, 5, 7, 3, 4, 3, 1, 1), true, true), (.init(3, 8, 8, 16, 16, 3, 1, 1), true, true),
        (.init(3, 7, 6, 12, 72, 1, 1, 0), false, true), (.init(3, 7, 6, 72, 24, 1, 1, 0), true, false),
        // Several tiles across and down, the last ones cut.
        (.init(3, 11, 11, 8, 200, 1, 1, 0), true, true), (.init(3, 11, 11, 200, 8, 1, 1, 0), true, true),
        // A stride, of which one class of pixels has fewer tiles than another.
        (.init(22, 5, 4, 8, 16, 3, 2, 1), false, true), (.init(2, 9, 6, 16, 8, 1, 2, 0), true, true),
        // More tiles than are added up at once.
        (.init(9, 64, 64, 8, 8, 1, 1, 0), true, true),
        // Sums in parts.
        (.init(1, 4, 5, 200, 80, 3, 1, 1), true, true), (.init(2, 3, 4, 250, 24, 3, 1, 1), false, false),
        (ConvolutionCases.Shape(3, 8, 8, 16, 16, 3, 1, 1).strictly, true, true),
    ]

    static let all: [OperationCase] = cases(Array(shapes.enumerated()))

    /// In the largest tiles, of which the last one is cut.
    static let large: [OperationCase] = cases([
        (20, (.init(3, 8, 10, 64, 256, 3, 1, 1), true, true)),
        (21, (.init(3, 8, 10, 256, 64, 3, 1, 1), true, true)),
        (22, (.init(3, 8, 10, 64, 64, 3, 1, 1), true, true)),
        (23, (.init(5, 3, 7, 64, 64, 3, 1, 1), false, true)),
        (24, (.init(2, 9, 6, 24, 64, 3, 1, 0), true, false)),
    ]).map { $0.inBfloat16().cutUp(forMultiprocessors: 1) }

    private static func cases(
        _ numbered: [(offset: Int, element: (ConvolutionCases.Shape, isAdded: Bool, relu: Bool))]
    ) -> [OperationCase] {
        numbered.flatMap { index, item in
            let (shape, isAdded, relu) = item
            var p = shape.params
            p.relu = relu ? 1 : 0
            p.epsilon = Float(epsilon)
            p.momentum = 0.1
            let params = ck_operation_params(conv2d: p)
            let name = "\(shape.name)\(relu ? " relu" : "")\(isAdded ? " added" : "")"
            return [
                forward(name, params, p, isAdded: isAdded, relu: relu, seed: UInt64(180 + index)),
                backward(name, params, p, isAdded: isAdded, relu: relu, seed: UInt64(200 + index)),
            ]
        }
    }

    private static func forward(
        _ name: String, _ params: ck_operation_params, _ p: ck_conv2d_params, isAdded: Bool, relu: Bool,
        seed: UInt64
    ) -> OperationCase {
        let channels = Int(p.k), rows = Int(p.n * p.p * p.q), taps = Int(p.r * p.s * p.c)
        var random = TestRandom(seed)
        var operands: [String: Slot] = [
            "x": .input(random.normals(Int(p.n * p.h * p.w * p.c))),
            "w": .input(random.normals(channels * taps)),
            "gamma": .input(random.normals(channels, scale: 0.3, shift: 1)),
            "beta": .input(random.normals(channels)),
            "running_mean": .updated(random.normals(channels, scale: Double(taps).squareRoot())),
            "running_variance": .updated(random.uniforms(channels).map { ($0 + 0.5) * Float(taps) }),
        ]
        if isAdded { operands["residual"] = .input(random.normals(rows * channels)) }
        return OperationCase(
            name, .CK_KIND_conv2d_batchnorm_forward, params, operands, tolerance: 1e-10,
            expected: { s in
                let z = Reference.conv2d(s["x"], s["w"], p)
                let (mean, variance) = Reference.moments(z, channels: channels)
                let unbiased = Double(rows) / Double(rows - 1)
                return [
                    "z": z,
                    "y": Reference.batchnorm(
                        z, gamma: s["gamma"], beta: s["beta"], residual: s.optional("residual"),
                        epsilon: epsilon, relu: relu),
                    "mean": mean, "inverse_deviation": variance.map { 1 / ($0 + epsilon).squareRoot() },
                    "running_mean": zip(s["running_mean"], mean).map { 0.9 * $0 + 0.1 * $1 },
                    "running_variance": zip(s["running_variance"], variance).map {
                        0.9 * $0 + 0.1 * $1 * unbiased
                    },
                ]
            })
    }

    private static func backward(
        _ name: String, _ params: ck_operation_params, _ p: ck_conv2d_params, isAdded: Bool, relu: Bool,
        seed: UInt64
    ) -> OperationCase {
        let channels = Int(p.c), count = Int(p.n * p.h * p.w * p.c)
        var random = TestRandom(seed)
        let x = roundedToBfloat16(random.normals(count, scale: 0.5, shift: 3))
        let (mean, variance) = Reference.moments(x.map(Double.init), channels: channels)
        var operands: [String: Slot] = [
            "dy": .input(random.normals(Int(p.n * p.p * p.q * p.k))),
            "w": .input(random.normals(Int(p.k * p.r * p.s * p.c))),
            "x": .input(x), "y": .input(random.normals(count).map { relu ? max(0, $0) : $0 }),
            "mean": .input(mean.map(Float.init)),
            "inverse_deviation": .input(variance.map { Float(1 / ($0 + epsilon).squareRoot()) }),
            "gamma": .input(random.normals(channels, scale: 0.3, shift: 1)),
        ]
        if isAdded {
            // As large as what it is added to.
            let scale = (Double(p.r * p.s) * Double(p.k)).squareRoot()
            operands["added"] = .input(random.normals(count, scale: scale))
        }
        return OperationCase(
            name, .CK_KIND_conv2d_batchnorm_backward, params, operands, tolerance: 1e-9,
            expected: { s in
                var gradient = Reference.conv2dBackwardData(s["dy"], s["w"], p)
                if let added = s.optional("added") { gradient = zip(gradient, added).map { $0 + $1 } }
                let y = s["y"]
                let g = NormalizationCases.gradientByFormula(s["x"], s["gamma"], y, relu: relu, gradient)
                return [
                    "dx": g.dx, "dgamma": g.dgamma, "dbeta": g.dbeta,
                    "dresidual": gradient.indices.map { !relu || y[$0] > 0 ? gradient[$0] : 0 },
                ]
            })
    }
}
