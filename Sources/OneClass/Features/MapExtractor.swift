import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// The inference plan of an encoder over whole images, whose features are the maps of its stages: one pass an image.
///
/// A row of features is an image's map, place by place, as a detector joins it of the stages' maps.
package struct MapExtractor: FeatureExtractor {
    /// Images to a run of the plan.
    private static let images = 8

    package let plan: Plan
    package let unit = "images"
    private let pixels: Tensor, indices: Tensor, maps: [Tensor]
    private let join: @Sendable ([FeatureMap]) -> FeatureMap
    /// The shape of a joined map.
    package let shape: MapShape
    package var featureCount: Int { shape.places * shape.channels }

    /// - Parameters:
    ///   - layers: the stages whose maps are wanted; nil for the last.
    ///   - side: of the images, in pixels.
    ///   - join: makes one map of those of the stages.
    /// - Throws: `OCCError(.usage)` for a stage that the encoder does not have.
    package init(
        _ program: Program, encoder: any Encoder, layers: StageNumbers? = nil, side: Int,
        join: @escaping @Sendable ([FeatureMap]) -> FeatureMap
    ) throws {
        (plan, (pixels, indices, maps)) = try program.add("embed maps", .inference) { plan in
            let pixels = try plan.input("map images", [Self.images, side, side, 3], type: .uint8)
            let indices = try plan.input("map rows", [Self.images], type: .int32)
            let images = try gather(pixels, indices: indices, corners: nil, side: nil, in: plan)
            let maps = try encoder(images, in: plan).maps(layers)
            for map in maps { plan.keep(map) }
            return (pixels, indices, maps)
        }
        self.join = join
        let zeros = maps.map { map in
            let s = map.shape
            return FeatureMap(
                rows: s[1], columns: s[2], channels: s[3],
                values: [Float](repeating: 0, count: s[1] * s[2] * s[3]))
        }
        let joined = join(zeros)
        shape = MapShape(rows: joined.rows, columns: joined.columns, channels: joined.channels, side: side)
    }

    package func runs(images: Int, grid: PatchGrid?) -> Int { (images + Self.images - 1) / Self.images }

    package func features(
        of images: ImageBatch, places: [PatchPlace], program: Program, work: Work
    ) throws -> FeatureMatrix {
        let stored = pixels.shape[1]
        precondition(images.side == stored)
        var values: [Float] = []
        values.reserveCapacity(places.count * featureCount)
        try program.write((0..<Self.images).map { Int32($0) }, to: indices)
        for first in stride(from: 0, to: places.count, by: Self.images) {
            let some = places[first..<min(first + Self.images, places.count)]
            var bytes = some.flatMap { images[$0.image] }
            bytes += [UInt8](repeating: 0, count: (Self.images - some.count) * images.imageBytes)
            try program.write(bytes, to: pixels)
            try plan.run()
            let found = try maps.map { (try program.read($0, of: plan), $0.shape) }
            let joined = parallelMap(some.count) { [join] row in
                join(
                    found.map { all, s in
                        let count = s[1] * s[2] * s[3]
                        return FeatureMap(
                            rows: s[1], columns: s[2], channels: s[3],
                            values: Array(all[row * count..<(row + 1) * count]))
                    }
                ).values
            }
            for own in joined { values += own }
            work.advance(by: some.count)
        }
        return FeatureMatrix(rows: places.count, columns: featureCount, values: values)
    }
}
