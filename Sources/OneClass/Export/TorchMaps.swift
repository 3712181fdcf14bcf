import OCCDetectors
import OCCEngine
import OCCNetworks

/// A detector of maps in PyTorch: the methods of the module's class that have what it sees and says, and their arrays. The
/// same as `MapNodes`.
struct TorchMaps {
    /// The lines of a method `features`, of images.
    let features: [String]
    /// The lines of the methods `detect`, of one detector, and `scores`.
    let scoring: [String]
    /// By their names in the module.
    let arrays: [String: TensorFile.Entry]

    /// What there is of one detector.
    private struct Detector {
        /// The lines of a function of `rows` [N,places,channels] and of the arrays `d` that returns scores of places
        /// [N,places], and of images [N] or None.
        let lines: [String]
        let arrays: [String: TensorFile.Entry]
    }

    private typealias Make = @Sendable (DetectorState, MapShape) throws -> Detector

    /// The detectors that can be written so, by name.
    private static let known: [String: Make] = [
        PaDiM().name: { try gaussians($0, $1) }, PatchCore().name: { try nearest($0, $1) },
    ]

    /// What there is of a model's detector; nil of a model whose detector sees no maps.
    ///
    /// - Parameter stages: the numbers of the stages that it sees, from 1.
    /// - Throws: `OCCError(.usage)` for a detector that cannot be written in PyTorch.
    init?(_ model: OneClassModel, _ stages: [Int]) throws {
        guard let extractor = model.scoring.features as? MapExtractor, let mapping = model.detector.mapping
        else { return nil }
        let name = model.configuration.detector.name
        guard let make = Self.known[name] else {
            throw OCCError(
                .usage, "\(setting: "detector") \(name): cannot be exported",
                remedy: "Train with one of \(Self.known.keys.sorted().joined(separator: ", ")).")
        }
        let shape = extractor.shape, joining = extractor.joining
        let members = (model.detector as? DetectorEnsemble)?.members ?? [model.detector]
        let detectors = try members.map { try make($0.state, shape) }
        var arrays: [String: TensorFile.Entry] = [:]
        for (index, detector) in detectors.enumerated() {
            for (name, array) in detector.arrays { arrays["detectors.\(index).\(name)"] = array }
        }
        for (name, length) in [("down", shape.rows), ("across", shape.columns)] {
            arrays["map.\(name)"] = .init(
                shape.spread(length, by: mapping.interpolation), shape: [shape.side, length])
        }
        var used = stages
        if joining.chosen != nil {
            let chosen = zip(stages, joining.channels(ofStages: extractor.channels)).filter { !$1.isEmpty }
            used = chosen.map(\.0)
            for (stage, own) in chosen {
                arrays["map.stage\(stage)"] = .init(own.map(Double.init), shape: [own.count])
            }
        }
        self.arrays = arrays
        let body =
            [
                "maps, parts = self.encode(x), []",
                "for stage in [\(used.map(String.init).joined(separator: ", "))]:",
            ]
            + TorchModule.indented(
                4,
                ["map = maps[stage - 1]"]
                    + (joining.chosen == nil
                        ? [] : ["map = map[:, getattr(self.map, f\"stage{stage}\").long()]"])
                    + (joining.averages ? ["map = F.avg_pool2d(map, 3, 1, 1)"] : [])
                    + [
                        "parts.append(F.interpolate(map, (\(shape.rows), \(shape.columns)), mode=\"\(joining.interpolation.rawValue)\"))"
                    ])
            + ["return torch.cat(parts, 1).flatten(2).mT"]
        features = TorchModule.indented(
            4,
            ["", "def features(self, x):"]
                + TorchModule.indented(
                    4,
                    [
                        "\"\"\"Images float [N,3,SIDE,SIDE] -> the maps of its stages as one, rows of places [N,places,D].\"\"\""
                    ]
                        + body))
        scoring = TorchModule.indented(
            4,
            ["", "def detect(self, rows, d):"]
                + TorchModule.indented(
                    4,
                    [
                        "\"\"\"Scores of rows [N,places,D] by one detector, \(name): of places [N,places], of images [N].\"\"\""
                    ] + detectors[0].lines)
                + ["", "def scores(self, features):"]
                + TorchModule.indented(
                    4,
                    [
                        "\"\"\"Rows of places [N,places,D] -> the scores of images, double [N], and of their pixels.\"\"\"",
                        "scores, maps = [], []",
                        "for d in self.detectors.children():",
                        "    places, score = self.detect(features, d)",
                        "    cells = places.unflatten(1, (\(shape.rows), \(shape.columns)))",
                        "    maps.append(self.map.down @ cells @ self.map.across.T)",
                        "    scores.append(maps[-1].amax((1, 2)) if score is None else score)",
                        "return torch.stack(scores).mean(0), torch.stack(maps).mean(0)",
                    ]))
    }

    private static func gaussians(_ state: DetectorState, _ shape: MapShape) throws -> Detector {
        let factors = try MapNodes.whitening(state, shape)
        return Detector(
            lines: [
                "centered = rows.double().transpose(0, 1) - d.mean",
                "return (centered @ d.whitening.double()).square().sum(-1).sqrt().T, None",
            ],
            arrays: [
                "mean": .init(try state.array("mean").values, shape: [shape.places, 1, shape.channels]),
                "whitening": .init(factors, shape: [shape.places, shape.channels, shape.channels]),
            ])
    }

    private static func nearest(_ state: DetectorState, _ shape: MapShape) throws -> Detector {
        let memory = try state.matrix("memory"), support = min(memory.rows, Int(try state.number("support")))
        let search = [
            "def away(x, places):",
            "    return (x.double()[:, None] - d.memory[places].double()).square().sum(-1).sqrt()",
            "",
            "def search(x, count):",
            "    # Products in single precision find a few more, among which distances decide.",
            "    products = x @ d.memory.T - 0.5 * d.memory.double().square().sum(1).float()",
            "    places = products.topk(min(len(d.memory), count + 3)).indices",
            "    distances, order = away(x, places).topk(count, largest=False)",
            "    return distances, places.gather(1, order)",
            "",
            "distances, places = (part.reshape(len(rows), -1) for part in search(rows.flatten(0, 1), 1))",
        ]
        let weighted = [
            "each, worst = torch.arange(len(rows)), distances.argmax(1)",
            "neighbors = search(d.memory[places[each, worst]], \(support))[1]",
            "found = away(rows[each, worst], neighbors)",
            "return distances, (1 - found.softmax(1)[:, 0]) * found[:, 0]",
        ]
        return Detector(
            lines: search + (support > 1 ? weighted : ["return distances, distances.amax(1)"]),
            arrays: ["memory": .init(memory.values, shape: [memory.rows, memory.columns])])
    }
}
