import CKernels
import OCCEngine

/// What is done to images before a network sees them: each channel less a mean, divided by a deviation. Networks whose
/// weights are given expect what they were trained with.
public enum InputNormalization: String, CaseIterable, Sendable {
    static let summary =
        "What is done to images before the encoder: imagenet subtracts the mean color of ImageNet and divides by its "
        + "deviation, which given weights expect. With --weights imagenet by itself."

    /// Nothing: pixels are in 0...1.
    case none
    /// The mean and the deviation of ImageNet's colors, as torchvision and timm have them.
    case imagenet

    /// The mean of each channel, of pixels in 0...1.
    public var mean: [Float] { self == .imagenet ? [0.485, 0.456, 0.406] : [0, 0, 0] }
    /// The deviation of each channel.
    public var deviation: [Float] { self == .imagenet ? [0.229, 0.224, 0.225] : [1, 1, 1] }

    /// Appends the normalization: images [N,S,S,3] in 0...1 -> the same shape.
    func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> Tensor {
        guard self != .none else { return images }
        // A batch normalization by given statistics, in training too.
        func constant(_ name: String, _ initializer: Initializer) throws -> Tensor {
            try plan.statistic("\(Self.prefix).\(name)", [3], initializer)
        }
        let y = plan.transient("normalize", images.shape)
        let gamma = try constant("weight", .ones), beta = try constant("bias", .zeros)
        let mean = try constant("running_mean", .constants(mean))
        let variance = try constant("running_var", .constants(deviation.map { $0 * $0 }))
        let params = ck_batchnorm_params(
            rows: Int64(images.count / 3), channels: 3, relu: 0, epsilon: 0, momentum: 0)
        try plan.batchnormInference(
            "normalize", y: y, x: images, residual: nil, gamma: gamma, beta: beta, runningMean: mean,
            runningVariance: variance, params, flop: 2 * images.count)
        plan.recordBackward(of: y, from: [images]) { pass in
            guard plan.isDifferentiable(images), let dy = pass.gradient(of: y) else { return }
            let dx = plan.transient("d \(images.name)", images.shape)
            try plan.batchnormInferenceBackward(
                "normalize", dx: dx, dresidual: nil, dy: dy, y: y, gamma: gamma, runningVariance: variance,
                params, flop: images.count)
            try pass.contribute(dx, to: images)
        }
        return y
    }

    /// What the names of its constants begin with: no file of weights has them.
    package static let prefix = "normalize"
}
