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

    /// What a pixel of each stage's map sees, of an encoder without padding, whose map of a patch is part of the map
    /// of the image: overlapping patches of an image are then computed together. Empty, which is the default, where
    /// a map depends on where its image ends.
    var receptiveFields: [ReceptiveField] { get }
}

extension Encoder {
    /// Empty: each patch is computed by itself.
    public var receptiveFields: [ReceptiveField] { [] }

    /// Checks that images are no smaller than what a pixel of the last map sees.
    ///
    /// - Throws: `OCCError(.usage)` with the smallest side.
    func requireField(within side: Int) throws {
        guard let field = receptiveFields.last, side < field.side else { return }
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
    /// The feature map of each stage, [N,P,Q,D]; the last one is `map`.
    public let stages: [Tensor]
    /// The mean of the last map over pixels, [N,D]: what a method learns by.
    public let pooled: Tensor
    /// The last feature map, [N,P,Q,D].
    public var map: Tensor { stages[stages.count - 1] }

    /// An encoder's output: tensors of the plan it was appended to.
    public init(map: Tensor, pooled: Tensor) {
        self.init(stages: [map], pooled: pooled)
    }

    /// The output of an encoder of several stages, one at least.
    public init(stages: [Tensor], pooled: Tensor) {
        precondition(!stages.isEmpty, "an encoder has a stage")
        self.stages = stages
        self.pooled = pooled
    }

    /// Appends what a detector sees: the mean of the map of each chosen stage, side by side.
    ///
    /// - Parameters:
    ///   - layers: the numbers of the stages, from 1; nil for the last one.
    ///   - mean: appends the mean of a map: `globalAveragePool`, or means of windows.
    /// - Throws: `OCCError(.usage)` for a stage that the encoder does not have.
    package func features(
        _ layers: StageNumbers?, in plan: PlanBuilder, mean: (Tensor, Int) throws -> Tensor
    ) throws -> Tensor {
        let numbers = try stageNumbers(layers, of: stages.count)
        let means = try numbers.map { try mean(stages[$0 - 1], $0) }
        return try means.dropFirst().reduce(means[0]) { try concatenate($0, $1, in: plan) }
    }

    /// The maps of the chosen stages, [N,P,Q,D] each.
    ///
    /// - Parameter layers: the numbers of the stages, from 1; nil for the last one.
    /// - Throws: `OCCError(.usage)` for a stage that the encoder does not have.
    package func maps(_ layers: StageNumbers?) throws -> [Tensor] {
        try stageNumbers(layers, of: stages.count).map { stages[$0 - 1] }
    }
}

/// A stage of an encoder.
public enum Stage: Counted {
    /// The type in words, for messages.
    public static var severalInOrder: String { "stages in rising order, such as 1,2,3" }
}

/// Stages of an encoder by number, from 1, in rising order: what a detector sees.
public typealias StageNumbers = RisingNumbers<Stage>

/// The numbers of chosen stages, from 1.
///
/// - Parameters:
///   - layers: nil for the last one.
///   - count: the stages that there are.
/// - Throws: `OCCError(.usage)` for a stage that is not there.
package func stageNumbers(_ layers: StageNumbers?, of count: Int) throws -> [Int] {
    let numbers = layers?.numbers ?? [count]
    if let number = numbers.first(where: { $0 > count }) {
        throw OCCError(
            .usage, "\(setting: "layers"): there is no stage \(number)", remedy: "The encoder has \(count).")
    }
    return numbers
}

/// The encoders by name.
public enum Encoders {
    /// The encoders that are built in, and what a program registers.
    public static let registry = Registry<any Encoder>(
        "encoder",
        [
            ResNet(.resnet10), ResNet(.resnet18), ResNet(.resnet34), ResNet(.resnet50),
            ResNet(.wideResNet50),
            WideResNet(depth: 16, widening: 4), LeNet(),
        ]
    ) { $0.name }
}
