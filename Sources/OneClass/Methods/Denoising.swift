import OCCData
import OCCEngine
import OCCNetworks

/// A denoising autoencoder (Vincent et al. 2008): the encoder sees the image under the recipe with normal
/// noise added, a mirrored decoder restores it from the last feature map, the loss is the mean squared error.
///
/// Its own score is the error of an image that is restored from itself, without noise.
public struct Denoising: MapScoring, Equatable {
    /// The noise's deviation, for images in 0...1.
    public var noise = 0.1

    /// The method with noise of this deviation, for images in 0...1.
    public init(noise: Double = 0.1) { self.noise = noise }

    /// The name it is chosen by.
    public let name = "denoising"
    /// What it is, in a line.
    public let summary = "Restores images from noisy ones."
    /// The noise.
    public static let settings = [
        Setting(
            "noise", \Denoising.noise, "SIGMA", range: .within(0...100),
            "Deviation of the noise added to images, whose values are 0 to 1.")
    ]

    /// There is no head: the decoder takes the feature map.
    public var defaults: TrainingDefaults { TrainingDefaults(headWidths: []) }
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
                .usage, "\(setting: "head"): denoising has none; its decoder takes the feature map")
        }
    }

    /// Appends recipe, noise, encoder, decoder and the mean squared error.
    public func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        guard batch.encoder.receptiveFields.isEmpty else {
            throw OCCError(
                .usage, "denoising: its decoder doubles maps, which an encoder without padding makes smaller",
                remedy: "Leave \(setting: "padding") none out.")
        }
        let clean = try batch.recipe(batch.images, in: plan)
        let noisy = try gaussianNoise(clean, sigma: noise, in: plan)
        let (restored, output) = try restored(noisy, batch.encoder, in: plan)
        return TrainingOutputs(
            loss: try meanSquaredError(restored, target: clean, in: plan), features: output.pooled)
    }

    /// The mean squared error of an image, and of each of its pixels that is restored from itself.
    public func scoreMaps(_ batch: ScoringBatch, in plan: PlanBuilder) throws -> (
        features: Tensor, maps: Tensor
    ) {
        let restored = try restored(batch.images, batch.encoder, in: plan).images
        return try ImageDecoder.errors(of: restored, from: batch.images, in: plan)
    }

    private func restored(_ images: Tensor, _ encoder: any Encoder, in plan: PlanBuilder) throws -> (
        images: Tensor, output: EncoderOutput
    ) {
        let output = try encoder(images, in: plan)
        let side = images.shape[1], channels = images.shape[3]
        return (try ImageDecoder()(output.map, side: side, channels: channels, in: plan), output)
    }
}
