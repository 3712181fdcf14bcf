import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// The inference plan of an encoder that pads: stored images in, pooled features of their parts out, a fixed number
/// of rows at a time.
///
/// Images go to the device as bytes, once; the patches, overlapping as they may, are gathered there. Beyond
/// that they share no work: the encoder pads with zeros at the edges of what it sees, so that from the first
/// 3x3 convolution on, a patch's border depends on where it was cut, and after some layers all of it does.
/// `DenseExtractor` is for encoders that do not pad.
package struct PartExtractor: FeatureExtractor {
    /// Parts to a run of the plan: a GPU is not filled by fewer; larger ones take the memory of more.
    private static func rows(on device: Device, side: Int) -> Int { device.isGPU && side <= 64 ? 512 : 64 }
    private var rows: Int { tensors.indices.count }
    package var featureCount: Int { tensors.features.shape[1] }
    package var unit: String { tensors.corners == nil ? "images" : "patches" }
    /// Images on the device at a time, when the parts are patches.
    private static let images = 16

    /// What the host writes and reads.
    private struct Tensors {
        let pixels: Tensor, indices: Tensor, features: Tensor
        let corners: Tensor?
        let inputs: RowInputTensors?, probabilities: Tensor?
    }

    package let plan: Plan
    private let tensors: Tensors
    private let rowInputs: [RowInput]
    private let side: Int

    /// - Parameters:
    ///   - layers: the stages whose maps the features are means of; nil for the last.
    ///   - patch: the side of the patches; nil for whole images.
    ///   - method: one whose classifier's probabilities are wanted too, and its head's widths; images are
    ///     then transformed first.
    package init(
        _ program: Program, encoder: any Encoder, layers: StageNumbers? = nil, side: Int, patch: Int? = nil,
        classifier method: (any TransformationScoring)? = nil, headWidths: [Int] = []
    ) throws {
        let rows = Self.rows(on: program.device, side: patch ?? side)
        rowInputs = method?.rowInputs ?? []
        self.side = side
        (plan, tensors) = try program.add(method == nil ? "embed" : "classify", .inference) { plan in
            let count = patch == nil ? rows : Self.images
            let pixels = try plan.input("batch", [count, side, side, 3], type: .uint8)
            let indices = try plan.input("batch rows", [rows], type: .int32)
            let corners = try patch.map { _ in try plan.input("batch corners", [rows, 2], type: .int32) }
            var images = try gather(pixels, indices: indices, corners: corners, side: patch, in: plan)
            let inputs = try method.map {
                try RowInputTensors($0.rowInputs, rows: rows, prefix: "batch ", in: plan)
            }
            if let method, let inputs { images = try method.transformed(images, inputs, in: plan) }
            let output = try encoder(images, in: plan)
            let features = try output.features(layers, in: plan) { map, _ in
                try globalAveragePool(map, in: plan)
            }
            plan.keep(features)
            let head = method?.classifierHead(widths: headWidths)
            if let method, head == nil {
                throw OCCError(
                    .failure,
                    "method \(method.name) scores by a classifier, and has no classifierHead(widths:)")
            }
            let probabilities = try head.map { try softmax(try $0(output.pooled, in: plan), in: plan) }
            if let probabilities { plan.keep(probabilities) }
            return Tensors(
                pixels: pixels, indices: indices, features: features, corners: corners, inputs: inputs,
                probabilities: probabilities)
        }
    }

    package func features(
        of images: ImageBatch, places: [PatchPlace], program: Program, work: Work
    ) throws -> FeatureMatrix {
        let values = try run(images, places, program, work) { try program.read(tensors.features, of: plan) }
        return FeatureMatrix(rows: places.count, columns: tensors.features.shape[1], values: values)
    }

    package func runs(images: Int, grid: PatchGrid?) -> Int {
        (images * (grid?.count ?? 1) + rows - 1) / rows
    }

    /// Class probabilities of every image under every transformation of the method.
    func probabilities(of images: ImageBatch, _ method: any TransformationScoring, program: Program) throws
        -> TransformationProbabilities
    {
        guard let inputs = tensors.inputs, let probabilities = tensors.probabilities else {
            preconditionFailure("the plan has no classifier")
        }
        let values = try method.transformations.map { transformation in
            var next = 0
            for input in rowInputs {
                let own = transformation[next..<next + input.width].map { Int32($0) }
                try program.write((0..<rows).flatMap { _ in own }, to: inputs[input.name])
                next += input.width
            }
            return try Work.track("computing features", unit, total: images.count) { work in
                try run(images, PatchPlace.all(of: images, grid: nil), program, work) {
                    try program.read(probabilities, of: plan)
                }
            }
        }
        return TransformationProbabilities(
            images: images.count, classes: probabilities.shape[1], values: values)
    }

    /// Runs the plan over the parts and joins what `read` returns of each run, without the padding rows.
    private func run(
        _ images: ImageBatch, _ places: [PatchPlace], _ program: Program, _ work: Work,
        read: () throws -> [Float]
    ) throws -> [Float] {
        precondition(images.side == side)
        let capacity = tensors.pixels.shape[0]
        var result: [Float] = [], next = 0
        for first in stride(from: 0, to: images.count, by: capacity) {
            let count = min(capacity, images.count - first)
            var bytes = Array(images.pixels[first * images.imageBytes..<(first + count) * images.imageBytes])
            bytes += [UInt8](repeating: 0, count: (capacity - count) * images.imageBytes)
            try program.write(bytes, to: tensors.pixels)
            while next < places.count, places[next].image < first + count {
                let chosen = places[next..<min(next + rows, places.count)]
                    .prefix { $0.image < first + count }
                let padding = [Int32](repeating: 0, count: rows - chosen.count)
                try program.write(chosen.map { Int32($0.image - first) } + padding, to: tensors.indices)
                if let corners = tensors.corners {
                    let corner = chosen.flatMap { [Int32($0.top), Int32($0.left)] }
                    try program.write(corner + padding + padding, to: corners)
                }
                try plan.run()
                let values = try read()
                result += values[0..<(values.count / rows * chosen.count)]
                next += chosen.count
                work.advance(by: chosen.count)
            }
        }
        return result
    }
}
