import CKernels
import Foundation

/// The cases of rows' distances, the soft boundary around a center, and cross-entropy with outliers.
enum DistanceCases {
    static let all = distances + boundaries + updates + outliers

    /// Rows of fewer and more values than a block has threads; one target for all, and one for each.
    private static let distances: [OperationCase] = [(1, 3), (7, 1), (70, 5), (130, 300)].flatMap { n, c in
        [1, n].flatMap { targets -> [OperationCase] in
            var random = TestRandom(UInt64(1200 + n))
            let x = random.normals(n * c), target = random.normals(targets * c), dd = random.normals(n)
            let factor = 0.75
            let params = ck_operation_params(
                distance: ck_distance_params(
                    n: Int32(n), c: Int32(c), targets: Int32(targets), factor: Float(factor)))
            let name = "\(n)x\(c) from \(targets)"
            let slope: @Sendable (OperationCase.Operands) -> [Double] = { s in
                let x = s["x"], target = s["target"], dd = s["dd"]
                return x.indices.map {
                    2 * factor * dd[$0 / c] * (x[$0] - target[targets == 1 ? $0 % c : $0])
                }
            }
            var backward: [String: Slot] = ["dd": .input(dd), "x": .input(x), "target": .input(target)]
            if targets == n { backward["dtarget"] = .output }
            return [
                OperationCase(
                    name, .CK_KIND_row_distance_forward, params, ["x": .input(x), "target": .input(target)],
                    expected: { s in
                        let x = s["x"], target = s["target"]
                        return [
                            "d": (0..<n).map { row in
                                factor
                                    * (0..<c).reduce(0.0) { sum, column in
                                        let from = target[(targets == 1 ? 0 : row) * c + column]
                                        return sum + (x[row * c + column] - from)
                                            * (x[row * c + column] - from)
                                    }
                            }
                        ]
                    }),
                OperationCase(
                    name, .CK_KIND_row_distance_backward, params, backward,
                    expected: { s in
                        let dx = slope(s)
                        return targets == n ? ["dx": dx, "dtarget": dx.map { -$0 }] : ["dx": dx]
                    }),
            ]
        }
    }

    private static let boundaries: [OperationCase] = [1, 300].flatMap { n -> [OperationCase] in
        var random = TestRandom(UInt64(1300 + n))
        let d = random.uniforms(n), nu = 0.25
        let params = ck_operation_params(
            boundary: ck_boundary_params(n: Int32(n), nu: Float(nu), after: 0))
        return [Float?.none, 0.5].flatMap { radius -> [OperationCase] in
            var operands: [String: Slot] = ["d": .input(d)]
            if let radius { operands["radius"] = .input([radius]) }
            @Sendable func loss(_ d: [Double]) -> Double {
                let within = Double(radius ?? 0)
                return within + d.reduce(0) { $0 + max(0, $1 - within) } / (nu * Double(n))
            }
            let name = "\(n)\(radius == nil ? "" : " with a radius")"
            return [
                OperationCase(
                    name, .CK_KIND_soft_boundary_forward, params, operands,
                    expected: { ["loss": [loss($0["d"])]] }
                ),
                OperationCase(
                    name, .CK_KIND_soft_boundary_backward, params, operands, tolerance: 1e-9,
                    expected: { ["dd": finiteDifferences(of: loss, at: $0["d"], step: 1e-7)] }),
            ]
        }
    }

    /// Before the boundary moves and after, at quantiles between values and on one, equal values among them.
    private static let updates: [OperationCase] = [
        (1, 0.5, 0), (10, 0.1, 3), (300, 0.3, 0), (11, 1, 0), (9, 0.5, 9),
    ]
    .map { n, nu, after in
        var random = TestRandom(UInt64(1400 + n))
        var d = random.uniforms(n)
        if n > 5 { d[4] = d[1] }
        return OperationCase(
            "\(n) at \(nu) after \(after)", .CK_KIND_boundary_update,
            ck_operation_params(
                boundary: ck_boundary_params(n: Int32(n), nu: Float(nu), after: Int64(after))),
            [
                "radius": .updated([7]), "d": .input(d),
                "step": .step(ck_step_state(seed: 1, step: 3)),
            ],
            expected: { s in
                guard after <= 3 else { return ["radius": [7]] }
                let roots = s["d"].map { $0.squareRoot() }.sorted()
                let place = (1 - Double(Float(nu))) * Double(n - 1), low = Int(place)
                let high = min(low + 1, n - 1)
                let root = roots[low] + (place - Double(low)) * (roots[high] - roots[low])
                return ["radius": [root * root]]
            })
    }

    /// Cross-entropy where some rows are outliers, all, or none that the parameters know.
    private static let outliers: [OperationCase] = [(6, 4, 2), (200, 4, 70), (5, 150, 5)].flatMap {
        n, c, outliers -> [OperationCase] in
        var random = TestRandom(UInt64(1500 + n))
        let x = random.normals(n * c, scale: 2), weight = 0.5
        let labels = (0..<n).map { $0 < outliers ? Int32(-1) : Int32($0 % c) }
        let p = Reference.softmax(x.map(Double.init), columns: c).map(Float.init)
        let params = ck_operation_params(
            cross_entropy: ck_cross_entropy_params(
                n: Int32(n), c: Int32(c), outliers: Int32(outliers), outlier_weight: Float(weight)))
        @Sendable func loss(_ x: [Double]) -> Double {
            let p = Reference.softmax(x, columns: c)
            var known = 0.0, unknown = 0.0
            for row in 0..<n {
                let own = p[row * c..<(row + 1) * c].map { -log($0) }
                if labels[row] < 0 {
                    unknown += own.reduce(0, +) / Double(c)
                } else {
                    known += own[Int(labels[row])]
                }
            }
            return (n > outliers ? known / Double(n - outliers) : 0) + weight * unknown / Double(outliers)
        }
        return [
            OperationCase(
                "\(n)x\(c), \(outliers) outliers", .CK_KIND_softmax_cross_entropy_forward, params,
                ["logits": .input(x), "labels": .indices(labels)], tolerance: 1e-10,
                expected: { s in
                    ["loss": [loss(s["logits"])], "p": Reference.softmax(s["logits"], columns: c)]
                }),
            OperationCase(
                "\(n)x\(c), \(outliers) outliers", .CK_KIND_softmax_cross_entropy_backward, params,
                ["p": .input(p), "labels": .indices(labels)], tolerance: 1e-9,
                expected: { _ in ["dlogits": finiteDifferences(of: loss, at: x.map(Double.init))] }),
        ]
    }
}
