import Foundation
import OCCData
import OCCEngine

/// Test images beside what the models of an experiment see in them: a line for each image, a column for each view.
struct PictureRows {
    /// Sections of HTML, one for each class.
    private(set) var sections: [String] = []
    /// Images of a class that are shown, half of them normal.
    private static let shown = 6
    /// A picture shows no finer path: the map's sum is within this share of the score's, or the path has so many points.
    private static let tolerance = 0.02, mostPoints = 512
    private let device: Device

    /// Draws what there are models for.
    ///
    /// - Parameter seed: of the models that are shown.
    init(_ kind: Experiment.Pictures, _ parts: [Reproduction.Part], seed: UInt64, device: Device) throws {
        self.device = device
        guard let first = parts.first else { return }
        for place in first.run.tasks.indices {
            let task = first.run.tasks[place]
            var models: [(row: Experiment.Row, model: OneClassModel)] = []
            for part in parts {
                let path = "\(part.run.path(of: part.run.tasks[place], seed))/model.safetensors"
                guard pathExists(path) else { continue }
                models.append((part.row, try OneClassModel.load(path, device: device)))
            }
            guard !models.isEmpty else { continue }
            let split = try first.run.split(of: task, seed)
            let images = Self.chosen(split)
            let columns = try kind == .maps ? maps(models, split, images) : reasons(models, split, images)
            sections.append(
                Self.section(
                    "\(first.dataset): \(task.name)", split, images, columns, isOfMaps: kind == .maps))
        }
    }

    /// A column of pictures, PNG files, an image each.
    private typealias Column = (name: String, pictures: [[UInt8]])

    /// Normal and anomalous test images, evenly taken of each kind.
    private static func chosen(_ split: OneClassSplit) -> [Int] {
        (0...1).flatMap { label -> [Int] in
            let all = split.testLabels.indices.filter { split.testLabels[$0] == label }
            let count = min(all.count, shown / 2)
            return (0..<count).map { all[$0 * all.count / count] }
        }
    }

    // MARK: Views

    private func maps(
        _ models: [(row: Experiment.Row, model: OneClassModel)], _ split: OneClassSplit, _ images: [Int]
    ) throws -> [Column] {
        let some = split.test.subset(images)
        return try [("image", images.map { try Self.plain(split.test.image($0)) })]
            + models.map { row, model in
                let found = try model.localize(some)
                return (
                    row.series,
                    try images.indices.map { place in
                        let index = images[place]
                        return try Overlay.overlaid(
                            some.image(place), map: found[place].map, range: model.scale,
                            mask: split.testLabels[index] == 1 ? split.testMasks[index] : nil
                        ).encodedPNG()
                    }
                )
            }
    }

    private func reasons(
        _ models: [(row: Experiment.Row, model: OneClassModel)], _ split: OneClassSplit, _ images: [Int]
    ) throws -> [Column] {
        var columns: [Column] = [("image", try images.map { try Self.plain(split.test.image($0)) })]
        for (row, model) in models {
            for measure in row.measures {
                let target: Explainer.Score
                switch measure {
                case .classifier: target = .classifier
                case .detector: target = .detector
                case .patchImages, .pixels, .regionOverlap: continue
                }
                let explainer = try Explainer(model, score: target)
                let pictures = try images.map { index in
                    let image = split.test.image(index)
                    let (map, top) = try explainer.integratedGradients(
                        of: image, tolerance: Self.tolerance, limit: Self.mostPoints
                    ).shown
                    return try Overlay.overlaid(image, map: map, range: 0...top).encodedPNG()
                }
                columns.append(
                    ("\(row.series), \(target == .classifier ? "classifier" : "KDE")", pictures))
            }
        }
        return columns
    }

    private static func plain(_ image: RGBImage) throws -> [UInt8] {
        try image.enlarged(to: 128).encodedPNG()
    }

    // MARK: The page

    private static func section(
        _ title: String, _ split: OneClassSplit, _ images: [Int], _ columns: [Column], isOfMaps: Bool
    ) -> String {
        let head = (["class"] + columns.map(\.name)).map { "<th scope=\"col\">\(escaped($0))</th>" }
        let lines = images.enumerated().map { place, index in
            let name = split.testClasses[index]
            let cells = columns.map { column in
                let bytes = Data(column.pictures[place]).base64EncodedString()
                return
                    "<td><img alt=\"\(escaped("\(column.name) of \(name)"))\" loading=\"lazy\" src=\"data:image/png;base64,\(bytes)\"></td>"
            }
            let kind = split.testLabels[index] == 0 ? "normal" : "anomalous"
            return "<tr><th scope=\"row\">\(escaped(name))<br>\(kind)</th>\(cells.joined())</tr>"
        }
        let note =
            isOfMaps
            ? "The scale is a model's own: its middle is the highest of some training images' maps. A defect's mask is outlined in white."
            : "The brightest pixels raise the score most; the scale is each picture's own."
        return """
            <h2>\(escaped(title))</h2><div class="scroll"><table class="pictures"><thead><tr>\(head.joined())</tr></thead>\
            <tbody>\(lines.joined())</tbody></table></div><p class="soft">\(note)</p>
            """
    }
}
