import CKernels

/// Batch normalisation with and without ReLU and residual; gradients against finite differences of the
/// forward reference.
enum NormalizationCases {
    private static let epsilon = 1e-5

    static let all: [OperationCase] = [(7, 5), (64, 3), (1, 4), (33, 17), (3000, 20)].enumerated().flatMap {
        index, size in
        [false, true].flatMap { relu in
            [false, true].flatMap { hasResidual in
                cases(
                    rows: size.0, channels: size.1, relu: relu, hasResidual: hasResidual,
                    seed: UInt64(200 + index))
            }
        }
    }

    private static func cases(rows: Int, channels: Int, relu: Bool, hasResidual: Bool, seed: UInt64)
        -> [OperationCase]
    {
        var random = TestRandom(seed)
        let count = rows * channels
        // A mean far from zero: sums of squares without care would lose it.
        let x = random.normals(count, scale: 0.5, shift: 3), residual = random.normals(count)
        let gamma = random.normals(channels, scale: 0.3, shift: 1), beta = random.normals(channels)
        let dy = random.normals(count)
        let runningMean = random.normals(channels),
            runningVariance = random.uniforms(channels).map { $0 + 0.5 }
        let extra: Slot = hasResidual ? .input(residual) : .absent
        @Sendable func double(_ values: [Float]) -> [Double] { values.map(Double.init) }
        @Sendable func optional(_ slot: Slot) -> [Double]? { slot.floats.isEmpty ? nil : slot.doubles }
        func params(_ p: inout ck_operation_params) {
            p.batchnorm = ck_batchnorm_params(
                rows: Int64(rows), channels: Int32(channels), relu: relu ? 1 : 0, epsilon: Float(epsilon),
                momentum: 0.1)
        }
        let name = "\(rows)x\(channels)\(relu ? " relu" : "")\(hasResidual ? " residual" : "")"
        let (mean, variance) = Reference.moments(double(x), channels: channels)
        let deviation = variance.map { 1 / ($0 + epsilon).squareRoot() }

        var result = [
            OperationCase(
                name, .CK_KIND_batchnorm_inference,
                [
                    .output(count), .input(x), extra, .input(gamma), .input(beta), .input(runningMean),
                    .input(runningVariance),
                ],
                expected: { s in
                    [
                        0: Reference.normalize(
                            s[1].doubles, mean: s[5].doubles, variance: s[6].doubles, gamma: s[3].doubles,
                            beta: s[4].doubles, residual: optional(s[2]), epsilon: epsilon, relu: relu)
                    ]
                }, params)
        ]
        // One row has no spread: its variance is zero, and its unbiased one undefined.
        guard rows > 1 else { return result }
        let y = Reference.batchnorm(
            double(x), gamma: double(gamma), beta: double(beta),
            residual: hasResidual ? double(residual) : nil,
            epsilon: epsilon, relu: relu)
        result.append(
            OperationCase(
                name, .CK_KIND_batchnorm_forward,
                [
                    .output(count), .output(channels), .output(channels), .updated(runningMean),
                    .updated(runningVariance), .input(x), extra, .input(gamma), .input(beta),
                ],
                tolerance: 1e-10,
                expected: { s in
                    let unbiased = Double(rows) / Double(rows - 1)
                    return [
                        0: y, 1: mean, 2: deviation,
                        3: zip(s[3].doubles, mean).map { 0.9 * $0 + 0.1 * $1 },
                        4: zip(s[4].doubles, variance).map { 0.9 * $0 + 0.1 * $1 * unbiased },
                    ]
                }, params))
        let small = count <= 600
        let dresidual: Slot = hasResidual ? .output(count) : .absent
        result.append(
            OperationCase(
                name, .CK_KIND_batchnorm_backward,
                [
                    .output(count), .output(channels), .output(channels), dresidual, .input(dy), .input(x),
                    .input(y.map(Float.init)), .input(mean.map(Float.init)),
                    .input(deviation.map(Float.init)),
                    .input(gamma),
                ],
                tolerance: 1e-9,
                expected: { s in
                    let dy = s[4].doubles, x = s[5].doubles, gamma = s[9].doubles, shift = double(beta)
                    let added = hasResidual ? double(residual) : nil
                    let g =
                        small
                        ? gradientByDifferences(x, gamma, shift, added, relu: relu, dy)
                        : gradientByFormula(x, gamma, y, relu: relu, dy)
                    var expected = [0: g.dx, 1: g.dgamma, 2: g.dbeta]
                    if hasResidual { expected[3] = dy.indices.map { !relu || y[$0] > 0 ? dy[$0] : 0 } }
                    return expected
                }, params))
        result.append(
            OperationCase(
                name, .CK_KIND_batchnorm_inference_backward,
                [
                    .output(count), dresidual, .input(dy), .input(y.map(Float.init)), .input(gamma),
                    .input(runningVariance),
                ],
                expected: { s in
                    let g = dy.indices.map { !relu || y[$0] > 0 ? Double(dy[$0]) : 0 }
                    let variance = s[5].doubles, gamma = s[4].doubles
                    var expected = [
                        0: g.indices.map { i in
                            g[i] * gamma[i % channels] / (variance[i % channels] + epsilon).squareRoot()
                        }
                    ]
                    if hasResidual { expected[1] = g }
                    return expected
                }, params))
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
    @Sendable private static func gradientByFormula(
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
