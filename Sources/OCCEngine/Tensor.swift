/// The type of a tensor's elements.
public enum ElementType: Sendable {
    case float32, int32, uint8

    /// Bytes to an element.
    public var size: Int { self == .uint8 ? 1 : 4 }
}

/// The parts of the arena. All but `transient` persist, and are shared by every plan of a program.
enum Region: Int, CaseIterable {
    case parameters, gradients, velocities, statistics, state, inputs, transient

    static let alignment = 64
    static func aligned(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }
}

/// A tensor of a plan: a shape and a place in the arena, not the numbers.
public struct Tensor: Hashable, Sendable {
    public let name: String
    /// Outermost dimension first; images are [N, H, W, C], filters [K, R, S, C].
    public let shape: [Int]
    public let type: ElementType
    let region: Region
    /// In persistent regions the byte offset from the region's start; for transients the index within the
    /// plan.
    let position: Int

    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// The number of bytes.
    public var bytes: Int { count * type.size }
}
