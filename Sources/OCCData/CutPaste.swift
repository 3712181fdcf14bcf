import CKernels
import Foundation
import OCCEngine

/// CutPaste (Li et al., CVPR 2021): a part of an image, its colours jittered, pasted elsewhere in the same image.
/// The numbers are those of appendix A.2, for images of 256 pixels; scars keep their size down to 128 pixels and shrink with
/// smaller images, down to a quarter.
public struct CutPaste: Sendable {
    /// What is pasted into an image.
    public enum Kind: Int, Sendable {
        case nothing = 0
        /// An upright rectangle of 2 to 15 % of the image's area, with an aspect in 0.3...1 or 1...3.3.
        case rectangle = 1
        /// A strip of 2...16 by 10...25 pixels, turned by -45...45 degrees.
        case scar = 2
    }

    /// The strength of the colour jitter.
    public var jitter = 0.1
    public var area = 0.02...0.15
    public var scarWidth = 2...16, scarLength = 10...25

    public init() {}

    /// Appends the operation: images [N,S,S,3], kinds int32 [N] -> [N,S,S,3]. Each image draws its own numbers
    /// from the step-state's seed and step, and its row.
    public func callAsFunction(_ images: Tensor, kinds: Tensor, in plan: PlanBuilder) -> Tensor {
        let y = plan.transient("pasted", images.shape)
        let scale = min(1, max(0.25, Double(images.shape[1]) / 256 * 2))
        func pixels(_ length: Int) -> Int32 { Int32(max(2, (Double(length) * scale).rounded())) }
        var params = ck_operation_params()
        params.cutpaste = ck_cutpaste_params(
            n: Int32(images.shape[0]), h: Int32(images.shape[1]), w: Int32(images.shape[2]),
            c: Int32(images.shape[3]), stream: 50, jitter: Float(jitter),
            area_minimum: Float(area.lowerBound), area_maximum: Float(area.upperBound), aspect: 0.3,
            scar_width_minimum: pixels(scarWidth.lowerBound),
            scar_width_maximum: pixels(scarWidth.upperBound),
            scar_length_minimum: pixels(scarLength.lowerBound),
            scar_length_maximum: pixels(scarLength.upperBound), angle: Float.pi / 4)
        plan.append(
            .CK_KIND_cutpaste, "cutpaste", [y, images, kinds, plan.stepState], params, flop: 4 * y.count)
        return y
    }
}
