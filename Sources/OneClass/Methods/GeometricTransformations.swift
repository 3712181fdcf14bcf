import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// Geometric transformations (Golan & El-Yaniv, NeurIPS 2018): a classifier tells by which of 72 transformations an image was
/// changed: mirrored or not, moved by a quarter of its side in nine ways, rotated by a multiple of 90 degrees.
///
/// Its own scores, of whole images, with p(t | x) the classifier's probabilities and T_t the transformations:
/// - "simple": 1 - mean_t p(t | T_t x);
/// - "dirichlet": -mean_t sum_k (alpha_tk - 1) log p(k | T_t x), where the alpha_t are fitted to the training images'
///   probabilities under T_t.
public struct GeometricTransformations: TransformationScoring, Equatable {
    /// The method, which has no choices.
    public init() {}

    /// geometric.
    public let name = "geometric"
    /// The method in a line.
    public let summary = "Predicts by which of 72 flips, shifts and rotations an image was changed."
    /// None.
    public static let settings: [Setting<GeometricTransformations>] = []

    /// The released code's batch of 128 and three epochs, and no further augmentation; the classifier stands on the features.
    public var defaults: TrainingDefaults {
        TrainingDefaults(headWidths: [], recipe: "none", batch: 128, epochs: 3, holdsEpoch: false)
    }
    /// The four numbers of a transformation.
    public let rowInputs = [RowInput("mirror"), RowInput("shift", width: 2), RowInput("rotation")]

    /// In the order of the released code; the first is none.
    public let transformations: [[Int]] = [0, 1].flatMap { mirror in
        [0, -1, 1].flatMap { right in
            [0, -1, 1].flatMap { down in [0, 2, 4, 6].map { rotation in [mirror, down, right, rotation] } }
        }
    }

    /// Each image under each transformation is an item.
    public func itemCount(images: Int) -> Int { images * transformations.count }
    /// One row an item.
    public let copies = 1
    /// The image under the item's transformation; the label is which.
    public func view(item: Int, copy: Int) -> BatchRow {
        let label = item % transformations.count
        return BatchRow(image: item / transformations.count, label: label, inputs: transformations[label])
    }

    /// The classifier of 72.
    public func classifierHead(widths: [Int]) -> ProjectionHead? {
        ProjectionHead(widths: widths, logits: transformations.count)
    }

    /// Mirrors, moves and rotates images [N,S,S,3], in this order.
    public func transformed(_ images: Tensor, _ inputs: RowInputTensors, in plan: PlanBuilder) throws
        -> Tensor
    {
        let side = try images.shape(dimensions: 4, of: "geometric", "translate")[1]
        var x = try dihedral(images, transforms: inputs["mirror"], in: plan)
        x = try translate(x, shifts: inputs["shift"], unit: side / 4, in: plan)
        return try dihedral(x, transforms: inputs["rotation"], in: plan)
    }

    /// The cross-entropy of the transformations that the classifier tells.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let x = try transformed(try batch.recipe(batch.images, in: plan), batch.inputs, in: plan)
        let features = try batch.encoder(x, in: plan).pooled
        let head = ProjectionHead(widths: batch.headWidths, logits: transformations.count)
        let loss = try softmaxCrossEntropy(try head(features, in: plan), labels: batch.labels, in: plan)
        return TrainingOutputs(loss: loss, features: features)
    }

    /// Below this a probability is rounding.
    private static let smallest = 1e-12

    /// Fits the concentrations alpha [72,72] to the training images' probabilities.
    public func fitScores(_ p: TransformationProbabilities) throws -> DetectorState {
        var state = DetectorState(), alpha: [Double] = []
        for transformation in transformations.indices {
            var logarithms = [Double](repeating: 0, count: p.classes), means = logarithms
            for image in 0..<p.images {
                for label in 0..<p.classes {
                    let value = max(p(transformation, image: image, class: label), Self.smallest)
                    logarithms[label] += log(value) / Double(p.images)
                    means[label] += value / Double(p.images)
                }
            }
            alpha += try Dirichlet(meanLogarithms: logarithms, means: means).alpha
        }
        state.set("alpha", alpha, shape: [transformations.count, p.classes])
        return state
    }

    /// "simple" and "dirichlet", one score an image.
    public func transformationScores(_ p: TransformationProbabilities, state: DetectorState) throws
        -> [String: [Double]]
    {
        let alpha = try state.array("alpha"), count = Double(transformations.count)
        guard alpha.shape == [transformations.count, p.classes] else {
            throw OCCError(.badData, "the concentrations are not of \(transformations.count) transformations")
        }
        return [
            "simple": (0..<p.images).map { image in
                1 - transformations.indices.reduce(0) { $0 + p($1, image: image, class: $1) } / count
            },
            "dirichlet": (0..<p.images).map { image in
                -transformations.indices.reduce(0) { sum, transformation in
                    (0..<p.classes).reduce(sum) { sum, label in
                        let value = max(p(transformation, image: image, class: label), Self.smallest)
                        return sum + (alpha.values[transformation * p.classes + label] - 1) * log(value)
                    }
                } / count
            },
        ]
    }
}
