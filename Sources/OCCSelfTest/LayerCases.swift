import CKernels
import Foundation

/// The cases of dense layers, activations, pooling and upsampling.
enum LayerCases {
    static let all = elementwise + pooling + windows + dense + concatenation + rows

    // MARK: Elementwise

    private static let elementwise: [OperationCase] = [1, 15, 16_384, 40_001].flatMap { count in
        var random = TestRandom(UInt64(300 + count))
        let a = random.normals(count), b = random.normals(count)
        let params = ck_operation_params(elementwise: ck_elementwise_params(count: Int64(count)))
        let scaled = ck_operation_params(scale: ck_scale_params(count: Int64(count), factor: 0.25))
        return [
            OperationCase(
                "\(count)", .CK_KIND_relu_forward, params, ["x": .input(a)],
                expected: { ["y": $0["x"].map { max(0, $0) }] }),
            OperationCase(
                "\(count)", .CK_KIND_relu_backward, params,
                ["dy": .input(a), "y": .input(b.map { max(0, $0) })],
                expected: { s in ["dx": zip(s["dy"], s["y"]).map { $1 > 0 ? $0 : 0 }] }),
            OperationCase(
                "\(count)", .CK_KIND_tanh_forward, params, ["x": .input(a)],
                expected: { ["y": $0["x"].map(tanh)] }),
            OperationCase(
                "\(count)", .CK_KIND_tanh_backward, params,
                ["dy": .input(a), "y": .input(b.map(tanh))],
                expected: { s in
                    ["dx": zip(s["dy"], s["y"]).map { dy, y in dy / pow(cosh(atanh(y)), 2) }]
                }),
            OperationCase(
                "\(count)", .CK_KIND_add, params, ["a": .input(a), "b": .input(b)],
                expected: { s in ["y": zip(s["a"], s["b"]).map { $0 + $1 }] }),
            OperationCase(
                "\(count)", .CK_KIND_scale, scaled, ["x": .input(a)],
                expected: { ["y": $0["x"].map { 0.25 * $0 }] }),
            OperationCase(
                "\(count)", .CK_KIND_leaky_relu_forward, scaled, ["x": .input(a)],
                expected: { ["y": $0["x"].map { $0 > 0 ? $0 : 0.25 * $0 }] }),
            OperationCase(
                "\(count)", .CK_KIND_leaky_relu_backward, scaled, ["dy": .input(a), "y": .input(b)],
                expected: { s in ["dx": zip(s["dy"], s["y"]).map { $1 > 0 ? $0 : 0.25 * $0 }] }),
            OperationCase(
                "\(count)", .CK_KIND_to_bf16, params, ["x": .input(a)], expected: { ["y": $0["x"]] }),
            OperationCase(
                "\(count)", .CK_KIND_from_bf16, params, ["x": .input(roundedToBfloat16(a))], tolerance: 0,
                expected: { ["y": $0["x"]] }),
            OperationCase(
                "\(count)", .CK_KIND_mean_squared_error_forward, params,
                ["x": .input(a), "target": .input(b)],
                expected: { s in ["loss": [meanSquare(s["x"], s["target"])]] }),
            OperationCase(
                "\(count)", .CK_KIND_mean_squared_error_backward, params,
                ["x": .input(a), "target": .input(b)],
                expected: { s in
                    let target = s["target"]
                    guard count < 100 else {
                        return ["dx": zip(s["x"], target).map { 2 * ($0 - $1) / Double(count) }]
                    }
                    return ["dx": finiteDifferences(of: { meanSquare($0, target) }, at: s["x"])]
                }),
            OperationCase(
                "\(count)", .CK_KIND_sum_of_squares, params, ["x": .input(a)],
                expected: { ["y": [dot($0["x"], $0["x"])]] }),
        ]
    }

    private static func meanSquare(_ a: [Double], _ b: [Double]) -> Double {
        zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / Double(a.count)
    }

    // MARK: Pooling

    private static let pooling: [OperationCase] = [
        (n: 2, h: 8, w: 8, c: 3, r: 3, stride: 2, pad: 1), (n: 1, h: 7, w: 5, c: 4, r: 3, stride: 2, pad: 1),
        (n: 3, h: 1, w: 1, c: 17, r: 3, stride: 1, pad: 1), (n: 2, h: 6, w: 9, c: 1, r: 2, stride: 2, pad: 0),
        (n: 1, h: 5, w: 4, c: 24, r: 3, stride: 2, pad: 1),
    ].flatMap { s in
        var p = ck_pool_params()
        (p.n, p.h, p.w, p.c) = (Int32(s.n), Int32(s.h), Int32(s.w), Int32(s.c))
        (p.r, p.stride, p.pad) = (Int32(s.r), Int32(s.stride), Int32(s.pad))
        (p.p, p.q) = (
            Int32((s.h + 2 * s.pad - s.r) / s.stride + 1), Int32((s.w + 2 * s.pad - s.r) / s.stride + 1)
        )
        let pool = p
        var random = TestRandom(UInt64(400 + s.h))
        let input = s.n * s.h * s.w * s.c, output = s.n * Int(p.p * p.q) * s.c
        // Distinct values far apart: no ties, and finite differences stay on one side of them. Negative ones
        // too.
        let order = random.uniforms(input).enumerated().sorted { $0.element < $1.element }.map(\.offset)
        let x = order.map { Float($0) * 0.01 - 1 }
        let dy = random.normals(output), dmean = random.normals(s.n * s.c), dup = random.normals(4 * input)
        let argmax = Reference.maxPool(x.map(Double.init), pool).argmax.map { UInt8($0) }
        let params = ck_operation_params(pool: pool)
        let name = "\(s.n)x\(s.h)x\(s.w)x\(s.c) \(s.r)/\(s.stride)"
        return [
            OperationCase(
                name, .CK_KIND_max_pool_forward, params, ["x": .input(x)],
                expected: { s in
                    let result = Reference.maxPool(s["x"], pool)
                    return ["y": result.y, "argmax": result.argmax]
                }),
            OperationCase(
                name, .CK_KIND_max_pool_backward, params, ["dy": .input(dy), "argmax": .bytes(argmax)],
                expected: { s in
                    let dy = s["dy"]
                    return [
                        "dx": finiteDifferences(
                            of: { dot(Reference.maxPool($0, pool).y, dy) }, at: x.map(Double.init))
                    ]
                }),
            OperationCase(
                name, .CK_KIND_global_average_pool_forward, params, ["x": .input(x)],
                expected: { ["y": Reference.globalAveragePool($0["x"], pool)] }),
            OperationCase(
                name, .CK_KIND_global_average_pool_backward, params, ["dy": .input(dmean)],
                expected: { s in
                    let dy = s["dy"]
                    return [
                        "dx": finiteDifferences(
                            of: { dot(Reference.globalAveragePool($0, pool), dy) }, at: x.map(Double.init))
                    ]
                }),
            OperationCase(
                name, .CK_KIND_upsample_forward, params, ["x": .input(x)],
                expected: { ["y": Reference.upsample($0["x"], pool)] }),
            OperationCase(
                name, .CK_KIND_upsample_backward, params, ["dy": .input(dup)],
                expected: { s in
                    let dy = s["dy"]
                    return [
                        "dx": finiteDifferences(
                            of: { dot(Reference.upsample($0, pool), dy) }, at: x.map(Double.init))
                    ]
                }),
        ]
    }

    // MARK: Cropping, means of windows

    private static let windows: [OperationCase] = [
        (n: 2, h: 9, w: 7, c: 3, r: 2, stride: 1, border: 2),
        (n: 1, h: 12, w: 31, c: 16, r: 10, stride: 2, border: 0),
        (n: 3, h: 5, w: 5, c: 17, r: 5, stride: 3, border: 1),
        (n: 1, h: 11, w: 3, c: 1, r: 1, stride: 1, border: 1),
    ].flatMap { s in
        var p = ck_pool_params()
        (p.n, p.h, p.w, p.c) = (Int32(s.n), Int32(s.h), Int32(s.w), Int32(s.c))
        var cropping = p, window = p
        (cropping.pad, cropping.p, cropping.q) = (
            Int32(s.border), Int32(s.h - 2 * s.border), Int32(s.w - 2 * s.border)
        )
        (window.r, window.stride) = (Int32(s.r), Int32(s.stride))
        (window.p, window.q) = (Int32((s.h - s.r) / s.stride + 1), Int32((s.w - s.r) / s.stride + 1))
        let (crop, means) = (cropping, window)
        var random = TestRandom(UInt64(450 + s.h))
        let x = random.normals(s.n * s.h * s.w * s.c), dy = random.normals(s.n * Int(crop.p * crop.q) * s.c)
        let name = "\(s.n)x\(s.h)x\(s.w)x\(s.c)"
        return [
            OperationCase(
                "\(name) border \(s.border)", .CK_KIND_crop_forward, ck_operation_params(pool: crop),
                ["x": .input(x)],
                expected: { ["y": Reference.crop($0["x"], crop)] }),
            OperationCase(
                "\(name) border \(s.border)", .CK_KIND_crop_backward, ck_operation_params(pool: crop),
                ["dy": .input(dy)],
                expected: { s in
                    let dy = s["dy"]
                    return [
                        "dx": finiteDifferences(
                            of: { dot(Reference.crop($0, crop), dy) }, at: x.map(Double.init))
                    ]
                }),
            OperationCase(
                "\(name) \(s.r)/\(s.stride)", .CK_KIND_window_means, ck_operation_params(pool: means),
                ["x": .input(x)],
                expected: { ["y": Reference.windowMeans($0["x"], means)] }),
        ]
    }

    // MARK: Dense

    private static let dense: [OperationCase] = [(1, 1, 1), (5, 7, 3), (64, 33, 65), (3, 130, 129)].flatMap {
        n, c, k in
        [false, true].flatMap { hasBias -> [OperationCase] in
            var random = TestRandom(UInt64(500 + c))
            let x = random.normals(n * c), w = random.normals(k * c), b = random.normals(k),
                dy = random.normals(n * k)
            let params = ck_operation_params(
                dense: ck_dense_params(n: Int32(n), c: Int32(c), k: Int32(k), math: 0))
            let inputs: [String: Slot] = ["x": .input(x), "w": .input(w)]
            let gradients: [String: Slot] = ["dy": .input(dy), "x": .input(x)]
            @Sendable func forward(_ x: [Double], _ w: [Double], _ b: [Double]?) -> [Double] {
                Reference.dense(x, w, b, n: n, c: c, k: k)
            }
            let name = "\(n)x\(c)->\(k)\(hasBias ? " bias" : "")"
            // y is linear in each argument: its gradient is dy through the transposed product.
            @Sendable func transposed(_ values: [Double], rows: Int) -> [Double] {
                let columns = values.count / rows
                return (0..<values.count).map { values[$0 % rows * columns + $0 / rows] }
            }
            return [
                OperationCase(
                    name, .CK_KIND_dense_forward, params,
                    hasBias ? inputs.merging(["b": .input(b)]) { $1 } : inputs,
                    expected: { s in ["y": forward(s["x"], s["w"], s.optional("b"))] }),
                OperationCase(
                    name, .CK_KIND_dense_backward_data, params, ["dy": .input(dy), "w": .input(w)],
                    expected: { s in
                        let (dy, w) = (s["dy"], s["w"])
                        guard n * c > 100 else {
                            return [
                                "dx": finiteDifferences(
                                    of: { dot(forward($0, w, nil), dy) }, at: x.map(Double.init))
                            ]
                        }
                        return ["dx": Reference.dense(dy, transposed(w, rows: k), nil, n: n, c: k, k: c)]
                    }),
                OperationCase(
                    name, .CK_KIND_dense_backward_weight, params,
                    hasBias ? gradients.merging(["db": .output]) { $1 } : gradients,
                    expected: { s in
                        let (dy, x) = (s["dy"], s["x"])
                        let dw =
                            n * c > 100
                            ? Reference.dense(
                                transposed(dy, rows: n), transposed(x, rows: n), nil, n: k, c: n, k: c)
                            : finiteDifferences(of: { dot(forward(x, $0, nil), dy) }, at: w.map(Double.init))
                        let db = (0..<k).map { unit in (0..<n).reduce(0) { $0 + dy[$1 * k + unit] } }
                        return hasBias ? ["dw": dw, "db": db] : ["dw": dw]
                    }),
            ]
        }
    }

    // MARK: Concatenation

    private static let concatenation: [OperationCase] = [(1, 1, 1), (5, 7, 3), (300, 2, 17)].flatMap {
        n, c, k in
        var random = TestRandom(UInt64(550 + c))
        let a = random.normals(n * c), b = random.normals(n * k), dy = random.normals(n * (c + k))
        let params = ck_operation_params(
            dense: ck_dense_params(n: Int32(n), c: Int32(c), k: Int32(k), math: 0))
        @Sendable func columns(_ y: [Double], _ range: Range<Int>) -> [Double] {
            (0..<n).flatMap { row in range.map { y[row * (c + k) + $0] } }
        }
        return [
            OperationCase(
                "\(n)x\(c)+\(k)", .CK_KIND_concatenate, params, ["a": .input(a), "b": .input(b)],
                expected: { s in
                    let (a, b) = (s["a"], s["b"])
                    let rows = (0..<n).map { a[$0 * c..<($0 + 1) * c] + b[$0 * k..<($0 + 1) * k] }
                    return ["y": rows.flatMap { $0 }]
                }),
            OperationCase(
                "\(n)x\(c)+\(k)", .CK_KIND_concatenate_backward, params, ["dy": .input(dy)],
                expected: { s in
                    let dy = s["dy"]
                    return ["da": columns(dy, 0..<c), "db": columns(dy, c..<c + k)]
                }),
        ]
    }

    // MARK: L2 normalization, softmax

    private static let rows: [OperationCase] = [(1, 1), (3, 7), (130, 4), (5, 128)].flatMap { n, c in
        var random = TestRandom(UInt64(600 + n))
        let x = random.normals(n * c, scale: 3), dy = random.normals(n * c)
        let epsilon = 1e-12
        let params = ck_operation_params(
            rows: ck_rows_params(n: Int32(n), c: Int32(c), epsilon: Float(epsilon)))
        @Sendable func normalize(_ x: [Double]) -> [Double] {
            Reference.l2Normalize(x, columns: c, epsilon: epsilon)
        }
        let norms = (0..<n).map { row in
            (0..<c).reduce(0) { $0 + Double(x[row * c + $1]) * Double(x[row * c + $1]) }.squareRoot()
        }
        let y = normalize(x.map(Double.init)).map(Float.init)
        return [
            OperationCase(
                "\(n)x\(c)", .CK_KIND_l2_normalize_forward, params, ["x": .input(x)],
                expected: { ["y": normalize($0["x"]), "norm": norms] }),
            // A single column has the gradient zero, which rounding misses.
            OperationCase(
                "\(n)x\(c)", .CK_KIND_l2_normalize_backward, params,
                ["dy": .input(dy), "y": .input(y), "norm": .input(norms.map(Float.init))],
                expected: { s in
                    let dy = s["dy"]
                    if c == 1 { return ["dx": [Double](repeating: 0, count: n)] }
                    return ["dx": finiteDifferences(of: { dot(normalize($0), dy) }, at: x.map(Double.init))]
                }),
            OperationCase(
                "\(n)x\(c)", .CK_KIND_softmax, params, ["logits": .input(x)],
                expected: { ["p": Reference.softmax($0["logits"], columns: c)] }),
            // A single class has the probability one and the gradient zero.
            OperationCase(
                "\(n)x\(c)", .CK_KIND_softmax_backward, params,
                [
                    "dp": .input(dy),
                    "p": .input(Reference.softmax(x.map(Double.init), columns: c).map(Float.init)),
                ],
                expected: { s in
                    let dp = s["dp"]
                    return [
                        "dlogits": finiteDifferences(
                            of: { dot(Reference.softmax($0, columns: c), dp) }, at: x.map(Double.init))
                    ]
                }),
        ]
    }
}
