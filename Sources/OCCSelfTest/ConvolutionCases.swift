import CKernels

/// Shapes with odd sizes, single rows, filters larger than the image, sizes beyond one tile, and every branch
/// of the kernels.
package enum ConvolutionCases {
    struct Shape {
        let n, h, w, c, k, r, stride, pad: Int32
        var strict = false

        init(
            _ n: Int32, _ h: Int32, _ w: Int32, _ c: Int32, _ k: Int32, _ r: Int32, _ stride: Int32,
            _ pad: Int32
        ) {
            (self.n, self.h, self.w, self.c, self.k) = (n, h, w, c, k)
            (self.r, self.stride, self.pad) = (r, stride, pad)
        }

        var params: ck_conv2d_params {
            ck_conv2d_params(
                n: n, h: h, w: w, c: c, k: k, r: r, s: r, stride: stride, pad: pad,
                p: (h + 2 * pad - r) / stride + 1,
                q: (w + 2 * pad - r) / stride + 1, math: strict ? 1 : 0)
        }
        var name: String {
            "\(n)x\(h)x\(w)x\(c)->\(k) \(r)x\(r)/\(stride) pad \(pad)\(strict ? " strict" : "")"
        }
        var strictly: Shape {
            var copy = self
            copy.strict = true
            return copy
        }
    }

    private static let shapes = [
        Shape(1, 1, 1, 1, 1, 1, 1, 0), Shape(2, 5, 7, 3, 4, 3, 1, 1), Shape(1, 3, 3, 5, 6, 3, 1, 0),
        Shape(3, 8, 8, 16, 16, 3, 1, 1), Shape(2, 4, 4, 17, 31, 3, 1, 1), Shape(2, 9, 6, 8, 5, 3, 2, 1),
        Shape(1, 2, 2, 3, 2, 7, 1, 3), Shape(2, 15, 13, 3, 8, 7, 2, 3), Shape(3, 7, 5, 12, 9, 1, 1, 0),
        Shape(2, 7, 5, 12, 9, 1, 2, 0), Shape(2, 16, 16, 16, 24, 3, 1, 1), Shape(1, 33, 18, 4, 16, 3, 1, 1),
        Shape(5, 2, 2, 32, 32, 3, 1, 1), Shape(1, 12, 12, 64, 128, 3, 1, 1), Shape(3, 6, 6, 96, 100, 3, 2, 1),
        Shape(2, 4, 4, 260, 300, 1, 1, 0),
        // By Winograd: whole and cut tiles, an odd number of panels, other paddings, one block and several,
        // small and large.
        Shape(4, 8, 8, 16, 16, 3, 1, 1), Shape(2, 13, 11, 32, 48, 3, 1, 1), Shape(20, 4, 4, 64, 32, 3, 1, 1),
        Shape(17, 2, 3, 16, 48, 3, 1, 1), Shape(3, 12, 10, 16, 32, 3, 1, 0), Shape(3, 9, 9, 32, 16, 3, 1, 2),
        Shape(6, 7, 7, 160, 176, 3, 1, 1), Shape(5, 40, 36, 16, 16, 3, 1, 1),
        // The same at stride 2: even and odd sizes, whole and cut tiles, one block and several.
        Shape(16, 8, 8, 16, 16, 3, 2, 1), Shape(5, 13, 15, 32, 48, 3, 2, 1),
        Shape(6, 14, 21, 16, 32, 3, 2, 1),
        Shape(9, 20, 18, 48, 16, 3, 2, 1), Shape(4, 16, 16, 128, 176, 3, 2, 1),
        Shape(18, 7, 8, 16, 48, 3, 2, 1),
        // Without padding, as in encoders that share the work of overlapping patches.
        Shape(2, 17, 30, 3, 16, 3, 1, 0), Shape(2, 15, 16, 16, 32, 3, 2, 0), Shape(1, 9, 12, 32, 24, 3, 2, 0),
        // Enough blocks for a GPU's large tiles, forward and backward; whole and cut ones.
        Shape(9, 31, 31, 8, 200, 1, 1, 0), Shape(9, 31, 31, 200, 8, 1, 1, 0),
    ]

    /// Every branch of what packs, cuts up and writes activations in bf16: channels that are no multiple of eight, sums in
    /// parts, tiles of both widths, strides, no padding.
    package static let bfloat16: [OperationCase] = cases(
        [1, 4, 5, 7, 9, 12, 13, 14, 15, 22, 28, 31, 33].map { ($0, shapes[$0]) }
    ).map { $0.inBfloat16() }

    /// In the largest tiles that a GPU has, of which the last one is cut.
    package static let large: [OperationCase] =
        (cases([
            (40, Shape(3, 8, 10, 64, 256, 3, 1, 1)), (41, Shape(3, 8, 10, 256, 64, 3, 1, 1)),
            (42, Shape(9, 8, 8, 200, 72, 1, 1, 0)),
            // 64 channels, whose pixels Hopper copies once for nine taps.
            (43, Shape(3, 8, 10, 64, 64, 3, 1, 1)), (44, Shape(2, 9, 6, 64, 24, 3, 1, 0)),
            (45, Shape(2, 7, 5, 64, 64, 3, 1, 2)), (46, Shape(9, 2, 2, 64, 64, 3, 1, 1)),
        ]).map { $0.inBfloat16() }).map { $0.cutUp(forMultiprocessors: 1) }

    package static let all: [OperationCase] = cases(
        Array((shapes + [shapes[16].strictly, shapes[22].strictly, shapes[25].strictly]).enumerated()))

    private static func cases(_ numbered: [(offset: Int, element: Shape)]) -> [OperationCase] {
        numbered.flatMap { index, shape in
            let p = shape.params
            var random = TestRandom(UInt64(100 + index))
            let x = random.normals(Int(p.n * p.h * p.w * p.c)), w = random.normals(Int(p.k * p.r * p.s * p.c))
            let dy = random.normals(Int(p.n * p.p * p.q * p.k))
            let params = ck_operation_params(conv2d: p)
            return [
                OperationCase(
                    shape.name, .CK_KIND_conv2d_forward, params, ["x": .input(x), "w": .input(w)],
                    expected: { ["y": Reference.conv2d($0["x"], $0["w"], p)] }),
                OperationCase(
                    shape.name, .CK_KIND_conv2d_backward_data, params, ["dy": .input(dy), "w": .input(w)],
                    expected: { ["dx": Reference.conv2dBackwardData($0["dy"], $0["w"], p)] }),
                OperationCase(
                    shape.name, .CK_KIND_conv2d_backward_weight, params, ["dy": .input(dy), "x": .input(x)],
                    // Sums over all pixels, in single precision, between Winograd's transforms.
                    tolerance: 1e-10,
                    expected: { ["dw": Reference.conv2dBackwardWeight($0["dy"], $0["x"], p)] }),
            ]
        }
    }

    /// conv2d_inference: a shape, whether a residual is added, and whether a ReLU follows.
    private static let normalized: [(Shape, residual: Bool, relu: Bool)] = [
        // Whole and cut tiles of a GPU, of at most 64 channels and more, even and odd ones, at both strides.
        (Shape(2, 5, 7, 3, 4, 3, 1, 1), true, true), (Shape(2, 4, 4, 17, 31, 3, 1, 1), true, false),
        (Shape(2, 9, 6, 8, 5, 3, 2, 1), false, true), (Shape(3, 7, 6, 12, 24, 1, 1, 0), true, true),
        (Shape(3, 7, 6, 12, 72, 1, 1, 0), true, true), (Shape(2, 5, 5, 8, 71, 1, 2, 0), true, true),
        (Shape(3, 6, 9, 8, 136, 1, 1, 0), false, false),
        // Sums in parts.
        (Shape(1, 4, 5, 200, 80, 3, 1, 1), true, true), (Shape(2, 3, 4, 250, 31, 3, 1, 1), true, true),
        (Shape(1, 4, 4, 200, 72, 3, 2, 1), false, false),
        // By Winograd, at both strides.
        (Shape(2, 13, 11, 32, 48, 3, 1, 1), true, true), (Shape(5, 13, 15, 32, 48, 3, 2, 1), false, true),
        (Shape(2, 13, 11, 32, 48, 3, 1, 1).strictly, true, true),
    ]

    package static let inference: [OperationCase] = normalized.enumerated().map { index, item in
        let (shape, hasResidual, relu) = item, epsilon = 1e-5
        var p = shape.params
        p.relu = relu ? 1 : 0
        p.epsilon = Float(epsilon)
        let taps = Int(p.r * p.s * p.c), channels = Int(p.k)
        var random = TestRandom(UInt64(160 + index))
        // The statistics are about those of the sums, so that what is added to them shows.
        var operands: [String: Slot] = [
            "x": .input(random.normals(Int(p.n * p.h * p.w * p.c))),
            "w": .input(random.normals(channels * taps)),
            "gamma": .input(random.normals(channels, scale: 0.3, shift: 1)),
            "beta": .input(random.normals(channels)),
            "running_mean": .input(random.normals(channels, scale: Double(taps).squareRoot())),
            "running_variance": .input(random.uniforms(channels).map { ($0 + 0.5) * Float(taps) }),
        ]
        if hasResidual { operands["residual"] = .input(random.normals(Int(p.n * p.p * p.q) * channels)) }
        let convolution = p
        return OperationCase(
            "\(shape.name)\(relu ? " relu" : "")\(hasResidual ? " residual" : "")", .CK_KIND_conv2d_inference,
            ck_operation_params(conv2d: p), operands,
            expected: { s in
                [
                    "y": Reference.normalize(
                        Reference.conv2d(s["x"], s["w"], convolution), mean: s["running_mean"],
                        variance: s["running_variance"], gamma: s["gamma"], beta: s["beta"],
                        residual: s.optional("residual"), epsilon: epsilon, relu: relu)
                ]
            })
    }

    /// The reference's backward against finite differences of its forward, (name, what is wrong).
    package static func referenceFailures() -> [String] {
        [Shape(1, 4, 3, 2, 3, 3, 1, 1), Shape(2, 5, 4, 2, 2, 3, 2, 1), Shape(1, 3, 3, 2, 2, 1, 2, 0)].flatMap
        { shape in
            let p = shape.params
            var random = TestRandom(7)
            func draw(_ count: Int32) -> [Double] { random.normals(Int(count)).map(Double.init) }
            let x = draw(p.n * p.h * p.w * p.c), w = draw(p.k * p.r * p.s * p.c),
                dy = draw(p.n * p.p * p.q * p.k)
            let dx = finiteDifferences(of: { dot(Reference.conv2d($0, w, p), dy) }, at: x)
            let dw = finiteDifferences(of: { dot(Reference.conv2d(x, $0, p), dy) }, at: w)
            return [
                difference(Reference.conv2dBackwardData(dy, w, p), dx, tolerance: 1e-16),
                difference(Reference.conv2dBackwardWeight(dy, x, p), dw, tolerance: 1e-16),
            ].compactMap { $0.map { "\(shape.name): \($0)" } }
        }
    }
}
