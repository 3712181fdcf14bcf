import CKernels
import Foundation

/// The cases of DAGMM's parts: reconstruction features, a mixture's parameters from memberships, its energies and loss.
enum MixtureCases {
    static let all = features + mixtures

    // MARK: Reconstruction features

    private static let features: [OperationCase] = [(1, 1), (4, 7), (3, 400)].flatMap { n, c in
        var random = TestRandom(UInt64(4000 + c))
        let x = random.normals(n * c), restored = random.normals(n * c), dy = random.normals(2 * n)
        let params = ck_operation_params(rows: ck_rows_params(n: Int32(n), c: Int32(c), epsilon: 1e-12))
        @Sendable func forward(_ x: [Double], _ restored: [Double]) -> [Double] {
            (0..<n).flatMap { row -> [Double] in
                let a = Array(x[row * c..<(row + 1) * c]), b = Array(restored[row * c..<(row + 1) * c])
                let gap = zip(a, b).map { $0 - $1 }
                return [
                    (dot(gap, gap) / dot(a, a)).squareRoot(),
                    dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot(),
                ]
            }
        }
        return [
            OperationCase(
                "\(n)x\(c)", .CK_KIND_reconstruction_features_forward, params,
                ["x": .input(x), "restored": .input(restored)],
                expected: { s in ["y": forward(s["x"], s["restored"])] })
        ]
            + [true, false].map { isWhole in
                let operands: [String: Slot] = [
                    "dy": .input(dy), "x": .input(x), "restored": .input(restored),
                ]
                return OperationCase(
                    "\(n)x\(c)\(isWhole ? " of both" : "")", .CK_KIND_reconstruction_features_backward,
                    params,
                    isWhole ? operands.merging(["dx": .output]) { $1 } : operands, tolerance: 1e-10,
                    expected: { s in
                        let (dy, x, restored) = (s["dy"], s["x"], s["restored"])
                        var result = [
                            "drestored": finiteDifferences(of: { dot(forward(x, $0), dy) }, at: restored)
                        ]
                        if isWhole {
                            result["dx"] = finiteDifferences(of: { dot(forward($0, restored), dy) }, at: x)
                        }
                        return result
                    })
            }
    }

    // MARK: Mixtures

    /// A mixture's parameters.
    private struct Parameters {
        var share: [Double], mean: [Double], covariance: [Double]
    }

    /// Equation 5 of Zong et al. (ICLR 2018), with epsilon on the diagonals.
    private static func fit(_ z: [Double], _ membership: [Double], _ p: ck_mixture_params) -> Parameters {
        let (n, d, k) = (Int(p.n), Int(p.d), Int(p.k))
        var result = Parameters(share: [], mean: [], covariance: [])
        for component in 0..<k {
            let weights = (0..<n).map { membership[$0 * k + component] }, total = weights.reduce(0, +)
            let mean = (0..<d).map { i in (0..<n).reduce(0) { $0 + weights[$1] * z[$1 * d + i] } / total }
            result.share.append(total / Double(n))
            result.mean += mean
            for i in 0..<d {
                for j in 0..<d {
                    let sum = (0..<n).reduce(0) {
                        $0 + weights[$1] * (z[$1 * d + i] - mean[i]) * (z[$1 * d + j] - mean[j])
                    }
                    result.covariance.append(sum / total + (i == j ? Double(p.epsilon) : 0))
                }
            }
        }
        return result
    }

    /// The inverse and the determinant of a d x d matrix, by Gauss and Jordan.
    private static func inverted(_ matrix: ArraySlice<Double>, _ d: Int) -> (
        inverse: [Double], determinant: Double
    ) {
        var rows = (0..<d).map { i in
            Array(matrix[matrix.startIndex + i * d..<matrix.startIndex + (i + 1) * d])
                + (0..<d).map { $0 == i ? 1.0 : 0 }
        }
        var determinant = 1.0
        for i in 0..<d {
            let best = (i..<d).max { abs(rows[$0][i]) < abs(rows[$1][i]) }!
            if best != i {
                rows.swapAt(i, best)
                determinant = -determinant
            }
            let pivot = rows[i][i]
            determinant *= pivot
            rows[i] = rows[i].map { $0 / pivot }
            for j in 0..<d where j != i {
                let factor = rows[j][i]
                rows[j] = zip(rows[j], rows[i]).map { $0 - factor * $1 }
            }
        }
        return (rows.flatMap { $0[d...] }, determinant)
    }

    /// Equation 6, directly.
    private static func energies(_ z: [Double], _ m: Parameters, _ p: ck_mixture_params) -> [Double] {
        let (n, d, k) = (Int(p.n), Int(p.d), Int(p.k))
        let own = (0..<k).map { inverted(m.covariance[$0 * d * d..<($0 + 1) * d * d], d) }
        return (0..<n).map { row in
            -log(
                (0..<k).reduce(0) { sum, component in
                    let q = (0..<d).map { z[row * d + $0] - m.mean[component * d + $0] }
                    let square = (0..<d * d).reduce(0) {
                        $0 + q[$1 / d] * own[component].inverse[$1] * q[$1 % d]
                    }
                    return sum + m.share[component] * exp(-square / 2)
                        / (pow(2 * .pi, Double(d)) * own[component].determinant).squareRoot()
                })
        }
    }

    /// The last two terms of equation 7.
    private static func loss(_ z: [Double], _ m: Parameters, _ p: ck_mixture_params) -> Double {
        let d = Int(p.d)
        let penalty = (0..<Int(p.k) * d).reduce(0) { $0 + 1 / m.covariance[$1 * d + $1 % d] }
        return Double(p.energy) * energies(z, m, p).reduce(0, +) / Double(p.n) + Double(p.penalty) * penalty
    }

    private static let mixtures: [OperationCase] = [(7, 1, 1), (40, 3, 2), (300, 4, 4), (25, 2, 16)].flatMap {
        n, d, k in
        var random = TestRandom(UInt64(4100 + n))
        let p = ck_mixture_params(
            n: Int32(n), d: Int32(d), k: Int32(k), epsilon: 1e-3, energy: 0.5, penalty: 0.25)
        let params = ck_operation_params(mixture: p), name = "\(n)x\(d) of \(k)"
        let z = random.normals(n * d)
        let membership = Reference.softmax(random.normals(n * k).map(Double.init), columns: k).map(Float.init)
        let m = fit(z.map(Double.init), membership.map(Double.init), p)
        let share = m.share.map(Float.init), mean = m.mean.map(Float.init),
            covariance = m.covariance.map(Float.init)
        // About other means: at those of one component the energies' mean is least, and its gradient nothing but rounding.
        let moved = zip(mean, random.normals(k * d, scale: 0.3)).map { $0 + $1 }
        let other = Parameters(
            share: m.share, mean: moved.map(Double.init), covariance: covariance.map(Double.init))
        let energy = energies(z.map(Double.init), other, p).map(Float.init)
        let dshare = random.normals(k), dmean = random.normals(k * d), dcovariance = random.normals(k * d * d)
        let known: [String: Slot] = [
            "z": .input(z), "share": .input(share), "mean": .input(mean), "covariance": .input(covariance),
        ]
        let elsewhere = known.merging(["mean": .input(moved)]) { $1 }
        @Sendable func parameters(_ s: OperationCase.Operands) -> Parameters {
            Parameters(share: s["share"], mean: s["mean"], covariance: s["covariance"])
        }
        var cases = [
            OperationCase(
                name, .CK_KIND_mixture_fit, params, ["z": .input(z), "membership": .input(membership)],
                expected: { s in
                    let m = fit(s["z"], s["membership"], p)
                    return ["share": m.share, "mean": m.mean, "covariance": m.covariance]
                }),
            OperationCase(
                name, .CK_KIND_mixture_loss_forward, params, elsewhere,
                expected: { s in
                    let m = parameters(s)
                    return ["loss": [loss(s["z"], m, p)], "energy": energies(s["z"], m, p)]
                }),
        ]
        // Differences of so many parameters take their time.
        guard n <= 100 else { return cases }
        cases += [
            OperationCase(
                name, .CK_KIND_mixture_fit_backward, params,
                known.merging([
                    "membership": .input(membership), "dshare": .input(dshare), "dmean": .input(dmean),
                    "dcovariance": .input(dcovariance),
                ]) { $1 }, tolerance: 1e-9,
                expected: { s in
                    let (dshare, dmean, dcovariance) = (s["dshare"], s["dmean"], s["dcovariance"])
                    func value(_ z: [Double], _ membership: [Double]) -> Double {
                        let m = fit(z, membership, p)
                        return dot(m.share, dshare) + dot(m.mean, dmean) + dot(m.covariance, dcovariance)
                    }
                    let (z, membership) = (s["z"], s["membership"])
                    return [
                        "dz": finiteDifferences(of: { value($0, membership) }, at: z),
                        "dmembership": finiteDifferences(of: { value(z, $0) }, at: membership),
                    ]
                }),
            OperationCase(
                name, .CK_KIND_mixture_loss_backward, params,
                elsewhere.merging(["energy": .input(energy)]) { $1 },
                tolerance: 1e-9,
                expected: { s in
                    let z = s["z"], m = parameters(s)
                    func slopes(_ path: WritableKeyPath<Parameters, [Double]>) -> [Double] {
                        finiteDifferences(
                            of: { values in
                                var other = m
                                other[keyPath: path] = values
                                return loss(z, other, p)
                            }, at: m[keyPath: path])
                    }
                    return [
                        "dz": finiteDifferences(of: { loss($0, m, p) }, at: z), "dshare": slopes(\.share),
                        "dmean": slopes(\.mean), "dcovariance": slopes(\.covariance),
                    ]
                }),
        ]
        return cases
    }
}
