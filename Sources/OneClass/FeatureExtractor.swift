import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// The inference plan: stored images in, pooled features out, a fixed number of rows at a time.
struct FeatureExtractor {
    static let rows = 128

    let plan: Plan
    private let pixels: Tensor, indices: Tensor, features: Tensor
    private let transforms: Tensor?, probabilities: Tensor?
    private let side: Int

    /// - Parameter head: a classifier head whose probabilities are wanted too; images can then be turned first.
    init(_ program: Program, encoder: ResNet, side: Int, head: ProjectionHead? = nil) throws {
        let name = head == nil ? "embed" : "classify"
        (plan, (pixels, indices, transforms, features, probabilities)) = try program.add(name, .inference) {
            plan in
            let pixels = try plan.input("batch", [Self.rows, side, side, 3], type: .uint8)
            let indices = try plan.input("batch rows", [Self.rows], type: .int32)
            var images = gather(pixels, indices: indices, in: plan)
            var transforms: Tensor?
            if head != nil {
                transforms = try plan.input("batch transforms", [Self.rows], type: .int32)
                images = dihedral(images, transforms: transforms!, in: plan)
            }
            let features = try encoder(images, in: plan).pooled
            plan.keep(features)
            let probabilities = try head.map { softmax(try $0(features, in: plan), in: plan) }
            if let probabilities { plan.keep(probabilities) }
            return (pixels, indices, transforms, features, probabilities)
        }
        self.side = side
    }

    /// Features of every image, [count, D].
    func features(of images: ImageBatch, program: Program) throws -> FeatureMatrix {
        let columns = features.shape[1]
        let values = try run(images, program) { try program.read(features, of: plan) }
        return FeatureMatrix(rows: images.count, columns: columns, values: values)
    }

    /// Class probabilities of every image under one symmetry of the square, [count, classes].
    func probabilities(of images: ImageBatch, transform: Int, program: Program) throws -> [Float] {
        guard let transforms, let probabilities else { preconditionFailure("the plan has no classifier") }
        try program.write([Int32](repeating: Int32(transform), count: Self.rows), to: transforms)
        return try run(images, program) { try program.read(probabilities, of: plan) }
    }

    /// Runs the plan over the images and joins what `read` returns of each batch, without the padding rows.
    private func run(_ images: ImageBatch, _ program: Program, read: () throws -> [Float]) throws -> [Float] {
        precondition(images.side == side)
        try program.write((0..<Int32(Self.rows)).map { $0 }, to: indices)
        var result: [Float] = []
        for first in stride(from: 0, to: images.count, by: Self.rows) {
            let count = min(Self.rows, images.count - first)
            var bytes = Array(images.pixels[first * images.imageBytes..<(first + count) * images.imageBytes])
            bytes += [UInt8](repeating: 0, count: (Self.rows - count) * images.imageBytes)
            try program.write(bytes, to: pixels)
            try plan.run()
            let values = try read()
            result += values[0..<(values.count / Self.rows * count)]
        }
        return result
    }
}
