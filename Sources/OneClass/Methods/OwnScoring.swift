import OCCDetectors
import OCCEngine
import OCCNetworks

/// A method that scores images by itself, with what it has learnt beside the encoder: the detector `own`.
///
/// What it computes of an image goes to a detector of its own, so that calibration, thresholds, folds and
/// files are as for every other detector.
public protocol OwnScoring: Method {
    /// The values of the row inputs under which an image is looked at, one view after the other. By default
    /// one view that has none.
    var scoredViews: [[Int]] { get }
    /// Appends what a view is scored by, [N,D]; the views' are side by side in the order of `scoredViews`.
    func scoreFeatures(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> Tensor
    /// The detector of these features. By default `OwnScore`: there is one column, the score.
    var scoreDetector: any Detector { get }
    /// Whether the score of a black image means anything, so that a path from it can explain another score. By default
    /// it does.
    var scoresBlack: Bool { get }
}

extension OwnScoring {
    /// The image as it is.
    public var scoredViews: [[Int]] { [[]] }
    /// The features are the score.
    public var scoreDetector: any Detector { OwnScore() }
    /// True.
    public var scoresBlack: Bool { true }
}

/// A method whose own score is of pixels: a model of whole images has maps by it (`OneClassModel.localize`).
public protocol MapScoring: OwnScoring {
    /// Appends what an image is scored by, [N,D], and the scores of its pixels, [N,S,S]; higher is more anomalous. Such
    /// a method looks at images under one view.
    func scoreMaps(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> (features: Tensor, maps: Tensor)
}

extension MapScoring {
    /// What the image is scored by, without the scores of its pixels.
    public func scoreFeatures(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> Tensor {
        try scoreMaps(batch, in: plan).features
    }
}

/// A method that looks at the training images once, with the weights that training begins with: at all of them, or
/// `detector-rows` of them or their patches, evenly.
public protocol FirstPass: Method {
    /// Appends what it looks at, [N,D].
    func firstFeatures(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> Tensor
    /// The statistics of its plans that follow, by name.
    func statistics(of features: FeatureMatrix) throws -> [String: [Float]]
}

/// What a method computes scores from.
public struct ScoringBatch {
    /// The images, [N,S,S,3] in 0...1, as stored.
    public let images: Tensor
    /// The method's row inputs, of the view that is looked at; none of a method with one view.
    public let inputs: RowInputTensors
    /// The network.
    public let encoder: any Encoder
    /// Widths of the projection head.
    public let headWidths: [Int]
}
