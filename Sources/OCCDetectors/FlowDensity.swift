import Foundation
import OCCEngine
import OCCNetworks

/// A normalizing flow on features (Dinh et al., ICLR 2017, RealNVP; on embeddings as Kirichenko et al., NeurIPS 2020, use
/// it): score = -log p(x), in nats, where affine couplings with dense networks map standardized features to a standard
/// normal distribution.
///
/// Coupling l keeps one half u of the columns and changes the other, v -> v exp(s) + t, with (r, t) = W3 tanh(W2 tanh(W1 u))
/// (and biases) and s = factor tanh(r); the halves take turns. It is trained on the CPU, and the same seed gives the same
/// density; scores are in double precision, one row at a time.
public struct FlowDensity: Detector {
    /// Affine couplings.
    public var layers = 6
    /// Units of each of the two hidden layers of a coupling's network.
    public var width = 64
    /// Steps of Adam.
    public var steps = 300
    /// The deviation of the normal noise that is added to standardized features in training, anew at each step: without it
    /// a flow learns the rows by heart where they are few (Rothfuss et al. 2019, noise regularization).
    public var noise = 0.3
    /// The learning rate of the first step, which falls to 0 as a cosine.
    public var rate = 1e-3
    /// What first weights and batches are drawn from.
    public var seed: UInt64 = 1

    /// A flow of 6 couplings, trained for 300 steps.
    public init() {}

    /// The name it is chosen by.
    public let name = "flow"
    /// What it is, in a line.
    public let summary = "A normalizing flow: affine couplings (RealNVP) on standardized features."
    /// The size of the flow, and how it is trained.
    public static let settings = [
        Setting(
            "flow-layers", \FlowDensity.layers, "N", range: .within(1...64),
            "Affine couplings of the flow on features."),
        Setting(
            "flow-width", \FlowDensity.width, "N", range: .within(1...4096),
            "Units of each of the two hidden layers of a coupling's network."),
        Setting(
            "flow-steps", \FlowDensity.steps, "N", range: .within(1...1_000_000),
            "Steps of Adam, of 256 rows each."),
        Setting(
            "flow-noise", \FlowDensity.noise, "SIGMA", range: .within(0...10),
            "Deviation of the noise on the flow's standardized features in training."),
        Setting(
            "flow-rate", \FlowDensity.rate, "RATE", range: .within(1e-9...1),
            "Learning rate of the first step, which falls to 0 as a cosine."),
        Setting(
            "flow-seed", \FlowDensity.seed, "SEED", range: .within(0...1e18),
            "What the flow's first weights and its batches are drawn from."),
    ]

    /// Rows of a step, where there are as many.
    private static let batch = 256

    /// A coupling by its number, from 0.
    package static func coupling(_ layer: Int) -> AffineCoupling {
        AffineCoupling("coupling.\(layer)", mask: .channels, keepsOther: layer % 2 == 1)
    }

    /// Appends the flow: rows [N,C] -> their log-likelihoods, in nats, [N].
    private func logLikelihood(of rows: Tensor, in plan: PlanBuilder) throws -> Tensor {
        var state = FlowState(rows)
        for layer in 0..<layers {
            let coupling = Self.coupling(layer)
            state = try coupling(state, in: plan) { kept in
                var x = kept
                for hidden in 0..<2 {
                    let dense = Dense("\(coupling.name).\(hidden)", units: width, bias: true)
                    x = try tanh(try dense(x, in: plan), in: plan)
                }
                // Zero at first, as in Glow (Kingma & Dhariwal 2018): the flow begins as the identity.
                return try Dense(
                    "\(coupling.name).2", units: 2 * rows.shape[1], bias: true, initializer: .zeros)(
                        x, in: plan)
            }
        }
        return try normalLogLikelihood(state.x, before: state.logLikelihood, in: plan)
    }

    /// Standardizes the features and trains the flow on them.
    ///
    /// - Throws: `OCCError(.badData)` for features that are not finite, fewer than two, or all the same, and where the
    ///   training diverges.
    public func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        let scaling = try Standardization(features), columns = features.columns
        let count = min(features.rows, Self.batch), standard = scaling.applied(to: features)
        let program = Program(device: try .cpuAsItIs(), math: .strict)
        let (plan, (rows, loss)) = try program.add("flow", .training) { plan in
            let rows = try plan.input("rows", [count, columns], type: .float32)
            let log = try logLikelihood(of: rows, in: plan)
            let loss = try bitsPerDimension(log, dimensions: columns, levels: 0, in: plan).loss
            plan.keep(loss)
            try plan.differentiate(loss)
            try optimizer.append(to: plan)
            return (rows, loss)
        }
        try program.load()
        try program.initializeParameters(seed: seed)
        var random = CounterRandom(seed: seed, stream: RandomStream.densityRows), order: [Int] = []
        var schedule = LearningRateSchedule()
        schedule.peak = rate
        try Work.track("fitting the flow", "steps", total: steps) { work in
            for step in 0..<steps {
                if order.count < count { order = random.permutation(features.rows) }
                var batch = standard.subset(order.prefix(count)).values
                if noise > 0 {
                    for index in batch.indices { batch[index] += Float(noise * random.normal()) }
                }
                try program.write(batch, to: rows)
                order.removeFirst(count)
                try program.setStep(
                    seed: seed, step: step, learningRate: schedule.rate(step: step, of: steps))
                try plan.run()
                work.advance()
            }
        }
        guard try program.read(loss, of: plan)[0].isFinite else {
            throw OCCError(
                .badData, "\(name): the training on the features has diverged",
                remedy: "Lower \(setting: "flow-rate"), or raise \(setting: "detector-rows").")
        }
        var state = DetectorState()
        scaling.write(to: &state)
        state.numbers["layers"] = Double(layers)
        for weights in try program.exportWeights() {
            state.set(weights.name, weights.values, shape: weights.shape)
        }
        return try restore(state)
    }

    /// Adam, with the decay of Kirichenko et al. (2020).
    private var optimizer: Optimizer {
        var result = Optimizer()
        (result.kind, result.weightDecay) = (.adam, 5e-5)
        return result
    }

    /// The bytes of the weights with gradients and the optimizer's two moments, and of a step's values.
    public func fittingMemory(rows: Int, columns: Int) -> Int {
        let weights = layers * (3 * columns * width + width * width)
        return 16 * weights + 4 * min(rows, Self.batch) * layers * (16 * columns + 6 * width)
    }

    /// The flow that a state was taken from: the arrays `mean`, `deviation` and those of each coupling, and the number
    /// `layers`.
    ///
    /// - Throws: `OCCError(.badData)` when one is missing or malformed.
    public func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let scaling = try Standardization(state), count = try state.number("layers")
        guard count == count.rounded(), (1...64).contains(count) else {
            throw OCCError(.badData, "the detector's number 'layers' is \(count)")
        }
        let couplings = try (0..<Int(count)).map { layer in
            let own = Self.coupling(layer)
            return try DenseCoupling(state, name: own.name, keepsOther: own.isOther, columns: scaling.columns)
        }
        return FittedFlow(scaling: scaling, couplings: couplings, state: state)
    }
}

/// Columns less their mean, divided by their deviation.
private struct Standardization {
    let mean: [Double], deviation: [Double]

    var columns: Int { mean.count }

    /// The share of the root mean square of all deviations that a column's is at least: one that hardly varies in training
    /// would blow up in others.
    private static let floor = 1e-3

    /// - Throws: `OCCError(.badData)` for features that are all the same.
    init(_ features: FeatureMatrix) throws {
        let columns = features.columns, count = Double(features.rows)
        var sums = [Double](repeating: 0, count: columns), squares = sums
        for (index, value) in features.values.enumerated() { sums[index % columns] += Double(value) }
        let mean = sums.map { $0 / count }
        for (index, value) in features.values.enumerated() {
            let gap = Double(value) - mean[index % columns]
            squares[index % columns] += gap * gap
        }
        let variance = squares.reduce(0, +) / count / Double(columns)
        let size = mean.reduce(0) { $0 + $1 * $1 } / Double(columns)
        // Rounding alone leaves so much where all rows are one.
        guard variance > 1e-12 * max(size, 1e-12) else {
            throw OCCError(
                .badData,
                "the training features are all the same (variance \(variance)): the encoder has collapsed",
                remedy: "Train longer, with another seed, or with a lower learning rate.")
        }
        self.mean = mean
        deviation = squares.map { max(($0 / count).squareRoot(), Self.floor * variance.squareRoot()) }
    }

    /// - Throws: `OCCError(.badData)` when an array is missing or malformed.
    init(_ state: DetectorState) throws {
        mean = try state.array("mean").values
        deviation = try state.array("deviation").values
        guard mean.count == deviation.count, deviation.allSatisfy({ $0 > 0 }) else {
            throw OCCError(.badData, "the detector's deviations are malformed")
        }
    }

    func write(to state: inout DetectorState) {
        state.set("mean", mean, shape: [columns])
        state.set("deviation", deviation, shape: [columns])
    }

    func applied(to features: FeatureMatrix) -> FeatureMatrix {
        var result = features
        for index in result.values.indices {
            let column = index % columns
            result.values[index] = Float((Double(features.values[index]) - mean[column]) / deviation[column])
        }
        return result
    }
}

/// A coupling with its network, in double precision.
private struct DenseCoupling: Sendable {
    /// Weights and biases of one layer; the weights as [inputs, outputs], so that sums over inputs go along memory.
    private struct Layer {
        let weights: [Double], bias: [Double]

        func callAsFunction(_ x: [Double]) -> [Double] {
            var y = bias
            for (input, value) in x.enumerated() {
                let row = input * y.count
                for output in y.indices { y[output] += value * weights[row + output] }
            }
            return y
        }

        /// The gradient by the inputs, of that by the outputs.
        func gradient(_ dy: [Double]) -> [Double] {
            (0..<weights.count / dy.count).map { input in
                let row = input * dy.count
                return dy.indices.reduce(0) { $0 + dy[$1] * weights[row + $1] }
            }
        }
    }

    /// The columns that are kept, and the others.
    private let kept: Range<Int>, changed: Range<Int>
    /// Two hidden ones, and one whose outputs are r and then t of the changed columns.
    private let network: [Layer]
    /// Of the changed columns.
    private let factor: [Double]

    /// - Throws: `OCCError(.badData)` when an array is missing or malformed.
    init(_ state: DetectorState, name: String, keepsOther: Bool, columns: Int) throws {
        let halves = (0..<columns / 2, columns / 2..<columns)
        let (kept, changed) = keepsOther ? (halves.1, halves.0) : halves
        let factors = try state.array("\(name).factor").values
        guard factors.count == columns else { throw Self.malformed(name) }
        factor = Array(factors[changed])
        var inputs = Array(kept), layers: [Layer] = [], width = columns
        for layer in 0..<3 {
            let weights = try state.array("\(name).\(layer).weight"), values = weights.values
            let bias = try state.array("\(name).\(layer).bias").values
            guard weights.shape == [bias.count, width], layer < 2 || bias.count == 2 * columns else {
                throw Self.malformed(name)
            }
            let outputs =
                layer < 2 ? Array(bias.indices) : Array(changed) + changed.map { $0 + columns }
            layers.append(
                Layer(
                    weights: inputs.flatMap { input in outputs.map { values[$0 * width + input] } },
                    bias: outputs.map { bias[$0] }))
            (inputs, width) = (Array(bias.indices), bias.count)
        }
        (self.kept, self.changed, network) = (kept, changed, layers)
    }

    private static func malformed(_ name: String) -> OCCError {
        OCCError(.badData, "the detector's weights of \(name) are malformed")
    }

    /// What a row's coupling has computed, for its gradient.
    struct Trace {
        fileprivate let before: [Double], hidden: [[Double]], scales: [Double], bent: [Double]
    }

    /// Changes a row; the logarithm of the determinant is added to `log`.
    func apply(to row: inout [Double], log: inout Double) -> Trace {
        let before = row
        var x = Array(row[kept]), hidden: [[Double]] = []
        for layer in network.dropLast() {
            x = layer(x).map(Foundation.tanh)
            hidden.append(x)
        }
        let outputs = network[2](x), count = changed.count
        let bent = (0..<count).map { Foundation.tanh(outputs[$0]) }
        var scales: [Double] = []
        for index in 0..<count {
            let s = factor[index] * bent[index]
            scales.append(exp(s))
            row[changed.lowerBound + index] =
                row[changed.lowerBound + index] * scales[index] + outputs[count + index]
            log += s
        }
        return Trace(before: before, hidden: hidden, scales: scales, bent: bent)
    }

    /// The gradient of -log p by the row before the coupling, of that by the row after it.
    func gradient(_ dy: [Double], _ trace: Trace) -> [Double] {
        var dx = dy, outputs = [Double](repeating: 0, count: 2 * changed.count)
        for index in 0..<changed.count {
            let column = changed.lowerBound + index, bent = trace.bent[index]
            let ds = dy[column] * trace.before[column] * trace.scales[index] - 1
            dx[column] = dy[column] * trace.scales[index]
            outputs[index] = ds * factor[index] * (1 - bent * bent)
            outputs[changed.count + index] = dy[column]
        }
        var slopes = network[2].gradient(outputs)
        for layer in [1, 0] {
            slopes = zip(slopes, trace.hidden[layer]).map { $0 * (1 - $1 * $1) }
            slopes = network[layer].gradient(slopes)
        }
        for (index, column) in kept.enumerated() { dx[column] += slopes[index] }
        return dx
    }
}

/// A trained flow.
private struct FittedFlow: OneClassClassifier {
    let scaling: Standardization
    let couplings: [DenseCoupling]
    let state: DetectorState
    /// Rows to a task.
    private static let block = 16

    /// -log p of a row, and its gradient by the features where it is wanted.
    private func evaluate(_ features: ArraySlice<Float>, gradient wanted: Bool) -> (
        score: Double, gradient: [Double]
    ) {
        var row = zip(features, zip(scaling.mean, scaling.deviation)).map { (Double($0) - $1.0) / $1.1 }
        var log = 0.0, traces: [DenseCoupling.Trace] = []
        for coupling in couplings {
            let trace = coupling.apply(to: &row, log: &log)
            if wanted { traces.append(trace) }
        }
        let volume = scaling.deviation.reduce(0) { $0 + Foundation.log($1) }
        let square = row.reduce(0) { $0 + $1 * $1 }
        let score = 0.5 * (square + Double(row.count) * Foundation.log(2 * Double.pi)) - log + volume
        guard wanted else { return (score, []) }
        var slopes = row
        for (coupling, trace) in zip(couplings, traces).reversed() {
            slopes = coupling.gradient(slopes, trace)
        }
        return (score, zip(slopes, scaling.deviation).map { $0 / $1 })
    }

    private func evaluate(_ features: FeatureMatrix, gradient wanted: Bool) throws -> [(
        score: Double, gradient: [Double]
    )] {
        try requireColumns(features, scaling.columns)
        let columns = features.columns
        return parallelMap((features.rows + Self.block - 1) / Self.block) { block in
            (block * Self.block..<min((block + 1) * Self.block, features.rows)).map { row in
                evaluate(features.values[row * columns..<(row + 1) * columns], gradient: wanted)
            }
        }.flatMap { $0 }
    }

    func scores(_ features: FeatureMatrix) throws -> [Double] {
        try evaluate(features, gradient: false).map(\.score)
    }

    func scoreGradient(_ features: FeatureMatrix) throws -> FeatureMatrix {
        let slopes = try evaluate(features, gradient: true).flatMap { $0.gradient.map { Float($0) } }
        return FeatureMatrix(rows: features.rows, columns: features.columns, values: slopes)
    }
}
