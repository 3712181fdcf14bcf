import CKernels

/// All operations, at sizes that reach every branch of the kernels.
public enum OperationCases {
    /// The small cases of every operation, odd sizes among them, with what the reference makes of them; those of
    /// operations on activations also in bf16.
    public static let all =
        ConvolutionCases.all + ConvolutionCases.inference + JoinedCases.all + NormalizationCases.all
        + LayerCases.all
        + ObjectiveCases.all + DistanceCases.all + FlowCases.all + MixtureCases.all
        + AugmentationCases.all + NormalizationCases.bfloat16
        + ConvolutionCases.bfloat16 + ConvolutionCases.large + JoinedCases.large
        + (ConvolutionCases.inference + JoinedCases.all + LayerCases.all).filter(\.hasActivations).map {
            $0.inBfloat16()
        }

    /// Operations at the sizes of a training step of ResNet-18 on 64 images of 32 x 32: inputs only, to be
    /// compared between devices and timed.
    public static let large: [OperationCase] = {
        func convolution(_ n: Int32, _ side: Int32, _ c: Int32, _ k: Int32, _ r: Int32, _ stride: Int32)
            -> [OperationCase]
        {
            let pad = r / 2, out = (side + 2 * pad - r) / stride + 1
            var p = ck_conv2d_params(
                n: n, h: side, w: side, c: c, k: k, r: r, s: r, stride: stride, pad: pad, p: out, q: out,
                math: 0, relu: 1, epsilon: 1e-5)
            p.momentum = 0.1
            var random = TestRandom(UInt64(side))
            let x = random.uniforms(Int(n * side * side * c)), w = random.normals(Int(k * r * r * c))
            let dy = random.normals(Int(n * out * out * k)), factors = random.normals(Int(k))
            let name = "\(n)x\(side)x\(side)x\(c)->\(k) \(r)x\(r)/\(stride)"
            let operands: [(ck_kind, [String: Slot])] = [
                (.CK_KIND_conv2d_forward, ["x": .input(x), "w": .input(w)]),
                (
                    .CK_KIND_conv2d_inference,
                    [
                        "x": .input(x), "w": .input(w), "gamma": .input(factors), "beta": .input(factors),
                        "running_mean": .input(factors),
                        "running_variance": .input(factors.map { $0 * $0 + 1 }), "residual": .input(dy),
                    ]
                ),
                (.CK_KIND_conv2d_backward_data, ["dy": .input(dy), "w": .input(w)]),
                (.CK_KIND_conv2d_backward_weight, ["dy": .input(dy), "x": .input(x)]),
                (
                    .CK_KIND_conv2d_batchnorm_forward,
                    [
                        "x": .input(x), "w": .input(w), "gamma": .input(factors), "beta": .input(factors),
                        "running_mean": .updated(factors),
                        "running_variance": .updated(factors.map { $0 * $0 + 1 }), "residual": .input(dy),
                    ]
                ),
                (
                    .CK_KIND_conv2d_batchnorm_backward,
                    [
                        "dy": .input(dy), "w": .input(w), "added": .input(x), "x": .input(x), "y": .input(x),
                        "mean": .input([Float](repeating: 0.5, count: Int(c))),
                        "inverse_deviation": .input([Float](repeating: 3.5, count: Int(c))),
                        "gamma": .input([Float](repeating: 1, count: Int(c))),
                    ]
                ),
            ]
            return operands.flatMap { kind, operands in
                let single = OperationCase(
                    name, kind, ck_operation_params(conv2d: p), operands, tolerance: 1e-9,
                    expected: { _ in [:] })
                return [single, single.inBfloat16()]
            }
        }
        return [
            convolution(64, 32, 3, 64, 3, 1), convolution(64, 32, 64, 64, 3, 1),
            convolution(64, 32, 64, 128, 3, 2),
            convolution(64, 16, 128, 128, 3, 1), convolution(64, 8, 256, 256, 3, 1),
            convolution(64, 4, 512, 512, 3, 1),
        ].flatMap { $0 }
    }()
}
