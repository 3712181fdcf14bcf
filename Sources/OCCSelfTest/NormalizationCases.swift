import CKernels

/// The cases of batch normalization with and without ReLU and residual; gradients against finite differences
/// of the forward reference.
enum NormalizationCases {
    private static let epsilon = 1e-5

    static let all = cases(
        [(7, 5), (64, 3), (1, 4), (33, 17), (3000, 20), (5000, 8), (1100, 16), (70, 264)], rounded: { $0 })

    /// The same in bf16: the values are rounded before anything is computed of them.
    static let bfloat16 = cases(
        [(7, 5), (1, 4), (33, 17), (3000, 20), (25, 16), (5000, 8), (1100, 24), (70, 264)],
        rounded: roundedToBfloat16
    ).map { $0.inBfloat16() }

    private static func cases(
        _ sizes: [(Int, Int)], rounded: @escaping ([Float]) -> [Float]
    ) -> [OperationCase] {
        sizes.enumerated().flatMap { index, size in
            [false, true].flatMap { relu in
                [false, true].flatMap { hasResidual in
                    cases(
                        rows: size.0, channels: size.1, relu: relu, hasResidual: hasResidual,
                        seed: UInt64(200 + index), rounded: rounded)
                }
            }
        }
            // Enough rows for a GPU's threads to add several parts ahead.
            + cases(
                rows: 17_000, channels: 17, relu: true, hasResidual: true, seed: 299, rounded: rounded)
            + [(7, 5, 3), (33, 16, 2), (500, 17, 4), (1100, 24, 2)].flatMap { rows, channels, ranks in
                [(0, true, true), (ranks - 1, false, false)].flatMap { rank, relu, hasResidual in
                    shared(
                        rows: rows, channels: channels, rank: rank, of: ranks, relu: relu,
                        hasResidual: hasResidual, rounded: rounded)
                }
            }
    }

    /// A rank's part of a batch that several share, against the whole batch.
    private static func shared(
        rows: Int, channels: Int, rank: Int, of ranks: Int, relu: Bool, hasResidual: Bool,
        rounded: ([Float]) -> [Float]
    ) -> [OperationCase] {
        var random = TestRandom(UInt64(280 + rows))
        let count = ranks * rows * channels, own = rank * rows * channels..<(rank + 1) * rows * channels
        let x = rounded(random.normals(count, scale: 0.5, shift: 3)),
            residual = rounded(random.normals(count))
        let gamma = random.normals(channels, scale: 0.3, shift: 1), beta = random.normals(channels)
        let dy = rounded(random.normals(count))
        let runningMean = random.normals(channels),
            runningVariance = random.uniforms(channels).map { $0 + 0.5 }
        @Sendable func double(_ values: [Float]) -> [Double] { values.map(Double.init) }
        let wholeX = double(x), wholeDY = double(dy)
        let (mean, variance) = Reference.moments(wholeX, channels: channels)
        let deviation = variance.map { 1 / ($0 + epsilon).squareRoot() }
        let y = Reference.batchnorm(
            wholeX, gamma: double(gamma), beta: double(beta), residual: hasResidual ? double(residual) : nil,
            epsilon: epsilon, relu: relu)
        // Of each rank: the mean and the sum of squared deviations; the sums of dy and dy * xhat.
        let parts = (0..<ranks).map { $0 * rows * channels..<($0 + 1) * rows * channels }
        let moments = parts.map { part in
            let (mean, variance) = Reference.moments(Array(wholeX[part]), channels: channels)
            return mean + variance.map { $0 * Double(rows) }
        }
        let sums = parts.map { part in
            var s1 = [Double](repeating: 0, count: channels), s2 = s1
            for i in part where !relu || y[i] > 0 {
                let c = i % channels
                s1[c] += wholeDY[i]
                s2[c] += wholeDY[i] * (wholeX[i] - mean[c]) * deviation[c]
            }
            return s1 + s2
        }
        let gradient = gradientByFormula(wholeX, double(gamma), y, relu: relu, wholeDY)
        let params = ck_operation_params(
            batchnorm: ck_batchnorm_params(
                rows: Int64(rows), channels: Int32(channels), relu: relu ? 1 : 0, epsilon: Float(epsilon),
                momentum: 0.1, ranks: Int32(ranks)))
        let name = "\(rows)x\(channels), rank \(rank) of \(ranks)"
        let ownX = Slot.input(Array(x[own])), ownDY = Slot.input(Array(dy[own]))
        let ownY = Slot.input(y[own].map(Float.init)),
            statistics: [String: Slot] = [
                "mean": .input(mean.map(Float.init)), "inverse_deviation": .input(deviation.map(Float.init)),
            ]
        let added: [String: Slot] = hasResidual ? ["residual": .input(Array(residual[own]))] : [:]
        let gradients: [String: Slot] = hasResidual ? ["dresidual": .output] : [:]
        let total = Double(ranks * rows), unbiased = total / (total - 1)
        return [
            OperationCase(
                name, .CK_KIND_batchnorm_moments, params, ["x": ownX], tolerance: 1e-10,
                expected: { _ in ["moments": moments[rank]] }),
            OperationCase(
                name, .CK_KIND_batchnorm_normalize, params,
                added.merging([
                    "x": ownX, "gamma": .input(gamma), "beta": .input(beta),
                    "running_mean": .updated(runningMean), "running_variance": .updated(runningVariance),
                    "moments": .input(moments.flatMap { $0.map(Float.init) }),
                ]) { $1 },
                tolerance: 1e-10,
                expected: { s in
                    [
                        "y": Array(y[own]), "mean": mean, "inverse_deviation": deviation,
                        "running_mean": zip(s["running_mean"], mean).map { 0.9 * $0 + 0.1 * $1 },
                        "running_variance": zip(s["running_variance"], variance).map {
                            0.9 * $0 + 0.1 * $1 * unbiased
                        },
                    ]
                }),
            OperationCase(
                name, .CK_KIND_batchnorm_gradient_sums, params,
                statistics.merging(["dy": ownDY, "x": ownX, "y": ownY]) { $1 }, tolerance: 1e-9,
                expected: { _ in
                    let (dbeta, dgamma) = (sums[rank].prefix(channels), sums[rank].suffix(channels))
                    return ["sums": sums[rank], "dbeta": Array(dbeta), "dgamma": Array(dgamma)]
                }),
            OperationCase(
                name, .CK_KIND_batchnorm_gradient, params,
                gradients.merging(statistics) { $1 }.merging([
                    "dy": ownDY, "x": ownX, "y": ownY, "gamma": .input(gamma),
                    "sums": .input(sums.flatMap { $0.map(Float.init) }),
                ]) { $1 },
                tolerance: 1e-9,
                expected: { _ in
                    var expected = ["dx": Array(gradient.dx[own])]
                    if hasResidual {
                        expected["dresidual"] = own.map { !relu || y[$0] > 0 ? wholeDY[$0] : 0 }
                    }
                    return expected
                }),
        ]
    }

    private static func cases(
        rows: Int, channels: Int, relu: Bool, hasResidual: Bool, seed: UInt64, rounded: ([Float]) -> [Float]
    ) -> [OperationCase] {
        var random = TestRandom(seed)
        let count = rows * channels
        // A mean far from zero: sums of squares without care would lose it.
        let x = rounded(random.normals(count, scale: 0.5, shift: 3))
        let residual = rounded(random.normals(count))
        let gamma = random.normals(channels, scale: 0.3, shift: 1), beta = random.normals(channels)
        let dy = rounded(random.normals(count))
        let runningMean = random.normals(channels),
            runningVariance = random.uniforms(channels).map { $0 + 0.5 }
        @Sendable func double(_ values: [Float]) -> [Double] { values.map(Double.init) }
        func operands(_ others: [String: Slot]) -> [String: Slot] {
            hasResidual ? others.merging(["residual": .input(residual)]) { $1 } : others
        }
        let params = ck_operation_params(
            batchnorm: ck_batchnorm_params(
                rows: Int64(rows), channels: Int32(channels), relu: relu ? 1 : 0, epsilon: Float(epsilon),
                momentum: 0.1))
        let name = "\(rows)x\(channels)\(relu ? " relu" : "")\(hasResidual ? " residual" : "")"
        let (mean, variance) = Reference.moments(double(x), channels: channels)
        let deviation = variance.map { 1 / ($0 + epsilon).squareRoot() }

        var result = [
            OperationCase(
                name, .CK_KIND_batchnorm_inference, params,
                operands([
                    "x": .input(x), "gamma": .input(gamma), "beta": .input(beta),
                    "running_mean": .input(runningMean), "running_variance": .input(runningVariance),
                ]),
                expected: { s in
                    [
                        "y": Reference.normalize(
                            s["x"], mean: s["running_mean"], variance: s["running_variance"],
                            gamma: s["gamma"], beta: s["beta"], residual: s.optional("residual"),
                            epsilon: epsilon, relu: relu)
                    ]
                })
        ]
        // One row has no spread: its variance is zero, and its unbiased one undefined.
        guard rows > 1 else { return result }
        let y = Reference.batchnorm(
            double(x), gamma: double(gamma), beta: double(beta),
            residual: hasResidual ? double(residual) : nil,
            epsilon: epsilon, relu: relu)
        result.append(
            OperationCase(
                name, .CK_KIND_batchnorm_forward, params,
                operands([
                    "x": .input(x), "gamma": .input(gamma), "beta": .input(beta),
                    "running_mean": .updated(runningMean), "running_variance": .updated(runningVariance),
                ]),
                tolerance: 1e-10,
                expected: { s in
                    let unbiased = Double(rows) / Double(rows - 1)
                    return [
                        "y": y, "mean": mean, "inverse_deviation": deviation,
                        "running_mean": zip(s["running_mean"], mean).map { 0.9 * $0 + 0.1 * $1 },
                        "running_variance": zip(s["running_variance"], variance).map {
                            0.9 * $0 + 0.1 * $1 * unbiased
                        },
                    ]
                }))
        let small = count <= 600
        let gradients: [String: Slot] = hasResidual ? ["dresidual": .output] : [:]
        result.append(
            OperationCase(
                name, .CK_KIND_batchnorm_backward, params,
                gradients.merging([
                    "dy": .input(dy), "x": .input(x), "y": .input(y.map(Float.init)),
                    "mean": .input(mean.map(Float.init)),
                    "inverse_deviation": .input(deviation.map(Float.init)), "gamma": .input(gamma),
                ]) { $1 },
                tolerance: 1e-9,
                expected: { s in
                    let dy = s["dy"], x = s["x"], gamma = s["gamma"], shift = double(beta)
                    let added = hasResidual ? double(residual) : nil
                    let g =
                        small
                        ? gradientByDifferences(x, gamma, shift, added, relu: relu, dy)
                        : gradientByFormula(x, gamma, y, relu: relu, dy)
                    var expected = ["dx": g.dx, "dgamma": g.dgamma, "dbeta": g.dbeta]
                    if hasResidual {
                        expected["dresidual"] = dy.indices.map { !relu || y[$0] > 0 ? dy[$0] : 0 }
                    }
                    return expected
                }))
        result.append(
            OperationCase(
                name, .CK_KIND_batchnorm_inference_backward, params,
                gradients.merging([
                    "dy": .input(dy), "y": .input(y.map(Float.init)), "gamma": .input(gamma),
                    "running_variance": .input(runningVariance),
                ]) { $1 },
                expected: { s in
                    let g = dy.indices.map { !relu || y[$0] > 0 ? Double(dy[$0]) : 0 }
                    let variance = s["running_variance"], gamma = s["gamma"]
                    var expected = [
                        "dx": g.indices.map { i in
                            g[i] * gamma[i % channels] / (variance[i % channels] + epsilon).squareRoot()
                        }
                    ]
                    if hasResidual { expected["dresidual"] = g }
                    return expected
                }))
        return result
    }

    @Sendable private static func gradientByDifferences(
        _ x: [Double], _ gamma: [Double], _ beta: [Double], _ residual: [Double]?, relu: Bool, _ dy: [Double]
    ) -> (dx: [Double], dgamma: [Double], dbeta: [Double]) {
        func loss(_ x: [Double], _ gamma: [Double], _ beta: [Double]) -> Double {
            dot(
                Reference.batchnorm(
                    x, gamma: gamma, beta: beta, residual: residual, epsilon: epsilon, relu: relu), dy)
        }
        return (
            finiteDifferences(of: { loss($0, gamma, beta) }, at: x),
            finiteDifferences(of: { loss(x, $0, beta) }, at: gamma),
            finiteDifferences(of: { loss(x, gamma, $0) }, at: beta)
        )
    }

    /// Ioffe & Szegedy 2015, section 3.
    @Sendable static func gradientByFormula(
        _ x: [Double], _ gamma: [Double], _ y: [Double], relu: Bool, _ dy: [Double]
    ) -> (dx: [Double], dgamma: [Double], dbeta: [Double]) {
        let channels = gamma.count, rows = Double(x.count / channels)
        let (mean, variance) = Reference.moments(x, channels: channels)
        let g = dy.indices.map { !relu || y[$0] > 0 ? dy[$0] : 0 }
        let xhat = x.indices.map {
            (x[$0] - mean[$0 % channels]) / (variance[$0 % channels] + epsilon).squareRoot()
        }
        var dgamma = [Double](repeating: 0, count: channels), dbeta = dgamma
        for i in x.indices {
            dgamma[i % channels] += g[i] * xhat[i]
            dbeta[i % channels] += g[i]
        }
        let dx = x.indices.map { i in
            let c = i % channels
            return gamma[c] / (variance[c] + epsilon).squareRoot()
                * (g[i] - dbeta[c] / rows - xhat[i] * dgamma[c] / rows)
        }
        return (dx, dgamma, dbeta)
    }
}
