import OCCEngine
import OCCNetworks

/// An encoder as a list of steps, for who writes it down in another language: the operations of its inference plan, one
/// after the other.
///
/// Values are numbered from 0, which is the images. The plan's batch and, where the encoder does not pad, its image size
/// do not matter: nothing in the steps depends on them.
struct EncoderSteps {
    /// What a normalization by running statistics does.
    struct Normalization {
        /// The layer: its parameters are `layer.weight` and `layer.bias`, its statistics `layer.running_mean` and
        /// `layer.running_var`.
        let layer: String
        /// What is added to the variance.
        let epsilon: Float
        /// The value that is added; nil for none.
        let residual: Int?
        /// Whether a ReLU follows.
        let relu: Bool

        /// The names of its parameters and statistics.
        var parameters: [String] {
            ["weight", "bias", "running_mean", "running_var"].map { "\(layer).\($0)" }
        }
    }

    /// What a step does; parameters are named.
    enum Kind {
        case convolution(weight: String, PlannedOperation.Window, Normalization?)
        case normalization(Normalization)
        case maxPool(PlannedOperation.Window)
        /// Cuts off a border of so many pixels.
        case crop(border: Int)
        case relu
        case leakyReLU(factor: Float)
        case sum(other: Int)
        /// A dense layer on maps of whole images, whose pixels are taken row by row, each with its channels side by
        /// side; its result is a map of one pixel.
        case dense(weight: String, bias: String?)
    }

    /// A step: its result, and the value that it is made of.
    struct Step {
        let result: Int
        let operand: Int
        let kind: Kind
    }

    /// The steps, each behind those that it needs.
    let steps: [Step]
    /// The value of each stage's map.
    let stages: [Int]

    /// The steps of an encoder for images of `side` pixels.
    ///
    /// - Throws: `OCCError(.usage)` naming an operation that no step does.
    init(_ encoder: any Encoder, side: Int) throws {
        let scratch = Program(device: try .cpu(), math: .strict)
        let (plan, (images, maps)) = try scratch.add("export", .inference) { builder in
            let images = try builder.input("images", [1, side, side, 3], type: .float32)
            return (images, try encoder(images, in: builder).stages)
        }
        var values = [images.place: 0], steps: [Step] = []
        for operation in plan.operations(neededFor: maps) {
            guard let output = operation.tensors[0] else { continue }
            steps.append(try Self.step(operation, result: values.count, values))
            values[output.place] = values.count
        }
        self.steps = steps
        stages = maps.map { values[$0.place]! }
    }

    /// The names of the parameters and statistics that the steps take.
    var parameters: Set<String> {
        Set(
            steps.flatMap { step -> [String] in
                switch step.kind {
                case .convolution(let weight, _, let own): [weight] + (own?.parameters ?? [])
                case .normalization(let own): own.parameters
                case .dense(let weight, let bias): [weight] + (bias.map { [$0] } ?? [])
                case .maxPool, .crop, .relu, .leakyReLU, .sum: []
                }
            })
    }

    /// The step that an operation does; its tensors are in the order of `ck_operations.h`, the output first.
    private static func step(
        _ operation: PlannedOperation, result: Int, _ values: [Tensor.Place: Int]
    ) throws -> Step {
        func refused() -> OCCError {
            OCCError(
                .usage, "layer \(operation.layer): the operation \(operation.name) cannot be exported",
                remedy: "Export a model of another encoder: every built-in one can be.")
        }
        /// The value at a place of the operands, if there is one.
        func value(_ place: Int) -> Int? {
            guard place < operation.tensors.count else { return nil }
            return operation.tensors[place].flatMap { values[$0.place] }
        }
        func input(_ place: Int) throws -> Int {
            guard let found = value(place) else { throw refused() }
            return found
        }
        func parameter(_ place: Int) throws -> String {
            guard place < operation.tensors.count, let tensor = operation.tensors[place] else {
                throw refused()
            }
            return tensor.name
        }
        func normalization(residual: Int) throws -> Normalization {
            guard let (epsilon, relu) = operation.normalization else { throw refused() }
            let names = try (3...6).map(parameter)
            let own = Normalization(
                layer: String(names[0].dropLast(".weight".count)), epsilon: epsilon,
                residual: value(residual),
                relu: relu)
            guard names == own.parameters else { throw refused() }
            return own
        }
        func step(_ place: Int, _ kind: Kind) throws -> Step {
            Step(result: result, operand: try input(place), kind: kind)
        }
        switch (operation.name, operation.window) {
        case ("conv2d_forward", let window?):
            return try step(1, .convolution(weight: parameter(2), window, nil))
        case ("conv2d_inference", let window?):
            return try step(1, .convolution(weight: parameter(2), window, normalization(residual: 7)))
        case ("batchnorm_inference", _): return try step(1, .normalization(normalization(residual: 2)))
        // Between output and input are the places of the largest values.
        case ("max_pool_forward", let window?): return try step(2, .maxPool(window))
        case ("crop_forward", let window?): return try step(1, .crop(border: window.padding))
        case ("relu_forward", _): return try step(1, .relu)
        case ("leaky_relu_forward", _):
            guard let factor = operation.factor else { throw refused() }
            return try step(1, .leakyReLU(factor: factor))
        case ("add", _): return try step(1, .sum(other: input(2)))
        case ("dense_forward", _):
            let bias = operation.tensors[3] == nil ? nil : try parameter(3)
            return try step(1, .dense(weight: parameter(2), bias: bias))
        default: throw refused()
        }
    }
}
