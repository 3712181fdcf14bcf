import CKernels
import Foundation

/// Every operation once more, slow and plain, in double precision. Nothing here shares code with the kernels.
public enum Reference {
    // MARK: Convolution

    /// Calls `body` with (output pixel, input pixel, tap) for every triple whose tap falls inside the image.
    private static func forEachTap(_ p: ck_conv2d_params, _ body: (Int, Int, Int) -> Void) {
        let (h, w) = (Int(p.h), Int(p.w))
        for n in 0..<Int(p.n) {
            for row in 0..<Int(p.p) {
                for column in 0..<Int(p.q) {
                    for r in 0..<Int(p.r) {
                        for s in 0..<Int(p.s) {
                            let y = row * Int(p.stride) + r - Int(p.pad),
                                x = column * Int(p.stride) + s - Int(p.pad)
                            guard y >= 0, y < h, x >= 0, x < w else { continue }
                            body(
                                (n * Int(p.p) + row) * Int(p.q) + column, (n * h + y) * w + x,
                                r * Int(p.s) + s)
                        }
                    }
                }
            }
        }
    }

    /// Convolves x [N,H,W,C], w [K,R,S,C] -> y [N,P,Q,K].
    public static func conv2d(_ x: [Double], _ w: [Double], _ p: ck_conv2d_params) -> [Double] {
        let (c, k, taps) = (Int(p.c), Int(p.k), Int(p.r * p.s))
        var y = [Double](repeating: 0, count: Int(p.n * p.p * p.q) * k)
        forEachTap(p) { out, input, tap in
            for o in 0..<k {
                for i in 0..<c { y[out * k + o] += x[input * c + i] * w[(o * taps + tap) * c + i] }
            }
        }
        return y
    }

    /// Finds the gradient by the input: dy [N,P,Q,K], w [K,R,S,C] -> dx [N,H,W,C].
    public static func conv2dBackwardData(_ dy: [Double], _ w: [Double], _ p: ck_conv2d_params) -> [Double] {
        let (c, k, taps) = (Int(p.c), Int(p.k), Int(p.r * p.s))
        var dx = [Double](repeating: 0, count: Int(p.n * p.h * p.w) * c)
        forEachTap(p) { out, input, tap in
            for o in 0..<k {
                for i in 0..<c { dx[input * c + i] += dy[out * k + o] * w[(o * taps + tap) * c + i] }
            }
        }
        return dx
    }

    /// Finds the gradient by the filters: dy [N,P,Q,K], x [N,H,W,C] -> dw [K,R,S,C].
    public static func conv2dBackwardWeight(_ dy: [Double], _ x: [Double], _ p: ck_conv2d_params) -> [Double]
    {
        let (c, k, taps) = (Int(p.c), Int(p.k), Int(p.r * p.s))
        var dw = [Double](repeating: 0, count: k * taps * c)
        forEachTap(p) { out, input, tap in
            for o in 0..<k {
                for i in 0..<c { dw[(o * taps + tap) * c + i] += dy[out * k + o] * x[input * c + i] }
            }
        }
        return dw
    }

    // MARK: Batch normalization

    /// Finds the mean and the variance (divided by the rows) of each channel of [rows, channels].
    public static func moments(_ x: [Double], channels: Int) -> (mean: [Double], variance: [Double]) {
        let rows = x.count / channels
        var mean = [Double](repeating: 0, count: channels), variance = mean
        for (i, value) in x.enumerated() { mean[i % channels] += value / Double(rows) }
        for (i, value) in x.enumerated() {
            variance[i % channels] +=
                (value - mean[i % channels]) * (value - mean[i % channels]) / Double(rows)
        }
        return (mean, variance)
    }

    /// Normalizes [rows, channels] by given moments, scales, shifts, adds the residual, and applies the ReLU.
    public static func normalize(
        _ x: [Double], mean: [Double], variance: [Double], gamma: [Double], beta: [Double],
        residual: [Double]?,
        epsilon: Double, relu: Bool
    ) -> [Double] {
        x.indices.map { i in
            let c = i % gamma.count
            let y =
                (x[i] - mean[c]) / (variance[c] + epsilon).squareRoot() * gamma[c] + beta[c]
                + (residual?[i] ?? 0)
            return relu ? max(0, y) : y
        }
    }

    /// Normalizes [rows, channels] by its own moments, scales, shifts, adds the residual, and applies the
    /// ReLU.
    public static func batchnorm(
        _ x: [Double], gamma: [Double], beta: [Double], residual: [Double]?, epsilon: Double, relu: Bool
    ) -> [Double] {
        let (mean, variance) = moments(x, channels: gamma.count)
        return normalize(
            x, mean: mean, variance: variance, gamma: gamma, beta: beta, residual: residual, epsilon: epsilon,
            relu: relu)
    }

    // MARK: Rows

    /// Divides each row of [rows, columns] by its norm, or by `epsilon` where that is larger.
    public static func l2Normalize(_ x: [Double], columns: Int, epsilon: Double) -> [Double] {
        stride(from: 0, to: x.count, by: columns).flatMap { start in
            let row = x[start..<start + columns],
                norm = max(row.reduce(0) { $0 + $1 * $1 }.squareRoot(), epsilon)
            return row.map { $0 / norm }
        }
    }

    /// Makes each row of [rows, columns] probabilities.
    public static func softmax(_ x: [Double], columns: Int) -> [Double] {
        stride(from: 0, to: x.count, by: columns).flatMap { start in
            let row = x[start..<start + columns], top = row.max()!, sum = row.reduce(0) { $0 + exp($1 - top) }
            return row.map { exp($0 - top) / sum }
        }
    }

    /// Finds the mean over rows of -log p(label), of logits [rows, columns].
    public static func crossEntropy(_ x: [Double], labels: [Int32], columns: Int) -> Double {
        let p = softmax(x, columns: columns)
        return labels.enumerated().reduce(0) { $0 - log(p[$1.offset * columns + Int($1.element)]) }
            / Double(labels.count)
    }

    /// Evaluates NT-Xent as its definition has it, without any care for memory: z [2b, d] -> the loss.
    public static func ntXent(_ z: [Double], b: Int, d: Int, temperature: Double, symmetric: Bool) -> Double {
        func similarity(_ i: Int, _ j: Int) -> Double {
            (0..<d).reduce(0) { $0 + z[i * d + $1] * z[j * d + $1] } / temperature
        }
        var loss = 0.0
        let anchors = symmetric ? 2 * b : b
        for i in 0..<anchors {
            let candidates = symmetric ? (0..<2 * b).filter { $0 != i } : Array(b..<2 * b)
            let values = candidates.map { similarity(i, $0) }, top = values.max()!
            loss += log(values.reduce(0) { $0 + exp($1 - top) }) + top - similarity(i, (i + b) % (2 * b))
        }
        return loss / Double(anchors)
    }

    /// Differentiates NT-Xent: every similarity's derivative, spread over the two embeddings it joins.
    public static func ntXentGradient(_ z: [Double], b: Int, d: Int, temperature: Double, symmetric: Bool)
        -> [Double]
    {
        var dz = [Double](repeating: 0, count: z.count)
        let anchors = symmetric ? 2 * b : b
        for i in 0..<anchors {
            let candidates = symmetric ? (0..<2 * b).filter { $0 != i } : Array(b..<2 * b)
            let values = candidates.map { j in
                (0..<d).reduce(0) { $0 + z[i * d + $1] * z[j * d + $1] } / temperature
            }
            let p = softmax(values, columns: values.count)
            for (index, j) in candidates.enumerated() {
                let g = (p[index] - (j == (i + b) % (2 * b) ? 1 : 0)) / temperature / Double(anchors)
                for c in 0..<d {
                    dz[i * d + c] += g * z[j * d + c]
                    dz[j * d + c] += g * z[i * d + c]
                }
            }
        }
        return dz
    }

    // MARK: Dense

    /// Multiplies x [n,c] w [k,c]^T and adds bias [k] -> y [n,k].
    public static func dense(_ x: [Double], _ w: [Double], _ bias: [Double]?, n: Int, c: Int, k: Int)
        -> [Double]
    {
        (0..<n * k).map { index in
            let (row, unit) = (index / k, index % k)
            return (0..<c).reduce(bias?[unit] ?? 0) { $0 + x[row * c + $1] * w[unit * c + $1] }
        }
    }

    // MARK: Pooling

    /// Finds the largest value of each window of [N,H,W,C], and its place in the window; padding never wins.
    public static func maxPool(_ x: [Double], _ p: ck_pool_params) -> (y: [Double], argmax: [Double]) {
        var y: [Double] = [], argmax: [Double] = []
        for n in 0..<Int(p.n) {
            for row in 0..<Int(p.p) {
                for column in 0..<Int(p.q) {
                    for c in 0..<Int(p.c) {
                        var best = -Double.infinity, place = 0
                        for r in 0..<Int(p.r) {
                            for s in 0..<Int(p.r) {
                                let i = row * Int(p.stride) + r - Int(p.pad),
                                    j = column * Int(p.stride) + s - Int(p.pad)
                                guard i >= 0, i < Int(p.h), j >= 0, j < Int(p.w) else { continue }
                                let value = x[((n * Int(p.h) + i) * Int(p.w) + j) * Int(p.c) + c]
                                if value > best { (best, place) = (value, r * Int(p.r) + s) }
                            }
                        }
                        y.append(best)
                        argmax.append(Double(place))
                    }
                }
            }
        }
        return (y, argmax)
    }

    /// Finds the mean over the pixels of [N,H,W,C] -> [N,C].
    public static func globalAveragePool(_ x: [Double], _ p: ck_pool_params) -> [Double] {
        let pixels = Int(p.h * p.w), c = Int(p.c)
        return (0..<Int(p.n) * c).map { index in
            (0..<pixels).reduce(0) { $0 + x[(index / c * pixels + $1) * c + index % c] } / Double(pixels)
        }
    }

    /// Repeats every pixel twice in both directions: [N,H,W,C] -> [N,2H,2W,C].
    public static func upsample(_ x: [Double], _ p: ck_pool_params) -> [Double] {
        let (h, w, c) = (Int(p.h), Int(p.w), Int(p.c))
        var y: [Double] = []
        for n in 0..<Int(p.n) {
            for row in 0..<2 * h {
                for column in 0..<2 * w {
                    for channel in 0..<c { y.append(x[((n * h + row / 2) * w + column / 2) * c + channel]) }
                }
            }
        }
        return y
    }

    /// Crops a border of p's pad pixels: [N,H,W,C] -> [N,P,Q,C].
    public static func crop(_ x: [Double], _ p: ck_pool_params) -> [Double] {
        let (h, w, c, border) = (Int(p.h), Int(p.w), Int(p.c), Int(p.pad))
        var y: [Double] = []
        for n in 0..<Int(p.n) {
            for row in border..<h - border {
                for column in border..<w - border {
                    let at = ((n * h + row) * w + column) * c
                    y += x[at..<at + c]
                }
            }
        }
        return y
    }

    /// Finds the mean of each window of R x R pixels: [N,H,W,C] -> [N,P,Q,C].
    public static func windowMeans(_ x: [Double], _ p: ck_pool_params) -> [Double] {
        let (h, w, c, r, step) = (Int(p.h), Int(p.w), Int(p.c), Int(p.r), Int(p.stride))
        var y = [Double](repeating: 0, count: Int(p.n * p.p * p.q) * c)
        for index in y.indices {
            let (channel, column, row) = (index % c, index / c % Int(p.q), index / c / Int(p.q) % Int(p.p))
            let n = index / c / Int(p.q) / Int(p.p)
            for i in row * step..<row * step + r {
                for j in column * step..<column * step + r {
                    y[index] += x[((n * h + i) * w + j) * c + channel] / Double(r * r)
                }
            }
        }
        return y
    }
}
