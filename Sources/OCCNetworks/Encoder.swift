import OCCEngine

/// A network from images to features: what a run learns, and what a detector's features come from.
///
/// A conforming type is a value: its settings say which network it is. Parameters are declared in the plan
/// under names that depend on the network alone, so that every plan of a program shares them and a model file
/// can hold them.
public protocol Encoder: Configurable {
    /// Appends the network to a plan.
    ///
    /// - Parameter images: [N,S,S,3] in 0...1.
    func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> EncoderOutput

    /// What a pixel of the map sees, of an encoder without padding, whose map of a patch is part of the map of the
    /// image: overlapping patches of an image are then computed together. nil, which is the default, where a map
    /// depends on where its image ends.
    var receptiveField: ReceptiveField? { get }
}

extension Encoder {
    /// nil: each patch is computed by itself.
    public var receptiveField: ReceptiveField? { nil }

    /// Checks that images are no smaller than what a pixel of the map sees.
    ///
    /// - Throws: `OCCError(.usage)` with the smallest side.
    func requireField(within side: Int) throws {
        guard let field = receptiveField, side < field.side else { return }
        throw OCCError(
            .usage,
            "\(setting: "padding") none: \(name) sees \(field.side) pixels at once, more than images or patches of \(side)",
            remedy:
                "Give \(setting: "patch") \((field.side + 7) / 8 * 8) or more, or fewer \(setting: "stages")."
        )
    }
}

/// The part of an image that one pixel of a feature map depends on.
public struct ReceptiveField: Sendable, Equatable {
    /// Its side in pixels of the image.
    public private(set) var side = 1
    /// Pixels of the image from the field of one pixel of the map to the next one's.
    public private(set) var step = 1

    /// The field of the image itself: one pixel.
    public init() {}

    /// Adds a layer with windows of `kernel` x `kernel` without padding, `stride` apart.
    public mutating func add(kernel: Int, stride: Int = 1) {
        side += (kernel - 1) * step
        step *= stride
    }

    /// The side of the map of an image of this side; 0 or less where the image is smaller than the field.
    public func mapSide(of image: Int) -> Int { image < side ? 0 : (image - side) / step + 1 }
}

/// What a convolution finds beyond the edge of its image.
public enum Padding: String, CaseIterable, Sendable {
    static let summary =
        "What the encoder's convolutions find beyond an image's edge; with none, a map of patches takes one pass."

    /// Zeros, so that maps keep their size.
    case zeros
    /// Nothing: only windows within the image count, and maps shrink.
    case none
}

/// What an encoder computes of a batch.
public struct EncoderOutput {
    /// The last feature map, [N,P,Q,D].
    public let map: Tensor
    /// Its mean over pixels, [N,D]: the features.
    public let pooled: Tensor

    /// An encoder's output: tensors of the plan it was appended to.
    public init(map: Tensor, pooled: Tensor) {
        self.map = map
        self.pooled = pooled
    }
}

/// The encoders by name.
public enum Encoders {
    /// The encoders that are built in, and what a program registers.
    public static let registry = Registry<any Encoder>(
        "encoder",
        [
            ResNet(.resnet10), ResNet(.resnet18), ResNet(.resnet34), ResNet(.resnet50),
            WideResNet(depth: 16, widening: 4),
        ]
    ) { $0.name }
}
