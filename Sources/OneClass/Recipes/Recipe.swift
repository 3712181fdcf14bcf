import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// A choice of everything that decides a result, made from a look at the data: method, encoder, patches, detector,
/// and the time that training takes.
///
/// What a recipe chose is in the run's config.json, value by value; the recipe's name is not needed to repeat it.
public struct Recipe: Sendable {
    /// The name it is chosen by.
    public let name: String
    /// What it is, in a line.
    public let summary: String
    /// The time that training takes by itself; nil for the method's epochs.
    public let budget: TrainingBudget?
    private let choose: @Sendable (DatasetGlance, inout RunConfiguration) -> String

    /// A recipe.
    ///
    /// - Parameter choose: sets what it decides and says why, in half a sentence.
    public init(
        _ name: String, _ summary: String, budget: TrainingBudget?,
        choose: @escaping @Sendable (DatasetGlance, inout RunConfiguration) -> String
    ) {
        self.name = name
        self.summary = summary
        self.budget = budget
        self.choose = choose
    }

    /// The recipes by name; the first is taken where none is named.
    public static let all = [
        Recipe(
            "standard",
            "A small network trained for 5 minutes, or 600 steps on patches where there may be defects.",
            budget: TrainingBudget(seconds: 300), choose: small),
        Recipe(
            "quick", "As standard, for 1 minute at most.", budget: TrainingBudget(seconds: 60), choose: small),
        Recipe(
            "thorough", "As standard, but classes are trained for 30 minutes.",
            budget: TrainingBudget(seconds: 1800), choose: small),
        Recipe(
            "paper", "The papers' protocol: ResNet-18 at full width for the method's epochs, hours on a GPU.",
            budget: nil, choose: paper),
    ]

    /// Finds a recipe.
    ///
    /// - Throws: `SettingError` with the names there are.
    public static func named(_ name: String) throws(SettingError) -> Recipe {
        guard let recipe = all.first(where: { $0.name == name }) else {
            throw SettingError("recipe", "there is no '\(name)'", choices: all.map(\.name), given: name)
        }
        return recipe
    }

    /// The configuration that the recipe makes of a data set.
    ///
    /// - Returns: the configuration, and why it is so, in half a sentence.
    public func configuration(for glance: DatasetGlance) -> (configuration: RunConfiguration, reason: String)
    {
        var result = RunConfiguration()
        let reason = choose(glance, &result)
        return (result, reason)
    }

    /// The side of patches on images of a side: an eighth of it.
    ///
    /// Chosen on MVTec AD's bottle (256 pixels) and four papers of PIPED (128): an eighth finds small defects and
    /// outlines them better than a quarter or a half.
    static func patch(side: Int) -> Int { max(16, side / 64 * 8) }

    /// The steps that a configuration of this recipe is trained for at most, unless a time is asked for; nil for no
    /// bound.
    ///
    /// None for images that lie alike: on MVTec AD's bottle, a Gaussian for each place on all stages of a network as
    /// it is drawn has image and pixel AUROC 99.1 and 96.8 %, and 97.2 and 93.4 % after 600 steps (means of three
    /// seeds). Defard et al. 2020 (PaDiM) fit such Gaussians on a pretrained network.
    public func mostSteps(of c: RunConfiguration) -> Int? {
        guard budget != nil, c.patch != nil else { return nil }
        return c.locations == .each && c.layers != nil ? 0 : Self.patchSteps
    }

    /// The encoder for patches of a side: without padding, so that a map takes one pass, and with as many stages as see
    /// no more than a patch. The detector sees all of them: the first keep what the last have learned to pass over.
    ///
    /// Measured on MVTec AD's bottle, four papers of PIPED and `builtin:surface`: see the page Measurements.
    public static func encoder(patch: Int) -> (encoder: ResNet, layers: StageNumbers?) {
        let fitting = (1...4).filter { stages in
            let field = ResNet(.resnet10, width: 0.25, padding: .none, stages: stages).receptiveFields.last
            return field.map { $0.side <= patch } ?? false
        }
        let stages = fitting.last ?? 1
        return (
            ResNet(.resnet10, width: 0.25, padding: .none, stages: stages), StageNumbers(Array(1...stages))
        )
    }

    /// The bound for models of patches: more steps make maps worse on the data that recipes were chosen on.
    static let patchSteps = 600

    private static func small(_ glance: DatasetGlance, _ c: inout RunConfiguration) -> String {
        c.encoder = ResNet(.resnet10, width: 0.25)
        guard glance.hasDefects, glance.side >= 64 else {
            if !glance.isFixedSize { c.imageSize = min(64, max(32, glance.side / 32 * 32)) }
            c.method = Contrastive.distributionAugmented
            c.head = [512, 512, 128]
            c.learningRate = 0.03
            return glance.hasDefects
                ? "images of \(glance.side) pixels are too small for patches"
                : "outliers are images of other classes"
        }
        let side = glance.isFixedSize ? glance.side : min(256, glance.side / 32 * 32)
        if !glance.isFixedSize { c.imageSize = side }
        let patch = patch(side: side)
        (c.encoder, c.layers) = encoder(patch: patch)
        c.method = CutPastePrediction(.threeWay)
        // Without a warm-up the loss stays at chance with some seeds.
        c.warmup = 100
        c.patch = patch
        c.stride = patch / 4
        c.detector = GaussianDensity(shrinkage: 0.03)
        return "there is one normal class, so outliers may be defects of any size"
    }

    private static func paper(_ glance: DatasetGlance, _ c: inout RunConfiguration) -> String {
        guard glance.hasDefects, glance.side >= 64 else { return "Sohn et al., ICLR 2021" }
        if !glance.isFixedSize { c.imageSize = 256 }
        c.method = CutPastePrediction(.threeWay)
        c.patch = 64
        c.stride = 4
        c.detector = GaussianDensity()
        return "Li et al., CVPR 2021"
    }

    /// Decides whether each place has a detector of its own, by how alike normal images lie: the last fifth of
    /// the training images against the others.
    ///
    /// - Returns: what was decided and why; nil for whole images.
    public static func chooseLocations(_ c: inout RunConfiguration, _ split: OneClassSplit) -> String? {
        guard c.patch != nil, c.detector.forEachLocation as (any Detector)? != nil else { return nil }
        // Of the training images: those that calibrate the threshold must not choose what they calibrate.
        let count = split.train.count, kept = count - max(1, count / 5)
        let share = Alignment.share(
            train: split.train.subset(0..<kept), heldOut: split.train.subset(kept..<count))
        c.locations = share >= Alignment.threshold ? .each : .shared
        let percent = Int((100 * max(0, share)).rounded())
        return c.locations == .each
            ? "images lie alike (the mean image explains \(percent) % of held-out ones): a detector for each place"
            : "images do not lie alike (the mean image explains \(percent) % of held-out ones): one detector for all places"
    }
}
