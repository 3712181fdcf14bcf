import CKernels
import Foundation
import OCCEngine

/// A chain of random image operations, written as the reference implementation writes it:
/// `cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2+blur0.5`.
///
/// - `cnrX`: square crop of side uniform in X*S...S, resized back.
/// - `hflip`: left-right mirror, probability 1/2.
/// - `jitter_bB_cC_sS_hH`: brightness added in +-B, contrast in 1+-C about each channel's mean, HSV's saturation
///   in 1+-S and clipped, hue shifted by +-H of the color circle (the formulas of TensorFlow's `tf.image`); an
///   absent strength is 0. The order of the four is drawn for every image and step. (The released reference code
///   draws one order of the 24 for a run and view: each image here meets them all.)
/// - `grayP`: to gray with probability P.
/// - `solarizeP`: values from 0.5 on inverted with probability P (Grill et al., NeurIPS 2020, appendix B).
/// - `blurP`: Gaussian blur with probability P: kernel S/10 made odd, sigma uniform in 0.1...2.
///
/// The empty recipe is written `none`.
public struct AugmentationRecipe: Sendable, Equatable, CustomStringConvertible {
    /// An operation of a recipe.
    public enum Step: Sendable, Equatable {
        /// A square crop of a side drawn from `minimum`...1 of the image's, resized to the whole.
        case crop(minimum: Double)
        /// A left-right mirror image, with probability 1/2.
        case flip
        /// Color jitter by these strengths.
        case jitter(brightness: Double, contrast: Double, saturation: Double, hue: Double)
        /// The image without its colors, with this probability.
        case gray(probability: Double)
        /// The image with its values from 0.5 on inverted, with this probability.
        case solarize(probability: Double)
        /// A Gaussian blur, with this probability.
        case blur(probability: Double)
    }

    /// Counts what augmentation means: 2 since a symmetry's mirror follows its rotation, 3 since contrast and
    /// saturation are those of TensorFlow.
    public static let version = 3

    /// The operations, in the order in which they are applied.
    public let steps: [Step]

    /// A recipe of these operations.
    public init(steps: [Step]) { self.steps = steps }

    /// The recipe of Sohn et al. (ICLR 2021) for every data set and method, as their released code runs it: its
    /// scripts ask for `blur0.5` besides, which leaves training images unchanged there (data/augment_ops.py).
    public static let standard = try! AugmentationRecipe("cnr0.5+hflip+jitter_b0.4_c0.4_s0.4_h0.4+gray0.2")

    /// Reads a recipe.
    ///
    /// - Throws: `OCCError(.usage)` naming the part that is not understood.
    public init(_ text: String) throws {
        steps =
            text == "none"
            ? [] : try text.split(separator: "+", omittingEmptySubsequences: false).map(Self.parse)
        guard steps.count <= RandomStream.recipeSteps else {
            throw OCCError(
                .usage, "\(setting: "augment") '\(text)': more than \(RandomStream.recipeSteps) operations")
        }
    }

    private static func parse(_ part: Substring) throws -> Step {
        func fail(_ why: String) -> OCCError {
            OCCError(
                .usage, "\(setting: "augment") '\(part)': \(why)",
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
        if part.hasPrefix("solarize") {
            return .solarize(probability: try number(after: "solarize", in: part, 0...1))
        }
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

    /// The recipe as it is written; reading it gives the same recipe.
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
            case .solarize(let probability): "solarize" + text(probability)
            case .blur(let probability): "blur" + text(probability)
            }
        }.joined(separator: "+")
    }

    /// Appends the operations to a plan; images are [N,S,S,3] in 0...1. Each image draws its own numbers from
    /// the step-state's seed and step, and its row.
    public func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> Tensor {
        var x = images
        for (index, step) in steps.enumerated() {
            let y = plan.transient("augmented", x.shape), flop = 4 * x.count
            var params = try imageParams(x, stream: RandomStream.recipe(step: index), in: plan)
            switch step {
            case .crop(let minimum):
                params.minimum = Float(minimum)
                try plan.randomCrop("augment", y: y, x: x, params, flop: flop)
            case .flip:
                params.probability = 0.5
                try plan.randomFlip("augment", y: y, x: x, params, flop: flop)
            case .jitter(let brightness, let contrast, let saturation, let hue):
                (params.brightness, params.contrast) = (Float(brightness), Float(contrast))
                (params.saturation, params.hue) = (Float(saturation), Float(hue))
                try plan.colorJitter("augment", y: y, x: x, params, flop: flop)
            case .gray(let probability):
                params.probability = Float(probability)
                try plan.randomGray("augment", y: y, x: x, params, flop: flop)
            case .solarize(let probability):
                params.probability = Float(probability)
                try plan.randomSolarize("augment", y: y, x: x, params, flop: flop)
            case .blur(let probability):
                (params.probability, params.minimum, params.maximum) = (Float(probability), 0.1, 2)
                params.taps = min(63, Int32(x.shape[1] / 10 / 2 * 2 + 1))
                try plan.randomBlur("augment", y: y, x: x, params, flop: flop)
            }
            x = y
        }
        return x
    }
}
