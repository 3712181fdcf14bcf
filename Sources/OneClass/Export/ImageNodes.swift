import OCCData

/// Appends what turns images of any size into a model's: `Fit` and the triangle filter of `cim_resample`, sum
/// by sum in the same order and precision, so that the bytes are the same.
struct ImageNodes {
    let graph: GraphBuilder
    let fit: Fit
    /// The side of the model's images.
    let side: Int

    private typealias Value = GraphBuilder.Value

    /// Which pixels of an axis a line of `side` pixels takes in, and what each counts for.
    private struct Taps {
        /// The first pixel for each of the line, int64 [side].
        let first: Value
        /// float [most, side].
        let weights: Value
        /// The most pixels that one takes in, an int64 scalar.
        let most: Value
        /// The last pixel of the axis, an int64 scalar.
        let last: Value
    }

    /// Appends the nodes: uint8 [N,H,W,3] -> float [N,3,side,side] in 0...1.
    func callAsFunction(_ images: GraphBuilder.Value) -> GraphBuilder.Value {
        let shape = graph.add("Shape", images)
        let height = graph.gathered(shape, at: graph.integer(1), axis: 0)
        let width = graph.gathered(shape, at: graph.integer(2), axis: 0)
        let pixels = graph.cast(images, to: .float)
        // Across, then down, as `cim_resample` goes; a half is added before bytes are cut off.
        let across = taps(width, other: height), down = taps(height, other: width)
        let lines = resampled(pixels, across, axis: 2, start: 0)
        let sums = resampled(lines, down, axis: 1, start: 0.5)
        let bytes = graph.add("Floor", sums)
        let scaled = graph.add("Div", bytes, graph.float(255))
        return graph.transposed(scaled, [0, 3, 1, 2])
    }

    /// Appends the sums along one axis of [N,H,W,3], a pixel of each at a time.
    private func resampled(_ image: Value, _ taps: Taps, axis: Int, start: Float) -> Value {
        // A start of the right shape.
        let some = graph.gathered(image, at: taps.first, axis: axis)
        let zeros = graph.add("Mul", some, graph.float(0))
        let first = graph.add("Add", zeros, graph.float(start))
        return graph.repeated(taps.most, from: first, of: .float) { body, turn, sum in
            let places = body.add("Min", body.add("Add", taps.first, turn), taps.last)
            let pixels = body.gathered(image, at: places, axis: axis)
            let weights = body.gathered(taps.weights, at: turn, axis: 0)
            let shaped = body.reshaped(weights, axis == 2 ? [-1, 1] : [-1, 1, 1])
            return body.add("Add", sum, body.add("Mul", pixels, shaped))
        }
    }

    /// Appends the taps of an axis of `length` pixels, an int64 scalar, of an image whose other axis has
    /// `other`.
    private func taps(_ length: Value, other: Value) -> Taps {
        let g = graph
        // The part of the axis that is shown, and the part of the line that shows it: beginnings and lengths.
        let source = fit == .crop ? g.add("Min", length, other) : length
        let target: Value
        if fit == .pad {
            let long = g.add("Max", length, other)
            let numerator = g.add("Add", g.add("Mul", length, g.integer(2 * side)), long)
            let rounded = g.add("Div", numerator, g.add("Mul", long, g.integer(2)))
            target = g.add("Max", rounded, g.integer(1))
        } else {
            target = g.integer(side)
        }
        func middle(_ whole: Value, _ part: Value) -> Value {
            g.add("Div", g.add("Sub", whole, part), g.integer(2))
        }
        let sourceStart = middle(length, source), targetStart = middle(g.integer(side), target)
        let from = g.cast(source, to: .double), to = g.cast(target, to: .double)
        let scale = g.add("Div", from, to), support = g.add("Max", scale, g.double(1))
        let line = g.add("Sub", g.integers(Array(0..<side)), targetStart)
        let place = g.cast(line, to: .double)
        let center = g.add("Mul", g.add("Add", place, g.double(0.5)), scale)
        let edge = g.add("Floor", g.add("Add", g.add("Sub", center, support), g.double(0.5)))
        let low = g.add("Max", edge, g.double(0))
        let reach = g.add("Ceil", g.add("Mul", support, g.double(2)))
        let most = g.add("Add", g.cast(reach, to: .int64), g.integer(1))
        // Pixel number of each tap, [most, side].
        let turns = g.add("Range", g.integer(0), most, g.integer(1))
        let column = g.reshaped(g.cast(turns, to: .double), [-1, 1])
        let pixel = g.add("Add", column, g.reshaped(low, [1, -1]))
        let distance = g.add("Sub", g.add("Add", pixel, g.double(0.5)), g.reshaped(center, [1, -1]))
        let share = g.add("Abs", g.add("Div", distance, support))
        let raw = g.add("Max", g.add("Sub", g.double(1), share), g.double(0))
        // Nothing beyond the part that is shown, and nothing on the border.
        let inImage = g.cast(g.add("Less", pixel, from), to: .double)
        let isShown = g.add(
            "And", g.add("GreaterOrEqual", place, g.double(0)), g.add("Less", place, to))
        let inside = g.add("Mul", raw, inImage)
        let sum = g.add("ReduceSum", inside, g.integers([0]), attributes: [.integer("keepdims", 1)])
        let some = g.add("Max", sum, g.double(Double.leastNormalMagnitude))
        let weights = g.add("Mul", g.add("Div", inside, some), g.cast(isShown, to: .double))
        let last = g.add("Sub", length, g.integer(1))
        let lowest = g.add("Max", g.add("Min", g.cast(low, to: .int64), last), g.integer(0))
        return Taps(
            first: g.add("Add", lowest, sourceStart), weights: g.cast(weights, to: .float), most: most,
            last: last)
    }
}
