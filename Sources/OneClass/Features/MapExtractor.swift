import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// The inference plan of an encoder over whole images, whose features are the maps of its stages: one pass an image.
///
/// A row of features is an image's map, place by place, as a detector joins it of the stages' maps.
package struct MapExtractor: FeatureExtractor {
    /// Pixels of the images of a run of the plan: a CPU is as fast with one image, a GPU needs more to be filled.
    private static func pixels(on device: Device) -> Int { device.isGPU ? 16 * 256 * 256 : 256 * 256 }

    package let plan: Plan
    package let unit = "images"
    private let pixels: Tensor, indices: Tensor, maps: [Tensor]
    /// How the maps of the stages become one.
    package let joining: MapJoining
    /// The shape of a joined map.
    package let shape: MapShape
    /// The channels of each stage's map.
    var channels: [Int] { maps.map { $0.shape[3] } }
    package var featureCount: Int { shape.places * shape.channels }

    /// - Parameters:
    ///   - layers: the stages whose maps are wanted; nil for the last.
    ///   - side: of the images, in pixels.
    ///   - joining: how the maps of the stages, which have so many channels together, become one.
    /// - Throws: `OCCError(.usage)` for a stage that the encoder does not have.
    package init(
        _ program: Program, encoder: any Encoder, layers: StageNumbers? = nil, side: Int,
        joining: (Int) -> MapJoining
    ) throws {
        let count = max(1, min(16, Self.pixels(on: program.device) / (side * side)))
        (plan, (pixels, indices, maps)) = try program.add("embed maps", .inference) { plan in
            let pixels = try plan.input("map images", [count, side, side, 3], type: .uint8)
            let indices = try plan.input("map rows", [count], type: .int32)
            let images = try gather(pixels, indices: indices, corners: nil, side: nil, in: plan)
            let maps = try encoder(images, in: plan).maps(layers)
            for map in maps { plan.keep(map) }
            plan.leaveOutWhatIsNotKept()
            return (pixels, indices, maps)
        }
        self.joining = joining(maps.reduce(0) { $0 + $1.shape[3] })
        let zeros = maps.map { map in
            let s = map.shape
            return FeatureMap(
                rows: s[1], columns: s[2], channels: s[3],
                values: [Float](repeating: 0, count: s[1] * s[2] * s[3]))
        }
        let joined = self.joining(zeros)
        shape = MapShape(rows: joined.rows, columns: joined.columns, channels: joined.channels, side: side)
    }

    /// The joined maps of images, one after the other, from those of the stages: values of so many images at least, and
    /// the shapes [images,rows,columns,channels].
    static func join(_ maps: [(values: [Float], shape: [Int])], images: Int, by joining: MapJoining)
        -> [Float]
    {
        let joined = parallelMap(images) { image in
            joining(
                maps.map { all, s in
                    let count = s[1] * s[2] * s[3]
                    let own = all.count == count ? all : Array(all[image * count..<(image + 1) * count])
                    return FeatureMap(rows: s[1], columns: s[2], channels: s[3], values: own)
                }
            ).values
        }
        return joined.count == 1 ? joined[0] : joined.flatMap { $0 }
    }

    package func runs(images: Int, grid: PatchGrid?) -> Int {
        (images + indices.count - 1) / indices.count
    }

    package func features(
        of images: ImageBatch, places: [PatchPlace], program: Program, work: Work
    ) throws -> FeatureMatrix {
        let stored = pixels.shape[1]
        precondition(images.side == stored)
        var values: [Float] = []
        values.reserveCapacity(places.count * featureCount)
        let count = indices.count
        try program.write((0..<count).map { Int32($0) }, to: indices)
        for first in stride(from: 0, to: places.count, by: count) {
            let some = places[first..<min(first + count, places.count)]
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count * images.imageBytes)
            for place in some { bytes += images[place.image] }
            bytes += [UInt8](repeating: 0, count: (count - some.count) * images.imageBytes)
            try program.write(bytes, to: pixels)
            try plan.run()
            let found = try maps.map { (try program.read($0, of: plan), $0.shape) }
            values += Self.join(found, images: some.count, by: joining)
            work.advance(by: some.count)
        }
        return FeatureMatrix(rows: places.count, columns: featureCount, values: values)
    }
}
