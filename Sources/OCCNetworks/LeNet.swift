import OCCEngine

/// A small network of the kind of LeNet, as Deep SVDD has it for CIFAR-10 (Ruff et al., ICML 2018, appendix):
/// three convolutions of 5x5 with batch normalization, leaky ReLU and 2x2 max pooling, then one dense layer;
/// images [N,S,S,3] -> features [N,D].
///
/// By itself it has no bias of any kind, neither in its layers nor in the normalization: with one, a network
/// can give every image the same output (their proposition 2).
public struct LeNet: Encoder, Equatable {
    /// Multiplies the widths 32, 64, 128 of the convolutions.
    public var width: Double
    /// D, the outputs of the dense layer.
    public var outputs: Int
    /// Whether the layers add biases, and the normalization learns factors and offsets.
    public var biases: Bool

    /// The network of the paper: width 1, 128 outputs, no biases.
    public init(width: Double = 1, outputs: Int = 128, biases: Bool = false) {
        self.width = width
        self.outputs = outputs
        self.biases = biases
    }

    /// The name it is chosen by.
    public let name = "lenet"
    /// The network in a line.
    public let summary = "The small network of Deep SVDD (Ruff et al. 2018), by itself without biases."
    /// Width, outputs and biases.
    public static let settings = [
        Setting(
            "width", \LeNet.width, "FACTOR", range: .within(0.01...8), "Multiplies the encoder's widths."),
        Setting(
            "outputs", \.outputs, "N", range: .within(2...16_384), "Outputs of the encoder's last layer."),
        Setting(
            flag: "biases", \.biases,
            "Biases in the encoder: with them Deep SVDD's features can collapse to one point."),
    ]

    /// Appends the network: images [N,S,S,3] in 0...1 -> the maps of the three convolutions, and the outputs
    /// as a map of one pixel.
    public func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> EncoderOutput {
        var x = try plan.activations(images), maps: [Tensor] = []
        for index in 0..<3 {
            let channels = max(1, Int((Double(32 << index) * width).rounded()))
            let norm = BatchNorm("bn\(index + 1)", relu: false, epsilon: 1e-4, affine: biases)
            x = try Conv2D("conv\(index + 1)", channels: channels, kernel: 5)(x, normalizedBy: norm, in: plan)
            x = try maxPool(try leakyReLU(x, in: plan), kernel: 2, stride: 2, padding: 0, in: plan)
            maps.append(x)
        }
        let rows = x.shape[0]
        let flat = plan.reshaped(try plan.singlePrecision(x), [rows, x.count / rows])
        let y = try Dense("embed", units: outputs, bias: biases)(flat, in: plan)
        return EncoderOutput(stages: maps + [plan.reshaped(y, [rows, 1, 1, outputs])], pooled: y)
    }
}
