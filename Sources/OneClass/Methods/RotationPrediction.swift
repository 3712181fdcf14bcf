import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// Rotation prediction (Gidaris et al. 2018; Golan & El-Yaniv 2018): each image four times, each copy under
/// its own draw of the recipe and then rotated by 0, 90, 180, 270 degrees; the label is the rotation.
public struct RotationPrediction: TransformationScoring, Equatable {
    public init() {}

    public let name = "rotation"
    public let summary = "Predicts by which quarter turn an image was rotated."
    public static let settings: [Setting<RotationPrediction>] = []

    /// The paper's head: 512 x 8 before the classifier of four.
    public var defaults: TrainingDefaults { TrainingDefaults() }
    public let rowInputs = [RowInput("rotation")]
    public let copies = 4
    /// Rotations are every other symmetry of the square (ck_dihedral.h).
    public let transformations = [[0], [2], [4], [6]]

    public var scoresAreFitted: Bool { false }

    public func view(item: Int, copy: Int) -> BatchRow {
        BatchRow(image: item, label: copy, inputs: transformations[copy])
    }

    public func classifierHead(widths: [Int]) -> ProjectionHead? { ProjectionHead(widths: widths, logits: 4) }

    public func transformed(_ images: Tensor, _ inputs: RowInputTensors, in plan: PlanBuilder) throws
        -> Tensor
    {
        try dihedral(images, transforms: inputs["rotation"], in: plan)
    }

    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let x = try transformed(try batch.recipe(batch.images, in: plan), batch.inputs, in: plan)
        let features = try batch.encoder(x, in: plan).pooled
        let logits = try ProjectionHead(widths: batch.headWidths, logits: 4)(features, in: plan)
        return TrainingOutputs(
            loss: try softmaxCrossEntropy(logits, labels: batch.labels, in: plan), features: features)
    }

    /// "upright": 1 - p(0 degrees | x); "product": 1 - prod_r p(r | x rotated by r) (the reference code of Sohn et al.).
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
