import Foundation
import OCCDetectors

/// The detectors of what methods score by themselves, and flows on features.
extension DetectorNodes {
    /// A score as it is.
    func score(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        graph.add("Squeeze", rows, graph.integers([-1]))
    }

    /// The second of two logits less the first.
    func logitDifference(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let columns = graph.doubles([-1, 1], [1, 2, 1])
        return graph.add("Squeeze", graph.add("MatMul", rows, columns), graph.integers([-1]))
    }

    /// Columns of rows [1,R,D].
    private func columns(_ rows: Value, _ range: Range<Int>) -> Value {
        graph.add(
            "Slice", rows, graph.integers([range.lowerBound]), graph.integers([range.upperBound]),
            graph.integers([2]))
    }

    /// CSI's score: -mean over shifts of (largest cosine |z| / a + logit / b).
    func shiftedInstances(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let norms = try fitted.state.array("norms").values, logits = try fitted.state.array("logits").values
        let shifts = norms.count
        let parts = try (0..<shifts).map { shift in
            let axes = try fitted.state.array("axes.\(shift)"), width = axes.shape[2]
            let first = shift * (width + shifts)
            let embedding = columns(rows, first..<first + width)
            let stored = graph.cast(graph.floats(axes.values.map(Float.init), axes.shape), to: .double)
            let products = graph.add(
                "MatMul", normalized(embedding), graph.transposed(stored, [0, 2, 1]))
            let largest = graph.add(
                "ReduceMax", products, attributes: [.integers("axes", [-1]), .integer("keepdims", 0)])
            let squares = graph.sumOfLast(graph.add("Mul", embedding, embedding), keeps: false)
            let length = graph.add(
                "Div", graph.add("Sqrt", squares), graph.double(max(norms[shift], 1e-12)))
            let own = columns(rows, first + width + shift..<first + width + shift + 1)
            let certain = graph.add(
                "Div", graph.add("Squeeze", own, graph.integers([-1])),
                graph.double(max(logits[shift], 1e-12)))
            return graph.add("Add", graph.add("Mul", largest, length), certain)
        }
        let sum = parts.dropFirst().reduce(parts[0]) { graph.add("Add", $0, $1) }
        return graph.add("Div", sum, graph.double(-Double(shifts)))
    }

    /// -log of a sum of Gaussians, each times its share: the largest exponent is taken out of the sum.
    func mixture(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let shares = try fitted.state.array("shares").values, means = try fitted.state.array("means")
        let covariances = try fitted.state.array("covariances").values, d = means.shape[2]
        let z = columns(rows, 0..<d)
        let logs = shares.indices.map { k -> Value in
            let factor = Self.cholesky(Array(covariances[k * d * d..<(k + 1) * d * d]), d)
            let mean = Array(means.values[k * d..<(k + 1) * d])
            let centered = graph.add("Sub", z, graph.doubles(mean, [1, 1, d]))
            let solved = graph.add(
                "MatMul", centered, graph.doubles(FittedDetector.inverseTransposed(factor, d), [1, d, d]))
            let square = graph.sumOfLast(graph.add("Mul", solved, solved), keeps: true)
            let determinant = (0..<d).reduce(0.0) { $0 + log(factor[$1 * d + $1]) }
            // A component that nothing belongs to has a share of next to nothing.
            let constant =
                log(max(shares[k], .leastNormalMagnitude)) - determinant - 0.5 * Double(d)
                * log(2 * Double.pi)
            return graph.add("Sub", graph.double(constant), graph.add("Mul", square, graph.double(0.5)))
        }
        let all = graph.concatenated(logs, axis: 2)
        let top = graph.add(
            "ReduceMax", all, attributes: [.integers("axes", [-1]), .integer("keepdims", 1)])
        let sum = graph.sumOfLast(graph.add("Exp", graph.add("Sub", all, top)), keeps: true)
        let total = graph.add("Neg", graph.add("Add", graph.add("Log", sum), top))
        return graph.add("Squeeze", total, graph.integers([-1]))
    }

    /// The lower triangular factor of a covariance that a mixture has been made of.
    private static func cholesky(_ a: [Double], _ d: Int) -> [Double] {
        var l = [Double](repeating: 0, count: d * d)
        for i in 0..<d {
            for j in 0...i {
                let sum = (0..<j).reduce(a[i * d + j]) { $0 - l[i * d + $1] * l[j * d + $1] }
                l[i * d + j] = i == j ? sum.squareRoot() : sum / l[j * d + j]
            }
        }
        return l
    }

    // MARK: Flows on features

    /// -log p of rows under a flow of couplings with dense networks.
    func flow(_ rows: Value, _ fitted: FittedDetector) throws -> Value {
        let state = fitted.state, mean = try state.array("mean").values, count = mean.count
        let deviation = try state.array("deviation").values
        let centered = graph.add("Sub", rows, graph.doubles(mean, [1, 1, count]))
        var x = graph.add("Div", centered, graph.doubles(deviation, [1, 1, count]))
        var logs: Value?
        for layer in 0..<Int(try fitted.numbers("layers")[0]) {
            let coupling = FlowDensity.coupling(layer)
            let halves = (0..<count / 2, count / 2..<count)
            let (kept, changed) = coupling.isOther ? (halves.1, halves.0) : halves
            let u = columns(x, kept)
            let hidden = try (0..<2).reduce(u) { value, index in
                let inputs = index == 0 ? Array(kept) : nil
                return graph.add(
                    "Tanh", try dense(value, "\(coupling.name).\(index)", state, inputs: inputs))
            }
            func outputs(_ chosen: [Int]) throws -> Value {
                try dense(hidden, "\(coupling.name).2", state, outputs: chosen)
            }
            let factors = try state.array("\(coupling.name).factor").values
            let factor = graph.doubles(changed.map { factors[$0] }, [1, 1, changed.count])
            let s = graph.add("Mul", factor, graph.add("Tanh", try outputs(Array(changed))))
            let t = try outputs(changed.map { $0 + count })
            let moved = graph.add("Add", graph.add("Mul", columns(x, changed), graph.add("Exp", s)), t)
            x = graph.concatenated(coupling.isOther ? [moved, u] : [u, moved], axis: 2)
            let sum = graph.sumOfLast(s, keeps: false)
            logs = logs.map { graph.add("Add", $0, sum) } ?? sum
        }
        let squares = graph.sumOfLast(graph.add("Mul", x, x), keeps: false)
        let volume = deviation.reduce(0) { $0 + log($1) }
        let constant = 0.5 * Double(count) * log(2 * Double.pi) + volume
        let density = graph.add("Add", graph.add("Mul", squares, graph.double(0.5)), graph.double(constant))
        return logs.map { graph.add("Sub", density, $0) } ?? density
    }

    /// A layer x W' + b of a flow's network, of some of its inputs and outputs.
    private func dense(
        _ x: Value, _ name: String, _ state: DetectorState, inputs: [Int]? = nil, outputs: [Int]? = nil
    ) throws -> Value {
        let weights = try state.array("\(name).weight"), bias = try state.array("\(name).bias").values
        let values = weights.values, width = weights.shape[2], rows = outputs ?? Array(bias.indices)
        let columns = inputs ?? Array(0..<width)
        let chosen = columns.flatMap { column in rows.map { values[$0 * width + column] } }
        let product = graph.add("MatMul", x, graph.doubles(chosen, [1, columns.count, rows.count]))
        return graph.add("Add", product, graph.doubles(rows.map { bias[$0] }, [1, 1, rows.count]))
    }
}
