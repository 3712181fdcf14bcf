import CKernels
import OCCData
import OCCEngine
import OCCNetworks

/// A self-supervised task: which views of which images it shows the encoder, with which labels, under which
/// objective.
///
/// Conforming types are small: the trainer owns the loop, the plan and the data.
public protocol Method: Sendable {
    /// Items that a data set of `images` images gives: distribution augmentation makes several of each.
    func itemCount(images: Int) -> Int
    /// Rows of the batch that one item takes.
    var copies: Int { get }
    /// Row of the batch that copy `copy` of the batch's item `index` takes.
    func row(index: Int, copy: Int, batch: Int) -> Int
    /// What a row shows: an image, transformed, with a label.
    func view(item: Int, copy: Int) -> View
    /// Appends augmentation, network and loss to a training plan.
    func build(_ inputs: MethodInputs, encoder: ResNet, in plan: PlanBuilder) throws -> MethodOutputs
    /// The head behind the encoder, where one is needed to score.
    var head: ProjectionHead { get }
}

/// What one row of a batch shows.
public struct View: Sendable, Equatable {
    public let image: Int
    /// A symmetry of the square (see ck_dihedral.h), or what CutPaste pastes.
    public let transform: Int
    public let label: Int

    public init(image: Int, transform: Int, label: Int) {
        self.image = image
        self.transform = transform
        self.label = label
    }
}

/// What the host writes for a step, and the images.
public struct MethodInputs {
    /// [N,S,S,3] in 0...1, as stored.
    public let images: Tensor
    /// int32 [N] each.
    public let transforms, labels: Tensor
}

/// What a training plan gives back.
public struct MethodOutputs {
    /// The loss, a scalar.
    public let loss: Tensor
    /// The pooled features of the batch, [N,D], watched for collapse.
    public let features: Tensor
}

extension Method {
    public func itemCount(images: Int) -> Int { images }
}

/// Rotation prediction (Gidaris et al. 2018; Golan & El-Yaniv 2018): each image four times, each copy under
/// its own draw of the recipe and then turned by 0, 90, 180, 270 degrees; the label is the turn.
public struct RotationPrediction: Method {
    public let recipe: AugmentationRecipe
    public let head: ProjectionHead

    public let copies = 4
    public func row(index: Int, copy: Int, batch: Int) -> Int { index * 4 + copy }
    public func view(item: Int, copy: Int) -> View { View(image: item, transform: 2 * copy, label: copy) }

    public func build(_ inputs: MethodInputs, encoder: ResNet, in plan: PlanBuilder) throws -> MethodOutputs {
        let x = try dihedral(try recipe(inputs.images, in: plan), transforms: inputs.transforms, in: plan)
        let features = try encoder(x, in: plan).pooled
        let logits = try head(features, in: plan)
        return MethodOutputs(
            loss: try softmaxCrossEntropy(logits, labels: inputs.labels, in: plan), features: features)
    }
}

/// Contrastive learning of instances, and its distribution-augmented form (Sohn et al., ICLR 2021): the data
/// set is first replaced by the union of its images under `transforms`, each an instance of its own; then
/// every instance gives two views under the recipe.
public struct Contrastive: Method {
    public let recipe: AugmentationRecipe
    public let head: ProjectionHead
    public let temperature: Double
    public let form: ContrastiveForm
    /// The symmetries that make the union; [0] is plain contrastive learning.
    public let transforms: [Int]

    public let copies = 2
    public func itemCount(images: Int) -> Int { images * transforms.count }
    public func row(index: Int, copy: Int, batch: Int) -> Int { copy * batch + index }
    public func view(item: Int, copy: Int) -> View {
        View(image: item / transforms.count, transform: transforms[item % transforms.count], label: 0)
    }

    public func build(_ inputs: MethodInputs, encoder: ResNet, in plan: PlanBuilder) throws -> MethodOutputs {
        let union =
            transforms == [0]
            ? inputs.images : try dihedral(inputs.images, transforms: inputs.transforms, in: plan)
        let features = try encoder(try recipe(union, in: plan), in: plan).pooled
        let z = try l2Normalize(try head(features, in: plan), in: plan)
        return MethodOutputs(
            loss: try ntXent(z, temperature: Float(temperature), form: form, in: plan), features: features)
    }
}

/// CutPaste (Li et al., CVPR 2021): each image as it is and with a part of it pasted elsewhere; the label says
/// which. With both kinds of pasting it is the paper's 3-way classification.
public struct CutPastePrediction: Method {
    public let recipe: AugmentationRecipe
    public let head: ProjectionHead
    /// What the copies of an image show, in the order of the labels.
    public let kinds: [CutPaste.Kind]

    public var copies: Int { kinds.count }
    public func row(index: Int, copy: Int, batch: Int) -> Int { index * kinds.count + copy }
    public func view(item: Int, copy: Int) -> View {
        View(image: item, transform: kinds[copy].rawValue, label: copy)
    }

    public func build(_ inputs: MethodInputs, encoder: ResNet, in plan: PlanBuilder) throws -> MethodOutputs {
        let x = try CutPaste()(try recipe(inputs.images, in: plan), kinds: inputs.transforms, in: plan)
        let features = try encoder(x, in: plan).pooled
        let logits = try head(features, in: plan)
        return MethodOutputs(
            loss: try softmaxCrossEntropy(logits, labels: inputs.labels, in: plan), features: features)
    }
}

/// A denoising autoencoder (Vincent et al. 2008): the encoder sees the image under the recipe with normal
/// noise added, a mirrored decoder restores it from the last feature map, the loss is the mean squared error.
public struct Denoising: Method {
    public let recipe: AugmentationRecipe
    public let sigma: Double
    public let head = ProjectionHead(widths: [], logits: 0)

    public let copies = 1
    public func row(index: Int, copy: Int, batch: Int) -> Int { index }
    public func view(item: Int, copy: Int) -> View { View(image: item, transform: 0, label: 0) }

    public func build(_ inputs: MethodInputs, encoder: ResNet, in plan: PlanBuilder) throws -> MethodOutputs {
        let clean = try recipe(inputs.images, in: plan)
        let output = try encoder(try gaussianNoise(clean, sigma: sigma, in: plan), in: plan)
        var x = output.map, stage = 0
        while x.shape[1] < clean.shape[1] {
            x = try upsample(x, in: plan)
            x = try Conv2D("decoder.\(stage).conv", channels: max(8, x.shape[3] / 2), kernel: 3)(x, in: plan)
            x = try BatchNorm("decoder.\(stage).bn", relu: true)(x, in: plan)
            stage += 1
        }
        x = try Conv2D("decoder.output", channels: clean.shape[3], kernel: 3)(x, in: plan)
        return MethodOutputs(loss: try meanSquaredError(x, target: clean, in: plan), features: output.pooled)
    }
}
