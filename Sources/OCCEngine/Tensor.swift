import CKernels

/// The type of a tensor's elements.
public enum ElementType: Sendable {
    case float32, int32, uint8
    /// The upper half of a float: 8 bits of exponent, 7 of fraction. Activations only.
    case bfloat16
    /// The block that the host writes before each step: seed, step, learning rate.
    case stepState

    /// Bytes to an element.
    public var size: Int {
        switch self {
        case .float32, .int32: 4
        case .uint8: 1
        case .bfloat16: 2
        case .stepState: MemoryLayout<ck_step_state>.size
        }
    }

    /// What the declarations of operations call it.
    var declared: ck_element {
        switch self {
        case .float32: .CK_f32
        case .int32: .CK_i32
        case .uint8: .CK_u8
        case .bfloat16: .CK_bf16
        case .stepState: .CK_step
        }
    }

    /// What an operation's parameters say of activations where its first one is of this type: bf16, or single
    /// precision, which is then expected of it.
    var activations: Int32 {
        Int32((self == .bfloat16 ? ck_element.CK_bf16 : ck_element.CK_f32).rawValue)
    }
}

/// The parts of the arena. All but `transient` persist, and are shared by every plan of a program.
enum Region: Int, CaseIterable {
    case parameters, gradients, velocities, squares, statistics, state, inputs, transient

    static let alignment = 64
    static func aligned(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }
}

/// A tensor of a plan: a shape and a place in the arena, not the numbers.
public struct Tensor: Hashable, Sendable {
    /// What listings and messages call it; parameters have their names in saved files.
    public let name: String
    /// The extents, outermost dimension first; images are [N, H, W, C], filters [K, R, S, C].
    public let shape: [Int]
    /// The type of its elements.
    public let type: ElementType
    let region: Region
    /// In persistent regions the byte offset from the region's start; for transients the index within the
    /// plan.
    let position: Int

    /// Where its elements are: tensors of several shapes may share it.
    package struct Place: Hashable {
        let region: Region, position: Int
    }

    package var place: Place { Place(region: region, position: position) }

    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// The number of bytes.
    public var bytes: Int { count * type.size }
}

extension ck_tensor {
    /// A tensor of an operation at a place in the arena; nil is an operand that is absent.
    init(_ tensor: Tensor?, at offset: UInt64) {
        self.init()
        guard let tensor else {
            self.offset = UInt64.max
            return
        }
        self.offset = offset
        element = tensor.type.declared
        rank = Int32(tensor.shape.count)
        withUnsafeMutableBytes(of: &shape) { bytes in
            let extents = bytes.bindMemory(to: Int64.self)
            for (index, extent) in tensor.shape.prefix(extents.count).enumerated() {
                extents[index] = Int64(extent)
            }
        }
    }
}
