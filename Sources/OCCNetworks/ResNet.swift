import OCCEngine

/// A residual network without its classifier (He et al. 2016): images [N,S,S,3] -> pooled features [N,D].
///
/// The stem follows the input side, as in Sohn et al. (ICLR 2021): up to 64 pixels a 3x3 convolution at
/// stride 1; above, a 7x7 at stride 2 and a 3x3 max pool at stride 2. Either can be had for any size: given weights
/// are of the large one. Parameters have torchvision's names.
///
/// Without padding, the stem is by itself the 3x3 convolution for images of any size, and shortcuts are cropped: the
/// map of an image then holds the maps of all its patches, and overlapping patches cost little more than the image.
public struct ResNet: Encoder, Equatable {
    /// How many blocks a network has, and of which kind.
    public enum Depth: String, CaseIterable, Sendable {
        /// Basic blocks, 1-1-1-1.
        case resnet10
        /// Basic blocks, 2-2-2-2.
        case resnet18
        /// Basic blocks, 3-4-6-3.
        case resnet34
        /// Bottleneck blocks, 3-4-6-3.
        case resnet50
        /// Bottleneck blocks, 3-4-6-3, whose 3x3 convolutions are twice as wide (Zagoruyko & Komodakis 2016).
        case wideResNet50 = "wide-resnet50-2"

        var blocks: [Int] {
            switch self {
            case .resnet10: [1, 1, 1, 1]
            case .resnet18: [2, 2, 2, 2]
            case .resnet34, .resnet50, .wideResNet50: [3, 4, 6, 3]
            }
        }
        var isBottleneck: Bool { self == .resnet50 || self == .wideResNet50 }
        /// How much wider the inner convolutions of a block are.
        var innerFactor: Int { self == .wideResNet50 ? 2 : 1 }
    }

    /// What an image meets first.
    public enum Stem: String, CaseIterable, Sendable {
        /// The large one above 64 pixels where the network pads, the small one otherwise.
        case auto
        /// A 3x3 convolution at stride 1.
        case small
        /// A 7x7 convolution at stride 2, and a 3x3 max pool at stride 2.
        case large
    }

    /// The number and kind of its blocks.
    public let depth: Depth
    /// The factor of the widths 64, 128, 256, 512.
    public var width: Double
    /// What its convolutions find beyond the edge of an image.
    public var padding: Padding
    /// How many of its stages it has, 1...4: fewer see a smaller part of the image.
    public var stages: Int
    /// What an image meets first.
    public var stem: Stem
    /// What is done to the images before.
    public var normalize: InputNormalization

    /// A network whose widths are `width` times the paper's, in 0...8.
    public init(
        _ depth: Depth = .resnet18, width: Double = 1, padding: Padding = .zeros, stages: Int = 4,
        stem: Stem = .auto, normalize: InputNormalization = .none
    ) {
        self.depth = depth
        self.width = width
        self.padding = padding
        self.stages = stages
        self.stem = stem
        self.normalize = normalize
    }

    /// The depth's name, such as `resnet18`.
    public var name: String { depth.rawValue }
    /// The kind and numbers of its blocks, in a sentence.
    public var summary: String {
        "A residual network (He et al. 2016) of \(depth.isBottleneck ? "bottleneck" : "basic") blocks, "
            + depth.blocks.map(String.init).joined(separator: "-")
            + (depth.innerFactor > 1 ? ", twice as wide within." : ".")
    }
    /// Width, padding, stages, stem and normalization; the depth is the name's.
    public static let settings = [
        Setting(
            "width", \ResNet.width, "FACTOR", range: .within(0.01...8), "Multiplies the encoder's widths."),
        Setting("padding", \ResNet.padding, Padding.summary),
        Setting(
            "stages", \ResNet.stages, "N", range: .within(1...4),
            "The encoder's first stages, which see a smaller part of the image than all of them."),
        Setting(
            "stem", \ResNet.stem,
            "What an image meets first: large is a 7x7 convolution and a pool, both at stride 2, small a 3x3 "
                + "convolution; auto is large above 64 pixels where there is padding."),
        Setting("normalize", \ResNet.normalize, InputNormalization.summary),
    ]

    /// Without padding: what a pixel of each stage's map sees.
    public var receptiveFields: [ReceptiveField] {
        guard padding == .none else { return [] }
        var field = ReceptiveField(), fields: [ReceptiveField] = []
        if stem == .large {
            field.add(kernel: 7, stride: 2)
            field.add(kernel: 3, stride: 2)
        } else {
            field.add(kernel: 3)
        }
        for (stage, count) in depth.blocks.prefix(stages).enumerated() {
            for block in 0..<count {
                field.add(kernel: 3, stride: stride(stage: stage, block: block))
                if !depth.isBottleneck { field.add(kernel: 3) }
            }
            fields.append(field)
        }
        return fields
    }

    private func stride(stage: Int, block: Int) -> Int { stage > 0 && block == 0 ? 2 : 1 }

    private func channels(_ base: Int) -> Int { max(1, Int((Double(base) * width).rounded())) }

    /// Appends the network: images [N,S,S,3] -> the last feature map [N,P,P,D] and its mean over pixels,
    /// [N,D].
    public func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> EncoderOutput {
        let side = try images.shape(dimensions: 4, of: "conv1", "conv2d_forward")[1]
        try requireField(within: side)
        let large = stem == .large || stem == .auto && side > 64 && padding == .zeros
        var x = try conv("conv1", channels: channels(64), kernel: large ? 7 : 3, stride: large ? 2 : 1)(
            plan.activations(normalize(images, in: plan)), normalizedBy: BatchNorm("bn1", relu: true),
            in: plan)
        if large { x = try maxPool(x, kernel: 3, stride: 2, padding: padding == .zeros ? 1 : 0, in: plan) }
        var maps: [Tensor] = []
        for (stage, count) in depth.blocks.prefix(stages).enumerated() {
            for block in 0..<count {
                let name = "layer\(stage + 1).\(block)", stride = stride(stage: stage, block: block)
                let width = channels(64 << stage)
                x =
                    try depth.isBottleneck
                    ? bottleneck(x, name, width: width, stride: stride, in: plan)
                    : basicBlock(x, name, width: width, stride: stride, in: plan)
            }
            maps.append(x)
        }
        return EncoderOutput(stages: maps, pooled: try globalAveragePool(x, in: plan))
    }

    /// A convolution with the network's padding.
    private func conv(_ name: String, channels: Int, kernel: Int, stride: Int = 1) -> Conv2D {
        Conv2D(
            name, channels: channels, kernel: kernel, stride: stride,
            padding: padding == .zeros ? kernel / 2 : 0)
    }

    private func basicBlock(
        _ x: Tensor, _ name: String, width: Int, stride: Int, in plan: PlanBuilder
    ) throws -> Tensor {
        let y = try conv("\(name).conv1", channels: width, kernel: 3, stride: stride)(
            x, normalizedBy: BatchNorm("\(name).bn1", relu: true), in: plan)
        // The first convolution loses a pixel of its input at each edge, the second one of its own.
        return try conv("\(name).conv2", channels: width, kernel: 3)(
            y, normalizedBy: BatchNorm("\(name).bn2", relu: true),
            residual: shortcut(x, name, channels: width, stride: stride, border: 1 + stride, in: plan),
            in: plan)
    }

    /// With the stride in the 3x3 convolution, as torchvision has it (v1.5).
    private func bottleneck(
        _ x: Tensor, _ name: String, width: Int, stride: Int, in plan: PlanBuilder
    ) throws -> Tensor {
        let inner = width * depth.innerFactor
        var y = try conv("\(name).conv1", channels: inner, kernel: 1)(
            x, normalizedBy: BatchNorm("\(name).bn1", relu: true), in: plan)
        y = try conv("\(name).conv2", channels: inner, kernel: 3, stride: stride)(
            y, normalizedBy: BatchNorm("\(name).bn2", relu: true), in: plan)
        return try conv("\(name).conv3", channels: 4 * width, kernel: 1)(
            y, normalizedBy: BatchNorm("\(name).bn3", relu: true),
            residual: shortcut(x, name, channels: 4 * width, stride: stride, border: 1, in: plan), in: plan)
    }

    /// The input itself, or its 1x1 projection where the shape changes; without padding, the part of it that the
    /// branch's pixels are the middle of, which begins `border` pixels from its edge.
    private func shortcut(
        _ input: Tensor, _ name: String, channels: Int, stride: Int, border: Int, in plan: PlanBuilder
    ) throws -> Tensor {
        let x = padding == .zeros ? input : try crop(input, border: border, in: plan)
        if stride == 1, x.shape[3] == channels { return x }
        return try conv("\(name).downsample.0", channels: channels, kernel: 1, stride: stride)(
            x, normalizedBy: BatchNorm("\(name).downsample.1", relu: false), in: plan)
    }
}
