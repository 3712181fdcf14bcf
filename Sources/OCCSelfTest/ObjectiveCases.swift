import CKernels
import Foundation

/// The cases of softmax cross-entropy, NT-Xent in both forms, the optimizers, and exchanges between ranks.
enum ObjectiveCases {
    static let all =
        crossEntropy + ntXent + ntXentInTiles + sharedNTXent + products + optimizers + collectives

    private static let crossEntropy: [OperationCase] = [(2, 4), (257, 4), (65, 10), (3, 1)].flatMap { n, c in
        var random = TestRandom(UInt64(700 + n))
        // Large logits: exp of them overflows without care.
        let x = random.normals(n * c, scale: 2, shift: 90),
            labels = random.integers(n, below: c).map(Int32.init)
        let p = Reference.softmax(x.map(Double.init), columns: c).map(Float.init)
        let params = ck_operation_params(
            cross_entropy: ck_cross_entropy_params(n: Int32(n), c: Int32(c), outliers: 0, outlier_weight: 0))
        return [
            OperationCase(
                "\(n)x\(c)", .CK_KIND_softmax_cross_entropy_forward, params,
                ["logits": .input(x), "labels": .indices(labels)], tolerance: 1e-10,
                expected: { s in
                    [
                        "loss": [Reference.crossEntropy(s["logits"], labels: labels, columns: c)],
                        "p": Reference.softmax(s["logits"], columns: c),
                    ]
                }),
            OperationCase(
                "\(n)x\(c)", .CK_KIND_softmax_cross_entropy_backward, params,
                ["p": .input(p), "labels": .indices(labels)], tolerance: 1e-9,
                expected: { _ in
                    if c == 1 { return ["dlogits": [Double](repeating: 0, count: n)] }
                    let x = x.map(Double.init)
                    guard n * c < 300 else {
                        let p = Reference.softmax(x, columns: c)
                        return [
                            "dlogits": p.indices.map {
                                (p[$0] - ($0 % c == Int(labels[$0 / c]) ? 1 : 0)) / Double(n)
                            }
                        ]
                    }
                    return [
                        "dlogits": finiteDifferences(
                            of: { Reference.crossEntropy($0, labels: labels, columns: c) }, at: x)
                    ]
                }),
        ]
    }

    /// Sizes below, at and beyond the tiles of 128 rows and 256 columns.
    /// In many small tiles of a GPU.
    private static let ntXentInTiles = (ntXent.suffix(4) + sharedNTXent.suffix(4)).map {
        $0.cutUp(forMultiprocessors: 1)
    }

    private static let ntXent: [OperationCase] = [(2, 3), (5, 7), (32, 128), (128, 16), (150, 9)].flatMap {
        b, d in
        [false, true].flatMap { symmetric -> [OperationCase] in
            var random = TestRandom(UInt64(800 + b))
            let raw = random.normals(2 * b * d).map(Double.init)
            let z = Reference.l2Normalize(raw, columns: d, epsilon: 1e-12).map(Float.init)
            let temperature = Double(Float(0.2))
            @Sendable func loss(_ z: [Double]) -> Double {
                Reference.ntXent(z, b: b, d: d, temperature: temperature, symmetric: symmetric)
            }
            let params = ck_operation_params(
                nt_xent: ck_nt_xent_params(
                    b: Int32(b), d: Int32(d), temperature: 0.2, symmetric: symmetric ? 1 : 0, math: 0))
            let anchors = symmetric ? 2 * b : b
            // The log-sum-exp of each anchor, by the definition with its own term only.
            let lse = (0..<anchors).map { i -> Float in
                let candidates = symmetric ? (0..<2 * b).filter { $0 != i } : Array(b..<2 * b)
                let values = candidates.map { j in
                    (0..<d).reduce(0.0) { $0 + Double(z[i * d + $1]) * Double(z[j * d + $1]) } / temperature
                }
                return Float(logSumExp(values))
            }
            let name = "\(b) pairs of \(d)\(symmetric ? " symmetric" : "")"
            return [
                OperationCase(
                    name, .CK_KIND_nt_xent_forward, params, ["z": .input(z)],
                    expected: { s in ["loss": [loss(s["z"])], "lse": lse.map(Double.init)] }),
                OperationCase(
                    name, .CK_KIND_nt_xent_backward, params, ["z": .input(z), "lse": .input(lse)],
                    tolerance: 1e-10,
                    expected: { s in
                        let z = s["z"]
                        guard b > 8 else { return ["dz": finiteDifferences(of: loss, at: z)] }
                        return [
                            "dz": Reference.ntXentGradient(
                                z, b: b, d: d, temperature: temperature, symmetric: symmetric)
                        ]
                    }),
            ]
        }
    }

    /// The same where ranks share the pairs: each rank's part of the anchors, and of the gradient.
    private static let sharedNTXent: [OperationCase] = [
        (5, 7, 2, 2), (32, 16, 8, 8), (150, 9, 50, 50), (300, 8, 0, 150),
    ]
    .flatMap { b, d, first, pairs in
        [false, true].flatMap { symmetric -> [OperationCase] in
            var random = TestRandom(UInt64(850 + b))
            let raw = random.normals(2 * b * d).map(Double.init)
            let z = Reference.l2Normalize(raw, columns: d, epsilon: 1e-12).map(Float.init)
            let temperature = Double(Float(0.2)), own = first..<first + pairs
            let rows = Array(own) + own.map { $0 + b }, anchors = symmetric ? rows : Array(own)
            let params = ck_operation_params(
                nt_xent: ck_nt_xent_params(
                    b: Int32(b), d: Int32(d), temperature: 0.2, symmetric: symmetric ? 1 : 0, math: 0,
                    first: Int32(first), pairs: Int32(pairs)))
            @Sendable func similarity(_ z: [Double], _ i: Int, _ j: Int) -> Double {
                (0..<d).reduce(0) { $0 + z[i * d + $1] * z[j * d + $1] } / temperature
            }
            @Sendable func logSum(_ z: [Double], _ i: Int) -> Double {
                let candidates = symmetric ? (0..<2 * b).filter { $0 != i } : Array(b..<2 * b)
                return logSumExp(candidates.map { similarity(z, i, $0) })
            }
            let everyAnchor = Array(0..<(symmetric ? 2 * b : b))
            let lse = everyAnchor.map { Float(logSum(z.map(Double.init), $0)) }
            let name = "\(pairs) of \(b) pairs of \(d)\(symmetric ? " symmetric" : "")"
            return [
                OperationCase(
                    name, .CK_KIND_nt_xent_forward, params, ["z": .input(z)],
                    expected: { s in
                        let z = s["z"], own = anchors.map { logSum(z, $0) }
                        let losses = zip(anchors, own).map { i, lse in
                            lse - similarity(z, i, (i + b) % (2 * b))
                        }
                        return ["loss": [losses.reduce(0, +) / Double(losses.count)], "lse": own]
                    }),
                OperationCase(
                    name, .CK_KIND_nt_xent_backward, params, ["z": .input(z), "lse": .input(lse)],
                    tolerance: 1e-10,
                    expected: { s in
                        let whole = Reference.ntXentGradient(
                            s["z"], b: b, d: d, temperature: temperature, symmetric: symmetric)
                        let ranks = Double(b) / Double(pairs)
                        return ["dz": rows.flatMap { whole[$0 * d..<($0 + 1) * d] }.map { $0 * ranks }]
                    }),
            ]
        }
    }

    /// Exchanges of one rank with itself.
    private static let collectives: [OperationCase] = [(1, 1), (1, 1000), (3, 17)].flatMap { blocks, count in
        var random = TestRandom(UInt64(870 + count))
        let x = random.normals(blocks * count)
        let params = ck_operation_params(
            collective: ck_collective_params(count: Int64(count), blocks: Int32(blocks), ranks: 1))
        return [
            OperationCase(
                "\(blocks)x\(count) alone", .CK_KIND_all_gather, params, ["x": .input(x)], tolerance: 0,
                expected: { ["y": $0["x"]] }),
            OperationCase(
                "\(blocks)x\(count) alone", .CK_KIND_mean_over_ranks, params, ["x": .updated(x)],
                tolerance: 0, expected: { ["x": $0["x"]] }),
            OperationCase(
                "\(blocks)x\(count) alone", .CK_KIND_begin_mean_over_ranks, params, ["x": .updated(x)],
                tolerance: 0, expected: { ["x": $0["x"]] }),
            OperationCase(
                "\(blocks)x\(count) alone", .CK_KIND_finish_mean_over_ranks, params, ["x": .updated(x)],
                tolerance: 0, expected: { ["x": $0["x"]] }),
        ]
    }

    private static let optimizers: [OperationCase] = [1, 1000, 20_000].flatMap { count in
        var random = TestRandom(UInt64(900 + count))
        let w = random.normals(count), v = random.normals(count, scale: 0.1), dw = random.normals(count)
        let rate = 0.05, momentum = 0.9, decay = 3e-4, trust = 1e-3
        let operands: [String: Slot] = [
            "w": .updated(w), "velocity": .updated(v), "dw": .input(dw),
            "step": .step(ck_step_state(seed: 1, step: 2, rate: Float(rate))),
        ]
        func params(nesterov: Bool) -> ck_operation_params {
            ck_operation_params(
                optimizer: ck_optimizer_params(
                    count: Int64(count), momentum: Float(momentum), weight_decay: Float(decay),
                    nesterov: nesterov ? 1 : 0, trust: Float(trust), beta2: 0.999))
        }
        let sgd = [false, true].map { nesterov in
            OperationCase(
                "\(count)\(nesterov ? " nesterov" : "")", .CK_KIND_sgd, params(nesterov: nesterov), operands,
                expected: { s in
                    let (w, v, dw) = (s["w"], s["velocity"], s["dw"])
                    let g = zip(w, dw).map { decay * $0 + $1 }, next = zip(v, g).map { momentum * $0 + $1 }
                    let step = nesterov ? zip(g, next).map { $0 + momentum * $1 } : next
                    return ["w": zip(w, step).map { $0 - rate * $1 }, "velocity": next]
                })
        }
        let lars = OperationCase(
            "\(count)", .CK_KIND_lars, params(nesterov: false), operands,
            expected: { s in
                let (w, v, dw) = (s["w"], s["velocity"], s["dw"])
                let norm = dot(w, w).squareRoot(), slope = dot(dw, dw).squareRoot()
                let local = trust * norm / (slope + decay * norm)
                let next = w.indices.map { momentum * v[$0] + rate * local * (dw[$0] + decay * w[$0]) }
                return ["w": zip(w, next).map { $0 - $1 }, "velocity": next]
            })
        let squares = v.map { $0 * $0 }, beta2 = 0.999
        let adam = OperationCase(
            "\(count)", .CK_KIND_adam, params(nesterov: false),
            operands.merging(["squares": .updated(squares)]) { $1 },
            expected: { s in
                let (w, m, v, dw) = (s["w"], s["velocity"], s["squares"], s["dw"])
                let g = zip(w, dw).map { decay * $0 + $1 }, number = 3.0
                let first = zip(m, g).map { momentum * $0 + (1 - momentum) * $1 }
                let second = zip(v, g).map { beta2 * $0 + (1 - beta2) * $1 * $1 }
                let next = w.indices.map { i in
                    let root = (second[i] / (1 - pow(beta2, number))).squareRoot() + 1e-8
                    return w[i] - rate * first[i] / (1 - pow(momentum, number)) / root
                }
                return ["w": next, "velocity": first, "squares": second]
            })
        return sgd + [lars, adam]
    }

    /// Sizes below, at and beyond the tiles of the CPU, and more columns than one of the GPU's.
    private static let products: [OperationCase] = [(1, 1, 3), (130, 700, 9), (3, 8200, 2), (2050, 2, 4)].map
    {
        n, m, d in
        var random = TestRandom(UInt64(1100 + m))
        func unit(_ rows: Int) -> [Float] {
            Reference.l2Normalize(random.normals(rows * d).map(Double.init), columns: d, epsilon: 1e-12).map(
                Float.init)
        }
        let x = unit(n), s = unit(m), scale = 20.0
        return OperationCase(
            "\(n)x\(m)x\(d)", .CK_KIND_log_sum_exp_products,
            ck_operation_params(
                products: ck_products_params(
                    n: Int32(n), m: Int32(m), d: Int32(d), scale: Float(scale), math: 0)),
            ["x": .input(x), "s": .input(s)],
            expected: { operands in
                let x = operands["x"], s = operands["s"]
                return [
                    "lse": (0..<n).map { i in
                        logSumExp(
                            (0..<m).map { j in
                                scale * (0..<d).reduce(0.0) { $0 + x[i * d + $1] * s[j * d + $1] }
                            })
                    }
                ]
            })
    }

    private static func logSumExp(_ values: [Double]) -> Double {
        // -log of the softmax of the first value, plus that value.
        values[0] - log(Reference.softmax(values, columns: values.count)[0])
    }
}
