import CKernels
import OCCData
import OCCEngine
import OneClass
import TestSupport
import Testing

/// The numbers that methods train with by themselves, against those of their sources.
@Suite struct PublishedDefaultsTests {
    private static let deep = [Int](repeating: 512, count: 8)
    private static let recipe = "cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2"

    /// Source by source, in the order of `Methods.registry`. What a source does not say is ours, and says so.
    static let published: [(method: String, defaults: TrainingDefaults)] = {
        // Sohn et al., ICLR 2021, released code: script/run_rotation.sh, run_contrastive.sh, run_contrastive_da.sh.
        let rotation = TrainingDefaults(
            headWidths: deep, recipe: recipe, learningRate: 0.01, weightDecay: 0.0003, batch: 64,
            epochs: 2048,
            steps: nil, optimizer: .sgd, schedule: .cosine, warmupEpochs: 0, milestones: [], holdsEpoch: true,
            scoresItself: false)
        var contrastive = rotation
        (contrastive.headWidths, contrastive.batch) = (deep + [128], 32)
        // Ours: the head of short runs.
        contrastive.quickHead = .init(widths: [512, 512, 128], steps: 1000)
        // Golan and El-Yaniv, NeurIPS 2018, released code: no augmentation, 128 items, ceil(200 / 72) epochs. Rate, decay
        // and optimizer are those of Sohn et al.
        var geometric = rotation
        (geometric.headWidths, geometric.recipe, geometric.batch, geometric.epochs) = ([], "none", 128, 3)
        geometric.holdsEpoch = false
        // Tack et al., NeurIPS 2020, released code: common/common.py and common/train.py. The batch and the recipe are those
        // of Sohn et al.
        let csi = TrainingDefaults(
            headWidths: [512, 128], recipe: recipe, learningRate: 1, weightDecay: 0.000001, batch: 32,
            epochs: 1000, optimizer: .lars, schedule: .cosine, warmupEpochs: 10, holdsEpoch: false,
            scoresItself: true)
        // How the paper's denoising auto-encoder is trained is not said.
        var denoising = rotation
        denoising.headWidths = []
        // Ruff et al., ICML 2018, released code, README, CIFAR-10: the auto-encoder, then the description.
        let autoencoder = TrainingDefaults(
            headWidths: [], recipe: "none", learningRate: 0.0001, weightDecay: 0.0000005, batch: 200,
            epochs: 350,
            optimizer: .adam, schedule: .milestones, milestones: [250], scoresItself: true)
        var description = autoencoder
        (description.epochs, description.milestones) = (150, [50])
        // A classifier with the numbers of Sohn et al.
        var exposure = rotation
        (exposure.headWidths, exposure.scoresItself) = ([], true)
        // Dinh et al., ICLR 2017, section 4.1: Adam, L2 of 0.00005, batches of 64; rate and epochs are ours.
        let flow = TrainingDefaults(
            headWidths: [], recipe: "none", learningRate: 0.001, weightDecay: 0.00005, batch: 64, epochs: 100,
            optimizer: .adam, holdsEpoch: false, scoresItself: true)
        // Golan and El-Yaniv's code of DAGMM: Adam, batches of 256, 200 epochs.
        let dagmm = TrainingDefaults(
            headWidths: [], recipe: "none", learningRate: 0.001, weightDecay: 0, batch: 256, epochs: 200,
            optimizer: .adam, holdsEpoch: false, scoresItself: true)
        // Li et al., CVPR 2021, appendix A.1: rate, L2, 256 epochs of 256 steps, 64 rows (96 of three classes). The head's
        // widths and the amounts of the recipe are ours.
        let cutPaste = TrainingDefaults(
            headWidths: [512, 128], recipe: "cnr0.9+jitter_b0.1_c0.1_s0.1_h0.1", learningRate: 0.03,
            weightDecay: 0.00003, batch: 32, epochs: 2048, steps: 65_536, optimizer: .sgd, schedule: .cosine,
            holdsEpoch: false)
        return [
            ("rotation", rotation), ("rotation-exposed", rotation), ("geometric", geometric),
            ("contrastive", contrastive), ("da-contrastive", contrastive), ("csi", csi),
            ("denoising", denoising), ("autoencoder", autoencoder), ("deep-svdd", description),
            ("deep-svdd-soft", description), ("outlier-exposure", exposure), ("flow", flow), ("dagmm", dagmm),
            ("cutpaste", cutPaste), ("cutpaste-scar", cutPaste), ("cutpaste-3way", cutPaste),
        ]
    }()

    @Test(arguments: published.indices) func defaultsArePublished(_ index: Int) throws {
        let (name, expected) = Self.published[index]
        #expect(try Methods.registry.entry(name).defaults == expected)
    }

    @Test func everyMethodIsThere() { #expect(Self.published.map(\.method) == Methods.registry.names) }

    /// What configurations have where neither a person nor the method says anything.
    @Test func optimizersArePublished() {
        let optimizer = Optimizer()
        #expect(optimizer.kind == .sgd && optimizer.momentum == 0.9 && !optimizer.nesterov)
        // Kingma and Ba, ICLR 2015, section 2; You et al., 2017, section 5.
        #expect(optimizer.beta2 == 0.999 && optimizer.trust == 0.001)
        let c = RunConfiguration()
        #expect(c.momentum == 0.9 && !c.nesterov && c.trust == 0.001)
        #expect(Contrastive().temperature == 0.2 && ContrastingShiftedInstances().temperature == 0.5)
        #expect(Contrastive().form == .crossView && Contrastive().distributionAugmentation == "rot")
        #expect(DeepSVDD().nu == 0.1 && DeepSVDD().radiusEpochs == 10)
        #expect(RotationPrediction.exposed.outlierWeight == 0.5)
    }

    /// The shapes of a default head's layers behind 512 features.
    private static func head(_ method: any Method) throws -> [String: [Int]] {
        var c = RunConfiguration()
        (c.method, c.batch, c.imageSize) = (method, 2, 32)
        let plan = try TrainingPlan(c, images: 8, side: 32, device: .cpu())
        let layers = plan.program.layout.parameters.filter { $0.name.hasPrefix("head.") && !$0.isStatistic }
        return Dictionary(uniqueKeysWithValues: layers.map { ($0.name, $0.tensor.shape) })
    }

    /// Sohn et al.: for rotations seven hidden layers of 512, a linear one of 512 with a bias, and a linear classifier;
    /// for contrasts eight hidden layers and 128 without a bias.
    @Test func headsArePublished() throws {
        func hidden(_ count: Int) -> [String: [Int]] {
            var layers: [String: [Int]] = [:]
            for index in 0..<count {
                layers["head.\(index).weight"] = [512, 512]
                (layers["head.\(index).bn.weight"], layers["head.\(index).bn.bias"]) = ([512], [512])
            }
            return layers
        }
        let rotation = ["head.embed.weight": [512, 512], "head.embed.bias": [512]].merging(
            ["head.logits.weight": [4, 512], "head.logits.bias": [4]]) { $1 }
        #expect(try Self.head(RotationPrediction()) == hidden(7).merging(rotation) { $1 })
        #expect(
            try Self.head(Contrastive()) == hidden(8).merging(["head.embed.weight": [128, 512]]) { $1 })
    }

    // MARK: CutPaste

    private static func operations(side: Int, patch: Int?) throws -> [PlannedOperation] {
        var c = RunConfiguration()
        c.method = CutPastePrediction(.threeWay)
        (c.encoder, c.head, c.batch, c.patch) = (ResNet(.resnet10, width: 0.0625), [], 2, patch)
        return try TrainingPlan(c, images: 4, side: side, device: .cpu()).plan.operations
    }

    /// Li et al., appendix A.2, by the operation that a plan of the method has, on images of 256 pixels and on patches of
    /// 64, where scars are half as large: that is ours.
    @Test(
        arguments: [(nil, [2, 16, 10, 25]), (128, [2, 16, 10, 25]), (64, [2, 8, 5, 13])] as [(Int?, [Int32])])
    func cutPaste(_ patch: Int?, _ scar: [Int32]) throws {
        let operation = try #require(
            Self.operations(side: 256, patch: patch).first { $0.kind == .CK_KIND_cutpaste })
        let p = operation.params.cutpaste
        #expect(p.area_minimum == 0.02 && p.area_maximum == 0.15 && p.aspect == 0.3 && p.jitter == 0.1)
        #expect(abs(p.angle - .pi / 4) < 1e-6)
        #expect(
            [p.scar_width_minimum, p.scar_width_maximum, p.scar_length_minimum, p.scar_length_maximum] == scar
        )
        // An image, and with each kind pasted.
        #expect(CutPastePrediction(.rectangle).copies == 2 && CutPastePrediction(.threeWay).copies == 3)
    }

    /// Three ways: an image as it is is the first class, with a part pasted the second, with a scar the third.
    @Test func pastingIsLabeled() {
        let method = CutPastePrediction(.threeWay)
        let rows = (0..<3).map { method.view(item: 7, copy: $0) }
        #expect(rows.map(\.label) == [0, 1, 2] && rows.map(\.image) == [7, 7, 7])
        #expect(
            rows.map(\.inputs)
                == [CutPaste.Kind.nothing, .rectangle, .scar].map { [$0.rawValue] })
    }

    /// Patches are cut from the image first, then augmented, then pasted into (Li et al., equation 3): no operation but
    /// the first one sees more than a patch.
    @Test func patchesAreCutBeforePasting() throws {
        let operations = try Self.operations(side: 256, patch: 64)
        let names = operations.map(\.name)
        #expect(Array(names.prefix(4)) == ["gather", "random_crop", "color_jitter", "cutpaste"])
        let shapes = operations.map { $0.tensors.compactMap { $0?.shape } }
        #expect(shapes[0].contains([4, 256, 256, 3]) && shapes[0].contains([6, 64, 64, 3]))
        for index in 1..<4 { #expect(shapes[index].count { $0 == [6, 64, 64, 3] } == 2, "\(names[index])") }
        #expect(shapes.dropFirst().joined().allSatisfy { !$0.contains(256) || $0.count < 4 })
    }

    /// Rotations come last: each copy has its own draw of the recipe, and then its turn (unsup_embed.py).
    @Test func rotationsFollowTheRecipe() throws {
        for method in [RotationPrediction(), ContrastingShiftedInstances()] as [any Method] {
            var c = RunConfiguration()
            (c.method, c.encoder, c.head) = (method, ResNet(.resnet10, width: 0.0625), [8])
            (c.batch, c.optimizer) = (2, .sgd)
            let names = try TrainingPlan(c, images: 4, side: 32, device: .cpu()).plan.operations.map(\.name)
            #expect(
                Array(names.prefix(6)) == [
                    "gather", "random_crop", "random_flip", "color_jitter", "random_gray", "dihedral",
                ])
        }
        var c = RunConfiguration()
        (c.method, c.encoder, c.head) = (
            Contrastive.distributionAugmented, ResNet(.resnet10, width: 0.0625), [8]
        )
        c.batch = 2
        // The union is made before the views: its members are images of their own (data/cifar.py).
        let names = try TrainingPlan(c, images: 4, side: 32, device: .cpu()).plan.operations.map(\.name)
        #expect(Array(names.prefix(3)) == ["gather", "dihedral", "random_crop"])
    }

    /// Table 2's categories with a Gaussian for each place (Li et al., appendix A.5), and those with one for all.
    @Test func alignedCategoriesArePublished() throws {
        let each = ["bottle", "cable", "capsule", "metal_nut", "pill", "toothbrush", "transistor", "zipper"]
        let shared = ["carpet", "grid", "hazelnut", "leather", "screw", "tile", "wood"]
        let experiment = try Experiment.registry.entry("cutpaste-localization")
        for category in each + shared {
            var c = try experiment.configuration(of: experiment.rows[0])
            experiment.adjusting(category, &c)
            #expect(c.locations == (each.contains(category) ? .each : .shared), "\(category)")
        }
    }
}
