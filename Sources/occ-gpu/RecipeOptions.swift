import OCCCommandLine
import OneClass

/// --recipe and --budget: what train chooses by a look at the data where options do not say.
struct RecipeOptions {
    static let options = [
        Option(
            "recipe", "NAME",
            "Chooses everything that other options do not: "
                + Recipe.all.map { "\($0.name) (\($0.summary.dropLast()))" }.joined(separator: "; ")
                + ". (\(Recipe.all[0].name), unless --config is given)",
            choices: Recipe.all.map { $0.name }
        ) { (text) throws(SettingError) in _ = try Recipe.named(text) },
        Option(
            "budget", "TIME",
            "Time to train, such as 90s, 5m or 1h, in place of --steps; by itself the recipe's, on a GPU too."
        ) { (text) throws(SettingError) in
            guard TrainingBudget(text: text) == nil else { return }
            throw SettingError(
                "budget", "'\(text)' is no time such as 90s, 5m or 1h, above 0 and at most a year")
        },
        Option("freeze", nil, "Leave the encoder's weights as they are given or drawn, as --steps 0 does."),
    ]

    /// What the run is, but for what only its images can tell.
    private(set) var configuration: RunConfiguration
    /// What was chosen and why; nil where nothing was.
    private(set) var choice: String?
    /// The time that training may take; nil where the steps are known.
    let budget: TrainingBudget?
    /// Whether the time was asked for, so that nothing else bounds the steps.
    private let isTimed: Bool
    /// What of a model of patches is chosen by the images: whether places have detectors of their own, the detector,
    /// and, where the encoder is the recipe's, how long it is trained.
    private let chooses: (locations: Bool, detector: Bool, steps: Bool)
    /// What the images decided; nil for models of whole images, and where there was nothing to decide.
    private var patches: PatchRecipe?

    init(_ arguments: Arguments) throws {
        let wanted = arguments["budget"].flatMap { TrainingBudget(text: $0) }
        let isFrozen = arguments.has("freeze")
        if isFrozen, let other = ["steps", "epochs", "budget"].first(where: { arguments[$0] != nil }) {
            throw OCCError(
                .usage, "--freeze and --\(other) contradict each other", remedy: "Give one of them.")
        }
        if wanted != nil, let other = ["steps", "epochs"].first(where: { arguments[$0] != nil }) {
            throw OCCError(
                .usage, "--budget and --\(other) both say how long to train", remedy: "Give one of them.")
        }
        guard arguments["config"] == nil || arguments["recipe"] != nil else {
            configuration = try RunOptions.configuration(arguments)
            if isFrozen { configuration.steps = 0 }
            budget = wanted
            isTimed = true
            chooses = (false, false, false)
            return
        }
        let recipe: Recipe
        do { recipe = try Recipe.named(arguments["recipe"] ?? Recipe.all[0].name) } catch {
            throw error.error()
        }
        // What options say is checked before the data is looked at; places need the patches that come of it.
        var assumed = RunConfiguration()
        if Self.wantsPatches(arguments), arguments["patch"] == nil {
            assumed.patch = ImageDataset.sides.lowerBound
        }
        configuration = try RunOptions.configuration(arguments, from: assumed)
        let glance = try DatasetGlance(configuration.data).asked(
            side: configuration.imageSize, patches: Self.patches(arguments, configuration))
        var (start, reason) = recipe.configuration(for: glance)
        let seesMaps = configuration.detector is any MapDetector
        if let detector = configuration.detector as? any MapDetector {
            reason = Self.seeMaps(&start, detector, glance)
        } else if arguments["patch"] != nil || arguments["score-patch"] != nil {
            start.stride = nil
            if arguments["score-patch"] == nil { start.scorePatch = nil }
            // The stages see no more than a patch.
            let sides = [configuration.patch ?? start.patch, configuration.scorePatch].compactMap { $0 }
            if start.layers != nil, let patch = sides.min() {
                let fitting = Recipe.encoder(patch: patch)
                (start.encoder, start.layers) = (fitting.encoder, fitting.layers)
            }
        }
        let choosesEncoder =
            ["encoder", "stages", "layers", "weights"].contains { arguments[$0] != nil }
            || arguments["padding"].map { $0 != Padding.none.rawValue } ?? false
        let isOtherTask = arguments["method"] != nil && !(configuration.method is CutPastePrediction)
        if start.layers != nil, !seesMaps, choosesEncoder || isOtherTask {
            // Encoder, layers and stride go together: who chooses one of them, or a method that may need a padded
            // encoder, gets the plain one, and not many patches to be computed one by one.
            (start.encoder, start.layers) = (ResNet(.resnet10, width: 0.25), nil)
            start.stride = start.stride.map { 2 * $0 }
        }
        if arguments["weights"] != nil, arguments["encoder"] == nil { start.encoder = ResNet(.resnet18) }
        if let method = arguments["method"], method != start.method.name {
            // What the recipe gives its own method is not another one's. Its runs are short, whatever the method.
            (start.learningRate, start.augment) = (nil, nil)
            if !(configuration.method is CutPastePrediction) { start.warmup = nil }
            let other = try? Methods.registry.entry(method)
            start.head = recipe.budget == nil ? nil : other?.defaults.quickHead?.widths
        } else if let head = configuration.head, (try? start.method.check(headWidths: head)) == nil {
            reason += "; by rotations, as \(start.method.name) does not take the head given"
            start.method = RotationPrediction()
        }
        configuration = try RunOptions.configuration(arguments, from: start)
        let isOpen = arguments["config"] == nil && recipe.budget != nil
        chooses = (
            locations: arguments["locations"] == nil && arguments["config"] == nil,
            detector: isOpen && arguments["detector"] == nil && arguments["detector-rows"] == nil
                && !(configuration.detector is OwnScore),
            steps: isOpen && start.layers != nil
        )
        let isDrawn = seesMaps && wanted == nil
        if isFrozen || isDrawn && arguments["epochs"] == nil && arguments["steps"] == nil {
            configuration.steps = 0
        }
        let isSaid = isFrozen || isDrawn || arguments["steps"] != nil || arguments["epochs"] != nil
        budget = wanted ?? (isSaid ? nil : recipe.budget)
        let c = configuration
        isTimed = wanted != nil
        let size = glance.isFixedSize ? "" : ", images of \(c.imageSize ?? glance.side) pixels"
        let patches =
            c.scoredPatch.map { " in patches of \($0), every \(c.stride ?? max(1, $0 / 8))" } ?? ""
        // The images choose the detector of patches.
        let detector = chooses.detector && c.patch != nil ? "" : ", \(c.detector.name)"
        choice =
            "recipe \(recipe.name): \(c.method.name), \(c.encoder.name)\(size)\(patches)\(detector) (\(reason))"
    }

    /// What a recipe is where the detector sees maps of whole images: a network as it is given or drawn, of which the
    /// detector sees the first stages.
    ///
    /// - Returns: why it is so, in half a sentence.
    private static func seeMaps(
        _ c: inout RunConfiguration, _ detector: any MapDetector, _ glance: DatasetGlance
    ) -> String {
        let data = RunConfiguration()
        (c.method, c.head, c.augment, c.learningRate) = (data.method, nil, nil, nil)
        (c.patch, c.scorePatch, c.stride, c.warmup) = (nil, nil, nil, data.warmup)
        (c.encoder, c.layers) = (ResNet(.resnet18), detector.defaultLayers)
        if !glance.isFixedSize { c.imageSize = min(256, max(64, glance.side / 32 * 32)) }
        return "the detector sees the maps of a network that is not trained"
    }

    /// Whether options ask for patches, by what only patches have.
    private static func wantsPatches(_ arguments: Arguments) -> Bool {
        ["patch", "score-patch"].contains { arguments[$0] != nil }
            || arguments["locations"] == RunConfiguration.Locations.each.rawValue
    }

    /// Whether options ask for patches, or for what is not of patches; nil where they leave it open.
    private static func patches(_ arguments: Arguments, _ c: RunConfiguration) -> Bool? {
        if wantsPatches(arguments) { return true }
        if c.detector is any MapDetector { return false }
        guard arguments["method"] != nil else { return nil }
        return c.method is CutPastePrediction ? nil : false
    }

    /// Chooses what the images decide; says what and why.
    mutating func look(at dataset: ImageDataset, _ split: OneClassSplit) -> String? {
        configuration.white = dataset.white
        guard configuration.patch != nil, chooses.locations || chooses.detector || chooses.steps else {
            return nil
        }
        let found = PatchRecipe(split.train)
        found.apply(to: &configuration, locations: chooses.locations, detector: chooses.detector)
        patches = found
        return chooses.locations ? "\(found.reason); \(configuration.detector.name)" : nil
    }

    /// Fixes the number of steps: that of the run to be continued, if it is this one, or what fits the budget.
    ///
    /// - Parameter earlier: the configuration file of the run to be continued.
    mutating func fixSteps(
        _ split: OneClassSplit, _ device: Device, ranks: Int, continuing earlier: String?
    ) throws -> String? {
        guard let budget else { return nil }
        if let earlier, let bytes = try readFileIfPresent(earlier),
            let before = try? RunConfiguration(json: bytes, name: earlier), let steps = before.steps
        {
            var same = configuration
            same.steps = steps
            // The path may be spelled otherwise: the checkpoint tells whether the images are the same.
            if same.resolved.differences(from: before).allSatisfy({ $0 == "data" }) {
                configuration = same
                return "\(counted(steps, "step")), as the run began"
            }
        }
        let most = isTimed || patches == nil ? nil : chooses.steps ? PatchRecipe.steps : PatchRecipe.mostSteps
        guard most != 0 else {
            configuration.steps = 0
            return
                "no training: for patches, a network as it is drawn did as well or better; --steps or --budget trains it"
        }
        // What one rank does of a step takes as long as the step, but for what ranks exchange.
        var measured = configuration
        if ranks > 1 { measured.batch = max(2, configuration.itemsPerStep / ranks) }
        let fitting = try budget.steps(
            of: measured, images: split.train, outliers: split.outliers, device: device)
        let steps = min(fitting, most ?? fitting)
        configuration.steps = steps
        return steps < fitting
            ? "\(counted(steps, "step")): more make maps worse; they take less than \(budget.words) here"
            : "\(counted(steps, "step")), which take about \(budget.words) here"
    }
}
