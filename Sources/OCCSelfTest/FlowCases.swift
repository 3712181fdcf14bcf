import CKernels
import Foundation

/// The cases of normalizing flows: dequantization, couplings under both masks, squeezing, the prior and its bits.
enum FlowCases {
    static let all = dequantization + couplings + squeezing + priors + bits

    // MARK: Dequantization

    private static let dequantization: [OperationCase] = [
        (3, 4, 5, 3, 1.0), (1, 1, 1, 1, 1), (2, 20, 21, 3, 0),
    ]
    .flatMap { n, h, w, c, spread in
        [ck_share(), ck_share(first: 2, block: 1, stride: 5)].flatMap { share in
            dequantizations(n: n, h: h, w: w, c: c, spread: spread, share: share)
        }
    }

    private static func dequantizations(n: Int, h: Int, w: Int, c: Int, spread: Double, share: ck_share)
        -> [OperationCase]
    {
        var p = ck_image_params()
        (p.n, p.h, p.w, p.c, p.stream, p.share) = (Int32(n), Int32(h), Int32(w), Int32(c), 7, share)
        (p.minimum, p.maximum) = (0.0625, Float(spread))
        let image = p, size = h * w * c, margin = 0.0625
        let step = ck_step_state(seed: 0xFEED_0000_0000_0003, step: 1 << 33 | 79)
        var random = TestRandom(UInt64(3000 + size))
        let x = random.integers(n * size, below: 256).map { Float($0) / 255 }
        let dy = random.normals(n * size), dlog = random.normals(n)
        /// Each value's noise, 0.5 where there is none.
        @Sendable func noise(_ place: Int) -> Double {
            let row = share.block > 0 ? Int(share.first) + place / size * Int(share.stride) : place / size
            let i = place % size, block = UInt32(i / 4 + 1) << 12
            let u = AugmentationReference.uniform(
                AugmentationReference.numbers(step, row, image.stream + block)[i % 4])
            return 0.5 + spread * (u - 0.5)
        }
        @Sendable func forward(_ x: [Double], _ u: (Int) -> Double) -> (y: [Double], log: [Double]) {
            var y: [Double] = [], log = [Double](repeating: 0, count: n)
            for (place, value) in x.enumerated() {
                let share = margin + (1 - 2 * margin) * (255 * value + u(place)) / 256
                y.append(Foundation.log(share / (1 - share)))
                log[place / size] += Foundation.log((1 - 2 * margin) / (share * (1 - share)))
            }
            return (y, log)
        }
        let name = "\(n)x\(h)x\(w)x\(c)\(share.block > 0 ? " of a share" : "")"
        let params = ck_operation_params(image: image)
        let known = forward(x.map(Double.init)) { _ in 0.5 }.y.map(Float.init)
        let result = OperationCase(
            name, .CK_KIND_dequantize_forward, params, ["x": .input(x), "step": .step(step)],
            tolerance: 1e-10,
            expected: { s in
                let (y, log) = forward(s["x"], noise)
                return ["y": y, "log_likelihood": log]
            })
        guard share.block == 0 else { return [result] }
        return [true, false].map { hasLikelihood in
            var operands: [String: Slot] = ["dy": .input(dy), "y": .input(known)]
            if hasLikelihood { operands["dlog_likelihood"] = .input(dlog) }
            return OperationCase(
                "\(name)\(hasLikelihood ? "" : " alone")", .CK_KIND_dequantize_backward, params, operands,
                tolerance: 1e-10,
                expected: { s in
                    let dy = s["dy"], dlog = s.optional("dlog_likelihood")
                    // Each value's result and likelihood depend on that value alone.
                    let point = x.map(Double.init)
                    return [
                        "dx": point.indices.map { i in
                            func value(_ x: Double) -> Double {
                                let share = margin + (1 - 2 * margin) * (255 * x + 0.5) / 256
                                return dy[i] * log(share / (1 - share))
                                    + (dlog.map { -$0[i / size] * log(share * (1 - share)) } ?? 0)
                            }
                            return (value(point[i] + 1e-6) - value(point[i] - 1e-6)) / 2e-6
                        }
                    ]
                })
        } + [result]
    }

    // MARK: Couplings

    /// Whether a value is kept, by its place.
    private static func isKept(_ p: ck_coupling_params, row: Int, column: Int, channel: Int) -> Bool {
        let isSecond =
            p.mask == Int32(CK_MASK_CHANNELS)
            ? channel >= Int(p.c) / 2 : (row + column) % 2 == 1
        return isSecond == (p.parity == 1)
    }

    /// The coupling as it is defined, and each image's log-determinant.
    private static func couple(_ x: [Double], _ net: [Double], _ factor: [Double], _ p: ck_coupling_params)
        -> (y: [Double], log: [Double])
    {
        let (h, w, c) = (Int(p.h), Int(p.w), Int(p.c))
        var y = x, log = [Double](repeating: 0, count: Int(p.n))
        for n in 0..<Int(p.n) {
            for row in 0..<h {
                for column in 0..<w {
                    let pixel = (n * h + row) * w + column
                    for channel in 0..<c where !isKept(p, row: row, column: column, channel: channel) {
                        let s = factor[channel] * tanh(net[pixel * 2 * c + channel])
                        y[pixel * c + channel] =
                            x[pixel * c + channel] * exp(s) + net[(pixel * 2 + 1) * c + channel]
                        log[n] += s
                    }
                }
            }
        }
        return (y, log)
    }

    private static let couplings: [OperationCase] = [
        (2, 4, 3, 3), (1, 2, 2, 12), (3, 1, 1, 7), (2, 17, 18, 3), (2, 1, 1, 1),
    ].flatMap { (n: Int32, h: Int32, w: Int32, c: Int32) -> [OperationCase] in
        let masks = [CK_MASK_CHECKERBOARD, CK_MASK_CHANNELS].map { Int32($0) }
        let halves = masks.flatMap { mask in [(mask, Int32(0)), (mask, Int32(1))] }
        return halves.flatMap { mask, parity in
            couplings(ck_coupling_params(n: n, h: h, w: w, c: c, mask: mask, parity: parity))
        }
    }

    private static func couplings(_ p: ck_coupling_params) -> [OperationCase] {
        let (n, c) = (Int(p.n), Int(p.c)), pixels = Int(p.h * p.w), count = n * pixels * c
        var random = TestRandom(UInt64(3100 + count))
        let x = random.normals(count), net = random.normals(2 * count), factor = random.normals(c)
        let before = random.normals(n), dy = random.normals(count), dlog = random.normals(n)
        let params = ck_operation_params(coupling: p)
        let mask = p.mask == Int32(CK_MASK_CHANNELS) ? "channels" : "checkerboard"
        let name = "\(n)x\(p.h)x\(p.w)x\(c) \(mask) \(p.parity)"
        let isSmall = count <= 100
        let masked = OperationCase(
            name, .CK_KIND_coupling_mask, params, ["x": .input(x)],
            expected: { s in
                let zeros = [Double](repeating: 0, count: 2 * count)
                // What a coupling that multiplies by 0 leaves: exp(-1000) is nothing.
                let large = zeros.indices.map { $0 / c % 2 == 0 ? -1000.0 : 0 }
                return ["y": couple(s["x"], large, [Double](repeating: 1000, count: c), p).y]
            })
        let forward = [true, false].map { hasBefore in
            let operands: [String: Slot] = ["x": .input(x), "net": .input(net), "factor": .input(factor)]
            return OperationCase(
                "\(name)\(hasBefore ? "" : " first")", .CK_KIND_coupling_forward, params,
                hasBefore ? operands.merging(["before": .input(before)]) { $1 } : operands,
                expected: { s in
                    let (y, sums) = couple(s["x"], s["net"], s["factor"], p)
                    var log = sums
                    if isSmall, sums.contains(where: { $0 != 0 }) {
                        // The logarithm of the Jacobian's determinant, by differences: it is diagonal.
                        let slopes = s["x"].indices.map { i -> Double in
                            var above = s["x"], below = above
                            above[i] += 1e-5
                            below[i] -= 1e-5
                            let high = couple(above, s["net"], s["factor"], p).y[i]
                            return (high - couple(below, s["net"], s["factor"], p).y[i]) / 2e-5
                        }
                        log = (0..<n).map { image in
                            slopes[image * pixels * c..<(image + 1) * pixels * c].reduce(0) {
                                $0 + Foundation.log($1)
                            }
                        }
                    }
                    if let before = s.optional("before") { log = zip(log, before).map { $0 + $1 } }
                    return ["y": y, "log_likelihood": log]
                })
        }
        let backward = [true, false].map { hasLikelihood in
            var operands: [String: Slot] = [
                "dy": .input(dy), "x": .input(x), "net": .input(net), "factor": .input(factor),
            ]
            if hasLikelihood { operands["dlog_likelihood"] = .input(dlog) }
            return OperationCase(
                "\(name)\(hasLikelihood ? "" : " alone")", .CK_KIND_coupling_backward, params, operands,
                tolerance: 1e-10,
                expected: { s in
                    let dlog = s.optional("dlog_likelihood") ?? [Double](repeating: 0, count: n)
                    let (dy, x, net, factor) = (s["dy"], s["x"], s["net"], s["factor"])
                    func value(_ x: [Double], _ net: [Double], _ factor: [Double]) -> Double {
                        let (y, log) = couple(x, net, factor, p)
                        return dot(y, dy) + dot(log, dlog)
                    }
                    guard !isSmall else {
                        return [
                            "dx": finiteDifferences(of: { value($0, net, factor) }, at: x),
                            "dnet": finiteDifferences(of: { value(x, $0, factor) }, at: net),
                            "dfactor": finiteDifferences(of: { value(x, net, $0) }, at: factor),
                        ]
                    }
                    return analytic(dy, dlog, x, net, factor, p)
                })
        }
        return [masked] + forward + backward
    }

    /// The gradients from the chain rule, for images that are too large for differences.
    private static func analytic(
        _ dy: [Double], _ dlog: [Double], _ x: [Double], _ net: [Double], _ factor: [Double],
        _ p: ck_coupling_params
    ) -> [String: [Double]] {
        let (w, c) = (Int(p.w), Int(p.c)), pixels = Int(p.h * p.w)
        var dx = dy, dnet = net.map { _ in 0.0 }, dfactor = factor.map { _ in 0.0 }
        for i in x.indices {
            let (pixel, channel) = i.quotientAndRemainder(dividingBy: c), place = pixel % pixels
            guard !isKept(p, row: place / w, column: place % w, channel: channel) else { continue }
            let bent = tanh(net[pixel * 2 * c + channel]), scale = exp(factor[channel] * bent)
            let ds = dy[i] * x[i] * scale + dlog[pixel / pixels]
            dx[i] = dy[i] * scale
            dnet[pixel * 2 * c + channel] = ds * factor[channel] * (1 - bent * bent)
            dnet[(pixel * 2 + 1) * c + channel] = dy[i]
            dfactor[channel] += ds * bent
        }
        return ["dx": dx, "dnet": dnet, "dfactor": dfactor]
    }

    // MARK: Squeezing

    private static let squeezing: [OperationCase] = [(2, 4, 6, 3), (1, 2, 2, 1), (3, 16, 12, 5)].flatMap {
        n, h, w, c in
        var p = ck_pool_params()
        (p.n, p.h, p.w, p.c) = (Int32(n), Int32(h), Int32(w), Int32(c))
        let params = ck_operation_params(pool: p)
        var random = TestRandom(UInt64(3200 + h))
        let x = random.normals(n * h * w * c)
        /// Where each value of the squeezed image comes from.
        var places: [Int] = []
        for image in 0..<n {
            for row in 0..<h / 2 {
                for column in 0..<w / 2 {
                    for (down, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        let pixel = (image * h + 2 * row + down) * w + 2 * column + right
                        places += pixel * c..<(pixel + 1) * c
                    }
                }
            }
        }
        let order = places
        return [
            OperationCase(
                "\(n)x\(h)x\(w)x\(c)", .CK_KIND_squeeze_forward, params, ["x": .input(x)], tolerance: 0,
                expected: { s in
                    let x = s["x"]
                    return ["y": order.map { x[$0] }]
                }),
            OperationCase(
                "\(n)x\(h)x\(w)x\(c)", .CK_KIND_squeeze_backward, params, ["dy": .input(x)], tolerance: 0,
                expected: { s in
                    let dy = s["dy"]
                    var dx = dy
                    for (index, place) in order.enumerated() { dx[place] = dy[index] }
                    return ["dx": dx]
                }),
        ]
    }

    // MARK: The prior, and bits per dimension

    private static let priors: [OperationCase] = [(1, 1), (3, 7), (5, 300), (130, 4)].flatMap { n, c in
        var random = TestRandom(UInt64(3300 + c))
        let z = random.normals(n * c, scale: 2), before = random.normals(n), dlog = random.normals(n)
        let params = ck_operation_params(rows: ck_rows_params(n: Int32(n), c: Int32(c), epsilon: 0))
        @Sendable func density(_ z: [Double]) -> [Double] {
            (0..<n).map { row in
                z[row * c..<(row + 1) * c].reduce(0) {
                    $0 + log(exp(-$1 * $1 / 2) / (2 * Double.pi).squareRoot())
                }
            }
        }
        return [true, false].map { hasBefore in
            OperationCase(
                "\(n)x\(c)\(hasBefore ? "" : " first")", .CK_KIND_normal_forward, params,
                hasBefore ? ["z": .input(z), "before": .input(before)] : ["z": .input(z)],
                expected: { s in
                    let own = density(s["z"])
                    return [
                        "log_likelihood": s.optional("before").map { zip(own, $0).map { $0 + $1 } } ?? own
                    ]
                })
        } + [
            OperationCase(
                "\(n)x\(c)", .CK_KIND_normal_backward, params,
                ["dlog_likelihood": .input(dlog), "z": .input(z)],
                expected: { s in
                    let dlog = s["dlog_likelihood"], z = s["z"]
                    guard n * c < 100 else { return ["dz": z.indices.map { -z[$0] * dlog[$0 / c] }] }
                    return ["dz": finiteDifferences(of: { dot(density($0), dlog) }, at: z)]
                })
        ]
    }

    private static let bits: [OperationCase] = [(1, 1, 0.0), (5, 3072, 8), (300, 192, 8)].flatMap {
        n, dimensions, levels in
        var random = TestRandom(UInt64(3400 + n))
        let log = random.normals(n, scale: 500, shift: -Double(dimensions))
        let params = ck_operation_params(
            likelihood: ck_likelihood_params(
                n: Int32(n), dimensions: Int64(dimensions), levels: Float(levels)))
        @Sendable func bits(_ log: [Double]) -> [Double] {
            log.map { levels - $0 * M_LOG2E / Double(dimensions) }
        }
        @Sendable func mean(_ log: [Double]) -> Double { bits(log).reduce(0, +) / Double(n) }
        return [
            OperationCase(
                "\(n) of \(dimensions)", .CK_KIND_bits_per_dimension_forward, params,
                ["log_likelihood": .input(log)],
                expected: { s in ["loss": [mean(s["log_likelihood"])], "bits": bits(s["log_likelihood"])] }),
            OperationCase(
                "\(n) of \(dimensions)", .CK_KIND_bits_per_dimension_backward, params, [:],
                expected: { _ in
                    ["dlog_likelihood": finiteDifferences(of: mean, at: log.map { _ in 0 })]
                }),
        ]
    }
}
