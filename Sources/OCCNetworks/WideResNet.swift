import OCCEngine

/// A wide residual network without its classifier (Zagoruyko & Komodakis, BMVC 2016): three groups of pre-activation blocks,
/// few and wide; images [N,S,S,3] -> pooled features [N,D].
///
/// A block is BatchNorm, ReLU, 3x3 convolution, twice, added to its input; where the shape changes the input is its 1x1
/// projection behind the first activation. The stem follows the input side as `ResNet`'s does: a 3x3 convolution up to 64
/// pixels, a 7x7 at stride 2 and a 3x3 max pool above. Without padding, the stem is the 3x3 convolution for images of any
/// size, and what is added is cropped, as in `ResNet`.
public struct WideResNet: Encoder, Equatable {
    /// The number of layers, 6 n + 4 for n blocks a group.
    public let depth: Int
    /// The widening factor k.
    public let widening: Int
    /// Multiplies the widths 16 k, 32 k, 64 k.
    public var width: Double
    /// What its convolutions find beyond the edge of an image.
    public var padding: Padding
    /// How many of its groups it has, 1...3: fewer see a smaller part of the image.
    public var stages: Int

    /// - Parameters:
    ///   - depth: 10, 16, 22, 28, 34, 40...
    ///   - widening: k, 1 or more.
    public init(
        depth: Int = 16, widening: Int = 4, width: Double = 1, padding: Padding = .zeros, stages: Int = 3
    ) {
        precondition(depth >= 10 && depth % 6 == 4, "a wide residual network has 6 n + 4 layers")
        precondition(widening >= 1, "the widening factor is at least 1")
        self.depth = depth
        self.widening = widening
        self.width = width
        self.padding = padding
        self.stages = stages
    }

    /// wide-resnet-DEPTH-WIDENING.
    public var name: String { "wide-resnet-\(depth)-\(widening)" }
    /// The network in a line.
    public var summary: String {
        "A wide residual network (Zagoruyko & Komodakis 2016) of \(depth) layers, \(widening) times as wide."
    }
    /// Width, padding and stages.
    public static let settings = [
        Setting(
            "width", \WideResNet.width, "FACTOR", range: .within(0.01...8),
            "Multiplies the encoder's widths."),
        Setting("padding", \WideResNet.padding, Padding.summary),
        Setting(
            "stages", \WideResNet.stages, "N", range: .within(1...3),
            "The encoder's first groups of blocks, which see a smaller part of the image than all of them."),
    ]

    /// Without padding: what a pixel of each group's map sees.
    public var receptiveFields: [ReceptiveField] {
        guard padding == .none else { return [] }
        var field = ReceptiveField(), fields: [ReceptiveField] = []
        field.add(kernel: 3)
        for group in 0..<stages {
            for block in 0..<blocks {
                field.add(kernel: 3, stride: stride(group: group, block: block))
                field.add(kernel: 3)
            }
            fields.append(field)
        }
        return fields
    }

    /// Blocks to a group.
    private var blocks: Int { (depth - 4) / 6 }

    private func stride(group: Int, block: Int) -> Int { group > 0 && block == 0 ? 2 : 1 }

    /// Appends the network: images [N,S,S,3] in 0...1 -> its last activation [N,P,Q,D] and the mean of that.
    public func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> EncoderOutput {
        let side = try images.shape(dimensions: 4, of: "conv1", "conv2d_forward")[1]
        try requireField(within: side)
        let large = side > 64 && padding == .zeros
        var x = try conv("conv1", channels: 16, kernel: large ? 7 : 3, stride: large ? 2 : 1)(
            plan.activations(images), in: plan)
        if large { x = try maxPool(x, kernel: 3, stride: 2, padding: 1, in: plan) }
        var maps: [Tensor] = []
        for group in 0..<stages {
            let channels = max(1, Int((Double(widening * 16 << group) * width).rounded()))
            for block in 0..<blocks {
                x = try self.block(
                    x, "block\(group + 1).\(block)", channels: channels,
                    stride: stride(group: group, block: block), in: plan)
            }
            maps.append(x)
        }
        x = try BatchNorm("bn1", relu: true)(x, in: plan)
        maps[stages - 1] = x
        return EncoderOutput(stages: maps, pooled: try globalAveragePool(x, in: plan))
    }

    /// A convolution with the network's padding.
    private func conv(_ name: String, channels: Int, kernel: Int, stride: Int = 1) -> Conv2D {
        Conv2D(
            name, channels: channels, kernel: kernel, stride: stride,
            padding: padding == .zeros ? kernel / 2 : 0)
    }

    private func block(
        _ x: Tensor, _ name: String, channels: Int, stride: Int, in plan: PlanBuilder
    ) throws -> Tensor {
        let active = try BatchNorm("\(name).bn1", relu: true)(x, in: plan)
        var y = try conv("\(name).conv1", channels: channels, kernel: 3, stride: stride)(
            active, normalizedBy: BatchNorm("\(name).bn2", relu: true), in: plan)
        y = try conv("\(name).conv2", channels: channels, kernel: 3)(y, in: plan)
        // The first convolution loses a pixel of its input at each edge, the second one of its own.
        func inside(_ x: Tensor) throws -> Tensor {
            padding == .zeros ? x : try crop(x, border: 1 + stride, in: plan)
        }
        guard stride > 1 || x.shape[3] != channels else { return try add(y, inside(x), in: plan) }
        let shortcut = conv("\(name).shortcut", channels: channels, kernel: 1, stride: stride)
        return try add(y, try shortcut(inside(active), in: plan), in: plan)
    }
}
