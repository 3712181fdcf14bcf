import OCCEngine
import OCCNetworks

/// Appends the features of images or of all their patches to an ONNX graph: what `PartExtractor` and
/// `DenseExtractor` compute.
struct FeatureNodes {
    let graph: GraphBuilder
    let encoder: any Encoder
    /// The side of the images.
    let side: Int
    /// Where the patches lie; nil for whole images.
    let grid: PatchGrid?
    /// The stages whose maps the features are means of; nil for the last.
    let layers: StageNumbers?
    /// The program's.
    let weights: [NamedWeights]

    typealias Value = GraphBuilder.Value

    /// Appends the nodes: float [N,3,side,side] in 0...1 -> float [N P,D], image by image.
    func callAsFunction(_ images: Value) throws -> Value {
        let nodes = try EncoderNodes(encoder, side: grid?.patch ?? side, weights: weights, graph: graph)
        guard let grid, !encoder.receptiveFields.isEmpty else {
            return try means(nodes(grid.map { graph.patches(images, $0) } ?? images))
        }
        return try inOnePass(images, grid, nodes)
    }

    /// The maps that the features are means of, with the numbers of their stages from 1.
    private func chosen(_ maps: [Value]) throws -> [(stage: Int, map: Value)] {
        try stageNumbers(layers, of: maps.count).map { ($0, maps[$0 - 1]) }
    }

    private func means(_ maps: [Value]) throws -> Value {
        let means = try chosen(maps).map {
            graph.add(
                "ReduceMean", $0.map, attributes: [.integers("axes", [2, 3]), .integer("keepdims", 0)])
        }
        return graph.concatenated(means, axis: 1)
    }

    // MARK: Encoders without padding

    /// Passes over the image, each for the patches that begin a multiple of the encoder's step from where it
    /// begins; their features are means of windows of its maps.
    private func inOnePass(_ images: Value, _ grid: PatchGrid, _ nodes: EncoderNodes) throws -> Value {
        let fields = encoder.receptiveFields, step = fields[fields.count - 1].step
        let rows = Pass.all(grid.rows, step: step, length: grid.height)
        let columns = Pass.all(grid.columns, step: step, length: grid.width)
        let bands = try rows.map { row in
            let parts = try columns.map { column in
                let part = graph.add(
                    "Slice", images, graph.integers([row.start, column.start]),
                    graph.integers([grid.height, grid.width]), graph.integers([2, 3]))
                let means = try chosen(nodes(part)).map { stage, map in
                    let down = row.windows(fields[stage - 1], patch: grid.patch)
                    let across = column.windows(fields[stage - 1], patch: grid.patch)
                    let lines = graph.add("MatMul", graph.floats(down.values, down.shape), map)
                    let turned = graph.transposed(graph.floats(across.values, across.shape), [1, 0])
                    return graph.add("MatMul", lines, turned)
                }
                return graph.concatenated(means, axis: 1)
            }
            return graph.concatenated(parts, axis: 3)
        }
        let found = graph.concatenated(bands, axis: 2)
        // Back into the order of the grid, and [N,D,rows,columns] -> [N,rows,columns,D].
        let down = graph.gathered(found, at: graph.integers(Pass.order(rows, grid.rows)), axis: 2)
        let ordered = graph.gathered(down, at: graph.integers(Pass.order(columns, grid.columns)), axis: 3)
        let last = graph.transposed(ordered, [0, 2, 3, 1])
        let stages = nodes.channels
        let columnsOfAll = (layers?.numbers ?? [stages.count]).reduce(0) { $0 + stages[$1 - 1] }
        return graph.reshaped(last, [-1, columnsOfAll])
    }
}

/// A pass along one axis: where it begins, and the patches it is for, which lie multiples of a step behind.
private struct Pass {
    let start: Int
    /// First pixels of its patches, in the image.
    let positions: [Int]
    /// Pixels of the image from `start` on.
    let length: Int

    /// The passes that have all positions.
    static func all(_ positions: [Int], step: Int, length: Int) -> [Pass] {
        Dictionary(grouping: positions) { $0 % step }.sorted { $0.key < $1.key }
            .map { Pass(start: $0.key, positions: $0.value, length: length - $0.key) }
    }

    /// Where each position is among those of all passes, one after the other.
    static func order(_ passes: [Pass], _ positions: [Int]) -> [Int] {
        let found = passes.flatMap(\.positions)
        return positions.map { found.firstIndex(of: $0)! }
    }

    /// The weights of a map's pixels in the mean of each patch's window: [patches, map].
    func windows(_ field: ReceptiveField, patch: Int) -> (values: [Float], shape: [Int]) {
        let map = field.mapSide(of: length), side = field.mapSide(of: patch)
        var values = [Float](repeating: 0, count: positions.count * map)
        for (row, position) in positions.enumerated() {
            let first = (position - start) / field.step
            for place in first..<first + side { values[row * map + place] = 1 / Float(side) }
        }
        return (values, [positions.count, map])
    }
}

extension GraphBuilder {
    /// Cuts out every patch: [N,3,side,side] -> [N P,3,patch,patch].
    func patches(_ images: Value, _ grid: PatchGrid) -> Value {
        func places(_ positions: [Int]) -> Value {
            integers(
                positions.flatMap { first in (0..<grid.patch).map { first + $0 } },
                [positions.count, grid.patch])
        }
        let bands = gathered(images, at: places(grid.rows), axis: 2)
        let cells = gathered(bands, at: places(grid.columns), axis: 4)
        return reshaped(
            transposed(cells, [0, 2, 4, 1, 3, 5]), [-1, 3, grid.patch, grid.patch])
    }
}
