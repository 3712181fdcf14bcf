import OCCDetectors
import OCCEngine

/// A method whose classifier tells by which transformation an image was changed: how sure it is of them
/// scores an image without a detector (Golan & El-Yaniv, NeurIPS 2018). For models of whole images.
public protocol TransformationScoring: Method {
    /// The row inputs of every transformation, in the order of the classes.
    var transformations: [[Int]] { get }
    /// Appends the transformation of images [N,S,S,3].
    func transformed(_ images: Tensor, _ inputs: RowInputTensors, in plan: PlanBuilder) throws -> Tensor
    /// Whether `fitScores` reads the probabilities, which cost a pass over the training images for each transformation.
    /// By default true; one whose scores need nothing says false, and `fitScores` is not called.
    var scoresAreFitted: Bool { get }
    /// What the scores need to know of normal images; nothing by default.
    func fitScores(_ probabilities: TransformationProbabilities) throws -> DetectorState
    /// The scores by name, each one an image; higher is more anomalous.
    ///
    /// - Parameter state: what `fitScores` found.
    func transformationScores(_ probabilities: TransformationProbabilities, state: DetectorState) throws
        -> [String: [Double]]
}

extension TransformationScoring {
    /// True.
    public var scoresAreFitted: Bool { true }

    /// An empty state: the scores need nothing.
    public func fitScores(_ probabilities: TransformationProbabilities) throws -> DetectorState {
        DetectorState()
    }
}

/// The probabilities p(class | image under a transformation).
public struct TransformationProbabilities: Sendable {
    /// The number of images.
    public let images: Int
    /// The number of classes.
    public let classes: Int
    /// The probabilities by transformation: images x classes, row-major.
    public let values: [[Float]]

    /// Probabilities by transformation, images * classes of each.
    public init(images: Int, classes: Int, values: [[Float]]) {
        precondition(values.allSatisfy { $0.count == images * classes })
        self.images = images
        self.classes = classes
        self.values = values
    }

    /// The probability of a class for an image under a transformation.
    public func callAsFunction(_ transformation: Int, image: Int, class label: Int) -> Double {
        Double(values[transformation][image * classes + label])
    }
}
