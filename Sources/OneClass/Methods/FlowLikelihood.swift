import OCCData
import OCCEngine
import OCCNetworks

/// The likelihood of images under a normalizing flow, RealNVP (Dinh et al., ICLR 2017), as Kirichenko et al. (NeurIPS 2020)
/// score with it: the loss is the mean negative log-likelihood in bits per dimension, and an image's score its own.
///
/// The flow is a network of its own: the encoder is not trained.
public struct FlowLikelihood: OwnScoring, Equatable {
    /// Scales of the flow: an image's side is a multiple of 2^(scales - 1).
    public var scales = 2
    /// Residual blocks of a coupling's network.
    public var blocks = 2
    /// Channels of the network's convolutions.
    public var filters = 32

    /// The method, with a flow of 2 scales.
    public init() {}

    /// The name it is chosen by.
    public let name = "flow"
    /// What it is, in a line.
    public let summary = "Learns the density of images (RealNVP); scores by bits per dimension."
    /// The flow's size.
    public static let settings = [
        Setting(
            "flow-scales", \FlowLikelihood.scales, "N", range: .within(1...6),
            "Scales of the flow; an image's side is a multiple of 2 to the power of one less."),
        Setting(
            "flow-blocks", \.blocks, "N", range: .within(0...64),
            "Residual blocks of a coupling's network."),
        Setting(
            "flow-filters", \.filters, "N", range: .within(1...1024),
            "Channels of the convolutions of a coupling's network."),
    ]

    /// Adam's rate, the batch and the decay are those of Dinh et al. and Kirichenko et al.; images are as they are, since
    /// colors that a recipe changes would be learned as normal.
    public var defaults: TrainingDefaults {
        TrainingDefaults(
            headWidths: [], recipe: "none", learningRate: 1e-3, weightDecay: 5e-5, batch: 64, epochs: 100,
            optimizer: .adam, holdsEpoch: false, scoresItself: true)
    }
    /// One view of each image.
    public let copies = 1
    /// The image, without a label.
    public func view(item: Int, copy: Int) -> BatchRow { BatchRow(image: item) }
    /// False: the flow sees the images themselves.
    public var trainsEncoder: Bool { false }

    /// Checks that no head is asked for.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    public func check(headWidths: [Int]) throws {
        guard headWidths.isEmpty else {
            throw OCCError(.usage, "\(setting: "head"): a flow has none; it sees the images themselves")
        }
    }

    private func flow(_ images: Tensor, in plan: PlanBuilder) throws -> RealNVP.Output {
        let side = images.shape[1], unit = 1 << (scales - 1)
        guard side % unit == 0 else {
            throw OCCError(
                .usage,
                "\(setting: "flow-scales") \(scales): the side of images or patches, \(side), is no multiple of \(unit)",
                remedy: "Give fewer scales, or another \(setting: "image-size").")
        }
        return try RealNVP(scales: scales, blocks: blocks, filters: filters)(images, in: plan)
    }

    /// Appends recipe, flow and bits per dimension.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let output = try flow(try batch.recipe(batch.images, in: plan), in: plan), latent = output.latent
        let rows = latent.shape[0]
        return TrainingOutputs(
            loss: output.loss, features: plan.reshaped(latent, [rows, latent.count / rows]))
    }

    /// The bits per dimension of an image.
    public func scoreFeatures(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> Tensor {
        let bits = try flow(batch.images, in: plan).bits
        return plan.reshaped(bits, [bits.count, 1])
    }
}
