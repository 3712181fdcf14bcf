import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks

/// The inference plan of an encoder without padding: one pass over an image, or over tiles of it, for the features
/// of all its patches.
///
/// Such an encoder's map of an image holds its map of every patch that begins a multiple of its step from the
/// image's corner; the patch's features are the means of its windows of the maps. Patches that begin elsewhere take
/// passes that begin where they do. A feature is the same number in every pass that has it: convolutions and means
/// sum in one order wherever they are.
package struct DenseExtractor: FeatureExtractor {
    /// Bytes that a pass may take beside the weights.
    package static let memory = 128 << 20
    /// Pixels of the images of a pass: on a CPU maps that stay in its cache are best, a GPU needs more to be filled.
    private static func pixels(on device: Device) -> Int { device.isGPU ? 16 * 256 * 256 : 256 * 256 }

    package let plan: Plan
    package let unit = "patches"
    package var featureCount: Int { features.shape[3] }
    private let stored: Tensor, indices: Tensor, corners: Tensor, features: Tensor
    private let tiling: Tiling

    /// - Parameters:
    ///   - encoder: one with receptive fields: it does not pad.
    ///   - layers: the stages whose maps the features are means of; nil for the last.
    ///   - grid: where the patches lie.
    ///   - memory: bytes that a pass may take beside the weights, where it has more than one patch.
    package init(
        _ program: Program, encoder: any Encoder, layers: StageNumbers? = nil, grid: PatchGrid,
        memory: Int = DenseExtractor.memory
    ) throws {
        let fields = encoder.receptiveFields
        guard let last = fields.last else { preconditionFailure("the encoder pads") }
        func plan(_ builder: PlanBuilder, _ images: Int, _ tiling: Tiling) throws -> (
            stored: Tensor, indices: Tensor, corners: Tensor, features: Tensor
        ) {
            let stored = try builder.input(
                "tiles", [images, tiling.storedSide, tiling.storedSide, 3], type: .uint8)
            let indices = try builder.input("tile images", [images], type: .int32)
            let corners = try builder.input("tile corners", [images, 2], type: .int32)
            let tiles = try gather(stored, indices: indices, corners: corners, side: tiling.side, in: builder)
            let features = try encoder(tiles, in: builder).features(layers, in: builder) { map, stage in
                let field = fields[stage - 1]
                return try windowMeans(
                    map, side: field.mapSide(of: grid.patch), count: tiling.windows,
                    stride: tiling.spacing / field.step, in: builder)
            }
            builder.keep(features)
            return (stored, indices, corners, features)
        }
        func bytes(_ tiling: Tiling) throws -> Int {
            let scratch = Program(
                device: program.device, math: program.math, activations: program.activationType)
            return try scratch.add("size", .inference) { _ = try plan($0, 1, tiling) }.plan.transientBytes
        }
        var tiling = Tiling(grid, step: last.step), size = try bytes(tiling)
        while size > memory, tiling.windows > 1 {
            tiling.windows = (tiling.windows + 1) / 2
            size = try bytes(tiling)
        }
        let most = Self.pixels(on: program.device) / (tiling.side * tiling.side)
        let images = max(1, min(16, most, memory / max(1, size)))
        (self.plan, (stored, indices, corners, features)) = try program.add("embed", .inference) {
            [tiling] in try plan($0, images, tiling)
        }
        self.tiling = tiling
    }

    /// A pass over a part of an image, and what is wanted of it.
    private struct Tile {
        let image: Int, top: Int, left: Int
        /// The number of each place among those asked for, and its window in the tile.
        var wanted: [(place: Int, window: Int)]
    }

    package func runs(images: Int, grid: PatchGrid?) -> Int {
        guard let grid else { return 0 }
        let tiles = images * tiling.cover(grid.rows).starts.count * tiling.cover(grid.columns).starts.count
        return (tiles + indices.count - 1) / indices.count
    }

    package func features(
        of images: ImageBatch, places: [PatchPlace], program: Program, work: Work
    ) throws -> FeatureMatrix {
        let tiles = tiles(places), columns = featureCount, windows = tiling.windows * tiling.windows
        var values = [Float](repeating: 0, count: places.count * columns)
        for first in stride(from: 0, to: tiles.count, by: indices.count) {
            let some = tiles[first..<min(first + indices.count, tiles.count)]
            try program.write(storedPixels(images, some), to: stored)
            try program.write((0..<indices.count).map { Int32($0) }, to: indices)
            let corner = some.flatMap { [Int32($0.top), Int32($0.left)] }
            try program.write(
                corner + [Int32](repeating: 0, count: corners.count - corner.count), to: corners)
            try plan.run()
            let found = try program.read(features, of: plan)
            for (row, tile) in some.enumerated() {
                for (place, window) in tile.wanted {
                    let from = (row * windows + window) * columns
                    for column in 0..<columns { values[place * columns + column] = found[from + column] }
                }
                work.advance(by: tile.wanted.count)
            }
        }
        return FeatureMatrix(rows: places.count, columns: columns, values: values)
    }

    /// The passes that have all places, image by image.
    private func tiles(_ places: [PatchPlace]) -> [Tile] {
        let rows = tiling.cover(Set(places.map(\.top)).sorted())
        let columns = tiling.cover(Set(places.map(\.left)).sorted())
        var tiles: [Tile] = [],
            numbers = [Int?](repeating: nil, count: rows.starts.count * columns.starts.count)
        var image: Int?
        for (number, place) in places.enumerated() {
            if place.image != image {
                image = place.image
                for index in numbers.indices { numbers[index] = nil }
            }
            guard let row = rows.at[place.top], let column = columns.at[place.left] else { continue }
            let pair = row.tile * columns.starts.count + column.tile
            let window = (place: number, window: row.window * tiling.windows + column.window)
            if let known = numbers[pair] {
                tiles[known].wanted.append(window)
            } else {
                numbers[pair] = tiles.count
                tiles.append(
                    Tile(
                        image: place.image, top: rows.starts[row.tile], left: columns.starts[column.tile],
                        wanted: [window]))
            }
        }
        return tiles
    }

    /// The image of each tile, black beyond its edges, where no patch reaches.
    private func storedPixels(_ images: ImageBatch, _ tiles: ArraySlice<Tile>) -> [UInt8] {
        precondition(images.side == tiling.imageSide)
        let side = stored.shape[1], line = images.side * 3
        var result = [UInt8](repeating: 0, count: stored.count)
        for (index, tile) in tiles.enumerated() {
            for row in 0..<images.side {
                let from = tile.image * images.imageBytes + row * line, to = (index * side + row) * side * 3
                result.replaceSubrange(to..<to + line, with: images.pixels[from..<from + line])
            }
        }
        return result
    }
}

/// How passes over tiles of an image have its patches: in each direction `windows` of them, `spacing` apart.
struct Tiling {
    let imageSide: Int
    /// The side of a patch.
    let patch: Int
    /// Pixels from one patch of a pass to the next: a multiple of the encoder's step and of the patches' stride.
    let spacing: Int
    /// Patches of a pass, in each direction.
    var windows: Int
    /// The side of a pass in pixels.
    var side: Int { (windows - 1) * spacing + patch }
    /// The side of the images that passes are cut from: a pass can end beyond the image.
    var storedSide: Int { imageSide + min(spacing - 1, imageSide - patch) }

    /// One pass for all patches that are a multiple of `spacing` from the image's corner.
    init(_ grid: PatchGrid, step: Int) {
        func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : divisor(b, a % b) }
        imageSide = grid.height
        patch = grid.patch
        spacing = grid.stride / divisor(grid.stride, step) * step
        windows = (grid.height - grid.patch) / spacing + 1
    }

    /// The passes along one axis that have patches at these positions, which are in order.
    ///
    /// - Returns: where each pass begins, and each position's pass and window.
    func cover(_ positions: [Int]) -> (starts: [Int], at: [Int: (tile: Int, window: Int)]) {
        var starts: [Int] = [], at: [Int: (tile: Int, window: Int)] = [:]
        for (_, own) in Dictionary(grouping: positions, by: { $0 % spacing }).sorted(by: { $0.key < $1.key })
        {
            var start = 0, until = -1
            for position in own {
                if position > until {
                    // A pass that would end beyond the image begins earlier, if it can.
                    let beyond = max(0, position + side - imageSide)
                    start = position - min(position / spacing, (beyond + spacing - 1) / spacing) * spacing
                    until = start + (windows - 1) * spacing
                    starts.append(start)
                }
                at[position] = (starts.count - 1, (position - start) / spacing)
            }
        }
        return (starts, at)
    }
}
