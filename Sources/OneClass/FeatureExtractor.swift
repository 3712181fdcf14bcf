import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// A part of an image that the encoder sees: its number in a batch of images, and its first pixel.
public struct Window: Sendable, Equatable {
    public let image: Int, top: Int, left: Int

    /// Whole images, or the patches of all of them, image by image.
    public static func all(of images: ImageBatch, grid: PatchGrid?) -> [Window] {
        (0..<images.count).flatMap { image in
            grid?.windows(image: image) ?? [Window(image: image, top: 0, left: 0)]
        }
    }
}

/// The inference plan: stored images in, pooled features of windows out, a fixed number of rows at a time.
///
/// Images go to the device as bytes, once; the windows, overlapping as they may, are gathered there. Beyond that
/// they share no work: the encoder pads with zeros at the edges of what it sees, so that from the first 3x3
/// convolution on, a patch's border depends on where it was cut, and after some layers all of it does. What two
/// overlapping patches could still share exactly, the inside of the first stage, is under an eighth of a
/// ResNet-18's work on 32 x 32.
struct FeatureExtractor {
    /// Windows to a run of the plan: a GPU is not filled by fewer; larger ones take the memory of more.
    private static func rows(on device: Device, side: Int) -> Int { device.isGPU && side <= 64 ? 512 : 64 }
    var rows: Int { indices.count }
    /// Images on the device at a time, when the windows are patches.
    private static let images = 16

    let plan: Plan
    private let pixels: Tensor, indices: Tensor, features: Tensor
    private let corners: Tensor?, transforms: Tensor?, probabilities: Tensor?
    private let side: Int

    /// - Parameters:
    ///   - patch: the side of the windows; nil for whole images.
    ///   - head: a classifier head whose probabilities are wanted too; images can then be turned first.
    init(
        _ program: Program, encoder: ResNet, side: Int, patch: Int? = nil, head: ProjectionHead? = nil
    ) throws {
        let name = head == nil ? "embed" : "classify"
        let rows = Self.rows(on: program.device, side: patch ?? side)
        (plan, (pixels, indices, corners, transforms, features, probabilities)) =
            try program.add(name, .inference) { plan in
                let count = patch == nil ? rows : Self.images
                let pixels = try plan.input("batch", [count, side, side, 3], type: .uint8)
                let indices = try plan.input("batch rows", [rows], type: .int32)
                let corners = try patch.map { _ in try plan.input("batch corners", [rows, 2], type: .int32) }
                var images = try gather(pixels, indices: indices, corners: corners, side: patch, in: plan)
                var transforms: Tensor?
                if head != nil {
                    transforms = try plan.input("batch transforms", [rows], type: .int32)
                    images = try dihedral(images, transforms: transforms!, in: plan)
                }
                let features = try encoder(images, in: plan).pooled
                plan.keep(features)
                let probabilities = try head.map { try softmax(try $0(features, in: plan), in: plan) }
                if let probabilities { plan.keep(probabilities) }
                return (pixels, indices, corners, transforms, features, probabilities)
            }
        self.side = side
    }

    /// Features of every window, [count, D]; the windows are in the order of their images.
    func features(of images: ImageBatch, windows: [Window], program: Program) throws -> FeatureMatrix {
        let values = try run(images, windows, program) { try program.read(features, of: plan) }
        return FeatureMatrix(rows: windows.count, columns: features.shape[1], values: values)
    }

    /// Class probabilities of every image under one symmetry of the square, [count, classes].
    func probabilities(of images: ImageBatch, transform: Int, program: Program) throws -> [Float] {
        guard let transforms, let probabilities else { preconditionFailure("the plan has no classifier") }
        try program.write([Int32](repeating: Int32(transform), count: rows), to: transforms)
        return try run(images, Window.all(of: images, grid: nil), program) {
            try program.read(probabilities, of: plan)
        }
    }

    /// Runs the plan over the windows and joins what `read` returns of each run, without the padding rows.
    private func run(
        _ images: ImageBatch, _ windows: [Window], _ program: Program, read: () throws -> [Float]
    )
        throws -> [Float]
    {
        precondition(images.side == side)
        let capacity = pixels.shape[0]
        var result: [Float] = [], next = 0
        for first in stride(from: 0, to: images.count, by: capacity) {
            let count = min(capacity, images.count - first)
            var bytes = Array(images.pixels[first * images.imageBytes..<(first + count) * images.imageBytes])
            bytes += [UInt8](repeating: 0, count: (capacity - count) * images.imageBytes)
            try program.write(bytes, to: pixels)
            while next < windows.count, windows[next].image < first + count {
                let chosen = windows[next..<min(next + rows, windows.count)]
                    .prefix { $0.image < first + count }
                let padding = [Int32](repeating: 0, count: rows - chosen.count)
                try program.write(chosen.map { Int32($0.image - first) } + padding, to: indices)
                if let corners {
                    let places = chosen.flatMap { [Int32($0.top), Int32($0.left)] }
                    try program.write(places + padding + padding, to: corners)
                }
                try plan.run()
                let values = try read()
                result += values[0..<(values.count / rows * chosen.count)]
                next += chosen.count
            }
        }
        return result
    }
}

extension RunConfiguration {
    /// The plans that a program scores with: features, and the classifier of a model that predicts the rotations
    /// of whole images.
    func extractors(_ program: Program, side: Int) throws -> (FeatureExtractor, FeatureExtractor?) {
        let features = try FeatureExtractor(program, encoder: network, side: side, patch: patch)
        guard method == .rotation, patch == nil else { return (features, nil) }
        let head = try makeMethod().head
        return (features, try FeatureExtractor(program, encoder: network, side: side, head: head))
    }
}
