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
