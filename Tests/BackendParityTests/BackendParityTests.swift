import CKernels
import TestSupport
import Testing

/// Every operation of every backend against the double-precision reference, from one list of cases.
@Suite struct BackendParityTests {
    static let cases = OperationCases.all

    @Test(arguments: cases)
    func cpu(_ operation: OperationCase) throws {
        var device = ck_device()
        try #require(ck_device_create_cpu(&device) == .CK_OK)
        defer { ck_device_destroy(device) }
        let failures = try operation.failures(on: device)
        #expect(failures.isEmpty, "\(failures)")
    }

    @Test func everyOperationHasACase() {
        let covered = Set(Self.cases.map(\.operationName))
        let all = (0..<UInt32(CK_KIND_COUNT)).map {
            String(cString: ck_declaration_of(ck_kind(rawValue: $0)!).pointee.name)
        }
        #expect(all.filter { !covered.contains($0) } == [])
    }

    @Test func convolutionReferenceAgreesWithFiniteDifferences() {
        #expect(ConvolutionCases.referenceFailures() == [])
    }

    /// Saturation is HSV's, clipped (`tf.image.adjust_saturation`): by hand, with S = (high - low) / high and the
    /// middle channel's share of the distance from high unchanged.
    @Test(arguments: [
        ([0.8, 0.4, 0.6], 0.6, [0.8, 0.56, 0.68]),  // S 0.5 becomes 0.3
        ([0.8, 0.4, 0.6], 1.4, [0.8, 0.24, 0.52]),  // 0.7
        ([0.8, 0.4, 0.6], 3.0, [0.8, 0.0, 0.4]),  // 1.5, clipped to 1
        ([0.4, 0.8, 0.6], 0.0, [0.8, 0.8, 0.8]),
        ([0.5, -0.1, 0.2], 1.0, [0.5, 0.0, 0.25]),  // 1.2, clipped to 1
        ([-0.3, -0.1, -0.2], 1.4, [-0.1, -0.1, -0.1]),  // nothing is above black
        ([0.0, -0.2, -0.1], 1.4, [0.0, 0.0, 0.0]), ([0.3, 0.3, 0.3], 1.4, [0.3, 0.3, 0.3]),
        ([0.0, 0.0, 0.0], 0.6, [0.0, 0.0, 0.0]), ([-0.2, -0.2, -0.2], 0.6, [-0.2, -0.2, -0.2]),
        ([1.2, 0.6, 0.9], 1.4, [1.2, 0.36, 0.78]),  // values above 1 are not clipped
    ])
    func saturationIsOfHSV(_ pixel: [Double], _ factor: Double, _ expected: [Double]) {
        var (r, g, b) = (Float(pixel[0]), Float(pixel[1]), Float(pixel[2]))
        ck_scale_saturation(&r, &g, &b, Float(factor))
        for (got, want) in zip([r, g, b], expected) {
            #expect(abs(Double(got) - want) < 1e-6, "\(r) \(g) \(b)")
        }
    }

    /// Contrast is about the mean of each channel (`tf.image.adjust_contrast`): a red and a blue half keep their
    /// colors' means, and a channel that is the same everywhere stays.
    @Test func contrastIsOfEachChannel() throws {
        var device = ck_device()
        try #require(ck_device_create_cpu(&device) == .CK_OK)
        defer { ck_device_destroy(device) }
        var params = ck_image_params()
        (params.n, params.h, params.w, params.c, params.contrast) = (1, 1, 2, 3, 0.4)
        let step = ck_step_state(seed: 7, step: 3)
        // The amount is the second of the four that are drawn.
        let factor = 1 + 0.4 * (2 * Double(ck_philox(step.seed, step.step, 0, 0).v.1 >> 8) / 16_777_216 - 1)
        let means = [0.5, 0.25, 0.75], x: [Float] = [0.9, 0.25, 0.55, 0.1, 0.25, 0.95]
        let operation = OperationCase(
            "two pixels", .CK_KIND_color_jitter, ck_operation_params(image: params),
            ["x": .input(x), "step": .step(step)], tolerance: 1e-10,
            expected: { _ in
                ["y": x.enumerated().map { means[$0 % 3] + factor * (Double($1) - means[$0 % 3]) }]
            })
        #expect(abs(factor - 1) > 0.05)
        #expect(try operation.failures(on: device) == [])
    }

    /// To the nearest, ties to even; beyond the largest lies infinity, and NaN stays NaN.
    @Test func roundingToBfloat16() {
        for (value, expected) in [
            (1.0, 0x3F80), (-2.0, 0xC000), (0.0, 0x0000), (-0.0, 0x8000),
            (1 + 0x1p-8, 0x3F80), (1 + 0x1p-8 + 0x1p-20, 0x3F81), (1 + 3 * 0x1p-8, 0x3F82),
            (1 + 0x1p-7, 0x3F81), (1 + 0x1p-8 - 0x1p-20, 0x3F80),
            (0x1.FEp127, 0x7F7F), (0x1.FFp127, 0x7F80), (0x1.FEFFFEp127, 0x7F7F),
            (.infinity, 0x7F80), (-.infinity, 0xFF80),
            (0x1p-133, 0x0001), (0x1p-134, 0x0000), (0x1.8p-134, 0x0001), (0x1.8p-133, 0x0002),
            (0x1p-149, 0x0000), (0x1.FFp-127, 0x0080),
        ] as [(Float, Int)] {
            #expect(ck_bf16_of(value) == UInt16(expected), "\(value)")
        }
        for bits in [0x7FC0_0000, 0x7F80_0001, 0xFFFF_FFFF, 0xFF80_0001, 0x7FFF_FFFF] as [UInt32] {
            #expect(ck_float_of_bf16(ck_bf16_of(Float(bitPattern: bits))).isNaN, "\(bits)")
        }
        for bits in UInt16.min...UInt16.max where !ck_float_of_bf16(bits).isNaN {
            #expect(ck_bf16_of(ck_float_of_bf16(bits)) == bits)
        }
    }

    /// The harness itself: a wrong value, a NaN and a write outside must all show.
    @Test func comparisonCatchesErrors() {
        #expect(difference([1, 2, 3], [1, 2, 3], tolerance: 1e-12) == nil)
        #expect(difference([1, 2, 3.001], [1, 2, 3], tolerance: 1e-12) != nil)
        #expect(difference([1, .nan, 3], [1, 2, 3], tolerance: 1e9) != nil)
        #expect(difference([0, 0], [0, 0], tolerance: 0) == nil)
        #expect(difference([0, 1e-9], [0, 0], tolerance: 1e-3) != nil)
    }
}
