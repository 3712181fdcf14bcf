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
            "A small network, trained for 5 minutes on classes, and as it is drawn on patches where there may be defects.",
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
        (c.patch, c.scorePatch, c.stride) = (64, 32, 4)
        c.detector = GaussianDensity()
        return "Li et al., CVPR 2021"
    }
}
