import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// Rotation prediction (Gidaris et al. 2018; Golan & El-Yaniv 2018): each image four times, each copy under
/// its own draw of the recipe and then rotated by 0, 90, 180, 270 degrees; the label is the rotation.
///
/// With outlier exposure (Hendrycks et al., NeurIPS 2019), images of something else are shown too, in the
/// same rotations; the classifier is to give them the uniform distribution.
public struct RotationPrediction: TransformationScoring, Equatable {
    /// Whether images of something else are shown.
    public let usesOutliers: Bool
    /// What the mean of their cross-entropies is multiplied by.
    public var outlierWeight = 0.5

    /// The method, plain or with outlier exposure.
    public init(exposed: Bool = false) { usesOutliers = exposed }

    /// The form with outlier exposure.
    public static let exposed = RotationPrediction(exposed: true)

    /// The name of the form: `rotation` or `rotation-exposed`.
    public var name: String { usesOutliers ? "rotation-exposed" : "rotation" }
    /// What it is, in a line.
    public var summary: String {
        usesOutliers
            ? "Rotation prediction that is to be unsure of another data set's images."
            : "Predicts by which quarter turn an image was rotated."
    }
    /// The weight of outliers.
    public static let settings = [
        Setting(
            "outlier-weight", \RotationPrediction.outlierWeight, "W", range: .within(0...1000),
            "Weight of the loss of images that are no normal ones.")
    ]
    /// Without outliers, their weight.
    public var unusedSettings: Set<String> { usesOutliers ? [] : ["outlier-weight"] }

    /// The paper's head: 512 x 8 before the classifier of four.
    public var defaults: TrainingDefaults { TrainingDefaults() }
    /// The symmetry that rotates each row (ck_dihedral.h).
    public let rowInputs = [RowInput("rotation")]
    /// One copy for each rotation, and of an outlier as many.
    public var copies: Int { usesOutliers ? 8 : 4 }
    /// Rotations are every other symmetry of the square (ck_dihedral.h).
    public let transformations = [[0], [2], [4], [6]]

    /// False: the scores need nothing but the probabilities.
    public var scoresAreFitted: Bool { false }

    /// The image and the rotation of a copy; the label is the number of quarter turns, of an outlier -1.
    public func view(item: Int, copy: Int) -> BatchRow {
        let inputs = transformations[copy % 4]
        return copy < 4
            ? BatchRow(image: item, label: copy, inputs: inputs)
            : BatchRow(outlierWithLabel: -1, inputs: inputs)
    }

    /// The head whose classes are the rotations by 0, 90, 180, 270 degrees.
    public func classifierHead(widths: [Int]) -> ProjectionHead? { ProjectionHead(widths: widths, logits: 4) }

    /// Appends the rotation of images [N,S,S,3].
    public func transformed(_ images: Tensor, _ inputs: RowInputTensors, in plan: PlanBuilder) throws
        -> Tensor
    {
        try dihedral(images, transforms: inputs["rotation"], in: plan)
    }

    /// Appends recipe, rotation, encoder, head and the cross-entropy.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let x = try transformed(try batch.recipe(batch.images, in: plan), batch.inputs, in: plan)
        let features = try batch.encoder(x, in: plan).pooled
        let logits = try ProjectionHead(widths: batch.headWidths, logits: 4)(features, in: plan)
        return TrainingOutputs(
            loss: try softmaxCrossEntropy(
                logits, labels: batch.labels, outliers: usesOutliers ? logits.shape[0] / 2 : 0,
                outlierWeight: outlierWeight, in: plan), features: features)
    }

    /// Scores images: "upright" is 1 - p(0 degrees | x); "product" is 1 - prod_r p(r | x rotated by r) (the
    /// reference code of Sohn et al.).
    public func transformationScores(_ p: TransformationProbabilities, state: DetectorState) -> [String:
        [Double]]
    {
        [
            "upright": (0..<p.images).map { 1 - p(0, image: $0, class: 0) },
            "product": (0..<p.images).map { image in
                -expm1((0..<4).reduce(0) { $0 + log(max(p($1, image: image, class: $1), 1e-300)) })
            },
        ]
    }
}
