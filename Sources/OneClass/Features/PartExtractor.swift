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
    package var featureCount: Int { tensors.features.shape[1] * views.count }
    package var unit: String { tensors.corners == nil ? "images" : "patches" }
    /// Images on the device at a time, when the parts are patches.
    private static let images = 16

    /// What the host writes and reads.
    private struct Tensors {
        let pixels: Tensor, indices: Tensor, features: Tensor
        let corners: Tensor?
        let inputs: RowInputTensors, probabilities: Tensor?, maps: Tensor?
    }

    package let plan: Plan
    private let tensors: Tensors
    private let rowInputs: [RowInput]
    /// The values of the row inputs that features are computed under, side by side.
    private let views: [[Int]]
    private let side: Int

    /// What a plan gives of its images: features [N,D], of a classifier probabilities [N,classes], and of a method that
    /// scores pixels maps [N,S,S].
    private struct Outputs {
        let features: Tensor
        var probabilities: Tensor?
        var maps: Tensor?
    }

    private init(
        _ program: Program, named name: String, side: Int, patch: Int?, rowInputs: [RowInput] = [],
        views: [[Int]] = [[]],
        _ build: (Tensor, RowInputTensors, PlanBuilder) throws -> Outputs
    ) throws {
        let rows = Self.rows(on: program.device, side: patch ?? side)
        self.rowInputs = rowInputs
        self.views = views
        self.side = side
        (plan, tensors) = try program.add(name, .inference) { plan in
            let count = patch == nil ? rows : Self.images
            let pixels = try plan.input("batch", [count, side, side, 3], type: .uint8)
            let indices = try plan.input("batch rows", [rows], type: .int32)
            let corners = try patch.map { _ in try plan.input("batch corners", [rows, 2], type: .int32) }
            let images = try gather(pixels, indices: indices, corners: corners, side: patch, in: plan)
            let inputs = try RowInputTensors(rowInputs, rows: rows, prefix: "batch ", in: plan)
            let outputs = try build(images, inputs, plan)
            plan.keep(outputs.features)
            for own in [outputs.probabilities, outputs.maps].compactMap({ $0 }) { plan.keep(own) }
            return Tensors(
                pixels: pixels, indices: indices, features: outputs.features, corners: corners,
                inputs: inputs, probabilities: outputs.probabilities, maps: outputs.maps)
        }
    }

    /// - Parameters:
    ///   - layers: the stages whose maps the features are means of; nil for the last.
    ///   - patch: the side of the patches; nil for whole images.
    package init(
        _ program: Program, encoder: any Encoder, layers: StageNumbers? = nil, side: Int, patch: Int? = nil
    ) throws {
        try self.init(program, named: "embed", side: side, patch: patch) { images, _, plan in
            let features = try encoder(images, in: plan).features(layers, in: plan) { map, _ in
                try globalAveragePool(map, in: plan)
            }
            return Outputs(features: features)
        }
    }

    /// The plan of a method's classifier, whose probabilities under each transformation are wanted.
    init(
        _ program: Program, encoder: any Encoder, side: Int, classifier method: any TransformationScoring,
        headWidths: [Int]
    ) throws {
        try self.init(program, named: "classify", side: side, patch: nil, rowInputs: method.rowInputs) {
            images, inputs, plan in
            let output = try encoder(try method.transformed(images, inputs, in: plan), in: plan)
            guard let head = method.classifierHead(widths: headWidths) else {
                throw OCCError(
                    .failure,
                    "method \(method.name) scores by a classifier, and has no classifierHead(widths:)")
            }
            return Outputs(
                features: output.pooled,
                probabilities: try softmax(try head(output.pooled, in: plan), in: plan))
        }
    }

    /// The plan of what a method scores by itself; of whole images with the scores of pixels, where it gives such.
    init(
        _ program: Program, encoder: any Encoder, side: Int, patch: Int?, ownOf method: any OwnScoring,
        headWidths: [Int]
    ) throws {
        let views = method.scoredViews
        try self.init(
            program, named: "score", side: side, patch: patch,
            rowInputs: views == [[]] ? [] : method.rowInputs, views: views
        ) { images, inputs, plan in
            let batch = ScoringBatch(images: images, inputs: inputs, encoder: encoder, headWidths: headWidths)
            guard patch == nil, let method = method as? any MapScoring else {
                return Outputs(features: try method.scoreFeatures(batch, in: plan))
            }
            guard views == [[]] else {
                throw OCCError(
                    .failure, "method \(method.name) scores pixels, and looks at several views of an image")
            }
            let scored = try method.scoreMaps(batch, in: plan)
            return Outputs(features: scored.features, maps: scored.maps)
        }
    }

    /// The plan of what a method looks at before it trains.
    init(
        _ program: Program, encoder: any Encoder, side: Int, patch: Int?, firstOf method: any FirstPass,
        headWidths: [Int]
    ) throws {
        try self.init(program, named: "first pass", side: side, patch: patch) { images, inputs, plan in
            let batch = ScoringBatch(images: images, inputs: inputs, encoder: encoder, headWidths: headWidths)
            return Outputs(features: try method.firstFeatures(batch, in: plan))
        }
    }

    package func features(
        of images: ImageBatch, places: [PatchPlace], program: Program, work: Work
    ) throws -> FeatureMatrix {
        let columns = tensors.features.shape[1]
        var all = [Float](repeating: 0, count: views.count == 1 ? 0 : places.count * featureCount)
        for (index, view) in views.enumerated() {
            try show(view, program)
            // A part is done when its last view is.
            let own = try run(images, places, program, index == views.count - 1 ? work : nil) {
                try program.read(tensors.features, of: plan)
            }
            guard views.count > 1 else {
                return FeatureMatrix(rows: places.count, columns: columns, values: own)
            }
            for row in 0..<places.count {
                let to = row * featureCount + index * columns
                all.replaceSubrange(to..<to + columns, with: own[row * columns..<(row + 1) * columns])
            }
        }
        return FeatureMatrix(rows: places.count, columns: featureCount, values: all)
    }

    /// Writes the values of the row inputs that all rows have.
    private func show(_ view: [Int], _ program: Program) throws {
        var next = 0
        for input in rowInputs {
            let own = view[next..<next + input.width].map { Int32($0) }
            try program.write((0..<rows).flatMap { _ in own }, to: tensors.inputs[input.name])
            next += input.width
        }
    }

    package func runs(images: Int, grid: PatchGrid?) -> Int {
        (images * (grid?.count ?? 1) + rows - 1) / rows * views.count
    }

    /// Class probabilities of every image under every transformation of the method.
    func probabilities(of images: ImageBatch, _ method: any TransformationScoring, program: Program) throws
        -> TransformationProbabilities
    {
        guard let probabilities = tensors.probabilities else {
            preconditionFailure("the plan has no classifier")
        }
        let values = try method.transformations.map { transformation in
            try show(transformation, program)
            return try Work.track("computing features", unit, total: images.count) { work in
                try run(images, PatchPlace.all(of: images, grid: nil), program, work) {
                    try program.read(probabilities, of: plan)
                }
            }
        }
        return TransformationProbabilities(
            images: images.count, classes: probabilities.shape[1], values: values)
    }

    /// Whether the plan scores pixels too.
    var hasMaps: Bool { tensors.maps != nil }

    /// The features of whole images, and the scores of their pixels, an image's side x side after the other's; of a plan
    /// that scores pixels.
    func featuresAndMaps(of images: ImageBatch, program: Program, work: Work) throws -> (
        features: FeatureMatrix, maps: [Float]
    ) {
        guard let maps = tensors.maps else { preconditionFailure("the plan scores no pixels") }
        let columns = featureCount, pixels = maps.count / rows, width = columns + pixels
        let own = try run(images, PatchPlace.all(of: images, grid: nil), program, work) {
            // A row's features, then its pixels.
            let features = try program.read(tensors.features, of: plan),
                all = try program.read(maps, of: plan)
            var joined: [Float] = []
            joined.reserveCapacity(rows * width)
            for row in 0..<rows {
                joined += features[row * columns..<(row + 1) * columns]
                joined += all[row * pixels..<(row + 1) * pixels]
            }
            return joined
        }
        let starts = stride(from: 0, to: own.count, by: width)
        return (
            FeatureMatrix(
                rows: images.count, columns: columns, values: starts.flatMap { own[$0..<$0 + columns] }),
            starts.flatMap { own[$0 + columns..<$0 + width] }
        )
    }

    /// Runs the plan over the parts and joins what `read` returns of each run, without the padding rows.
    private func run(
        _ images: ImageBatch, _ places: [PatchPlace], _ program: Program, _ work: Work?,
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
                work?.advance(by: chosen.count)
            }
        }
        return result
    }
}
