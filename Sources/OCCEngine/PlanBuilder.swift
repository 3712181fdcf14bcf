import CKernels

/// How exactly a plan computes. Parameters, statistics and sums are single precision in every mode.
public enum MathMode: String, Codable, CaseIterable, Sendable {
    /// Every sum of products as it is defined; a relative error of some 3e-7 in a convolution.
    case strict
    /// Algorithms with fewer operations and more rounding are allowed. On the CPU: Winograd's F(4x4, 3x3) for
    /// convolutions, with a relative error of some 3e-6. On a GPU: the matrix units, which round factors to
    /// 10 bits (TF32), with one of some 3e-4.
    case fast
    /// On a GPU: the matrix units, which round factors to 8 bits, with a relative error of some 3e-3, and
    /// activations and their gradients in memory as `ElementType.bfloat16`. On the CPU: as `fast`.
    case bf16

    /// The value in the operations' parameters (`CK_MATH_...`).
    public var kernelValue: Int32 {
        switch self {
        case .fast: Int32(CK_MATH_FAST)
        case .strict: Int32(CK_MATH_STRICT)
        case .bf16: Int32(CK_MATH_BF16)
        }
    }
}

/// Appends operations to a plan, and walks them backwards for the gradients.
///
/// Layers append operations by the functions of Operations.swift and say with `recordBackward` which
/// operations give the gradients; `differentiate` asks them in reverse. Nothing of this survives into the
/// run: a plan is a plain list.
public final class PlanBuilder {
    /// What the plan is for.
    public enum Purpose: Sendable {
        /// Gradients of the parameters; batch normalization by the batch's statistics.
        case training
        /// No gradients; batch normalization by the running statistics.
        case inference
        /// Gradients with respect to the inputs, parameters fixed; running statistics.
        case inputGradient
    }

    /// What a training plan computes of a step. Where the batch does not fit into memory, its views go
    /// through the network in parts, and NT-Xent is of all (Gao et al., "Scaling deep contrastive learning
    /// batch size under memory limited setup", 2021).
    public enum StepPart: Sendable {
        /// All of it.
        case whole
        /// A part's embeddings.
        case embedding
        /// A part's gradients, from those of its embeddings.
        case gradient
    }

    /// What the plan is for: layers ask it which operations they need.
    public let purpose: Purpose
    /// How exactly the plan computes.
    public let math: MathMode
    /// How activations and their gradients lie in memory: `float32` or `bfloat16`. Layers make their outputs
    /// with their input's type; a network converts its images with `activations`.
    public let activationType: ElementType
    /// The part of the batch that the plan computes; nil where it computes all of it.
    public let share: BatchShare?
    /// The same where ranks exchange values for it; nil for one process.
    public var ranksTogether: BatchShare? { share.flatMap { $0.ranks > 1 ? $0 : nil } }
    /// What the plan computes of a training step.
    public let part: StepPart
    /// Embeddings that a loss over all parts wants; set by it where the plan computes a part.
    public var comparedEmbeddings: Tensor?
    /// The parameters and inputs that the program's plans declare, up to here.
    public private(set) var layout: ParameterLayout
    /// The operations appended so far, in the order in which they run.
    public internal(set) var operations: [PlannedOperation] = []
    private(set) var transients: [Tensor] = []
    private(set) var outputs: Set<Tensor> = []
    private var backward: [(reads: [Tensor], writes: Tensor, run: (ReversePass) throws -> Void)] = []
    private var differentiable: Set<Tensor> = []
    private var summedGradients: Tensor?
    /// What each tensor that was made by `reshaped` is a view of.
    private var viewed: [Tensor: Tensor] = [:]

    init(
        purpose: Purpose, math: MathMode, activationType: ElementType, share: BatchShare?, part: StepPart,
        layout: ParameterLayout
    ) {
        self.purpose = purpose
        self.math = math
        self.activationType = activationType
        self.share = share
        self.part = part
        self.layout = layout
    }

    // MARK: Tensors

    /// A value that lives from its first use to its last.
    public func transient(_ name: String, _ shape: [Int], type: ElementType = .float32) -> Tensor {
        let tensor = Tensor(
            name: name, shape: shape, type: type, region: .transient, position: transients.count)
        transients.append(tensor)
        return tensor
    }

    /// A tensor the host writes before a run; every plan that names it shares it.
    public func input(_ name: String, _ shape: [Int], type: ElementType) throws -> Tensor {
        try layout.input(name, shape: shape, type: type)
    }

    /// The step-state block (`ck_step_state`): seed, step and learning rate.
    public var stepState: Tensor { layout.stepState }

    /// A weight, trained when the plan trains.
    public func parameter(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
        let tensor = try layout.declare(name, shape: shape, statistic: false, initializer: initializer).tensor
        if purpose == .training { differentiable.insert(tensor) }
        return tensor
    }

    /// A running statistic: saved with the weights, not trained.
    public func statistic(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
        try layout.declare(name, shape: shape, statistic: true, initializer: initializer).tensor
    }

    /// Keeps a transient readable after the run.
    public func keep(_ tensor: Tensor) { outputs.insert(tensor) }

    /// Asks for the gradient with respect to `tensor`.
    public func watch(_ tensor: Tensor) { differentiable.insert(tensor) }

    /// Whether a gradient flows to `tensor`.
    public func isDifferentiable(_ tensor: Tensor) -> Bool { differentiable.contains(tensor) }

    // MARK: Operations

    /// Appends an operation, once its operands fit.
    func append(
        _ kind: ck_kind, _ layer: String, _ tensors: [Tensor?], _ params: ck_operation_params, flop: Int
    ) throws {
        let operation = PlannedOperation(
            kind: kind, layer: layer, tensors: tensors, params: params, flop: flop)
        try operation.requireFit()
        operations.append(operation)
    }

    /// `x` in the plan's activation type: itself, or a copy that is appended, through which gradients flow;
    /// of any shape.
    public func activations(_ x: Tensor) throws -> Tensor { try converted(x, to: activationType) }

    /// `x` in single precision, for operations that take nothing else: itself, or a copy that is appended,
    /// through which gradients flow; of any shape.
    public func singlePrecision(_ x: Tensor) throws -> Tensor { try converted(x, to: .float32) }

    /// Sees `x` in another shape of as many elements; nothing is copied, and gradients flow through.
    public func reshaped(_ x: Tensor, _ shape: [Int]) -> Tensor {
        precondition(shape.reduce(1, *) == x.count, "\(x.name): \(x.shape) does not fill \(shape)")
        func seen(_ x: Tensor, as shape: [Int]) -> Tensor {
            Tensor(name: x.name, shape: shape, type: x.type, region: x.region, position: x.position)
        }
        // A view of a view is one of the tensor itself, and each is recorded once: its gradient counts once.
        let source = viewed[x] ?? x, y = seen(source, as: shape)
        guard y != source, viewed[y] == nil else { return y }
        viewed[y] = source
        recordBackward(of: y, from: [source]) { pass in
            guard let dy = pass.gradient(of: y) else { return }
            try pass.contribute(seen(dy, as: source.shape), to: source)
        }
        return y
    }

    private func converted(_ x: Tensor, to type: ElementType) throws -> Tensor {
        // What is of no real numbers is left to the operation that gets it, whose check names its layer.
        guard x.type != type, [.float32, .bfloat16].contains(x.type) else { return x }
        let y = transient(x.name, x.shape, type: type)
        try convert(x, to: y)
        recordBackward(of: y, from: [x]) { pass in
            guard let dy = pass.gradient(of: y) else { return }
            try pass.contribute(to: x) { dx in try self.convert(dy, to: dx) }
        }
        return y
    }

    private func convert(_ x: Tensor, to y: Tensor) throws {
        let params = ck_elementwise_params(count: Int64(x.count))
        if y.type == .bfloat16 {
            try toBf16("convert", y: y, x: x, params)
        } else {
            try fromBf16("convert", y: y, x: x, params)
        }
    }

    /// Says how the gradient of `output` becomes those of the tensors it was computed from.
    ///
    /// - Parameter run: appends the backward operations; called by `differentiate` where a gradient of
    ///   `output` is known.
    package func recordBackward(
        of output: Tensor, from sources: [Tensor], _ run: @escaping (ReversePass) throws -> Void
    ) {
        guard sources.contains(where: differentiable.contains) else { return }
        differentiable.insert(output)
        backward.append((sources, output, run))
    }

    /// Appends the backward operations of everything `tensor` was computed from.
    ///
    /// - Parameter seed: the gradient of `tensor`; nil for a scalar loss, whose gradient is one.
    /// - Returns: the pass, which knows the gradients of the watched tensors.
    @discardableResult
    public func differentiate(_ tensor: Tensor, seed: Tensor? = nil) throws -> ReversePass {
        let pass = ReversePass(builder: self)
        if let seed { pass.set(seed, for: tensor) }
        pass.addLoss(tensor)
        for step in backward.reversed() where pass.reaches(step.writes) { try step.run(pass) }
        return pass
    }

    /// Appends the reverse pass of a number that depends on several tensors.
    ///
    /// - Parameter seeds: these tensors, and the gradient by each of what depends on it in another way than through the
    ///   others.
    package func differentiate(_ seeds: [(tensor: Tensor, seed: Tensor)]) throws -> ReversePass {
        let pass = ReversePass(builder: self)
        for (tensor, seed) in seeds { pass.set(seed, for: tensor) }
        for step in backward.reversed() where pass.reaches(step.writes) { try step.run(pass) }
        return pass
    }
}

/// The gradients that a reverse pass has found so far.
public final class ReversePass {
    /// The plan that the pass appends operations to.
    public let builder: PlanBuilder
    private var gradients: [Tensor: Tensor] = [:]
    /// Scalars whose gradient is one, without a tensor that says so.
    private var losses: Set<Tensor> = []

    init(builder: PlanBuilder) { self.builder = builder }

    /// The gradient of a tensor; nil where none flows, and for the scalar loss itself.
    public func gradient(of tensor: Tensor) -> Tensor? { gradients[tensor] }

    /// Says that a scalar is a term of the loss: its gradient is one.
    package func addLoss(_ tensor: Tensor) { losses.insert(tensor) }

    func reaches(_ tensor: Tensor) -> Bool { losses.contains(tensor) || gradients[tensor] != nil }

    func set(_ gradient: Tensor, for tensor: Tensor) { gradients[tensor] = gradient }

    /// Appends a contribution to the gradient of `tensor`: `write` appends the operation that writes it.
    /// Contributions of several consumers are added. Does nothing where no gradient is wanted.
    package func contribute(to tensor: Tensor, _ write: (Tensor) throws -> Void) throws {
        guard builder.isDifferentiable(tensor) else { return }
        let contribution = builder.transient("d \(tensor.name)", tensor.shape, type: tensor.type)
        try write(contribution)
        try contribute(contribution, to: tensor)
    }

    /// Passes `gradient`, which a backward operation has written as it goes, on to `tensor`.
    package func contribute(_ gradient: Tensor, to tensor: Tensor) throws {
        guard let known = gradients[tensor] else {
            gradients[tensor] = gradient
            return
        }
        let sum = builder.transient("d \(tensor.name)", tensor.shape, type: tensor.type)
        try builder.add(
            sum.name, y: sum, a: known, b: gradient, ck_elementwise_params(count: Int64(tensor.count)),
            flop: tensor.count)
        gradients[tensor] = sum
    }

    /// Where the gradient of a parameter goes; nil when the plan does not train.
    public func gradient(ofParameter tensor: Tensor) -> Tensor? {
        builder.purpose == .training ? builder.layout.beside(tensor, in: .gradients) : nil
    }
}

extension PlanBuilder {
    /// A parameter or many, with gradient and velocity.
    public struct Trained {
        /// The values.
        public let values: Tensor
        /// The gradients of the values, of their shape.
        public let gradients: Tensor
        /// The optimizer's momentum buffers, of their shape.
        public let velocities: Tensor
        /// Adam's means of squared gradients, of their shape.
        public let squares: Tensor
    }

    /// Declares a sum of gradients, for a step that is computed in parts; from here on it is what optimizers
    /// follow.
    ///
    /// - Returns: the sum, a flat tensor beside `allParameters`, which the host sets to zero.
    public func gradientSum() throws -> Tensor {
        let sum = try layout.input("gradient sum", shape: [layout.parameterFloats], type: .float32)
        summedGradients = sum
        return sum
    }

    /// Finds one parameter's values, gradient and velocity.
    public func trained(_ parameter: Parameter) -> Trained {
        let own = summedGradients.map {
            Tensor(
                name: "d \(parameter.name)", shape: parameter.tensor.shape, type: .float32, region: $0.region,
                position: $0.position + parameter.tensor.position)
        }
        return Trained(
            values: parameter.tensor, gradients: own ?? layout.beside(parameter.tensor, in: .gradients),
            velocities: layout.beside(parameter.tensor, in: .velocities),
            squares: layout.beside(parameter.tensor, in: .squares))
    }

    /// All parameters declared so far as one flat tensor each of values, gradients and velocities.
    public var allParameters: Trained {
        func flat(_ name: String, _ region: Region) -> Tensor {
            Tensor(name: name, shape: [layout.parameterFloats], type: .float32, region: region, position: 0)
        }
        return Trained(
            values: flat("parameters", .parameters),
            gradients: summedGradients ?? flat("gradients", .gradients),
            velocities: flat("velocities", .velocities), squares: flat("squares", .squares))
    }
}
