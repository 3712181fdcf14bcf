import CKernels
import Foundation
import OCCEngine

/// CutPaste (Li et al., CVPR 2021): a part of an image, its colors jittered, pasted elsewhere in the same
/// image. The numbers are those of appendix A.2, for images of 256 pixels; scars keep their size down to 128
/// pixels and shrink with smaller images, down to a quarter.
public struct CutPaste: Sendable {
    /// What is pasted into an image.
    public enum Kind: Int, Sendable {
        /// The image stays as it is.
        case nothing = 0
        /// An upright rectangle of 2 to 15 % of the image's area, with an aspect in 0.3...1 or 1...3.3.
        case rectangle = 1
        /// A strip of 2...16 by 10...25 pixels, rotated by -45...45 degrees.
        case scar = 2
    }

    /// The strength of the color jitter.
    public var jitter = 0.1
    /// The rectangle's area as a share of the image's.
    public var area = 0.02...0.15
    /// The scar's width in pixels.
    public var scarWidth = 2...16
    /// The scar's length in pixels.
    public var scarLength = 10...25

    /// The paper's numbers.
    public init() {}

    /// Appends the operation: images [N,S,S,3], kinds int32 [N] -> [N,S,S,3]. Each image draws its own
    /// numbers from the step-state's seed and step, and its row.
    public func callAsFunction(_ images: Tensor, kinds: Tensor, in plan: PlanBuilder) throws -> Tensor {
        let shape = try images.shape(dimensions: 4, of: "cutpaste", "cutpaste").map(Int32.init)
        let y = plan.transient("pasted", images.shape)
        let scale = min(1, max(0.25, Double(shape[1]) / 256 * 2))
        func pixels(_ length: Int) -> Int32 { Int32(max(2, (Double(length) * scale).rounded())) }
        var params = ck_cutpaste_params(
            n: shape[0], h: shape[1], w: shape[2], c: shape[3], stream: RandomStream.cutPaste,
            jitter: Float(jitter), area_minimum: Float(area.lowerBound), area_maximum: Float(area.upperBound),
            aspect: 0.3, scar_width_minimum: pixels(scarWidth.lowerBound),
            scar_width_maximum: pixels(scarWidth.upperBound),
            scar_length_minimum: pixels(scarLength.lowerBound),
            scar_length_maximum: pixels(scarLength.upperBound), angle: Float.pi / 4)
        if let share = plan.share { params.share = share.rows }
        try plan.cutpaste("cutpaste", y: y, x: images, kinds: kinds, params, flop: 4 * y.count)
        return y
    }
}
