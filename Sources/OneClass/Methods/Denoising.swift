import OCCData
import OCCEngine
import OCCNetworks

/// A denoising autoencoder (Vincent et al. 2008): the encoder sees the image under the recipe with normal
/// noise added, a mirrored decoder restores it from the last feature map, the loss is the mean squared error.
public struct Denoising: Method, Equatable {
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
        let output = try batch.encoder(try gaussianNoise(clean, sigma: noise, in: plan), in: plan)
        var x = output.map, stage = 0
        while x.shape[1] < clean.shape[1] {
            x = try upsample(x, in: plan)
            x = try Conv2D("decoder.\(stage).conv", channels: max(8, x.shape[3] / 2), kernel: 3)(x, in: plan)
            x = try BatchNorm("decoder.\(stage).bn", relu: true)(x, in: plan)
            stage += 1
        }
        guard x.shape[1] == clean.shape[1] else {
            throw OCCError(
                .usage,
                "\(setting: "patch") \(clean.shape[1]): the decoder doubles the feature map's side, to \(x.shape[1])",
                remedy: "For denoising take a multiple of 32 above 64 pixels.")
        }
        x = try Conv2D("decoder.output", channels: clean.shape[3], kernel: 3)(x, in: plan)
        return TrainingOutputs(
            loss: try meanSquaredError(x, target: clean, in: plan), features: output.pooled)
    }
}
