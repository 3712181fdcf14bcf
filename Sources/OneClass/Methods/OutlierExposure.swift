import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// A classifier of normal images and images of something else (Hendrycks et al., "Deep anomaly detection with
/// outlier exposure", ICLR 2019; as the one-class baseline of Hendrycks et al., NeurIPS 2019). Its own score
/// is the difference of the two logits.
public struct OutlierExposure: OwnScoring, Equatable {
    /// The method; it has no settings.
    public init() {}

    /// The name it is chosen by.
    public let name = "outlier-exposure"
    /// What it is, in a line.
    public let summary = "Tells normal images from those of another data set (outlier exposure)."
    /// None.
    public static let settings: [Setting<OutlierExposure>] = []

    /// The classifier stands on the features.
    public var defaults: TrainingDefaults { TrainingDefaults(headWidths: [], scoresItself: true) }
    /// True.
    public let usesOutliers = true
    /// A normal image and one of something else.
    public let copies = 2
    /// The normal image, labeled 0, or another one, labeled 1.
    public func view(item: Int, copy: Int) -> BatchRow {
        copy == 0 ? BatchRow(image: item) : BatchRow(outlierWithLabel: 1)
    }

    /// The head whose classes are normal images and others.
    public func classifierHead(widths: [Int]) -> ProjectionHead? { ProjectionHead(widths: widths, logits: 2) }

    /// Appends recipe, encoder, head and the cross-entropy.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let features = try batch.encoder(try batch.recipe(batch.images, in: plan), in: plan).pooled
        let logits = try ProjectionHead(widths: batch.headWidths, logits: 2)(features, in: plan)
        return TrainingOutputs(
            loss: try softmaxCrossEntropy(logits, labels: batch.labels, in: plan), features: features)
    }

    /// The two logits.
    public func scoreFeatures(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> Tensor {
        let features = try batch.encoder(batch.images, in: plan).pooled
        return try ProjectionHead(widths: batch.headWidths, logits: 2)(features, in: plan)
    }

    /// The logit of other images less that of normal ones.
    public var scoreDetector: any Detector { LogitDifference() }
}

/// The second of two logits less the first.
struct LogitDifference: Detector {
    let name = "logit difference", summary = "The second of two logits less the first."
    static let settings: [Setting<LogitDifference>] = []
    private let fitted = RowScore(
        columns: 2, score: { Double($0[1]) - Double($0[0]) }, gradient: { _ in [-1, 1] })

    func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier { fitted }
    func restore(_ state: DetectorState) throws -> any OneClassClassifier { fitted }
}
