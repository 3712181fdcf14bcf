import OCCData
import OCCEngine
import OCCNetworks

/// A convolutional auto-encoder (as in Ruff et al., ICML 2018): the encoder's last map becomes a code of few
/// numbers, a decoder restores the image from it, the loss is the mean squared error. Its own score is an
/// image's error: what is unlike the training images is restored worse.
public struct AutoEncoder: MapScoring, Equatable {
    /// The numbers of the code.
    public var code = 128

    /// The method, with a code of so many numbers.
    public init(code: Int = 128) { self.code = code }

    /// The name it is chosen by.
    public let name = "autoencoder"
    /// What it is, in a line.
    public let summary = "Restores images from a code of few numbers; scores by the error."
    /// The size of the code.
    public static let settings = [
        Setting(
            "code", \AutoEncoder.code, "N", range: .within(2...16_384),
            "Numbers that an image is restored from.")
    ]

    /// Rate, decay, batch and epochs are those of the auto-encoders that Deep SVDD begins with, in its
    /// authors' code.
    public var defaults: TrainingDefaults {
        TrainingDefaults(
            headWidths: [], recipe: "none", learningRate: 1e-4, weightDecay: 5e-7, batch: 200, epochs: 350,
            optimizer: .adam, schedule: .milestones, milestones: [250], scoresItself: true)
    }
    /// One view of each image.
    public let copies = 1
    /// The image, without a label.
    public func view(item: Int, copy: Int) -> BatchRow { BatchRow(image: item) }

    /// Checks that no head is asked for.
    ///
    /// - Throws: `OCCError(.usage)` naming the setting.
    public func check(headWidths: [Int]) throws {
        guard headWidths.isEmpty else {
            throw OCCError(
                .usage,
                "\(setting: "head"): an auto-encoder has none; \(setting: "code") is the size of its code")
        }
    }

    /// Appends recipe, encoder, code, decoder and the mean squared error.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let images = try batch.recipe(batch.images, in: plan)
        let (restored, code) = try restored(images, batch.encoder, in: plan)
        return TrainingOutputs(
            loss: try meanSquaredError(restored, target: images, in: plan), features: code)
    }

    /// The mean squared error of an image, and of each of its pixels.
    public func scoreMaps(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> (
        features: Tensor, maps: Tensor
    ) {
        let restored = try restored(batch.images, batch.encoder, in: plan).images
        return try ImageDecoder.errors(of: restored, from: batch.images, in: plan)
    }

    /// Restores images [N,S,S,C] from their codes, both of which are given back. A map of one pixel is a code already, unless
    /// each is to become one of so many numbers.
    func restored(
        _ images: Tensor, _ encoder: any Encoder, alwaysCodes: Bool = false, in plan: PlanBuilder
    ) throws -> (images: Tensor, code: Tensor) {
        let map = try plan.singlePrecision(try encoder(images, in: plan).map)
        let rows = images.shape[0], side = images.shape[1]
        let flat = plan.reshaped(map, [rows, map.count / rows])
        let code =
            map.shape[1] == 1 && !alwaysCodes
            ? flat : try Dense("decoder.code", units: code, bias: false)(flat, in: plan)
        // The side that doubles to the image's, 8 or less where it can be.
        var start = side, channels = 16
        while start % 2 == 0, start > 4 { (start, channels) = (start / 2, min(128, 2 * channels)) }
        let wide = try Dense("decoder.dense", units: start * start * channels, bias: false)(code, in: plan)
        let first = try BatchNorm("decoder.bn", relu: true)(
            plan.activations(plan.reshaped(wide, [rows, start, start, channels])), in: plan)
        return (try ImageDecoder()(first, side: side, channels: images.shape[3], in: plan), code)
    }
}
