import OCCData
import OCCEngine
import OCCNetworks

/// A self-supervised task: which views of which images it shows the encoder, with which labels, under which
/// objective.
///
/// Conforming types are values that carry their own settings and training defaults; the trainer owns the
/// loop, the plan and the data. An item is what a step counts: an image, or an image under a transformation
/// that makes it an instance of its own. Each item gives `copies` rows of the batch.
public protocol Method: Configurable {
    /// What it is trained with where the configuration says nothing else.
    var defaults: TrainingDefaults { get }
    /// The numbers that the host writes for each row, beside its image and label: transformations, for
    /// instance.
    var rowInputs: [RowInput] { get }
    /// Items that a data set of `images` images gives: distribution augmentation makes several of each.
    func itemCount(images: Int) -> Int
    /// Rows of the batch that one item takes.
    var copies: Int { get }
    /// The row of the batch that copy `copy` of the batch's item `index` takes.
    func row(index: Int, copy: Int, batch: Int) -> Int
    /// What a row shows.
    func view(item: Int, copy: Int) -> BatchRow
    /// Appends augmentation, network and loss to a training plan.
    func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs
    /// Appends the loss over all of a batch's embeddings, which `build` gave a part of
    /// (`PlanBuilder.comparedEmbeddings`); only for a method whose loss compares embeddings.
    func compare(_ embeddings: Tensor, in plan: PlanBuilder) throws -> Tensor
    /// The head of its classifier, whose first class is that of images as they are; nil for a method without
    /// one.
    func classifierHead(widths: [Int]) -> ProjectionHead?
    /// Whether the encoder learns from it; of one that does not, no detector sees the encoder's features.
    var trainsEncoder: Bool { get }
    /// Whether it is shown images of something else (outlier exposure): rows whose `BatchRow.isOutlier` is
    /// true.
    var usesOutliers: Bool { get }
    /// Checks what the ranges of single settings cannot say.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    func check(headWidths: [Int]) throws
}

extension Method {
    /// Nothing beside image and label.
    public var rowInputs: [RowInput] { [] }
    /// One item for each image.
    public func itemCount(images: Int) -> Int { images }
    /// The copies of an item in adjacent rows.
    public func row(index: Int, copy: Int, batch: Int) -> Int { index * copies + copy }
    /// No loss over embeddings.
    public func compare(_ embeddings: Tensor, in plan: PlanBuilder) throws -> Tensor { embeddings }
    /// No classifier.
    public func classifierHead(widths: [Int]) -> ProjectionHead? { nil }
    /// True.
    public var trainsEncoder: Bool { true }
    /// False.
    public var usesOutliers: Bool { false }
    /// Nothing to check.
    public func check(headWidths: [Int]) throws {}
}

/// The methods by name.
public enum Methods {
    /// The methods that are built in, and what a program registers.
    public static let registry = Registry<any Method>(
        "method",
        [
            RotationPrediction(), RotationPrediction.exposed, GeometricTransformations(), Contrastive(),
            Contrastive.distributionAugmented, ContrastingShiftedInstances(),
            Denoising(), AutoEncoder(), DeepSVDD(), DeepSVDD.softBoundary, OutlierExposure(),
            FlowLikelihood(), DAGMM(),
            CutPastePrediction(.rectangle), CutPastePrediction(.scar), CutPastePrediction(.threeWay),
        ]
    ) { $0.name }
}

/// What a method is trained with where nothing else is said.
public struct TrainingDefaults: Sendable, Equatable {
    /// Widths of the projection head.
    public var headWidths: [Int]
    /// The augmentation recipe.
    public var recipe: String
    /// The learning rate's peak.
    public var learningRate: Double
    /// The L2 penalty.
    public var weightDecay: Double
    /// Items to a step.
    public var batch: Int
    /// Passes over the items.
    public var epochs: Int
    /// Optimizer steps, where the source counts these, whatever the epochs; nil where it counts epochs.
    public var steps: Int?
    /// The rule by which steps follow from gradients.
    public var optimizer: Optimizer.Kind
    /// The curve of the learning rate.
    public var schedule: LearningRateSchedule.Kind
    /// Epochs of linear warm-up from zero; in a run of another length than `epochs`, the same share of it.
    public var warmupEpochs: Int
    /// The epochs after which the learning rate is a tenth of what it was, for the schedule `milestones`; in a run
    /// of another length than `epochs`, after the same share of it.
    public var milestones: [Int]
    /// Whether the cosine keeps its value for an epoch; in a run of another length than `epochs`, for the same
    /// share of it.
    public var holdsEpoch: Bool
    /// Whether a method that scores by itself (`OwnScoring`) does so where no detector is chosen.
    public var scoresItself: Bool
    /// The head for runs of few steps, where `headWidths` is one whose loss leaves chance late; nil for others.
    public var quickHead: QuickHead?

    /// A head with which a method learns from its first steps on.
    public struct QuickHead: Sendable, Equatable {
        /// Widths of its layers.
        public let widths: [Int]
        /// Steps below which a deeper head has hardly learned anything.
        public let steps: Int

        /// A head for runs of fewer steps.
        public init(widths: [Int], steps: Int) { (self.widths, self.steps) = (widths, steps) }
    }

    /// The defaults of a method; what is left out is what Sohn et al. (ICLR 2021) use for all methods.
    public init(
        headWidths: [Int] = [Int](repeating: 512, count: 8),
        recipe: String = "\(AugmentationRecipe.standard)",
        learningRate: Double = 0.01, weightDecay: Double = 3e-4, batch: Int = 64, epochs: Int = 2048,
        steps: Int? = nil, optimizer: Optimizer.Kind = .sgd,
        schedule: LearningRateSchedule.Kind = .cosine, warmupEpochs: Int = 0, milestones: [Int] = [],
        holdsEpoch: Bool = true, scoresItself: Bool = false, quickHead: QuickHead? = nil
    ) {
        self.quickHead = quickHead
        self.headWidths = headWidths
        self.recipe = recipe
        self.learningRate = learningRate
        self.weightDecay = weightDecay
        self.batch = batch
        self.epochs = epochs
        self.steps = steps
        self.optimizer = optimizer
        self.schedule = schedule
        self.warmupEpochs = warmupEpochs
        self.milestones = milestones
        self.holdsEpoch = holdsEpoch
        self.scoresItself = scoresItself
    }
}

/// A run of whole numbers that the host writes for each row of a batch.
public struct RowInput: Sendable, Equatable {
    /// The name that the method asks for its tensor by.
    public let name: String
    /// How many of them.
    public let width: Int

    /// A row input of `width` numbers.
    public init(_ name: String, width: Int = 1) {
        self.name = name
        self.width = width
    }
}

/// What one row of a batch shows.
public struct BatchRow: Sendable, Equatable {
    /// The image, by its place among the training images.
    public let image: Int
    /// Whether an image of something else is shown: which one is drawn for each item and step.
    public let isOutlier: Bool
    /// The class that the method's loss is given; 0 for a method without labels.
    public let label: Int
    /// The values of the method's row inputs, one after the other.
    public let inputs: [Int]

    /// A row of an image; `inputs` must have a number for each that the method's row inputs declare.
    public init(image: Int, label: Int = 0, inputs: [Int] = []) {
        self.image = image
        self.label = label
        self.inputs = inputs
        isOutlier = false
    }

    /// A row of an image of something else, the same one for all such rows of an item.
    public init(outlierWithLabel label: Int, inputs: [Int] = []) {
        image = 0
        self.label = label
        self.inputs = inputs
        isOutlier = true
    }
}

/// The method's row inputs as tensors of a plan.
public struct RowInputTensors {
    let tensors: [String: Tensor]

    /// The tensor of a row input: int32 [N], or [N,width] where it has more than one number.
    public subscript(name: String) -> Tensor {
        guard let tensor = tensors[name] else {
            preconditionFailure("the method declares no row input '\(name)'")
        }
        return tensor
    }

    /// Declares them in a plan, under names with a prefix.
    init(_ inputs: [RowInput], rows: Int, prefix: String, in plan: PlanBuilder) throws {
        tensors = Dictionary(
            uniqueKeysWithValues: try inputs.map { input in
                let shape = input.width == 1 ? [rows] : [rows, input.width]
                return (input.name, try plan.input("\(prefix)\(input.name)", shape, type: .int32))
            })
    }
}

/// What a method builds its training plan from.
public struct TrainingBatch {
    /// The images, [N,S,S,3] in 0...1, as stored.
    public let images: Tensor
    /// The classes, int32 [N].
    public let labels: Tensor
    /// What the host writes for each row.
    public let inputs: RowInputTensors
    /// The augmentation that views are drawn under.
    public let recipe: AugmentationRecipe
    /// The network to train.
    public let encoder: any Encoder
    /// Widths of the projection head.
    public let headWidths: [Int]
    /// Steps to a pass over the items.
    public let stepsPerEpoch: Int
}

/// What a training plan gives back.
public struct TrainingOutputs {
    /// The loss, a scalar.
    public let loss: Tensor
    /// The pooled features of the batch, [N,D], watched for collapse.
    public let features: Tensor
    /// What their spread is relative to.
    public let scale: CollapseMonitor.Scale
    /// The embeddings that a loss contrasts, [2B,D], whose rows i and i + B are views of one instance; nil
    /// for other methods. Their alignment and uniformity are watched.
    public let embeddings: Tensor?

    /// The outputs of a method; `loss` is what the plan differentiates.
    public init(
        loss: Tensor, features: Tensor, scale: CollapseMonitor.Scale = .norms, embeddings: Tensor? = nil
    ) {
        self.loss = loss
        self.scale = scale
        self.features = features
        self.embeddings = embeddings
    }
}
