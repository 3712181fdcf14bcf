import CKernels
import OCCEngine

/// One tensor of an operation under test.
public enum Slot: Sendable {
    /// Written by the operation; starts as NaN.
    case output(Int)
    /// Read and written.
    case updated([Float])
    case input([Float])
    case indices([Int32])
    case bytes([UInt8])
    /// Bytes written by the operation.
    case byteOutput(Int)
    case step(ck_step_state)
    case absent

    public var floats: [Float] {
        switch self {
        case .updated(let values), .input(let values): values
        default: []
        }
    }
    public var doubles: [Double] { floats.map(Double.init) }

    var isWritten: Bool {
        switch self {
        case .output, .updated, .byteOutput: true
        default: false
        }
    }

    var initialBytes: [UInt8] {
        func raw<T>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }
        switch self {
        case .output(let count): return raw([Float](repeating: .nan, count: count))
        case .updated(let values), .input(let values): return raw(values)
        case .indices(let values): return raw(values)
        case .bytes(let values): return values
        case .byteOutput(let count): return [UInt8](repeating: 0xEE, count: count)
        case .step(let state): return withUnsafeBytes(of: state) { Array($0) }
        case .absent: return []
        }
    }
}

/// An operation on given tensors, and what the slow double-precision reference makes of them.
public struct OperationCase: Sendable, CustomStringConvertible {
    public let name: String
    public let kind: ck_kind
    public let params: ck_operation_params
    public let slots: [Slot]
    /// Largest normalised mean square error of any output: sum (a - b)^2 / sum b^2.
    public let tolerance: Double
    /// Expected values by slot.
    public let expected: @Sendable ([Slot]) -> [Int: [Double]]

    public init(
        _ name: String, _ kind: ck_kind, _ slots: [Slot], tolerance: Double = 1e-11,
        expected: @escaping @Sendable ([Slot]) -> [Int: [Double]],
        _ set: (inout ck_operation_params) -> Void
    ) {
        var params = ck_operation_params()
        set(&params)
        self.name = name
        self.kind = kind
        self.params = params
        self.slots = slots
        self.tolerance = tolerance
        self.expected = expected
    }

    public var description: String { "\(String(cString: ck_kind_name(kind))) \(name)" }

    /// Whether it is made of sums of products, which the math mode changes.
    public var multiplies: Bool {
        switch kind {
        case .CK_KIND_conv2d_forward, .CK_KIND_conv2d_backward_data, .CK_KIND_conv2d_backward_weight,
            .CK_KIND_dense_forward, .CK_KIND_dense_backward_data, .CK_KIND_dense_backward_weight,
            .CK_KIND_nt_xent_forward, .CK_KIND_nt_xent_backward, .CK_KIND_log_sum_exp_products:
            true
        default: false
        }
    }

    /// The same operation in another math mode.
    public func inMode(_ math: MathMode) -> OperationCase {
        OperationCase(name, kind, slots, tolerance: tolerance, expected: expected) { p in
            p = params
            switch kind {
            case .CK_KIND_dense_forward, .CK_KIND_dense_backward_data, .CK_KIND_dense_backward_weight:
                p.dense.math = math.kernelValue
            case .CK_KIND_nt_xent_forward, .CK_KIND_nt_xent_backward: p.nt_xent.math = math.kernelValue
            case .CK_KIND_log_sum_exp_products: p.products.math = math.kernelValue
            default: if multiplies { p.conv2d.math = math.kernelValue }
            }
        }
    }

    /// What rounding the factors of products adds to an output's normalised mean square error. A factor is off by 2^-12 or
    /// 2^-9 of itself on average, so a sum of unlike products by 1e-7 or 1e-5; in the smallest cases, of a few like terms or
    /// behind an exponential, it comes to 1e-5 and 1e-4.
    public static func roundingTolerance(_ math: MathMode) -> Double {
        switch math {
        case .strict: 0
        case .fast: 1e-5
        case .bf16: 1e-4
        }
    }

    /// What a run on a device gave.
    public struct Outcome {
        /// The values of every tensor that the operation wrote.
        public var outputs: [Int: [Double]] = [:]
        /// Writes outside of the outputs, found by guard bands around every tensor.
        public var problems: [String] = []
        /// Of a run after the first, where they were timed.
        public var seconds = Double.infinity
    }

    /// Whether it may run again on its own results.
    var isRepeatable: Bool {
        !slots.contains { if case .updated = $0 { true } else { false } }
    }

    /// Runs the operation with guard bands around every tensor: once, then, where that changes nothing, twice more, so
    /// that a backend's graphs are made and replayed.
    ///
    /// - Parameter timed: runs three times more, whatever that does to the values, and keeps the shortest time.
    public func run(on device: ck_device, timed: Bool = false) throws -> Outcome {
        let guardBytes = 256
        var image: [UInt8] = [], offsets: [Int] = []
        for slot in slots {
            image += [UInt8](repeating: 0xA5, count: guardBytes)
            offsets.append(image.count)
            image += slot.initialBytes
            image += [UInt8](repeating: 0xA5, count: (64 - image.count % 64) % 64)
        }
        image += [UInt8](repeating: 0xA5, count: guardBytes)
        var operation = ck_operation()
        operation.kind = kind
        operation.params = params
        withUnsafeMutableBytes(of: &operation.tensors) { raw in
            let tensors = raw.bindMemory(to: UInt64.self)
            for index in tensors.indices {
                let isPresent = index < slots.count && !slots[index].initialBytes.isEmpty
                tensors[index] = isPresent ? UInt64(offsets[index]) : UInt64.max
            }
        }
        precondition(slots.count == Int(ck_kind_tensor_count(kind)), "\(self): \(slots.count) tensors")
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
        for (index, slot) in slots.enumerated() where slot.isWritten {
            let range = offsets[index]..<offsets[index] + slot.initialBytes.count
            expectedBytes.replaceSubrange(range, with: after[range])
            if case .byteOutput = slot {
                outcome.outputs[index] = after[range].map(Double.init)
            } else {
                outcome.outputs[index] = Array(after[range]).withUnsafeBytes {
                    $0.bindMemory(to: Float.self).map(Double.init)
                }
            }
        }
        if !expectedBytes.elementsEqual(after.prefix(image.count)) {
            let place = expectedBytes.indices.first { expectedBytes[$0] != after[$0] }!
            let slot = offsets.lastIndex { $0 <= place }
            outcome.problems.append(
                "wrote outside of its outputs, near tensor \(slot.map(String.init) ?? "none")")
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
    /// - Parameter rounding: what the normalised mean square error may be above the case's own tolerance.
    /// - Returns: what is wrong, nothing when all is well.
    public func failures(on device: ck_device, rounding: Double = 0) throws -> [String] {
        let outcome = try run(on: device)
        return outcome.problems
            + expected(slots).sorted { $0.key < $1.key }.compactMap { index, expected in
                difference(outcome.outputs[index]!, expected, tolerance: tolerance + rounding).map {
                    "tensor \(index): \($0)"
                }
            }
    }
}

/// What keeps `got` from being `expected`: the normalised mean square error, and every single element within
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
    public init(seed: UInt64, step: UInt64, rate: Float = 0) {
        self.init()
        self.seed = seed
        self.step = step
        learning_rate = rate
    }
}

/// Test data that depends on the seed alone.
public struct TestRandom {
    private var random: CounterRandom

    public init(_ seed: UInt64) { random = CounterRandom(seed: seed, stream: 0x7E57) }

    public mutating func normals(_ count: Int, scale: Double = 1, shift: Double = 0) -> [Float] {
        (0..<count).map { _ in Float(shift + scale * random.normal()) }
    }
    public mutating func uniforms(_ count: Int) -> [Float] {
        (0..<count).map { _ in Float(random.uniform()) }
    }
    public mutating func integers(_ count: Int, below limit: Int) -> [Int] {
        (0..<count).map { _ in Int(random.uniform() * Double(limit)) }
    }
    public mutating func uniform() -> Double { random.uniform() }
}

/// Central differences of a scalar function.
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

/// sum a b
public func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
