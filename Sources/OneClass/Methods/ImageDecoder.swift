import OCCEngine
import OCCNetworks

/// The network of a method that restores images: maps are doubled, each time by repeated pixels and a 3x3
/// convolution with batch normalization and ReLU, until they are as large as the image.
struct ImageDecoder {
    /// Appends the network: maps [N,P,P,C] -> images [N,S,S,channels], where S is P times a power of two.
    ///
    /// - Throws: `OCCError(.usage)` where doubling P does not come to S.
    func callAsFunction(_ maps: Tensor, side: Int, channels: Int, in plan: PlanBuilder) throws -> Tensor {
        var x = maps, stage = 0
        while x.shape[1] < side {
            x = try upsample(x, in: plan)
            x = try Conv2D("decoder.\(stage).conv", channels: max(8, x.shape[3] / 2), kernel: 3)(x, in: plan)
            x = try BatchNorm("decoder.\(stage).bn", relu: true)(x, in: plan)
            stage += 1
        }
        guard x.shape[1] == side else {
            throw OCCError(
                .usage,
                "\(setting: "patch") \(side): the decoder doubles the feature map's side, to \(x.shape[1])",
                remedy: "Take a multiple of 32 above 64 pixels.")
        }
        return try Conv2D("decoder.output", channels: channels, kernel: 3)(x, in: plan)
    }

    /// The scores of restored images [N,S,S,C] and of their pixels: the mean squared errors over an image's values,
    /// [N,1], and over a pixel's channels, [N,S,S].
    static func errors(
        of restored: Tensor, from images: Tensor, in plan: PlanBuilder
    ) throws -> (features: Tensor, maps: Tensor) {
        let restored = try plan.singlePrecision(restored), images = try plan.singlePrecision(images)
        let shape = images.shape, rows = shape[0], channels = shape[3], pixels = images.count / channels
        let error = try rowDistance(
            restored, target: images, factor: 1 / Double(images.count / rows), in: plan)
        let map = try rowDistance(
            plan.reshaped(restored, [pixels, channels]), target: plan.reshaped(images, [pixels, channels]),
            factor: 1 / Double(channels), in: plan)
        return (plan.reshaped(error, [rows, 1]), plan.reshaped(map, Array(shape.prefix(3))))
    }
}
