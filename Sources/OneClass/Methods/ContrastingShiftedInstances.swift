import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// CSI, novelty detection by contrasting shifted instances (Tack et al., NeurIPS 2020): each image in four
/// rotations, which are instances of their own; every instance gives two views. NT-Xent contrasts all views
/// of the batch, and a classifier on the features tells the rotation. Unlike
/// `Contrastive.distributionAugmented`, an image's rotations are negatives of each other in every step, all
/// views are anchors, and the rotation is predicted.
///
/// Its own score, with z the embedding, l the classifier's logits, R_r the rotations and x_m the training
/// images: -mean_r (max_m cos(z(R_r x), z(R_r x_m)) |z(R_r x)| / a_r + l_r(R_r x) / b_r), where a_r and b_r
/// are the training images' means of |z| and |l_r| (the authors' code, which has the mean of l_r for the
/// latter: the same where it is positive).
public struct ContrastingShiftedInstances: OwnScoring, Equatable {
    /// The temperature of NT-Xent.
    public var temperature = 0.5

    /// The method, with the paper's temperature.
    public init() {}

    /// The name it is chosen by.
    public let name = "csi"
    /// What it is, in a line.
    public let summary = "Contrasts images and their rotations, and predicts the rotation (CSI)."
    /// The temperature.
    public static let settings = [
        Setting(
            "temperature", \ContrastingShiftedInstances.temperature, "T", range: .within(0.001...1000),
            "Temperature of the contrastive loss.")
    ]

    /// The authors' head of two layers, rate, decay, warm-up, epochs and LARS. Their warm-up ends at ten times the
    /// rate that their option is called by (`GradualWarmupScheduler(multiplier=10)`).
    public var defaults: TrainingDefaults {
        TrainingDefaults(
            headWidths: [512, 128], learningRate: 1, weightDecay: 1e-6, batch: 32, epochs: 1000,
            optimizer: .lars, warmupEpochs: 10, holdsEpoch: false, scoresItself: true)
    }
    /// The symmetry that rotates each row (ck_dihedral.h).
    public let rowInputs = [RowInput("rotation")]
    /// Rotations are every other symmetry of the square.
    public let scoredViews = [[0], [2], [4], [6]]
    /// Two views of each rotation.
    public var copies: Int { 2 * scoredViews.count }

    /// All first views, the rotations of an image together, then all second ones, as NT-Xent takes them.
    public func row(index: Int, copy: Int, batch: Int) -> Int {
        let shifts = scoredViews.count
        return (copy / shifts * batch + index) * shifts + copy % shifts
    }

    /// The image and the rotation of a copy, which is its label.
    public func view(item: Int, copy: Int) -> BatchRow {
        let shift = copy % scoredViews.count
        return BatchRow(image: item, label: shift, inputs: scoredViews[shift])
    }

    /// Checks that there is a head.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    public func check(headWidths: [Int]) throws {
        guard !headWidths.isEmpty else {
            throw OCCError(
                .usage, "\(setting: "head") is none: csi needs an embedding of at least one width")
        }
    }

    /// The embedding [N,D]: dense layers with biases and ReLU between, and the rotation's logits [N,4], both
    /// of the features.
    private func outputs(
        _ images: Tensor, _ encoder: any Encoder, _ head: [Int], in plan: PlanBuilder
    ) throws -> (features: Tensor, embedding: Tensor, logits: Tensor) {
        let features = try encoder(images, in: plan).pooled
        var z = features
        for (index, width) in head.dropLast().enumerated() {
            z = try relu(try Dense("head.\(index)", units: width, bias: true)(z, in: plan), in: plan)
        }
        z = try Dense("head.embed", units: head[head.count - 1], bias: true)(z, in: plan)
        let shifts = Dense("head.shift", units: scoredViews.count, bias: true)
        return (features, z, try shifts(features, in: plan))
    }

    /// Appends rotation, recipe, encoder, head, NT-Xent and the rotation's cross-entropy.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        guard plan.part == .whole else {
            throw OCCError(
                .usage, "\(setting: "micro-batch"): csi's loss is of embeddings and of classes",
                remedy: "Lower \(setting: "batch") instead.")
        }
        // A mirror image turned by 90 degrees is not the mirror image of the turned one: the recipe comes
        // first.
        let views = try batch.recipe(batch.images, in: plan)
        let (features, z, logits) = try outputs(
            try dihedral(views, transforms: batch.inputs["rotation"], in: plan), batch.encoder,
            batch.headWidths, in: plan)
        let contrast = try ntXent(
            try l2Normalize(z, in: plan), temperature: Float(temperature), form: .symmetric, in: plan)
        let prediction = try softmaxCrossEntropy(logits, labels: batch.labels, in: plan)
        return TrainingOutputs(
            loss: try sumOfLosses(contrast, prediction, in: plan), features: features, embeddings: z)
    }

    /// Embedding and logits of the rotated image, side by side.
    public func scoreFeatures(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> Tensor {
        let rotated = try dihedral(batch.images, transforms: batch.inputs["rotation"], in: plan)
        let (_, z, logits) = try outputs(rotated, batch.encoder, batch.headWidths, in: plan)
        return try concatenate(z, logits, in: plan)
    }

    /// The score of the class's description.
    public var scoreDetector: any Detector { ShiftedInstanceScore(shifts: scoredViews.count) }
}

/// CSI's score of features: for each shift an embedding and the logits of all shifts.
struct ShiftedInstanceScore: Detector {
    let shifts: Int
    let name = "csi score", summary = "Similarity to training embeddings and certainty of the shift."
    static let settings: [Setting<ShiftedInstanceScore>] = []

    func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFinite()
        let parts = try ShiftParts(features, shifts: shifts)
        return Fitted(
            shifts: shifts, axes: parts.embeddings.map { $0.normalized().matrix },
            norms: parts.norms.map { mean($0) },
            logits: parts.logits.map { own in mean(own.map(abs)) })
    }

    func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        let norms = try state.array("norms").values, logits = try state.array("logits").values
        let axes = try (0..<shifts).map { try state.matrix("axes.\($0)") }
        guard norms.count == shifts, logits.count == shifts, Set(axes.map(\.columns)).count == 1 else {
            throw OCCError(.badData, "the detector's arrays are not of \(shifts) rotations")
        }
        return Fitted(shifts: shifts, axes: axes, norms: norms, logits: logits)
    }

    private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(1, values.count)) }

    private struct Fitted: OneClassClassifier {
        let shifts: Int
        let axes: [FeatureMatrix], norms: [Double], logits: [Double]

        var state: DetectorState {
            var state = DetectorState()
            for (index, axis) in axes.enumerated() { state.set("axes.\(index)", axis) }
            state.set("norms", norms, shape: [shifts])
            state.set("logits", logits, shape: [shifts])
            return state
        }

        func scores(_ features: FeatureMatrix) throws -> [Double] {
            let parts = try ShiftParts(features, shifts: shifts)
            guard parts.embeddings.allSatisfy({ $0.columns == axes[0].columns }) else {
                throw OCCError(.badData, "features of \(features.columns) columns for a detector of others")
            }
            try features.requireFinite()
            var result = [Double](repeating: 0, count: features.rows)
            for shift in 0..<shifts {
                let distances = try NearestNeighbors().fit(axes[shift]).scores(parts.embeddings[shift])
                for row in 0..<features.rows {
                    let similar = (1 - distances[row]) * parts.norms[shift][row] / max(norms[shift], 1e-12)
                    let certain = parts.logits[shift][row] / max(logits[shift], 1e-12)
                    result[row] -= (similar + certain) / Double(shifts)
                }
            }
            return result
        }
    }
}

/// The parts of CSI's features.
private struct ShiftParts {
    /// The embeddings of each shift.
    var embeddings: [FeatureMatrix] = []
    /// Their norms.
    var norms: [[Double]] = []
    /// The logit of each shift under itself.
    var logits: [[Double]] = []

    /// - Throws: `OCCError(.badData)` where the columns are not those of so many shifts.
    init(_ features: FeatureMatrix, shifts: Int) throws {
        let own = features.columns / shifts, width = own - shifts
        guard own * shifts == features.columns, width > 0 else {
            throw OCCError(.badData, "features of \(features.columns) columns are not of \(shifts) rotations")
        }
        for shift in 0..<shifts {
            let rows = (0..<features.rows).map { $0 * features.columns + shift * own }
            let values = rows.flatMap { features.values[$0..<$0 + width] }
            let matrix = FeatureMatrix(rows: features.rows, columns: width, values: values)
            embeddings.append(matrix)
            norms.append(
                (0..<features.rows).map { row in
                    values[row * width..<(row + 1) * width].reduce(0.0) { $0 + Double($1) * Double($1) }
                        .squareRoot()
                })
            logits.append(rows.map { Double(features.values[$0 + width + shift]) })
        }
    }
}
