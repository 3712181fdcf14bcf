import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// DAGMM, the deep auto-encoding Gaussian mixture model (Zong et al., ICLR 2018): an auto-encoder's code and how well it
/// restores the image are the point z of an image; a second network says to which of some Gaussians it belongs, whose
/// parameters follow from the batch. The loss is the mean squared error, plus 0.1 times the mean energy -log p(z), plus 0.005
/// times the sum of the inverse variances. Its own score is the energy under the mixture of all training images.
public struct DAGMM: OwnScoring, Equatable {
    /// Numbers of the code.
    public var code = 5
    /// Gaussians.
    public var components = 3
    /// The factor of the mean energy, lambda 1.
    public var energy = 0.1
    /// The factor of the inverse variances, lambda 2.
    public var penalty = 0.005

    /// The method with 3 Gaussians on a code of 5 numbers.
    public init() {}

    /// The name it is chosen by.
    public let name = "dagmm"
    /// What it is, in a line.
    public let summary =
        "An auto-encoder and a mixture of Gaussians on its code (DAGMM); scores by the energy."
    /// The mixture, and the loss's factors.
    public static let settings = [
        Setting(
            "dagmm-code", \DAGMM.code, "N", range: .within(1...14),
            "Numbers that an image is restored from; the mixture sees them and two of the restoration."),
        Setting(
            "components", \.components, "K", range: .within(1...16), "Gaussians of the mixture."),
        Setting(
            "energy-weight", \.energy, "FACTOR", range: .within(0...1000),
            "The factor of the mean energy in the loss."),
        Setting(
            "variance-weight", \.penalty, "FACTOR", range: .within(0...1000),
            "The factor of the sum of the mixture's inverse variances in the loss."),
    ]

    /// What is added to variances: the mean of what Golan and El-Yaniv's code adds.
    private static let epsilon = 1e-3
    /// Units of the estimation network's hidden layers.
    private static let widths = [64, 10]

    /// Batch, epochs and Adam's rate are those with which Golan & El-Yaniv (2018) train it on images.
    public var defaults: TrainingDefaults {
        TrainingDefaults(
            headWidths: [], recipe: "none", learningRate: 1e-3, weightDecay: 0, batch: 256, epochs: 200,
            optimizer: .adam, holdsEpoch: false, scoresItself: true)
    }
    /// One view of each image.
    public let copies = 1
    /// The image, without a label.
    public func view(item: Int, copy: Int) -> BatchRow { BatchRow(image: item) }

    /// Checks that no head is asked for.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    public func check(headWidths: [Int]) throws {
        guard headWidths.isEmpty else {
            throw OCCError(
                .usage, "\(setting: "head"): dagmm has none; \(setting: "dagmm-code") is the size of its code"
            )
        }
    }

    /// What the networks make of images: their points z [N,D], memberships [N,K], and the images restored.
    private struct Outputs {
        let z: Tensor, memberships: Tensor, restored: Tensor
    }

    private func outputs(_ images: Tensor, _ encoder: any Encoder, in plan: PlanBuilder) throws -> Outputs {
        let (restored, code) = try AutoEncoder(code: code).restored(
            images, encoder, alwaysCodes: true, in: plan)
        let z = try concatenate(
            code, try reconstructionFeatures(images, restored: restored, in: plan), in: plan)
        var x = z
        for (index, width) in Self.widths.enumerated() {
            x = try tanh(
                try Dense("estimation.\(index)", units: width, bias: true)(x, in: plan), in: plan)
            x = try dropout(x, probability: 0.5, layer: index, in: plan)
        }
        let logits = try Dense("estimation.logits", units: components, bias: true)(x, in: plan)
        return Outputs(z: z, memberships: try softmax(logits, in: plan), restored: restored)
    }

    /// Appends recipe, auto-encoder, estimation network and the loss.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let images = try batch.recipe(batch.images, in: plan)
        let outputs = try outputs(images, batch.encoder, in: plan)
        let mixture = MixtureLoss(energy: energy, penalty: penalty, epsilon: Self.epsilon)
        let loss = try sumOfLosses(
            try meanSquaredError(outputs.restored, target: images, in: plan),
            try mixture(outputs.z, memberships: outputs.memberships, in: plan).loss, in: plan)
        return TrainingOutputs(loss: loss, features: outputs.z)
    }

    /// The points and memberships side by side, [N,D + K].
    public func scoreFeatures(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> Tensor {
        let outputs = try outputs(batch.images, batch.encoder, in: plan)
        return try concatenate(outputs.z, outputs.memberships, in: plan)
    }

    /// The energy under the mixture of all training images.
    public var scoreDetector: any Detector { MixtureEnergy(components: components, epsilon: Self.epsilon) }
    /// False: distances are relative to an image's own length.
    public let scoresBlack = false
}
