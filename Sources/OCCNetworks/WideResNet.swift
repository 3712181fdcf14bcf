import OCCEngine

/// A wide residual network without its classifier (Zagoruyko & Komodakis, BMVC 2016): three groups of pre-activation blocks,
/// few and wide; images [N,S,S,3] -> pooled features [N,D].
///
/// A block is BatchNorm, ReLU, 3x3 convolution, twice, added to its input; where the shape changes the input is its 1x1
/// projection behind the first activation. The stem follows the input side as `ResNet`'s does: a 3x3 convolution up to 64
/// pixels, a 7x7 at stride 2 and a 3x3 max pool above.
public struct WideResNet: Encoder, Equatable {
    /// The number of layers, 6 n + 4 for n blocks a group.
    public let depth: Int
    /// The widening factor k.
    public let widening: Int
    /// Multiplies the widths 16 k, 32 k, 64 k.
    public var width: Double

    /// - Parameters:
    ///   - depth: 10, 16, 22, 28, 34, 40...
    ///   - widening: k, 1 or more.
    public init(depth: Int = 16, widening: Int = 4, width: Double = 1) {
        precondition(depth >= 10 && depth % 6 == 4, "a wide residual network has 6 n + 4 layers")
        precondition(widening >= 1, "the widening factor is at least 1")
        self.depth = depth
        self.widening = widening
        self.width = width
    }

    /// wide-resnet-DEPTH-WIDENING.
    public var name: String { "wide-resnet-\(depth)-\(widening)" }
    /// The network in a line.
    public var summary: String {
        "A wide residual network (Zagoruyko & Komodakis 2016) of \(depth) layers, \(widening) times as wide."
    }
    /// The width.
    public static let settings = [
        Setting(
            "width", \WideResNet.width, "FACTOR", range: .within(0.01...8),
            "Multiplies the encoder's widths.")
    ]

    /// Appends the network: images [N,S,S,3] in 0...1 -> its last activation [N,P,Q,D] and the mean of that.
    public func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> EncoderOutput {
        let large = try images.shape(dimensions: 4, of: "conv1", "conv2d_forward")[1] > 64
        var x = try Conv2D("conv1", channels: 16, kernel: large ? 7 : 3, stride: large ? 2 : 1)(
            images, in: plan)
        if large { x = try maxPool(x, kernel: 3, stride: 2, padding: 1, in: plan) }
        for group in 0..<3 {
            let channels = max(1, Int((Double(widening * 16 << group) * width).rounded()))
            for block in 0..<(depth - 4) / 6 {
                x = try self.block(
                    x, "block\(group + 1).\(block)", channels: channels,
                    stride: group > 0 && block == 0 ? 2 : 1, in: plan)
            }
        }
        x = try BatchNorm("bn1", relu: true)(x, in: plan)
        return EncoderOutput(map: x, pooled: try globalAveragePool(x, in: plan))
    }

    private func block(
        _ x: Tensor, _ name: String, channels: Int, stride: Int, in plan: PlanBuilder
    ) throws -> Tensor {
        let active = try BatchNorm("\(name).bn1", relu: true)(x, in: plan)
        var y = try Conv2D("\(name).conv1", channels: channels, kernel: 3, stride: stride)(active, in: plan)
        y = try BatchNorm("\(name).bn2", relu: true)(y, in: plan)
        y = try Conv2D("\(name).conv2", channels: channels, kernel: 3)(y, in: plan)
        guard stride > 1 || x.shape[3] != channels else { return try add(y, x, in: plan) }
        let shortcut = Conv2D("\(name).shortcut", channels: channels, kernel: 1, stride: stride)
        return try add(y, try shortcut(active, in: plan), in: plan)
    }
}
