import OCCData
import OCCEngine
import OCCNetworks

/// Contrastive learning of instances, and its distribution-augmented form (Sohn et al., ICLR 2021): the data
/// set is first replaced by the union of its images under some symmetries of the square, each an instance of
/// its own; then every instance gives two views under the recipe, and NT-Xent contrasts them.
public struct Contrastive: Method, Equatable {
    /// Whether the data set is augmented to a union.
    public let isDistributionAugmented: Bool
    /// The temperature of NT-Xent.
    public var temperature = 0.2
    /// Which pairs NT-Xent contrasts.
    public var form = ContrastiveForm.crossView
    /// The symmetries of the union: `rot`, `hflip`, `vflip`, or the first 1...8 symmetries of the square.
    public var distributionAugmentation = "rot"

    /// The method, plain or distribution-augmented.
    public init(distributionAugmented: Bool = false) { isDistributionAugmented = distributionAugmented }

    /// The distribution-augmented form.
    public static let distributionAugmented = Contrastive(distributionAugmented: true)

    /// The name of the form: `contrastive` or `da-contrastive`.
    public var name: String { isDistributionAugmented ? "da-contrastive" : "contrastive" }
    /// What it is, in a line.
    public var summary: String {
        isDistributionAugmented
            ? "Contrasts the instances of the images and their rotations." : "Contrasts instances (NT-Xent)."
    }
    /// The loss's temperature and pairs, and the union.
    public static let settings = [
        Setting(
            "temperature", \Contrastive.temperature, "T", range: .within(0.001...1000),
            "Temperature of the contrastive loss."),
        Setting("contrastive-form", \.form, "Which pairs are contrasted."),
        Setting(
            "distribution-augmentation", \.distributionAugmentation, "NAME",
            "Whose copies are images of their own: rot, hflip, vflip, or the first 1 to 8 symmetries of the square."
        ),
    ]
    /// Without a union, what makes one.
    public var unusedSettings: Set<String> { isDistributionAugmented ? [] : ["distribution-augmentation"] }

    /// The paper's head: 512 x 8 and an embedding of 128. With it the loss stays near chance for hundreds of steps, in
    /// PyTorch too; with two hidden layers it falls from the first on (the page of the method has the figures).
    public var defaults: TrainingDefaults {
        TrainingDefaults(
            headWidths: [Int](repeating: 512, count: 8) + [128], batch: 32,
            quickHead: .init(widths: [512, 512, 128], steps: 1000))
    }
    /// The symmetry that makes the instance of each row (ck_dihedral.h).
    public let rowInputs = [RowInput("symmetry")]
    /// Two views of each instance.
    public let copies = 2
    /// One item for each image and symmetry.
    public func itemCount(images: Int) -> Int { images * symmetries.count }
    /// All first views, then all second ones, as NT-Xent takes them.
    public func row(index: Int, copy: Int, batch: Int) -> Int { copy * batch + index }

    /// The image of an instance and its symmetry; both copies are the same until the recipe draws.
    public func view(item: Int, copy: Int) -> BatchRow {
        let symmetries = symmetries
        return BatchRow(image: item / symmetries.count, inputs: [symmetries[item % symmetries.count]])
    }

    /// The symmetries that make the union (ck_dihedral.h), in the paper's order.
    package var symmetries: [Int] { isDistributionAugmented ? (try? union()) ?? [0] : [0] }

    private func union() throws -> [Int] {
        switch distributionAugmentation {
        case "rot": return [0, 2, 4, 6]
        case "hflip": return [0, 1]
        case "vflip": return [0, 5]
        default:
            guard let count = Int(distributionAugmentation), (1...8).contains(count) else {
                throw OCCError(
                    .usage,
                    "\(setting: "distribution-augmentation"): there is no '\(distributionAugmentation)'",
                    remedy: "It is rot, hflip, vflip, or 1 to 8.")
            }
            return Array(0..<count)
        }
    }

    /// Checks that the union has a name that is known, and that there is a head.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    public func check(headWidths: [Int]) throws {
        _ = try union()
        guard !headWidths.isEmpty else {
            throw OCCError(
                .usage,
                "\(setting: "head") is none: contrastive learning needs an embedding of at least one width")
        }
    }

    /// Appends the symmetries, recipe, encoder, head and NT-Xent.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let union =
            symmetries == [0]
            ? batch.images : try dihedral(batch.images, transforms: batch.inputs["symmetry"], in: plan)
        let features = try batch.encoder(try batch.recipe(union, in: plan), in: plan).pooled
        let z = try l2Normalize(
            try ProjectionHead(widths: batch.headWidths, logits: 0)(features, in: plan), in: plan)
        return TrainingOutputs(loss: try compare(z, in: plan), features: features, embeddings: z)
    }

    /// Appends NT-Xent.
    public func compare(_ embeddings: Tensor, in plan: PlanBuilder) throws -> Tensor {
        try ntXent(embeddings, temperature: Float(temperature), form: form, in: plan)
    }
}
