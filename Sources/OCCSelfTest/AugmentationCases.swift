import CKernels

/// The image operations: each image's own draw, odd sizes, both outcomes of every probability.
enum AugmentationCases {
    static let all =
        [(5, 32, 32), (3, 9, 9), (2, 7, 11), (1, 1, 1)].flatMap(cases) + [gather, gatherParts] + cutPaste

    private static func cases(n: Int, h: Int, w: Int) -> [OperationCase] {
        var random = TestRandom(UInt64(1000 + n))
        let c = 3, count = n * h * w * c, x = random.uniforms(count)
        let step = ck_step_state(seed: 0xFEED_0000_0000_0001, step: 1 << 33 | 77)
        let transforms = (0..<n).map { Int32(($0 * 3 + 1) % 8) }
        typealias Body = @Sendable ([Double], ck_image_params, ck_step_state, Int) -> [Double]
        func make(_ kind: ck_kind, _ body: @escaping Body, _ set: (inout ck_image_params) -> Void)
            -> OperationCase
        {
            var p = ck_image_params()
            (p.n, p.h, p.w, p.c, p.stream) = (Int32(n), Int32(h), Int32(w), Int32(c), 5)
            set(&p)
            let image = p
            return OperationCase(
                "\(n)x\(h)x\(w)", kind, [.output(count), .input(x), .step(step)], tolerance: 1e-10,
                expected: { s in
                    [0: AugmentationReference.each(s[1].doubles, image) { body($1, image, step, $0) }]
                }
            ) { $0.image = image }
        }
        var result = [
            make(.CK_KIND_random_crop, AugmentationReference.crop) { $0.minimum = 0.5 },
            make(.CK_KIND_random_flip, AugmentationReference.flip) { $0.probability = 0.5 },
            make(.CK_KIND_color_jitter, AugmentationReference.jitter) {
                ($0.brightness, $0.contrast, $0.saturation, $0.hue) = (0.4, 0.4, 0.4, 0.4)
            },
            make(.CK_KIND_random_gray, AugmentationReference.gray) { $0.probability = 0.5 },
            make(.CK_KIND_random_blur, AugmentationReference.blur) {
                ($0.probability, $0.minimum, $0.maximum, $0.taps) = (0.7, 0.1, 2, 5)
            },
            make(.CK_KIND_gaussian_noise, AugmentationReference.noise) { $0.maximum = 0.1 },
        ]
        guard h == w else { return result }
        result.append(
            OperationCase(
                "\(n)x\(h)x\(w)", .CK_KIND_dihedral, [.output(count), .input(x), .indices(transforms)],
                expected: { s in
                    let size = h * w * c, x = s[1].doubles
                    return [
                        0: (0..<n).flatMap {
                            AugmentationReference.dihedral(
                                Array(x[$0 * size..<($0 + 1) * size]), transform: Int(transforms[$0]),
                                side: h, channels: c)
                        }
                    ]
                }
            ) { ($0.image.n, $0.image.h, $0.image.w, $0.image.c) = (Int32(n), Int32(h), Int32(w), Int32(c)) })
        return result
    }

    private static var gather: OperationCase {
        let data = (0..<4 * 5 * 3 * 3).map { UInt8(truncatingIfNeeded: $0 * 37) },
            indices: [Int32] = [3, 0, 0, 2, 1, 3]
        let size = 5 * 3 * 3
        return OperationCase(
            "6 of 4", .CK_KIND_gather, [.output(6 * size), .bytes(data), .indices(indices), .absent],
            expected: { _ in
                [0: indices.flatMap { i in data[Int(i) * size..<Int(i + 1) * size].map { Double($0) / 255 } }]
            }
        ) {
            ($0.image.n, $0.image.h, $0.image.w, $0.image.c) = (6, 5, 3, 3)
            ($0.image.stored_h, $0.image.stored_w) = (5, 3)
        }
    }

    private static var gatherParts: OperationCase {
        let data = (0..<2 * 7 * 6 * 3).map { UInt8(truncatingIfNeeded: $0 * 41) }
        let indices: [Int32] = [1, 0, 1], corners: [Int32] = [0, 0, 3, 1, 4, 2], (h, w) = (3, 4)
        return OperationCase(
            "parts of 7x6", .CK_KIND_gather,
            [.output(3 * h * w * 3), .bytes(data), .indices(indices), .indices(corners)],
            expected: { _ in
                var result: [Double] = []
                for n in 0..<3 {
                    for row in 0..<h {
                        for column in 0..<w {
                            let r = Int(corners[2 * n]) + row, c = Int(corners[2 * n + 1]) + column
                            let pixel = (Int(indices[n]) * 7 + r) * 6 + c
                            result += (0..<3).map { Double(data[3 * pixel + $0]) / 255 }
                        }
                    }
                }
                return [0: result]
            }
        ) {
            ($0.image.n, $0.image.h, $0.image.w, $0.image.c) = (3, Int32(h), Int32(w), 3)
            ($0.image.stored_h, $0.image.stored_w) = (7, 6)
        }
    }

    /// Nothing, rectangles and scars, in images of several sizes; scars longer than the image too.
    private static var cutPaste: [OperationCase] {
        [(12, 32, 32), (6, 20, 33), (5, 7, 7), (1, 64, 64)].map { n, h, w in
            var random = TestRandom(UInt64(2000 + h))
            let x = random.uniforms(n * h * w * 3), kinds = (0..<n).map { Int32(($0 + 2) % 3) }
            let step = ck_step_state(seed: 0xFEED_0000_0000_0002, step: 1 << 33 | 78)
            let p = ck_cutpaste_params(
                n: Int32(n), h: Int32(h), w: Int32(w), c: 3, stream: 50, jitter: 0.1, area_minimum: 0.02,
                area_maximum: 0.15, aspect: 0.3, scar_width_minimum: 2, scar_width_maximum: 7,
                scar_length_minimum: 5, scar_length_maximum: 13, angle: 0.785)
            return OperationCase(
                "\(n)x\(h)x\(w)", .CK_KIND_cutpaste,
                [.output(x.count), .input(x), .indices(kinds), .step(step)], tolerance: 1e-10,
                expected: { s in
                    let size = h * w * 3, all = s[1].doubles
                    return [
                        0: (0..<n).flatMap {
                            AugmentationReference.cutPaste(
                                Array(all[$0 * size..<($0 + 1) * size]), kind: Int(kinds[$0]), p, step, $0)
                        }
                    ]
                }
            ) { $0.cutpaste = p }
        }
    }
}
