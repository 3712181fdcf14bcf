import CKernels

/// A line of a plan.
public struct PlannedOperation: Sendable {
    package let kind: ck_kind
    /// The layer it belongs to.
    public let layer: String
    /// The operands in the order of the operation's declaration (ck_operations.h); nil where an optional one
    /// is absent.
    public let tensors: [Tensor?]
    package let params: ck_operation_params
    /// The number of floating-point operations (a multiply-add is two).
    public let flop: Int

    /// The operation's name, as in `CKernels`.
    public var name: String { String(cString: ck_declaration_of(kind).pointee.name) }
    /// Bytes of all its tensors.
    public var bytes: Int { tensors.reduce(0) { $0 + ($1?.bytes ?? 0) } }

    /// The operation for `CKernels`, with its tensors at the places that `offset` gives.
    func bound(_ offset: (Tensor) -> UInt64) -> ck_operation {
        var result = ck_operation()
        result.kind = kind
        result.params = params
        withUnsafeMutableBytes(of: &result.tensors) { bytes in
            let places = bytes.bindMemory(to: ck_tensor.self)
            for index in places.indices {
                let tensor = index < tensors.count ? tensors[index] : nil
                places[index] = ck_tensor(tensor, at: tensor.map(offset) ?? 0)
            }
        }
        return result
    }

    /// Compares the operands and parameters with the operation's declaration.
    ///
    /// - Throws: `PlanError` for the first that does not fit.
    func requireFit() throws(PlanError) {
        let declaration = ck_declaration_of(kind).pointee
        precondition(tensors.count == Int(declaration.operand_count), "\(name) has \(tensors.count) operands")
        var operation = bound { _ in 0 }, misfit = ck_misfit()
        guard ck_operation_check(&operation, &misfit) != .CK_OK else { return }
        guard misfit.operand >= 0 else {
            throw PlanError(
                layer: layer, operation: name, problem: .requirement(String(cString: misfit.requirement)))
        }
        let index = Int(misfit.operand)
        let extents = withUnsafeBytes(of: misfit.expected) {
            $0.bindMemory(to: Int64.self).prefix(Int(misfit.rank)).map { $0 < 0 ? nil : Int($0) }
        }
        throw PlanError(
            layer: layer, operation: name,
            problem: .operand(
                String(cString: declaration.operands[index].name), expected: extents,
                expectedType: ElementType(declared: misfit.element),
                given: tensors[index]?.shape, givenType: tensors[index]?.type))
    }
}

/// An operation that does not fit its declaration: found when a plan is built.
public struct PlanError: Error, CustomStringConvertible, Sendable, Equatable {
    /// What does not fit.
    public enum Problem: Sendable, Equatable {
        /// An operand has another shape or element type. A nil extent stands for any.
        case operand(
            String, expected: [Int?], expectedType: ElementType, given: [Int]?, givenType: ElementType?)
        /// The parameters break a requirement, such as a stride of at least 1.
        case requirement(String)
        /// A layer takes an input of so many dimensions.
        case rank(expected: Int, given: [Int])
    }

    /// The layer, by its name in the plan.
    public let layer: String
    /// The operation, by its name in `CKernels`.
    public let operation: String
    /// What does not fit, with what was expected and what was given.
    public let problem: Problem

    /// A problem of an operation in a layer.
    public init(layer: String, operation: String, problem: Problem) {
        self.layer = layer
        self.operation = operation
        self.problem = problem
    }

    /// The problem in one line, behind the layer and the operation.
    public var description: String {
        func text(_ extents: [Int?]) -> String {
            "[" + extents.map { $0.map(String.init) ?? "any" }.joined(separator: ", ") + "]"
        }
        switch problem {
        case .operand(let name, let expected, let expectedType, let given, let givenType):
            let got = given.map { "\(givenType.map { "\($0)" } ?? "") \(text($0))" } ?? "absent"
            return "\(layer) (\(operation)): \(name) is \(got), expected \(expectedType) \(text(expected))"
        case .requirement(let text):
            return "\(layer) (\(operation)): \(text)"
        case .rank(let expected, let given):
            return
                "\(layer) (\(operation)): the input has shape \(text(given)), expected \(expected) dimensions"
        }
    }
}

extension ElementType {
    init(declared element: ck_element) {
        switch element {
        case .CK_f32, .CK_act: self = .float32
        case .CK_bf16: self = .bfloat16
        case .CK_i32: self = .int32
        case .CK_u8: self = .uint8
        case .CK_step: self = .stepState
        }
    }
}

extension Tensor {
    /// The shape, which must have so many dimensions.
    ///
    /// - Throws: `PlanError` naming the layer.
    package func shape(dimensions: Int, of layer: String, _ operation: String) throws(PlanError) -> [Int] {
        guard shape.count == dimensions else {
            throw PlanError(
                layer: layer, operation: operation, problem: .rank(expected: dimensions, given: shape))
        }
        return shape
    }
}
