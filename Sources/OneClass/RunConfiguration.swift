import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// Everything that decides a run's result; written as config.json beside it. What does not (threads, output
/// folder, logging) is not here, so that equal configurations give equal files.
///
/// A setting is declared once, in `settings` here or in those of the encoder, the method or the detector.
/// What is nil is the method's own choice (`Method.defaults`); `resolved` fills it in.
public struct RunConfiguration: HasSettings, Sendable {
    /// Which patches share a detector.
    public enum Locations: String, CaseIterable, Sendable {
        /// All: for textures, and objects in any pose.
        case shared
        /// Those of one place: for objects that lie alike in every image.
        case each
    }

    /// The rows of a batch that several ranks share which batch normalization takes its statistics of.
    public enum BatchNormScope: String, CaseIterable, Sendable {
        /// Of all ranks: the result does not depend on how many there are, but for rounding.
        case synchronized
        /// Each rank's own.
        case local
    }

    // MARK: Data
    /// The data set: a folder, or `builtin:NAME`.
    public var data = "builtin:shapes"
    /// The normal class, by index or name; nil where the data set says itself.
    public var normal: String?
    /// The side of images in pixels; nil for the data set's own.
    public var imageSize: Int?
    /// How an image that is not square fills its square.
    public var fit = Fit.stretch
    /// The sample of 16-bit images that is white; nil for what the training images use.
    public var white: Int?
    /// The share of normal training images held out to calibrate the threshold; the encoder and the detector
    /// never see them. nil for as many as `OneClassSplit.heldOut(of:)` says.
    public var holdOut: Double?
    /// The share of outliers mixed into the training images.
    public var contamination = 0.0
    /// The number of clean normal images the detector is fitted on; nil for all training images.
    public var labeledNormals: Int?
    /// The share of image files that may be unreadable.
    public var maxUnreadable = 0.01
    /// The number of training images at most; nil for all.
    public var maxTrain: Int?
    /// The number of test images at most; nil for all.
    public var maxTest: Int?

    // MARK: Representation
    /// The self-supervised task.
    public var method: any Method = RotationPrediction()
    /// The network.
    public var encoder: any Encoder = ResNet(.resnet18)
    /// The file of weights that the encoder begins with (safetensors, torchvision's or timm's names); nil for weights
    /// drawn from the seed.
    public var weights: String?
    /// The widths of the projection head; empty for none, nil for the method's own.
    public var head: [Int]?
    /// The augmentation recipe; nil for the method's own.
    public var augment: String?

    // MARK: Patches
    /// The side in pixels of the patches that the encoder sees; nil for whole images.
    public var patch: Int?
    /// The side in pixels of the patches that are scored; nil for that of the patches learned from.
    public var scorePatch: Int?
    /// Pixels between patches when images are scored; nil for an eighth of the patch that is scored.
    public var stride: Int?
    /// Which patches share a detector.
    public var locations = Locations.shared
    /// The encoder's stages whose maps the detector sees; nil for the last.
    public var layers: StageNumbers?

    // MARK: Training
    /// Items to a step: images for rotation and denoising, pairs for contrastive; nil for the method's own.
    public var batch: Int?
    /// Pairs that go through the network at once, the loss being over all of the batch; nil for all.
    public var microBatch: Int?
    /// The number of optimizer steps; nil to count by epochs, or for the method's own.
    public var steps: Int?
    /// Passes over the items of the method; nil for the method's own, or its steps.
    public var epochs: Int?
    /// The rule by which steps follow from gradients; nil for the method's own.
    public var optimizer: Optimizer.Kind?
    /// The peak of the learning rate; nil for the method's own.
    public var learningRate: Double?
    /// The curve of the learning rate after the warm-up; nil for the method's own.
    public var schedule: LearningRateSchedule.Kind?
    /// Steps of linear warm-up from zero; nil for the method's own.
    public var warmup: Int?
    /// Steps for which the cosine keeps its value; nil for the method's own.
    public var holdSteps: Int?
    /// The epochs after which the learning rate is a tenth of what it was; nil for the method's own.
    public var milestones: EpochNumbers?
    /// The share of the velocity that a step keeps, in 0..<1.
    public var momentum = 0.9
    /// Whether steps look ahead along the velocity (Nesterov 1983).
    public var nesterov = false
    /// The L2 penalty; nil for the method's own.
    public var weightDecay: Double?
    /// The trust coefficient of LARS.
    public var trust = 1e-3
    /// Whose statistics batch normalization takes where several ranks share a batch.
    public var batchNorm = BatchNormScope.synchronized
    /// The data set whose images a method is shown as outliers (`Method.usesOutliers`); nil for none.
    public var outliers: String?
    /// The seed of everything random.
    public var seed: UInt64 = 1
    /// How exactly the plans compute.
    public var math = MathMode.fast

    // MARK: Detection
    /// The detector, not fitted yet.
    public var detector: any Detector = KernelDensity()
    /// The rows of features that a detector is fitted on at most; more are left out, evenly.
    public var detectorRows = 20_000
    /// Where the scores come from that calibrate the threshold.
    public var calibration = CalibrationKind.split
    /// The number of folds, and of detectors, where the calibration is `cross`.
    public var folds = 5
    /// The rate of false alarms that the threshold is to promise; nil for the larger of 1 % and the lowest
    /// that the calibration can promise.
    public var falseAlarmRate: Double?

    /// The paper's setting: ResNet-18 learns rotations of the built-in shapes.
    public init() {}

    /// The run's own settings, in the order of listings; those of method, encoder and detector are theirs.
    public static let settings: [Setting<RunConfiguration>] = [
        Setting("data", \.data, "PATH", "A data set's folder, or builtin:shapes, surface, part or wheel."),
        Setting(
            "normal", \.normal, "CLASS",
            "The normal class, by index or name; by itself the only one there is to train on."),
        Setting(
            "image-size", \.imageSize, "PIXELS", range: .multiple(of: 32, in: ImageDataset.sides),
            "Side of the images; by itself the data set's own, and 64 for folders of images."),
        Setting("fit", \.fit, "How an image that is not square fills its square; pad has a black border."),
        Setting(
            "white", \.white, "SAMPLE", range: .within(1...65535),
            "The sample of 16-bit images that is white; by itself by the training images."),
        Setting(
            "hold-out", \.holdOut, "SHARE", range: .within(0..<0.9),
            "Normal training images kept for the threshold; by itself by their number, a quarter to a tenth."),
        Setting(
            "contamination", \.contamination, "SHARE", range: .within(0...0.5),
            "Outliers mixed into the training images."),
        Setting(
            "outliers", \.outliers, "PATH",
            "A data set, as for --data, whose images a method with outlier exposure learns to tell from normal ones."
        ),
        Setting(
            "labeled-normals", \.labeledNormals, "N", range: .count(from: 2),
            "Fit the detector on N clean normal images only; by itself on all training images."),
        Setting(
            "max-unreadable", \.maxUnreadable, "SHARE", range: .within(0...1),
            "Share of image files that may be unreadable."),
        Setting("max-train", \.maxTrain, "N", range: .count(from: 2), "Use at most N training images."),
        Setting("max-test", \.maxTest, "N", range: .count(from: 1), "Use at most N test images."),
        Setting(
            "head", \.head, "WIDTHS", range: .within(1...16384),
            "Widths of the layers between features and loss, such as 512x8,128 (eight of 512, one of 128), or none; by itself the method's."
        ),
        Setting(
            "augment", \.augment, "RECIPE",
            "Random changes of training images, such as cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2, or none; by itself the method's."
        ),
        Setting(
            "weights", \.weights, "FILE",
            "Weights that the encoder begins with: a safetensors file with torchvision's or timm's names."),
        Setting(
            "patch", \.patch, "PIXELS", range: .multiple(of: 8, in: 16...ImageDataset.sides.upperBound),
            "Learn from patches and localize; by itself from whole images."),
        Setting(
            "score-patch", \.scorePatch, "PIXELS",
            range: .multiple(of: 8, in: 16...ImageDataset.sides.upperBound),
            "Score patches of this side; by itself of the side that is learned from."),
        Setting(
            "stride", \.stride, "PIXELS", range: .within(1...Double(ImageDataset.sides.upperBound)),
            "From one patch of a scored image to the next; by itself an eighth of the patch."),
        Setting("locations", \.locations, "One detector for all patches, or one for each place."),
        Setting(
            "layers", \.layers, "STAGES", range: .within(1...64),
            "Stages of the encoder that the detector sees, such as 1,2,3; by itself the last."),
        Setting(
            "batch", \.batch, "N", range: .within(2...65536),
            "Images, or pairs, to a step; by itself the method's."),
        Setting(
            "micro-batch", \.microBatch, "N", range: .within(1...65536),
            "Pairs in memory at once, for batches beyond it: the contrastive loss is over the whole batch all the same."
        ),
        Setting(
            "steps", \.steps, "N", range: .count(from: 0),
            "Optimizer steps, whatever the epochs; by itself by the epochs, or the method's."),
        Setting(
            "epochs", \.epochs, "N", range: .within(0...1e6),
            "Passes over the training images, or pairs; by itself the method's."),
        Setting(
            "optimizer", \.optimizer,
            "How a step follows from gradients: by momentum, with a rate for each layer, for large batches, or of one size (Adam); by itself the method's."
        ),
        Setting(
            "learning-rate", \.learningRate, "RATE", range: .within(1e-30...1e30),
            "The learning rate at its peak; by itself the method's."),
        Setting(
            "schedule", \.schedule,
            "How the learning rate falls after the warm-up: not, by a cosine, or to a tenth at each milestone; by itself the method's."
        ),
        Setting(
            "warmup", \.warmup, "STEPS", range: .count(from: 0),
            "Steps in which the learning rate rises from zero to its peak; by itself the method's."),
        Setting(
            "hold-steps", \.holdSteps, "STEPS", range: .count(from: 1),
            "Steps for which the cosine schedule keeps its value; by itself the method's: an epoch, or 1."),
        Setting(
            "milestones", \.milestones, "EPOCHS", range: .within(1...1e6),
            "Epochs, such as 50,100, after which the learning rate is a tenth of what it was; by itself the method's."
        ),
        Setting(
            "momentum", \.momentum, "M", range: .within(0...0.9999),
            "Share of a step that the next one keeps."),
        Setting(flag: "nesterov", \.nesterov, "Look ahead along the momentum (Nesterov 1983)."),
        Setting(
            "weight-decay", \.weightDecay, "L2", range: .within(0...1000),
            "L2 penalty; by itself the method's."),
        Setting(
            "trust", \.trust, "T", range: .within(1e-9...1000),
            "The trust coefficient of LARS, the optimizer for large batches."),
        Setting(
            "batchnorm", \.batchNorm,
            "Whose statistics batch normalization takes where several ranks share a batch: all ranks', or each its own."
        ),
        Setting(
            "seed", \.seed, "N", range: .anySeed,
            "Seed of everything random: the same seed gives the same model."),
        Setting(
            "math", \.math,
            "How exactly sums are computed: as they are defined, or with more rounding and in less time."),
        Setting(
            "detector-rows", \.detectorRows, "N", range: .count(from: 2),
            "Rows of features that the detector is fitted on at most."),
        Setting(
            "calibration", \.calibration,
            "What calibrates the threshold: held-out images, or the training images by detectors fitted without them."
        ),
        Setting("folds", \.folds, "K", range: .within(2...100), "Detectors of a cross calibration."),
        Setting(
            "false-alarm-rate", \.falseAlarmRate, "SHARE", range: .between(0, 1),
            "That the threshold promises; by itself 0.01, or the lowest that the held-out images can promise."
        ),
    ]

    // MARK: In force

    /// The configuration with the method's own choices filled in: what a run's files hold.
    public var resolved: RunConfiguration {
        var result = self
        let defaults = method.defaults
        result.head = head ?? defaults.headWidths
        result.augment = augment ?? defaults.recipe
        result.batch = batch ?? defaults.batch
        result.steps = stepsInForce
        result.epochs = epochs ?? defaults.epochs
        result.learningRate = learningRate ?? defaults.learningRate
        result.weightDecay = weightDecay ?? defaults.weightDecay
        result.optimizer = optimizer ?? defaults.optimizer
        result.schedule = schedule ?? defaults.schedule
        result.stride = stride ?? scoredPatch.map { max(1, $0 / 8) }
        return result
    }

    /// Chooses another method; what was the old one's own choice becomes the new one's.
    mutating func replaceMethod(by other: any Method) {
        let old = method.defaults
        if head == old.headWidths { head = nil }
        if augment == old.recipe { augment = nil }
        if batch == old.batch { batch = nil }
        if epochs == old.epochs { epochs = nil }
        if steps == old.steps { steps = nil }
        if learningRate == old.learningRate { learningRate = nil }
        if weightDecay == old.weightDecay { weightDecay = nil }
        if optimizer == old.optimizer { optimizer = nil }
        if schedule == old.schedule { schedule = nil }
        method = other
        // Methods that score by themselves do so unless another detector is chosen after the method.
        if other.defaults.scoresItself {
            detector = OwnScore()
        } else if detector is OwnScore {
            detector = KernelDensity()
        }
    }

    /// The detector, where it sees the maps of whole images.
    var mapDetector: (any MapDetector)? { detector as? any MapDetector }

    /// The detector that is fitted: that of the method's own features where its own score is asked for.
    var detectorInForce: any Detector {
        guard detector is OwnScore, let own = method as? any OwnScoring else { return detector }
        return own.scoreDetector
    }

    /// The number of items to a step.
    public var itemsPerStep: Int { batch ?? method.defaults.batch }
    /// Widths of the projection head.
    var headWidths: [Int] { head ?? method.defaults.headWidths }
    /// The head to take instead, where the run has too few steps for its own to leave chance; nil where it has not.
    ///
    /// - Parameter steps: the run's.
    public func quickHead(steps: Int) -> TrainingDefaults.QuickHead? {
        guard steps > 0, let quick = method.defaults.quickHead, steps < quick.steps,
            headWidths.count >= method.defaults.headWidths.count
        else { return nil }
        return quick
    }
    /// The optimizer, with its numbers.
    var optimizerInForce: Optimizer {
        var result = Optimizer()
        result.kind = optimizer ?? method.defaults.optimizer
        (result.momentum, result.nesterov, result.trust) = (momentum, nesterov, trust)
        result.weightDecay = weightDecay ?? method.defaults.weightDecay
        return result
    }
    /// The learning rate over a run on `images` training images.
    ///
    /// What the method counts in its own epochs keeps its share of a run that is longer or shorter.
    package func learningRates(images: Int) -> LearningRateSchedule {
        let defaults = method.defaults, total = totalSteps(images: images)
        func steps(ofOwn epochs: Int) -> Int { epochs * total / max(1, defaults.epochs) }
        var result = LearningRateSchedule()
        result.kind = schedule ?? defaults.schedule
        result.peak = learningRate ?? defaults.learningRate
        result.warmupSteps = warmup ?? steps(ofOwn: defaults.warmupEpochs)
        result.holdSteps = holdSteps ?? (defaults.holdsEpoch ? max(1, steps(ofOwn: 1)) : 1)
        result.milestones =
            milestones?.numbers.map { $0 * stepsPerEpoch(images: images) }
            ?? defaults.milestones.map(steps(ofOwn:))
        return result
    }
    /// The augmentation recipe.
    var augmentation: AugmentationRecipe {
        get throws { try AugmentationRecipe(augment ?? method.defaults.recipe) }
    }

    /// Whether a version of occ-gpu that augments in another way would train another model.
    var augmentsImages: Bool {
        (augment ?? method.defaults.recipe) != "none" || !method.rowInputs.isEmpty
    }

    /// The number of optimizer steps, given or the method's own; nil where epochs count.
    private var stepsInForce: Int? { steps ?? (epochs == nil ? method.defaults.steps : nil) }

    /// The steps of a pass over the method's items of `images` training images, which drops its last incomplete
    /// batch.
    func stepsPerEpoch(images: Int) -> Int {
        max(1, method.itemCount(images: images) / itemsPerStep)
    }

    /// Counts the optimizer steps of a run on `images` training images; an epoch drops its last incomplete
    /// batch.
    public func totalSteps(images: Int) -> Int {
        stepsInForce ?? (epochs ?? method.defaults.epochs) * stepsPerEpoch(images: images)
    }

    /// The side in pixels of the patches that are scored; nil for whole images.
    public var scoredPatch: Int? { scorePatch ?? patch }

    /// Lays the patches that are scored over an image of this side; nil for whole images.
    public func grid(side: Int) throws -> PatchGrid? {
        try scoredPatch.map { try grid($0, of: scorePatch == nil ? "patch" : "score-patch", side: side) }
    }

    /// Lays patches of the side that is learned from over an image, as those that are scored lie; nil for whole images.
    package func learnedGrid(side: Int) throws -> PatchGrid? {
        try patch.map { try grid($0, of: "patch", side: side) }
    }

    private func grid(_ patch: Int, of name: String, side: Int) throws -> PatchGrid {
        guard patch <= side else {
            throw OCCError(
                .usage, "patches of \(patch) pixels in images of \(side)",
                remedy: "Lower \(setting: name) or raise \(setting: "image-size").")
        }
        return PatchGrid(side: side, patch: patch, stride: min(patch, stride ?? max(1, patch / 8)))
    }

    /// Checks what can be checked without data.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting and its range.
    public func validate() throws {
        do {
            try checkSettings()
            try method.checkSettings()
            try encoder.checkSettings()
            try detector.checkSettings()
        } catch let error {
            throw error.error()
        }
        try checkNames()
        try method.check(headWidths: headWidths)
        _ = try augmentation
        try checkCombinations()
    }

    // MARK: Data

    /// How image files become images.
    public var imageLoading: ImageLoading {
        var loading = ImageLoading()
        if let imageSize { loading.side = imageSize }
        loading.fit = fit
        loading.white = white
        loading.maxUnreadable = maxUnreadable
        return loading
    }

    /// Loads the data set that the configuration names.
    public func dataset() throws -> ImageDataset {
        try ImageDataset.load(
            data, imageSize: imageSize, fit: fit, white: white, maxUnreadable: maxUnreadable)
    }

    /// Cuts the data set as the configuration says.
    public func split(_ dataset: ImageDataset) throws -> OneClassSplit {
        var options = OneClassSplit.Options()
        options.holdOut = calibration == .cross ? 0 : holdOut
        options.contamination = contamination
        options.labeledNormals = labeledNormals
        options.maxTrain = maxTrain
        options.maxTest = maxTest
        options.seed = seed
        var split = try OneClassSplit(dataset, normal: normal, options: options)
        if let outliers {
            let other = try ImageDataset.load(
                outliers, imageSize: dataset.side, fit: fit, white: white, maxUnreadable: maxUnreadable,
                keepsArrays: true
            ).train.images
            split.outliers = other.side == dataset.side ? other : other.resized(to: dataset.side)
        }
        return split
    }
}

/// An epoch of a run.
public enum Epoch: Counted {
    /// The type in words, for messages.
    public static var severalInOrder: String { "epochs in rising order, such as 50,100" }
}

/// Epochs of a run by number, in rising order: a rate that falls after 50 epochs has 50.
public typealias EpochNumbers = RisingNumbers<Epoch>
