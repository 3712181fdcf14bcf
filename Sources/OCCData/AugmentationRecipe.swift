import CKernels
import Foundation
import OCCEngine

/// A chain of random image operations, written as the reference implementation writes it:
/// `cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2+blur0.5`.
///
/// - `cnrX`: square crop of side uniform in X*S...S, resized back.
/// - `hflip`: left-right mirror, probability 1/2.
/// - `jitter_bB_cC_sS_hH`: brightness added in +-B, contrast in 1+-C, saturation in 1+-S, hue turned by +-H turns, in an
///   order drawn for every image; an absent strength is 0.
/// - `grayP`: to grey with probability P.
/// - `blurP`: Gaussian blur with probability P: kernel S/10 made odd, sigma uniform in 0.1...2. (The released reference code
///   skips its blur while training; leave `blur` out to reproduce it exactly.)
///
/// The empty recipe is written `none`.
public struct AugmentationRecipe: Sendable, Equatable, CustomStringConvertible {
    public enum Step: Sendable, Equatable {
        case crop(minimum: Double)
        case flip
        case jitter(brightness: Double, contrast: Double, saturation: Double, hue: Double)
        case gray(probability: Double)
        case blur(probability: Double)
    }

    public let steps: [Step]

    public init(steps: [Step]) { self.steps = steps }

    /// The paper's recipe for every data set and method.
    public static let standard = try! AugmentationRecipe(
        "cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2+blur0.5")

    /// - Throws: `OCCError(.usage)` naming the part that is not understood.
    public init(_ text: String) throws {
        steps =
            text == "none"
            ? [] : try text.split(separator: "+", omittingEmptySubsequences: false).map(Self.parse)
    }

    private static func parse(_ part: Substring) throws -> Step {
        func fail(_ why: String) -> OCCError {
            OCCError(
                .usage, "augmentation '\(part)': \(why)",
                remedy:
                    "A recipe looks like cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2+blur0.5, or none.")
        }
        func number(after prefix: String, in text: Substring, _ range: ClosedRange<Double>) throws -> Double {
            guard let value = Double(text.dropFirst(prefix.count)), range.contains(value) else {
                throw fail("'\(prefix)' takes a number in \(range.lowerBound)...\(range.upperBound)")
            }
            return value
        }
        if part == "hflip" { return .flip }
        if part.hasPrefix("cnr") {
            let minimum = try number(after: "cnr", in: part, 0...1)
            guard minimum > 0 else { throw fail("the crop's smallest side must be above 0") }
            return .crop(minimum: minimum)
        }
        if part.hasPrefix("gray") { return .gray(probability: try number(after: "gray", in: part, 0...1)) }
        if part.hasPrefix("blur") { return .blur(probability: try number(after: "blur", in: part, 0...1)) }
        guard part.hasPrefix("jitter") else { throw fail("no such operation") }
        var strengths: [Character: Double] = [:]
        for field in part.split(separator: "_").dropFirst() {
            guard let key = field.first, "bcsh".contains(key), strengths[key] == nil else {
                throw fail("jitter takes each of b, c, s, h once")
            }
            strengths[key] = try number(after: String(key), in: field, 0...(key == "h" ? 0.5 : 1))
        }
        return .jitter(
            brightness: strengths["b"] ?? 0, contrast: strengths["c"] ?? 0, saturation: strengths["s"] ?? 0,
            hue: strengths["h"] ?? 0)
    }

    public var description: String {
        func text(_ value: Double) -> String { String(format: "%g", value) }
        guard !steps.isEmpty else { return "none" }
        return steps.map { step in
            switch step {
            case .crop(let minimum): "cnr" + text(minimum)
            case .flip: "hflip"
            case .jitter(let b, let c, let s, let h):
                "jitter" + zip("bcsh", [b, c, s, h]).filter { $1 != 0 }.map { "_\($0)\(text($1))" }.joined()
            case .gray(let probability): "gray" + text(probability)
            case .blur(let probability): "blur" + text(probability)
            }
        }.joined(separator: "+")
    }

    /// Appends the operations to a plan; images are [N,S,S,3] in 0...1. Each image draws its own numbers from
    /// the step-state's seed and step, and its row.
    public func callAsFunction(_ images: Tensor, in plan: PlanBuilder) -> Tensor {
        var x = images
        for (index, step) in steps.enumerated() {
            var params = imageParams(x, stream: UInt32(index + 1))
            let kind: ck_kind
            switch step {
            case .crop(let minimum):
                kind = .CK_KIND_random_crop
                params.image.minimum = Float(minimum)
            case .flip:
                kind = .CK_KIND_random_flip
                params.image.probability = 0.5
            case .jitter(let brightness, let contrast, let saturation, let hue):
                kind = .CK_KIND_color_jitter
                params.image.brightness = Float(brightness)
                params.image.contrast = Float(contrast)
                params.image.saturation = Float(saturation)
                params.image.hue = Float(hue)
            case .gray(let probability):
                kind = .CK_KIND_random_gray
                params.image.probability = Float(probability)
            case .blur(let probability):
                kind = .CK_KIND_random_blur
                params.image.probability = Float(probability)
                params.image.minimum = 0.1
                params.image.maximum = 2
                params.image.taps = min(63, Int32(x.shape[1] / 10 / 2 * 2 + 1))
            }
            let y = plan.transient("augmented", x.shape)
            plan.append(kind, "augment", [y, x, plan.stepState], params, flop: 4 * x.count)
            x = y
        }
        return x
    }
}

/// Images of a resident uint8 data set as floats in 0...1, or parts of them: data [*,S,S,3], indices int32 [N]
/// -> [N,S,S,3]; with corners (row, column) int32 [N,2] and a side P -> [N,P,P,3].
public func gather(
    _ data: Tensor, indices: Tensor, corners: Tensor? = nil, side: Int? = nil, in plan: PlanBuilder
) -> Tensor {
    let height = side ?? data.shape[1], width = side ?? data.shape[2]
    let y = plan.transient("images", [indices.shape[0], height, width, data.shape[3]])
    var params = imageParams(y, stream: 0)
    (params.image.stored_h, params.image.stored_w) = (Int32(data.shape[1]), Int32(data.shape[2]))
    plan.append(
        .CK_KIND_gather, "gather", [y, data, indices, corners], params, flop: y.count, output: y, from: [])
    return y
}

/// Each image under its own symmetry of the square, 0...7 (see ck_dihedral.h); transforms int32 [N].
public func dihedral(_ images: Tensor, transforms: Tensor, in plan: PlanBuilder) -> Tensor {
    let y = plan.transient("turned", images.shape)
    plan.append(.CK_KIND_dihedral, "dihedral", [y, images, transforms], imageParams(images, stream: 0))
    return y
}

/// Adds normal noise of deviation `sigma`.
public func gaussianNoise(_ images: Tensor, sigma: Double, in plan: PlanBuilder) -> Tensor {
    let y = plan.transient("noisy", images.shape)
    var params = imageParams(images, stream: 100)
    params.image.maximum = Float(sigma)
    plan.append(.CK_KIND_gaussian_noise, "noise", [y, images, plan.stepState], params, flop: 10 * y.count)
    return y
}

private func imageParams(_ images: Tensor, stream: UInt32) -> ck_operation_params {
    var params = ck_operation_params()
    params.image.n = Int32(images.shape[0])
    params.image.h = Int32(images.shape[1])
    params.image.w = Int32(images.shape[2])
    params.image.c = Int32(images.shape[3])
    params.image.stream = stream
    return params
}
