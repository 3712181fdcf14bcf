import CKernels
import OCCEngine

/// Gathers images of a resident uint8 data set as floats in 0...1, or parts of them: data [*,S,S,3], indices
/// int32 [N] -> [N,S,S,3]; with corners (row, column) int32 [N,2] and a side P -> [N,P,P,3].
public func gather(
    _ data: Tensor, indices: Tensor, corners: Tensor? = nil, side: Int? = nil, in plan: PlanBuilder
) throws -> Tensor {
    let stored = try data.shape(dimensions: 4, of: "gather", "gather")
    let y = plan.transient("images", [indices.count, side ?? stored[1], side ?? stored[2], stored[3]])
    var params = try imageParams(y, stream: RandomStream.none, in: plan)
    (params.stored_h, params.stored_w) = (Int32(stored[1]), Int32(stored[2]))
    try plan.gather("gather", y: y, data: data, indices: indices, corners: corners, params, flop: y.count)
    return y
}

/// Maps each image by its own symmetry of the square (Sohn et al., ICLR 2021, figure 7, numbered from 0;
/// ck_dihedral.h): t / 2 quarter turns counter-clockwise, then, where t is odd, mirrored left to right;
/// transforms int32 [N], each 0...7.
public func dihedral(_ images: Tensor, transforms: Tensor, in plan: PlanBuilder) throws -> Tensor {
    let y = plan.transient("rotated", images.shape)
    try plan.dihedral(
        "dihedral", y: y, x: images, transforms: transforms,
        imageParams(images, stream: RandomStream.none, in: plan))
    return y
}

/// Each image moved by steps of `unit` pixels, down and right, its mirror image in what that leaves empty; shifts
/// int32 [N,2].
public func translate(_ images: Tensor, shifts: Tensor, unit: Int, in plan: PlanBuilder) throws -> Tensor {
    let y = plan.transient("translated", images.shape)
    var params = try imageParams(images, stream: RandomStream.none, in: plan)
    params.unit = Int32(unit)
    try plan.translate("translate", y: y, x: images, shifts: shifts, params)
    return y
}

/// Adds normal noise of deviation `sigma`.
public func gaussianNoise(_ images: Tensor, sigma: Double, in plan: PlanBuilder) throws -> Tensor {
    let y = plan.transient("noisy", images.shape)
    var params = try imageParams(images, stream: RandomStream.noise, in: plan)
    params.maximum = Float(sigma)
    try plan.gaussianNoise("noise", y: y, x: images, params, flop: 10 * y.count)
    return y
}

/// The parameters of an operation on images [N,H,W,C].
func imageParams(_ images: Tensor, stream: UInt32, in plan: PlanBuilder) throws -> ck_image_params {
    let shape = try images.shape(dimensions: 4, of: images.name, "image operation").map(Int32.init)
    var params = ck_image_params()
    (params.n, params.h, params.w, params.c) = (shape[0], shape[1], shape[2], shape[3])
    params.stream = stream
    if let share = plan.share { params.share = share.rows }
    return params
}
