import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// Everything that decides a run's result; written as config.json beside it. What does not (threads, output
/// folder, logging) is not here, so that equal configurations give equal files.
public struct RunConfiguration: Codable, Sendable, Equatable {
    public enum MethodKind: String, Codable, CaseIterable, Sendable {
        case rotation, contrastive
        case daContrastive = "da-contrastive"
        case denoising
        case cutpaste
        case cutpasteScar = "cutpaste-scar"
        case cutpaste3Way = "cutpaste-3way"

        public var isCutPaste: Bool { self == .cutpaste || self == .cutpasteScar || self == .cutpaste3Way }
        var isContrastive: Bool { self == .contrastive || self == .daContrastive }
    }

    /// Which patches share a detector.
    public enum Locations: String, Codable, CaseIterable, Sendable {
        /// All: for textures, and objects in any pose.
        case shared
        /// Those of one place: for objects that lie alike in every image.
        case each
    }

    // MARK: Data
    /// A folder, or `builtin:NAME`.
    public var data = "builtin:shapes"
    /// The normal class, by index or name; nil where the data set says itself.
    public var normal: String?
    /// Side in pixels; nil for the data set's own.
    public var imageSize: Int?
    /// The share of normal training images held out to calibrate the threshold; the encoder and the detector
    /// never see them.
    public var holdOut = 0.1
    /// The share of outliers mixed into the training images.
    public var contamination = 0.0
    /// The number of clean normal images the detector is fitted on; nil for all training images.
    public var labeledNormals: Int?
    public var maxUnreadable = 0.01
    public var maxTrain: Int?
    public var maxTest: Int?

    // MARK: Representation
    public var method = MethodKind.rotation
    public var encoder = ResNet.Depth.resnet18
    public var width = 1.0
    /// Widths of the projection head; nil for the method's default; empty for none.
    public var head: [Int]?
    /// nil for the method's: the paper's recipe, or weak crops and colour jitter for CutPaste.
    public var augment: String?
    public var temperature = 0.2
    public var contrastiveForm = ContrastiveForm.crossView
    /// Distribution augmentation: `rot`, `hflip`, `vflip`, or 1...8 geometric transforms.
    public var distributionAugmentation = "rot"
    /// Deviation of the denoising autoencoder's noise.
    public var noise = 0.1

    // MARK: Patches
    /// Side in pixels of the patches that the encoder sees; nil for whole images.
    public var patch: Int?
    /// Pixels between patches when images are scored; nil for an eighth of the patch.
    public var stride: Int?
    public var locations = Locations.shared

    // MARK: Training
    /// Items to a step: images for rotation and denoising, pairs for contrastive; nil for the paper's 64 and
    /// 32.
    public var batch: Int?
    /// Optimiser steps; nil to count by epochs.
    public var steps: Int?
    public var epochs = 2048
    public var optimizer = Optimizer()
    public var schedule = LearningRateSchedule()
    public var seed: UInt64 = 1
    public var math = MathMode.fast

    // MARK: Detection
    public var detector = DetectorKind.kde
    public var detectorOptions = DetectorOptions()
    public var falseAlarmRate = 0.01

    public init() {}

    /// Items to a step.
    public var itemsPerStep: Int {
        batch ?? (method.isContrastive || method.isCutPaste ? 32 : 64)
    }

    /// The paper's heads: 512 x 8 (+ 4-way classifier) for rotation, 512 x 8 and 128 for contrastive; for
    /// CutPaste, whose paper does not say, 512 and 128.
    var headWidths: [Int] {
        head
            ?? (method.isCutPaste
                ? [512, 128] : [Int](repeating: 512, count: 8) + (method.isContrastive ? [128] : []))
    }

    /// Checks what can be checked without data.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting and its range.
    public func validate() throws {
        func require(_ condition: Bool, _ message: String) throws {
            if !condition { throw OCCError(.usage, message) }
        }
        try require(width > 0 && width <= 8, "width \(width) is outside 0...8")
        try require(itemsPerStep >= 2 && itemsPerStep <= 65536, "batch \(itemsPerStep) is outside 2...65536")
        try require(steps.map { $0 >= 0 } ?? (epochs >= 0), "steps and epochs cannot be negative")
        try require((0..<0.9).contains(holdOut), "hold-out \(holdOut) is outside 0..<0.9")
        try require((0...0.5).contains(contamination), "contamination \(contamination) is outside 0...0.5")
        try require(temperature > 0, "temperature must be above 0")
        try require(noise >= 0, "noise cannot be negative")
        try require(
            falseAlarmRate > 0 && falseAlarmRate < 1, "false-alarm rate \(falseAlarmRate) is outside 0...1")
        try require(schedule.peak > 0 && schedule.peak.isFinite, "learning rate must be above 0")
        try require((0..<1).contains(optimizer.momentum), "momentum \(optimizer.momentum) is outside 0..<1")
        try require(optimizer.weightDecay >= 0, "weight decay cannot be negative")
        try require(headWidths.allSatisfy { $0 > 0 }, "head widths must be above 0")
        try require(
            !headWidths.isEmpty || !method.isContrastive,
            "contrastive learning needs a head of at least one width")
        try require(
            patch.map { [16, 32, 64, 128].contains($0) } ?? true,
            "patch \(patch ?? 0): it must be 16, 32, 64 or 128")
        try require(
            stride.map { $0 >= 1 && $0 <= (patch ?? 0) } ?? true,
            "stride \(stride ?? 0): it is for patches, and at most their side")
        try require(
            locations == .shared || (patch != nil && [.gaussian, .kde, .knn].contains(detector)),
            "a detector for each location needs patches, and is gaussian, kde or knn")
        _ = try makeMethod()
    }

    /// The learning rate and weight decay of CutPaste's paper, which differ from the defaults.
    public mutating func adoptCutPasteTraining() {
        schedule.peak = 0.03
        optimizer.weightDecay = 3e-5
    }

    /// The recipe in force.
    public var recipe: String {
        augment
            ?? (method.isCutPaste ? "cnr0.9+jitter_b0.1_c0.1_s0.1_h0.1" : "\(AugmentationRecipe.standard)")
    }

    /// The patches of an image of this side; nil for whole images.
    public func grid(side: Int) throws -> PatchGrid? {
        guard let patch else { return nil }
        guard patch <= side else {
            throw OCCError(
                .usage, "patches of \(patch) pixels in images of \(side)",
                remedy: "Lower --patch or raise --image-size.")
        }
        return PatchGrid(side: side, patch: patch, stride: stride ?? max(1, patch / 8))
    }

    /// The method these settings describe.
    public func makeMethod() throws -> any Method {
        let recipe = try AugmentationRecipe(self.recipe)
        switch method {
        case .rotation:
            return RotationPrediction(recipe: recipe, head: ProjectionHead(widths: headWidths, logits: 4))
        case .contrastive, .daContrastive:
            return Contrastive(
                recipe: recipe, head: ProjectionHead(widths: headWidths, logits: 0), temperature: temperature,
                form: contrastiveForm,
                transforms: method == .contrastive ? [0] : try Self.transforms(distributionAugmentation))
        case .denoising: return Denoising(recipe: recipe, sigma: noise)
        case .cutpaste, .cutpasteScar, .cutpaste3Way:
            let pasted: [CutPaste.Kind] =
                method == .cutpaste ? [.rectangle] : method == .cutpasteScar ? [.scar] : [.rectangle, .scar]
            return CutPastePrediction(
                recipe: recipe, head: ProjectionHead(widths: headWidths, logits: 1 + pasted.count),
                kinds: [.nothing] + pasted)
        }
    }

    /// The symmetries of the square that a distribution augmentation unites, in the paper's order.
    static func transforms(_ name: String) throws -> [Int] {
        switch name {
        case "rot": return [0, 2, 4, 6]
        case "hflip": return [0, 1]
        case "vflip": return [0, 5]
        default:
            guard let count = Int(name), (1...8).contains(count) else {
                throw OCCError(
                    .usage, "distribution augmentation '\(name)': it is rot, hflip, vflip or 1...8")
            }
            return Array(0..<count)
        }
    }

    public var network: ResNet { ResNet(encoder, width: width) }

    /// Optimiser steps of a run on `images` training images; an epoch drops its last incomplete batch.
    public func totalSteps(images: Int, method: any Method) -> Int {
        steps ?? epochs * max(1, method.itemCount(images: images) / itemsPerStep)
    }
}

extension RunConfiguration {
    /// Loads the data set it names.
    public func dataset() throws -> ImageDataset {
        try ImageDataset.load(data, imageSize: imageSize, maxUnreadable: maxUnreadable)
    }

    /// Cuts the data set as it says.
    public func split(_ dataset: ImageDataset) throws -> OneClassSplit {
        var options = OneClassSplit.Options()
        options.holdOut = holdOut
        options.contamination = contamination
        options.labeledNormals = labeledNormals
        options.maxTrain = maxTrain
        options.maxTest = maxTest
        options.seed = seed
        return try OneClassSplit(dataset, normal: normal, options: options)
    }
}
