import CKernels
import Foundation

/// Softmax cross-entropy, NT-Xent in both forms, and the optimisers.
enum ObjectiveCases {
    static let all = crossEntropy + ntXent + products + optimizers

    private static let crossEntropy: [OperationCase] = [(2, 4), (257, 4), (65, 10), (3, 1)].flatMap { n, c in
        var random = TestRandom(UInt64(700 + n))
        // Large logits: exp of them overflows without care.
        let x = random.normals(n * c, scale: 2, shift: 90),
            labels = random.integers(n, below: c).map(Int32.init)
        let p = Reference.softmax(x.map(Double.init), columns: c).map(Float.init)
        func params(_ q: inout ck_operation_params) {
            q.rows = ck_rows_params(n: Int32(n), c: Int32(c), epsilon: 0)
        }
        return [
            OperationCase(
                "\(n)x\(c)", .CK_KIND_softmax_cross_entropy_forward,
                [.output(1), .output(n * c), .input(x), .indices(labels)], tolerance: 1e-10,
                expected: { s in
                    [
                        0: [Reference.crossEntropy(s[2].doubles, labels: labels, columns: c)],
                        1: Reference.softmax(s[2].doubles, columns: c),
                    ]
                }, params),
            OperationCase(
                "\(n)x\(c)", .CK_KIND_softmax_cross_entropy_backward,
                [.output(n * c), .input(p), .indices(labels)], tolerance: 1e-9,
                expected: { _ in
                    if c == 1 { return [0: [Double](repeating: 0, count: n)] }
                    let x = x.map(Double.init)
                    guard n * c < 300 else {
                        let p = Reference.softmax(x, columns: c)
                        return [
                            0: p.indices.map { (p[$0] - ($0 % c == Int(labels[$0 / c]) ? 1 : 0)) / Double(n) }
                        ]
                    }
                    return [
                        0: finiteDifferences(
                            of: { Reference.crossEntropy($0, labels: labels, columns: c) }, at: x)
                    ]
                }, params),
        ]
    }

    /// Sizes below, at and beyond the tiles of 128 rows and 256 columns.
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
            func params(_ p: inout ck_operation_params) {
                p.nt_xent = ck_nt_xent_params(
                    b: Int32(b), d: Int32(d), temperature: 0.2, symmetric: symmetric ? 1 : 0, math: 0)
            }
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
                    name, .CK_KIND_nt_xent_forward, [.output(1), .output(anchors), .input(z)],
                    expected: { s in [0: [loss(s[2].doubles)], 1: lse.map(Double.init)] }, params),
                OperationCase(
                    name, .CK_KIND_nt_xent_backward, [.output(z.count), .input(z), .input(lse)],
                    tolerance: 1e-10,
                    expected: { s in
                        let z = s[1].doubles
                        guard b > 8 else { return [0: finiteDifferences(of: loss, at: z)] }
                        return [
                            0: Reference.ntXentGradient(
                                z, b: b, d: d, temperature: temperature, symmetric: symmetric)
                        ]
                    }, params),
            ]
        }
    }

    private static let optimizers: [OperationCase] = [1, 1000, 20_000].flatMap { count in
        var random = TestRandom(UInt64(900 + count))
        let w = random.normals(count), v = random.normals(count, scale: 0.1), dw = random.normals(count)
        let rate = 0.05, momentum = 0.9, decay = 3e-4, trust = 1e-3
        let slots: [Slot] = [
            .updated(w), .updated(v), .input(dw), .step(ck_step_state(seed: 1, step: 2, rate: Float(rate))),
        ]
        func params(_ p: inout ck_operation_params, nesterov: Bool) {
            p.optimizer = ck_optimizer_params(
                count: Int64(count), momentum: Float(momentum), weight_decay: Float(decay),
                nesterov: nesterov ? 1 : 0,
                trust: Float(trust))
        }
        let sgd = [false, true].map { nesterov in
            OperationCase(
                "\(count)\(nesterov ? " nesterov" : "")", .CK_KIND_sgd, slots,
                expected: { s in
                    let (w, v, dw) = (s[0].doubles, s[1].doubles, s[2].doubles)
                    let g = zip(w, dw).map { decay * $0 + $1 }, next = zip(v, g).map { momentum * $0 + $1 }
                    let step = nesterov ? zip(g, next).map { $0 + momentum * $1 } : next
                    return [0: zip(w, step).map { $0 - rate * $1 }, 1: next]
                }
            ) { params(&$0, nesterov: nesterov) }
        }
        let lars = OperationCase(
            "\(count)", .CK_KIND_lars, slots,
            expected: { s in
                let (w, v, dw) = (s[0].doubles, s[1].doubles, s[2].doubles)
                let norm = dot(w, w).squareRoot(), slope = dot(dw, dw).squareRoot()
                let local = trust * norm / (slope + decay * norm)
                let next = w.indices.map { momentum * v[$0] + rate * local * (dw[$0] + decay * w[$0]) }
                return [0: zip(w, next).map { $0 - $1 }, 1: next]
            }
        ) { params(&$0, nesterov: false) }
        return sgd + [lars]
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
            "\(n)x\(m)x\(d)", .CK_KIND_log_sum_exp_products, [.output(n), .input(x), .input(s)],
            expected: { slots in
                let x = slots[1].doubles, s = slots[2].doubles
                return [
                    0: (0..<n).map { i in
                        logSumExp(
                            (0..<m).map { j in
                                scale * (0..<d).reduce(0.0) { $0 + x[i * d + $1] * s[j * d + $1] }
                            })
                    }
                ]
            }
        ) { p in
            p.products = ck_products_params(
                n: Int32(n), m: Int32(m), d: Int32(d), scale: Float(scale), math: 0)
        }
    }

    private static func logSumExp(_ values: [Double]) -> Double {
        // -log of the softmax of the first value, plus that value.
        values[0] - log(Reference.softmax(values, columns: values.count)[0])
    }
}
