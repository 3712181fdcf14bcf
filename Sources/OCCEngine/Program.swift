import CKernels
import Foundation

/// Plans that share one arena's persistent part: parameters, their gradients and velocities, statistics,
/// inputs.
///
/// Build every plan with `add`, then `load` allocates the arena once. The size is known before anything is
/// allocated.
public final class Program {
    /// Where its plans run.
    public let device: Device
    /// How exactly its plans compute.
    public let math: MathMode
    /// How activations lie in its memory: `float32` or `bfloat16`.
    public let activationType: ElementType
    /// The parameters and inputs that its plans share.
    public private(set) var layout = ParameterLayout()
    private var plans: [Plan] = []
    private var memory: ProgramMemory?

    /// A program without plans.
    ///
    /// - Parameter activations: how activations lie in memory, `float32` or `bfloat16`; nil for what the
    ///   math mode means on the device, which is `bfloat16` for `bf16` on a GPU and `float32` otherwise. The
    ///   CPU computes on copies of `bfloat16` activations: slow, and of use to learn what their rounding
    ///   does.
    public init(device: Device, math: MathMode = .fast, activations: ElementType? = nil) {
        self.device = device
        self.math = math
        activationType = activations ?? (math == .bf16 && device.isGPU ? .bfloat16 : .float32)
        precondition([.float32, .bfloat16].contains(activationType), "activations are of real numbers")
    }

    /// A plan made by `build`, which appends operations to the builder and returns what the caller wants of
    /// them.
    ///
    /// - Parameters:
    ///   - share: the part of a batch that the plan computes; nil for all of it.
    ///   - part: what it computes of a training step.
    public func add<Result>(
        _ name: String, _ purpose: PlanBuilder.Purpose, share: BatchShare? = nil,
        part: PlanBuilder.StepPart = .whole, _ build: (PlanBuilder) throws -> Result
    ) throws -> (plan: Plan, result: Result) {
        precondition(memory == nil, "plans are added before the program is loaded")
        let builder = PlanBuilder(
            purpose: purpose, math: math, activationType: activationType, share: share, part: part,
            layout: layout)
        let result = try build(builder)
        // A GPU's convolutions in single precision do not add up what they compute; strictly, operations stay as they are.
        if activationType == .bfloat16 || !device.isGPU && math != .strict {
            builder.joinConvolutionsAndNormalizations()
        }
        builder.beginMeansOfGradientsEarly(bytes: device.exchangeBytes, onHost: !device.isGPU)
        layout = builder.layout
        let plan = Plan(name: name, operations: builder.operations, placement: TransientPlacement(builder))
        plans.append(plan)
        return (plan, result)
    }

    // MARK: Memory

    /// What the program takes, in bytes, by purpose.
    public struct Memory: Sendable {
        /// The weights.
        public let parameters: Int
        /// The gradients of the weights; 0 where no plan trains.
        public let gradients: Int
        /// The optimizer's momentum buffers; 0 where no plan trains.
        public let velocities: Int
        /// Adam's means of squared gradients; 0 with another optimizer.
        public let squares: Int
        /// The running statistics.
        public let statistics: Int
        /// What the host writes: images, labels, and the step-state block.
        public let inputs: Int
        /// The transients of the plan that has most; plans share the place.
        public let transient: Int
        /// The scratch memory of the operation that needs most.
        public let workspace: Int
        /// The sum of all.
        public var total: Int {
            parameters + gradients + velocities + squares + statistics + inputs + transient + workspace
        }
    }

    private var trains: Bool { plans.contains { $0.operations.contains { $0.kind.isOptimizer } } }

    /// Whether the optimizer keeps squares beside velocities.
    public var keepsSquares: Bool { plans.contains { $0.operations.contains { $0.kind == .CK_KIND_adam } } }

    private func size(of region: Region) -> Int {
        switch region {
        case .gradients, .velocities: trains ? layout.bytes[.parameters, default: 0] : 0
        case .squares: keepsSquares ? layout.bytes[.parameters, default: 0] : 0
        case .transient: plans.map(\.placement.bytes).max() ?? 0
        default: layout.bytes[region, default: 0]
        }
    }

    private func base(of region: Region) -> Int {
        Region.allCases.prefix(region.rawValue).reduce(0) { $0 + size(of: $1) }
    }

    private func address(of tensor: Tensor, in plan: Plan?) -> Int {
        let position =
            tensor.region == .transient ? plan!.placement.offsets[tensor.position] : tensor.position
        return base(of: tensor.region) + position
    }

    private func bound(_ plan: Plan) -> [ck_operation] {
        let bases = Region.allCases.map { base(of: $0) }
        return plan.operations.map { operation in
            operation.bound { tensor in
                let position =
                    tensor.region == .transient ? plan.placement.offsets[tensor.position] : tensor.position
                return UInt64(bases[tensor.region.rawValue] + position)
            }
        }
    }

    private func workspaceBytes() throws -> Int {
        try plans.map { plan in
            let operations = bound(plan)
            var bytes: UInt64 = 0
            try check(ck_plan_workspace(device.handle, operations, Int32(operations.count), &bytes))
            return Int(bytes)
        }.max() ?? 0
    }

    /// What `load` will allocate.
    public func memoryNeeded() throws -> Memory {
        Memory(
            parameters: size(of: .parameters), gradients: size(of: .gradients),
            velocities: size(of: .velocities), squares: size(of: .squares),
            statistics: size(of: .statistics), inputs: size(of: .state) + size(of: .inputs),
            transient: size(of: .transient), workspace: try workspaceBytes())
    }

    /// Allocates the arena and binds the plans to it.
    ///
    /// - Throws: `OCCError(.deviceUnavailable)` when the device has less memory than the program needs.
    public func load() throws {
        precondition(memory == nil, "a program is loaded once")
        let needed = try requireMemory()
        let memory = try ProgramMemory(device, bytes: needed.total)
        let workspace = UInt64(needed.total - needed.workspace)
        for plan in plans {
            let operations = bound(plan)
            var handle = ck_plan()
            try check(
                ck_plan_create(
                    memory.arena, operations, Int32(operations.count), workspace, UInt64(needed.workspace),
                    &handle))
            memory.plans.append(handle)
            plan.load(handle, memory)
        }
        self.memory = memory
    }

    /// What `load` will allocate, once it is known that the device has as much.
    ///
    /// - Throws: `OCCError(.deviceUnavailable)` when the device has less memory than the program needs.
    @discardableResult
    package func requireMemory() throws -> Memory {
        let needed = try memoryNeeded(), available = try device.availableMemory()
        guard needed.total <= available else {
            throw OCCError(
                .deviceUnavailable,
                "the program needs \(formatBytes(needed.total)) and \(device.name) has \(formatBytes(available)) free",
                remedy:
                    "Lower \(setting: "batch"), \(setting: "width") or \(setting: "image-size"), or choose another device."
            )
        }
        return needed
    }

    /// The loaded arena.
    private var arena: ck_arena {
        guard let memory else { preconditionFailure("the program is not loaded") }
        return memory.arena
    }

    // MARK: Data

    /// Writes a tensor's bytes; floats to a bfloat16 tensor are rounded to the nearest, ties to even.
    public func write<Element: BitwiseCopyable>(_ values: [Element], to tensor: Tensor) throws {
        if tensor.type == .bfloat16, let floats = values as? [Float] {
            return try write(floats.map(ck_bf16_of), to: tensor)
        }
        try values.withUnsafeBytes { bytes in
            precondition(
                bytes.count == tensor.bytes, "\(tensor.name): \(bytes.count) bytes, not \(tensor.bytes)")
            try check(
                ck_arena_write(
                    arena, UInt64(address(of: tensor, in: nil)), bytes.baseAddress!, UInt64(bytes.count)))
        }
    }

    /// Reads a tensor's values, which are float32 or bfloat16; a transient only if the plan keeps it.
    public func read(_ tensor: Tensor, of plan: Plan? = nil) throws -> [Float] {
        if tensor.type == .bfloat16 {
            return try read(tensor, of: plan, as: UInt16.self).map(ck_float_of_bf16)
        }
        precondition(tensor.type == .float32)
        return try read(tensor, of: plan, as: Float.self)
    }

    private func read<Element: BitwiseCopyable>(
        _ tensor: Tensor, of plan: Plan?, as type: Element.Type
    ) throws -> [Element] {
        try [Element](unsafeUninitializedCapacity: tensor.count) { buffer, count in
            try check(
                ck_arena_read(
                    arena, UInt64(address(of: tensor, in: plan)), buffer.baseAddress!, UInt64(tensor.bytes)))
            count = tensor.count
        }
    }

    /// Writes the step-state block.
    ///
    /// - Parameter firstRow: what the numbers of a batch's rows are more, where it is computed in parts.
    public func setStep(seed: UInt64, step: Int, learningRate: Double, firstRow: Int = 0) throws {
        var state = ck_step_state()
        state.seed = seed
        state.step = UInt64(step)
        state.learning_rate = Float(learningRate)
        state.first_row = Int32(firstRow)
        try check(
            ck_arena_write(
                arena, UInt64(address(of: layout.stepState, in: nil)), &state,
                UInt64(MemoryLayout.size(ofValue: state))))
    }

    /// The velocity of a parameter, as a tensor of its shape.
    public func velocity(of parameter: Parameter) -> Tensor {
        layout.beside(parameter.tensor, in: .velocities)
    }
    /// The mean of a parameter's squared gradients (Adam), as a tensor of its shape.
    public func squares(of parameter: Parameter) -> Tensor {
        layout.beside(parameter.tensor, in: .squares)
    }
    /// The gradient of a parameter, as a tensor of its shape.
    public func gradient(of parameter: Parameter) -> Tensor {
        layout.beside(parameter.tensor, in: .gradients)
    }
}

/// The arena of a loaded program and the plans bound to it: alive while the program or one of its plans is.
final class ProgramMemory {
    fileprivate var arena = ck_arena()
    fileprivate var plans: [ck_plan] = []
    private let device: Device

    init(_ device: Device, bytes: Int) throws {
        self.device = device
        try check(ck_arena_create(device.handle, UInt64(bytes), &arena))
    }

    deinit {
        plans.forEach(ck_plan_destroy)
        ck_arena_destroy(arena)
    }
}

/// A compiled list of operations of a program.
public final class Plan {
    /// What the program calls it.
    public let name: String
    /// The operations, in order.
    public let operations: [PlannedOperation]
    let placement: TransientPlacement
    private var handle = ck_plan()
    private var memory: ProgramMemory?

    init(name: String, operations: [PlannedOperation], placement: TransientPlacement) {
        self.name = name
        self.operations = operations
        self.placement = placement
    }

    fileprivate func load(_ handle: ck_plan, _ memory: ProgramMemory) {
        self.handle = handle
        self.memory = memory
    }

    /// The number of floating-point operations of one run.
    public var flop: Int { operations.reduce(0) { $0 + $1.flop } }
    /// Bytes of the transient part of the arena.
    public var transientBytes: Int { placement.bytes }

    /// Runs every operation once.
    public func run() throws {
        precondition(memory != nil, "a plan runs when its program is loaded")
        var failed: Int32 = -1
        let status = ck_plan_run(handle, &failed)
        try check(status, operation: self.describe(failed))
    }

    /// Why the plan runs operation by operation, and slower, where a GPU could have run it as one graph; nil
    /// where it does not, or has not run twice.
    public var notCaptured: String? {
        guard memory != nil, let text = ck_plan_not_captured(handle) else { return nil }
        return String(cString: text)
    }

    /// Runs every operation once, and returns the seconds each took.
    public func profile() throws -> [Double] {
        var seconds = [Double](repeating: 0, count: operations.count)
        var failed: Int32 = -1
        let status = ck_plan_profile(handle, &seconds, &failed)
        try check(status, operation: self.describe(failed))
        return seconds
    }

    private func describe(_ index: Int32) -> String? {
        guard index >= 0 else { return nil }
        return "\(operations[Int(index)].name) of \(operations[Int(index)].layer)"
    }
}

extension ck_kind {
    var isOptimizer: Bool { [.CK_KIND_sgd, .CK_KIND_lars, .CK_KIND_adam].contains(self) }
}

/// Writes how many there are of something: "1 image" or "3 images".
package func counted(_ count: Int, _ thing: String) -> String { "\(count) \(thing)\(count == 1 ? "" : "s")" }

/// Writes a number of bytes as "1.5 GiB" or "320 KiB".
package func formatBytes(_ bytes: Int) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var value = Double(bytes), unit = 0
    while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    let digits = unit == 0 || value >= 100 ? 0 : 1
    return String(format: "%.\(digits)f ", value) + units[unit]
}
