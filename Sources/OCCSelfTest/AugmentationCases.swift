import CKernels

/// The image operations: each image's own draw, odd sizes, both outcomes of every probability.
enum AugmentationCases {
    static let all =
        [(5, 32, 32), (3, 9, 9), (2, 7, 11), (1, 1, 1)].flatMap { cases(n: $0, h: $1, w: $2) }
        + cases(n: 5, h: 9, w: 9, share: ck_share(first: 3, block: 2, stride: 10))
        + [gather, gatherParts] + cutPaste

    /// The row of the whole batch that is row `n` of a share.
    @Sendable private static func batchRow(_ n: Int, _ share: ck_share) -> Int {
        guard share.block > 0 else { return n }
        let (part, place) = n.quotientAndRemainder(dividingBy: Int(share.block))
        return Int(share.first) + part * Int(share.stride) + place
    }

    private static func cases(n: Int, h: Int, w: Int, share: ck_share = ck_share()) -> [OperationCase] {
        var random = TestRandom(UInt64(1000 + n))
        let c = 3, count = n * h * w * c, x = random.uniforms(count)
        let step = ck_step_state(seed: 0xFEED_0000_0000_0001, step: 1 << 33 | 77)
        let transforms = (0..<n).map { Int32(($0 * 3 + 1) % 8) }
        typealias Body = @Sendable ([Double], ck_image_params, ck_step_state, Int) -> [Double]
        func make(_ kind: ck_kind, _ body: @escaping Body, _ set: (inout ck_image_params) -> Void)
            -> OperationCase
        {
            var p = images(n, h, w)
            p.stream = 5
            p.share = share
            set(&p)
            let image = p
            return OperationCase(
                "\(n)x\(h)x\(w)\(share.block > 0 ? " of a share" : "")", kind,
                ck_operation_params(image: image),
                ["x": .input(x), "step": .step(step)], tolerance: 1e-10,
                expected: { s in
                    [
                        "y": AugmentationReference.each(s["x"], image) {
                            body($1, image, step, batchRow($0, share))
                        }
                    ]
                })
        }
        var result = [
            make(.CK_KIND_random_crop, AugmentationReference.crop) { $0.minimum = 0.5 },
            make(.CK_KIND_random_flip, AugmentationReference.flip) { $0.probability = 0.5 },
            make(.CK_KIND_color_jitter, AugmentationReference.jitter) {
                ($0.brightness, $0.contrast, $0.saturation, $0.hue) = (0.4, 0.4, 0.4, 0.4)
            },
            make(.CK_KIND_random_gray, AugmentationReference.gray) { $0.probability = 0.5 },
            make(
                .CK_KIND_random_solarize,
                { image, p, step, sample in
                    let draw = AugmentationReference.numbers(step, sample, p.stream)[0]
                    guard AugmentationReference.uniform(draw) < Double(p.probability) else { return image }
                    return image.map { $0 >= 0.5 ? 1 - $0 : $0 }
                }
            ) { $0.probability = 0.5 },
            make(.CK_KIND_random_blur, AugmentationReference.blur) {
                ($0.probability, $0.minimum, $0.maximum, $0.taps) = (0.7, 0.1, 2, 5)
            },
            make(.CK_KIND_gaussian_noise, AugmentationReference.noise) { $0.maximum = 0.1 },
            make(
                .CK_KIND_dropout,
                { image, p, step, sample in
                    image.enumerated().map { i, value in
                        let stream = p.stream + UInt32(i / 4 + 1) << 12
                        let draw = AugmentationReference.numbers(step, sample, stream)[i % 4]
                        return AugmentationReference.uniform(draw) < 0.25 ? 0 : value / 0.75
                    }
                }
            ) { $0.probability = 0.25 },
            translation(n: n, h: h, w: w, x: x, unit: 1), translation(n: n, h: h, w: w, x: x, unit: 2),
        ]
        guard h == w, share.block == 0 else { return result }
        result.append(
            OperationCase(
                "\(n)x\(h)x\(w)", .CK_KIND_dihedral, ck_operation_params(image: images(n, h, w)),
                ["x": .input(x), "transforms": .indices(transforms)],
                expected: { s in
                    let size = h * w * c, x = s["x"]
                    return [
                        "y": (0..<n).flatMap {
                            AugmentationReference.dihedral(
                                Array(x[$0 * size..<($0 + 1) * size]), transform: Int(transforms[$0]),
                                side: h, channels: c)
                        }
                    ]
                }))
        return result
    }

    /// Shifts of nothing, of a part, and of more than the image.
    private static func translation(n: Int, h: Int, w: Int, x: [Float], unit: Int) -> OperationCase {
        let shifts = (0..<n).map { image in [image * (h / 3 + 1) - h / 2, 1 - image * (w + 2)] }
        /// The row continued by mirror images until it is long enough.
        @Sendable func mirrored(_ size: Int, from place: Int) -> Int {
            let row = Array(0..<size), line = (0..<32).flatMap { $0 % 2 == 0 ? row : row.reversed() }
            return line[place + 16 * size]
        }
        var params = images(n, h, w)
        params.unit = Int32(unit)
        return OperationCase(
            "\(n)x\(h)x\(w) by \(unit)", .CK_KIND_translate, ck_operation_params(image: params),
            ["x": .input(x), "shifts": .indices(shifts.flatMap { $0.map(Int32.init) })],
            expected: { s in
                let x = s["x"]
                var y: [Double] = []
                for (image, shift) in shifts.enumerated() {
                    for row in 0..<h {
                        for column in 0..<w {
                            let from = mirrored(h, from: row - unit * shift[0])
                            let at = mirrored(w, from: column - unit * shift[1])
                            let pixel = 3 * ((image * h + from) * w + at)
                            y += x[pixel..<pixel + 3]
                        }
                    }
                }
                return ["y": y]
            })
    }

    /// The parameters of n images of h x w, three channels.
    private static func images(_ n: Int, _ h: Int, _ w: Int) -> ck_image_params {
        var p = ck_image_params()
        (p.n, p.h, p.w, p.c) = (Int32(n), Int32(h), Int32(w), 3)
        return p
    }

    /// The parameters of gathering n parts of h x w from stored images.
    private static func parts(_ n: Int, _ h: Int, _ w: Int, ofHeight height: Int32, width: Int32)
        -> ck_operation_params
    {
        var p = images(n, h, w)
        (p.stored_h, p.stored_w) = (height, width)
        return ck_operation_params(image: p)
    }

    private static var gather: OperationCase {
        let data = (0..<4 * 5 * 3 * 3).map { UInt8(truncatingIfNeeded: $0 * 37) },
            indices: [Int32] = [3, 0, 0, 2, 1, 3]
        let size = 5 * 3 * 3
        return OperationCase(
            "6 of 4", .CK_KIND_gather, parts(6, 5, 3, ofHeight: 5, width: 3),
            ["data": .bytes(data), "indices": .indices(indices)],
            expected: { _ in
                [
                    "y": indices.flatMap { i in
                        data[Int(i) * size..<Int(i + 1) * size].map { Double($0) / 255 }
                    }
                ]
            })
    }

    private static var gatherParts: OperationCase {
        let data = (0..<2 * 7 * 6 * 3).map { UInt8(truncatingIfNeeded: $0 * 41) }
        let indices: [Int32] = [1, 0, 1], corners: [Int32] = [0, 0, 3, 1, 4, 2], (h, w) = (3, 4)
        return OperationCase(
            "parts of 7x6", .CK_KIND_gather, parts(3, h, w, ofHeight: 7, width: 6),
            ["data": .bytes(data), "indices": .indices(indices), "corners": .indices(corners)],
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
                return ["y": result]
            })
    }

    /// Nothing, rectangles and scars, in images of several sizes; scars longer than the image too.
    private static var cutPaste: [OperationCase] {
        [(12, 32, 32, 0), (6, 20, 33, 0), (5, 7, 7, 0), (1, 64, 64, 0), (6, 16, 16, 2)].map {
            n, h, w, block in
            var random = TestRandom(UInt64(2000 + h))
            let x = random.uniforms(n * h * w * 3), kinds = (0..<n).map { Int32(($0 + 2) % 3) }
            let step = ck_step_state(seed: 0xFEED_0000_0000_0002, step: 1 << 33 | 78)
            var p = ck_cutpaste_params(
                n: Int32(n), h: Int32(h), w: Int32(w), c: 3, stream: 50, jitter: 0.1, area_minimum: 0.02,
                area_maximum: 0.15, aspect: 0.3, scar_width_minimum: 2, scar_width_maximum: 7,
                scar_length_minimum: 5, scar_length_maximum: 13, angle: 0.785)
            if block > 0 { p.share = ck_share(first: 4, block: Int32(block), stride: 9) }
            let params = p
            return OperationCase(
                "\(n)x\(h)x\(w)\(block > 0 ? " of a share" : "")", .CK_KIND_cutpaste,
                ck_operation_params(cutpaste: params),
                ["x": .input(x), "kinds": .indices(kinds), "step": .step(step)], tolerance: 1e-10,
                expected: { s in
                    let size = h * w * 3, all = s["x"]
                    return [
                        "y": (0..<n).flatMap {
                            AugmentationReference.cutPaste(
                                Array(all[$0 * size..<($0 + 1) * size]), kind: Int(kinds[$0]), params, step,
                                batchRow($0, params.share))
                        }
                    ]
                })
        }
    }
}
