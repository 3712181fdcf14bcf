import CKernels
import OCCEngine

/// What an operand of an operation under test holds.
public enum Slot: Sendable {
    /// An optional operand that is to be written. Every other output is written anyway.
    case output
    /// An operand that is read and written.
    case updated([Float])
    /// Floats that are read.
    case input([Float])
    /// Labels or indices that are read.
    case indices([Int32])
    /// Pixels that are read.
    case bytes([UInt8])
    /// The step-state block.
    case step(ck_step_state)

    var doubles: [Double] {
        switch self {
        case .updated(let values), .input(let values): values.map(Double.init)
        default: []
        }
    }
}

/// An operation on given operands, and what the slow double-precision reference makes of them. Operands go by
/// the names of their declaration (ck_operations.h).
public struct OperationCase: Sendable, CustomStringConvertible {
    /// What the operands hold, by name.
    public struct Operands: Sendable {
        let slots: [String: Slot]

        /// The values of a float operand; empty for one that is absent.
        public subscript(name: String) -> [Double] { slots[name]?.doubles ?? [] }
        /// The values of an optional operand.
        public func optional(_ name: String) -> [Double]? { slots[name]?.doubles }
    }

    /// What sets the case apart from others of its operation.
    public let name: String
    /// The operation.
    public let kind: ck_kind
    /// The operation's extents and settings.
    public let params: ck_operation_params
    let operands: Operands
    /// The largest normalized mean square error of any output: sum (a - b)^2 / sum b^2.
    public let tolerance: Double
    /// For how many multiprocessors a GPU's convolutions in bf16 are cut up; 0 for the usual number.
    public let multiprocessors: Int32
    /// The values that the outputs should have, by operand.
    public let expected: @Sendable (Operands) -> [String: [Double]]

    /// A case of an operation.
    ///
    /// - Parameter operands: those that are read, and the optional ones that are to be written.
    public init(
        _ name: String, _ kind: ck_kind, _ params: ck_operation_params, _ operands: [String: Slot],
        tolerance: Double = 1e-11, multiprocessors: Int32 = 0,
        expected: @escaping @Sendable (Operands) -> [String: [Double]]
    ) {
        self.name = name
        self.kind = kind
        self.params = params
        self.operands = Operands(slots: operands)
        self.tolerance = tolerance
        self.multiprocessors = multiprocessors
        self.expected = expected
        let known = Set(declared.map(\.name))
        precondition(operands.keys.allSatisfy(known.contains), "\(self) has no operand of some name given")
    }

    /// The operation and the case.
    public var description: String { "\(operationName) \(name)" }

    /// The operation's name in its declaration.
    public var operationName: String { String(cString: ck_declaration_of(kind).pointee.name) }

    /// Whether it is made of sums of products, which the math mode changes.
    public var multiplies: Bool { ["conv2d", "dense", "nt_xent", "products"].contains(paramsName) }

    private var paramsName: String { String(cString: ck_declaration_of(kind).pointee.params) }

    /// Whether the operation can be done in a math mode, and differs in it from strict mode. A convolution of activations
    /// in bf16 is done in bf16 alone.
    public func runs(in math: MathMode) -> Bool {
        let isRounded =
            paramsName == "conv2d" && params.conv2d.activations == Int32(ck_element.CK_bf16.rawValue)
        return isRounded ? math == .bf16 : math == .strict || multiplies
    }

    /// The same operation in another math mode.
    public func inMode(_ math: MathMode) -> OperationCase {
        var params = params
        switch paramsName {
        case "conv2d" where runs(in: math): params.conv2d.math = math.kernelValue
        case "dense": params.dense.math = math.kernelValue
        case "nt_xent": params.nt_xent.math = math.kernelValue
        case "products": params.products.math = math.kernelValue
        default: break
        }
        return OperationCase(
            name, kind, params, operands.slots, tolerance: tolerance, multiprocessors: multiprocessors,
            expected: expected)
    }

    /// The same operation, whose convolutions a GPU cuts up for so many multiprocessors: for few, small shapes have the
    /// tiles of large ones.
    func cutUp(forMultiprocessors count: Int32) -> OperationCase {
        OperationCase(
            "\(name) for \(count)", kind, params, operands.slots, tolerance: tolerance,
            multiprocessors: count,
            expected: expected)
    }

    /// Whether activations are among its operands, which may be bf16.
    public var hasActivations: Bool {
        let declaration = ck_declaration_of(kind).pointee
        return (0..<Int(declaration.operand_count)).contains { declaration.operands[$0].element == .CK_act }
    }

    /// The same operation with activations in bf16; those that it reads are rounded.
    public func inBfloat16() -> OperationCase {
        precondition(hasActivations, "\(self) has no activations")
        let type = Int32(ck_element.CK_bf16.rawValue)
        var params = params
        switch paramsName {
        case "conv2d":
            params.conv2d.activations = type
            params.conv2d.math = MathMode.bf16.kernelValue
        case "batchnorm": params.batchnorm.activations = type
        case "elementwise": params.elementwise.activations = type
        case "scale": params.scale.activations = type
        case "pool": params.pool.activations = type
        default: preconditionFailure("\(paramsName) has no activations")
        }
        let declaration = ck_declaration_of(kind).pointee
        var slots = operands.slots
        for index in 0..<Int(declaration.operand_count) where declaration.operands[index].element == .CK_act {
            let name = String(cString: declaration.operands[index].name)
            if case .input(let values) = slots[name] { slots[name] = .input(roundedToBfloat16(values)) }
        }
        return OperationCase(
            "\(name) bf16", kind, params, slots, tolerance: tolerance, multiprocessors: multiprocessors,
            expected: expected)
    }

    /// What the normalized mean square error of an output may be: the case's own tolerance, and where the output is
    /// bf16 the square of the largest relative error of rounding, 2^-8.
    func tolerance(of output: String) -> Double {
        let isRounded = declared.contains { $0.name == output && $0.element == .CK_bf16 }
        return tolerance + (isRounded ? 0x1.08p-16 : 0)
    }

    // MARK: Operands as bytes

    /// An operand as it is declared, with its type and extents by the parameters (-1: any).
    private struct Declared {
        let name: String
        let direction: ck_direction
        let element: ck_element
        let isOptional: Bool
        let extents: [Int]
    }

    private var declared: [Declared] {
        let declaration = ck_declaration_of(kind).pointee
        return (0..<Int(declaration.operand_count)).map { index in
            let operand = declaration.operands[index]
            var extents = [Int64](repeating: 0, count: Int(CK_MAX_RANK)), params = params
            let rank = ck_operand_extents(kind, &params, Int32(index), &extents)
            return Declared(
                name: String(cString: operand.name), direction: operand.direction,
                element: ck_operand_element(kind, &params, Int32(index)),
                isOptional: operand.is_optional != 0, extents: extents.prefix(Int(rank)).map(Int.init))
        }
    }

    /// An operand that is there: its bytes at the start, and its shape.
    private struct Placed {
        let name: String
        let bytes: [UInt8]
        let tensor: ck_tensor
        let isWritten: Bool
    }

    private func placed(_ operand: Declared) -> Placed? {
        func raw<T>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }
        let slot = operands.slots[operand.name], count = operand.extents.reduce(1, *)
        let bytes: [UInt8]
        switch slot {
        case .updated(let values), .input(let values):
            bytes = operand.element == .CK_bf16 ? raw(values.map(ck_bf16_of)) : raw(values)
        case .indices(let values): bytes = raw(values)
        case .bytes(let values): bytes = values
        case .step(let state): bytes = withUnsafeBytes(of: state) { Array($0) }
        case .output, nil:
            guard slot != nil || !operand.isOptional else { return nil }
            precondition(operand.direction == .CK_OUT, "\(self): \(operand.name) is not given")
            // What is not written shows.
            switch operand.element {
            case .CK_u8: bytes = [UInt8](repeating: 0xEE, count: count)
            case .CK_bf16: bytes = raw([UInt16](repeating: 0xFFFF, count: count))  // NaN
            default: bytes = raw([Float](repeating: .nan, count: count))
            }
        }
        var tensor = ck_tensor()
        tensor.element = operand.element
        tensor.rank = Int32(operand.extents.count)
        let size = [.CK_u8: 1, .CK_bf16: 2, .CK_step: MemoryLayout<ck_step_state>.size][operand.element] ?? 4
        let others = operand.extents.filter { $0 >= 0 }.reduce(1, *)
        withUnsafeMutableBytes(of: &tensor.shape) { shape in
            let shape = shape.bindMemory(to: Int64.self)
            for (index, extent) in operand.extents.enumerated() {
                shape[index] = Int64(extent >= 0 ? extent : bytes.count / size / others)
            }
        }
        return Placed(
            name: operand.name, bytes: bytes, tensor: tensor, isWritten: operand.direction != .CK_IN)
    }

    /// What rounding the factors of products adds to an output's normalized mean square error. A factor is
    /// off by 2^-12 or 2^-9 of itself on average, so a sum of unlike products by 1e-7 or 1e-5; in the
    /// smallest cases, of a few like terms or behind an exponential, it comes to 1e-5 and 1e-4.
    public static func roundingTolerance(_ math: MathMode) -> Double {
        switch math {
        case .strict: 0
        case .fast: 1e-5
        case .bf16: 1e-4
        }
    }

    /// What a run on a device gave.
    public struct Outcome {
        /// The values of every operand that the operation wrote.
        public var outputs: [String: [Double]] = [:]
        /// Writes outside of the outputs, found by guard bands around every operand.
        public var problems: [String] = []
        /// The shortest run after the first, in seconds, where runs were timed.
        public var seconds = Double.infinity
    }

    /// Whether it may run again on its own results.
    var isRepeatable: Bool { !declared.contains { $0.direction == .CK_UPDATE } }

    /// Runs the operation with guard bands around every operand: once, then, where that changes nothing,
    /// twice more, so that a backend's graphs are made and replayed.
    ///
    /// - Parameter timed: runs three times more, whatever that does to the values, and keeps the shortest
    ///   time.
    public func run(on device: ck_device, timed: Bool = false) throws -> Outcome {
        let usual = ck_cuda_cut_for(multiprocessors)
        defer { _ = ck_cuda_cut_for(usual) }
        let guardBytes = 256, operands = declared.map(placed)
        var image: [UInt8] = [], operation = ck_operation(), offsets: [Int] = []
        operation.kind = kind
        operation.params = params
        withUnsafeMutableBytes(of: &operation.tensors) { raw in
            let tensors = raw.bindMemory(to: ck_tensor.self)
            for (index, operand) in operands.enumerated() {
                image += [UInt8](repeating: 0xA5, count: guardBytes)
                offsets.append(image.count)
                tensors[index] = operand?.tensor ?? ck_tensor()
                tensors[index].offset = operand == nil ? UInt64.max : UInt64(image.count)
                image += operand?.bytes ?? []
                image += [UInt8](repeating: 0xA5, count: (64 - image.count % 64) % 64)
            }
        }
        image += [UInt8](repeating: 0xA5, count: guardBytes)
        var workspace: UInt64 = 0
        try check(ck_plan_workspace(device, &operation, 1, &workspace))
        // The scratch memory starts as NaN, so that reading it before writing shows.
        let scratch = [UInt8](repeating: 0xFF, count: Int(workspace))
        let tail = [UInt8](repeating: 0xA5, count: guardBytes)
        var arena = ck_arena()
        try check(ck_arena_create(device, UInt64(image.count) + workspace + UInt64(guardBytes), &arena))
        defer { ck_arena_destroy(arena) }
        let whole = image + scratch + tail
        try check(ck_arena_write(arena, 0, whole, UInt64(whole.count)))
        var plan = ck_plan()
        try check(ck_plan_create(arena, &operation, 1, UInt64(image.count), workspace, &plan))
        defer { ck_plan_destroy(plan) }
        var failed: Int32 = -1
        for _ in 0..<(isRepeatable ? 3 : 1) { try check(ck_plan_run(plan, &failed)) }
        var after = [UInt8](repeating: 0, count: whole.count)
        try check(ck_arena_read(arena, 0, &after, UInt64(after.count)))

        var outcome = Outcome()
        var expectedBytes = image
        for (operand, offset) in zip(operands, offsets) {
            guard let operand, operand.isWritten else { continue }
            let range = offset..<offset + operand.bytes.count
            expectedBytes.replaceSubrange(range, with: after[range])
            outcome.outputs[operand.name] = Array(after[range]).withUnsafeBytes { bytes in
                switch operand.tensor.element {
                case .CK_u8: bytes.map(Double.init)
                case .CK_bf16: bytes.bindMemory(to: UInt16.self).map { Double(ck_float_of_bf16($0)) }
                default: bytes.bindMemory(to: Float.self).map(Double.init)
                }
            }
        }
        if !expectedBytes.elementsEqual(after.prefix(image.count)) {
            let place = expectedBytes.indices.first { expectedBytes[$0] != after[$0] }!
            let near = offsets.lastIndex { $0 <= place }.flatMap { operands[$0]?.name } ?? "the first"
            outcome.problems.append("wrote outside of its outputs, near \(near)")
        }
        if !after.suffix(guardBytes).allSatisfy({ $0 == 0xA5 }) {
            outcome.problems.append("wrote beyond its workspace")
        }
        for _ in 0..<(timed ? 3 : 0) {
            try check(ck_device_synchronize(device))
            let start = ContinuousClock.now
            try check(ck_plan_run(plan, &failed))
            try check(ck_device_synchronize(device))
            let spent = (ContinuousClock.now - start).components
            outcome.seconds = min(outcome.seconds, Double(spent.seconds) + 1e-18 * Double(spent.attoseconds))
        }
        return outcome
    }

    /// Runs the operation and compares its outputs with the reference.
    ///
    /// - Parameter rounding: what the normalized mean square error may be above the case's own tolerance.
    /// - Returns: what is wrong, nothing when all is well.
    public func failures(on device: ck_device, rounding: Double = 0) throws -> [String] {
        let outcome = try run(on: device)
        return outcome.problems
            + expected(operands).sorted { $0.key < $1.key }.compactMap { name, expected in
                difference(
                    outcome.outputs[name] ?? [], expected, tolerance: tolerance(of: name) + rounding
                ).map { "\(name): \($0)" }
            }
    }
}

/// What keeps `got` from being `expected`: the normalized mean square error, and every single element within
/// a hundred times its root of the values' root mean square. NaN and infinity always fail.
public func difference(_ got: [Double], _ expected: [Double], tolerance: Double) -> String? {
    guard got.count == expected.count else { return "\(got.count) values, not \(expected.count)" }
    var error = 0.0, power = 0.0, worst = 0.0, place = 0
    for (index, (a, b)) in zip(got, expected).enumerated() {
        guard a.isFinite, b.isFinite else { return "value \(index) is \(a), expected \(b)" }
        let gap = abs(a - b)
        error += gap * gap
        power += b * b
        if gap > worst { (worst, place) = (gap, index) }
    }
    guard power > 0 else { return error == 0 ? nil : "value \(place) is \(got[place]), expected 0" }
    let nmse = error / power, limit = 100 * (tolerance * power / Double(max(1, got.count))).squareRoot()
    if !(nmse <= tolerance) {
        return "NMSE \(nmse) > \(tolerance); value \(place) is \(got[place]), expected \(expected[place])"
    }
    if !(worst <= limit) { return "value \(place) is \(got[place]), expected \(expected[place])" }
    return nil
}

extension ck_step_state {
    /// The state of a step, with the learning rate that optimizers take.
    public init(seed: UInt64, step: UInt64, rate: Float = 0) {
        self.init()
        self.seed = seed
        self.step = step
        learning_rate = rate
    }
}

/// A source of test data that depends on the seed alone.
public struct TestRandom {
    private var random: CounterRandom

    /// A source that draws the same for the same seed.
    public init(_ seed: UInt64) { random = CounterRandom(seed: seed, stream: 0x7E57) }

    /// Draws from a normal distribution of deviation `scale` about `shift`.
    public mutating func normals(_ count: Int, scale: Double = 1, shift: Double = 0) -> [Float] {
        (0..<count).map { _ in Float(shift + scale * random.normal()) }
    }
    /// Draws uniformly from [0, 1).
    public mutating func uniforms(_ count: Int) -> [Float] {
        (0..<count).map { _ in Float(random.uniform()) }
    }
    /// Draws whole numbers uniformly from 0..<limit.
    public mutating func integers(_ count: Int, below limit: Int) -> [Int] {
        (0..<count).map { _ in Int(random.uniform() * Double(limit)) }
    }
    /// Draws one number uniformly from [0, 1).
    public mutating func uniform() -> Double { random.uniform() }
}

/// Approximates a function's gradient by central differences, one element at a time.
public func finiteDifferences(
    of function: ([Double]) -> Double, at point: [Double], step: Double = 1e-5
) -> [Double] {
    var moved = point
    return point.indices.map { index in
        moved[index] = point[index] + step
        let above = function(moved)
        moved[index] = point[index] - step
        let below = function(moved)
        moved[index] = point[index]
        return (above - below) / (2 * step)
    }
}

/// Rounds to bf16, ties to even.
public func roundedToBfloat16(_ values: [Float]) -> [Float] {
    values.map { ck_float_of_bf16(ck_bf16_of($0)) }
}

/// Sums the products a b.
public func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
