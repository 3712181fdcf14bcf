import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// Deep support vector data description (Ruff et al., "Deep one-class classification", ICML 2018): the
/// network brings normal images near a center c, the mean of its first outputs. Its own score is the squared
/// distance from it.
///
/// One-class, the loss is the mean of |f(x) - c|^2; with a soft boundary, R^2 + mean max(0, |f(x) - c|^2 -
/// R^2) / nu, where R is the quantile of order 1 - nu of a batch's distances, from the tenth epoch on.
///
/// With biases in the network, all outputs can become one point, which is no description of anything: see the
/// encoder `lenet`, which has none.
public struct DeepSVDD: OwnScoring, FirstPass, Equatable {
    /// Whether a share of the images may be outside of the sphere.
    public let hasSoftBoundary: Bool
    /// The share of them, nu.
    public var nu = 0.1
    /// Epochs in which the sphere has no radius yet.
    public var radiusEpochs = 10

    /// The method in one of its forms.
    public init(softBoundary: Bool = false) { hasSoftBoundary = softBoundary }

    /// The form with a soft boundary.
    public static let softBoundary = DeepSVDD(softBoundary: true)

    /// The name of the form: `deep-svdd` or `deep-svdd-soft`.
    public var name: String { hasSoftBoundary ? "deep-svdd-soft" : "deep-svdd" }
    /// What it is, in a line.
    public var summary: String {
        hasSoftBoundary
            ? "Deep SVDD whose sphere leaves a share of the images outside."
            : "Brings images' features near a center (Deep SVDD)."
    }
    /// The share outside, and when the sphere gets a radius.
    public static let settings = [
        Setting(
            "nu-outside", \DeepSVDD.nu, "SHARE", range: .above(0, upTo: 1),
            "Share of the training images that may be outside of the sphere."),
        Setting(
            "radius-epochs", \.radiusEpochs, "N", range: .count(from: 0),
            "Epochs before the sphere has a radius."),
    ]
    /// Without a soft boundary, all of them.
    public var unusedSettings: Set<String> { hasSoftBoundary ? [] : ["nu-outside", "radius-epochs"] }

    /// Rate, decay, batch and epochs are those of the authors' code for CIFAR-10.
    public var defaults: TrainingDefaults {
        TrainingDefaults(
            headWidths: [], recipe: "none", learningRate: 1e-4, weightDecay: 5e-7, batch: 200, epochs: 150,
            optimizer: .adam, schedule: .milestones, milestones: [50], scoresItself: true)
    }
    /// One view of each image.
    public let copies = 1
    /// The image, without a label.
    public func view(item: Int, copy: Int) -> BatchRow { BatchRow(image: item) }

    /// The network's outputs [N,D]: pooled features, or those of a head.
    private func outputs(
        _ images: Tensor, _ encoder: any Encoder, _ head: [Int], in plan: PlanBuilder
    ) throws -> Tensor {
        let features = try encoder(images, in: plan).pooled
        return try ProjectionHead(widths: head, logits: 0)(features, in: plan)
    }

    private func center(_ outputs: Tensor, in plan: PlanBuilder) throws -> Tensor {
        try plan.statistic("svdd.center", [outputs.shape[1]], .zeros)
    }

    /// The outputs whose mean is the center.
    public func firstFeatures(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> Tensor {
        let z = try outputs(batch.images, batch.encoder, batch.headWidths, in: plan)
        _ = try center(z, in: plan)
        return z
    }

    /// The center: the outputs' mean, moved to 0.1 from 0 where it is nearer, as zero weights would reach it
    /// (the authors' code).
    public func statistics(of features: FeatureMatrix) throws -> [String: [Float]] {
        let nearest = 0.1, columns = features.columns
        let center = (0..<columns).map { column -> Float in
            let mean =
                (0..<features.rows).reduce(0.0) { $0 + Double(features.values[$1 * columns + column]) }
                / Double(features.rows)
            return Float(abs(mean) >= nearest ? mean : mean < 0 ? -nearest : nearest)
        }
        return ["svdd.center": center]
    }

    /// Appends recipe, encoder, head, distances and the loss.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let images = try batch.recipe(batch.images, in: plan)
        let z = try outputs(images, batch.encoder, batch.headWidths, in: plan)
        let d = try rowDistance(z, target: try center(z, in: plan), in: plan)
        // Its score is a distance: outputs in one direction are no point yet.
        guard hasSoftBoundary else {
            return TrainingOutputs(loss: try mean(d, in: plan), features: z, scale: .rootMeanSquare)
        }
        let radius = try plan.statistic("svdd.squared_radius", [1], .zeros)
        let loss = try OCCNetworks.softBoundary(
            d, movingRadius: radius, nu: nu, after: radiusEpochs * batch.stepsPerEpoch, in: plan)
        return TrainingOutputs(loss: loss, features: z, scale: .rootMeanSquare)
    }

    /// The squared distance from the center.
    public func scoreFeatures(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> Tensor {
        let z = try outputs(batch.images, batch.encoder, batch.headWidths, in: plan)
        let d = try rowDistance(z, target: try center(z, in: plan), in: plan)
        return plan.reshaped(d, [z.shape[0], 1])
    }
}
