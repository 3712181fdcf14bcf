import OCCData
import OCCEngine
import OCCNetworks

/// CutPaste (Li et al., CVPR 2021): each image as it is and with a part of it pasted elsewhere; the label
/// says which. With both kinds of pasting it is the paper's 3-way classification.
public struct CutPastePrediction: Method, Equatable {
    /// What is told apart from images as they are.
    public enum Form: Sendable {
        /// A rectangle of the image, pasted elsewhere.
        case rectangle
        /// A thin rotated scar.
        case scar
        /// Both, as two classes.
        case threeWay
    }

    /// What is told apart from images as they are.
    public let form: Form

    /// The method in one of its forms.
    public init(_ form: Form) { self.form = form }

    /// The name of the form: `cutpaste`, `cutpaste-scar` or `cutpaste-3way`.
    public var name: String {
        switch form {
        case .rectangle: "cutpaste"
        case .scar: "cutpaste-scar"
        case .threeWay: "cutpaste-3way"
        }
    }
    /// What it is, in a line.
    public var summary: String {
        switch form {
        case .rectangle: "Tells images from such with a part pasted elsewhere (CutPaste)."
        case .scar: "CutPaste with thin scars."
        case .threeWay: "CutPaste with parts and scars as two classes."
        }
    }
    /// No settings: the form is the name's.
    public static let settings: [Setting<CutPastePrediction>] = []

    /// The learning rate and weight decay are the paper's, the recipe its weak crops and colors; of the head
    /// it says nothing.
    public var defaults: TrainingDefaults {
        TrainingDefaults(
            headWidths: [512, 128], recipe: "cnr0.9+jitter_b0.1_c0.1_s0.1_h0.1", learningRate: 0.03,
            weightDecay: 3e-5, batch: 32, steps: 65_536, holdsEpoch: false)
    }
    /// What is pasted into each row: a `CutPaste.Kind`.
    public let rowInputs = [RowInput("pasted")]

    /// What the copies of an image show, in the order of the labels.
    public var kinds: [CutPaste.Kind] {
        switch form {
        case .rectangle: [.nothing, .rectangle]
        case .scar: [.nothing, .scar]
        case .threeWay: [.nothing, .rectangle, .scar]
        }
    }
    /// One copy for each label.
    public var copies: Int { kinds.count }

    /// The image with what its copy shows; the label is the copy's number.
    public func view(item: Int, copy: Int) -> BatchRow {
        BatchRow(image: item, label: copy, inputs: [kinds[copy].rawValue])
    }

    /// The head whose classes are the labels: image as it is, then what is pasted.
    public func classifierHead(widths: [Int]) -> ProjectionHead? {
        ProjectionHead(widths: widths, logits: kinds.count)
    }

    /// Appends recipe, CutPaste, encoder, head and the cross-entropy.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let x = try CutPaste()(
            try batch.recipe(batch.images, in: plan), kinds: batch.inputs["pasted"], in: plan)
        let features = try batch.encoder(x, in: plan).pooled
        let logits = try ProjectionHead(widths: batch.headWidths, logits: kinds.count)(features, in: plan)
        return TrainingOutputs(
            loss: try softmaxCrossEntropy(logits, labels: batch.labels, in: plan), features: features)
    }
}
