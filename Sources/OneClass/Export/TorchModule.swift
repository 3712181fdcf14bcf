import OCCEngine
import OCCNetworks

/// The Python module that has a model in PyTorch: its text, and the arrays that it loads.
package struct TorchModule {
    /// The arrays by their names in the module: those of the encoder behind `encoder.`, each detector's behind
    /// `detectors.0.` and so on.
    private(set) var arrays: [String: TensorFile.Entry] = [:]
    /// The module's text.
    private(set) var text = ""

    /// The name of the module, and of the file of its arrays.
    static let name = "occ_model"

    /// Whether a file holds the arrays of a module, and no model.
    static func isExported(_ file: TensorFile) -> Bool {
        file.tensors.keys.contains { $0.hasPrefix("detectors.0.") }
    }

    /// Makes the module of a model.
    ///
    /// - Throws: `OCCError(.usage)` naming an operation or a detector that cannot be exported.
    init(_ model: OneClassModel) throws {
        let c = model.configuration, grid = model.grid
        let encoder = try EncoderSteps(c.encoder, side: grid?.patch ?? model.side)
        let stages = try stageNumbers(c.layers, of: encoder.stages.count)
        let maps = try TorchMaps(model, stages)
        let detectors = try maps == nil ? TorchDetector.all(of: model.detector, named: c.detector.name) : []
        for weights in try model.exportWeights() where encoder.parameters.contains(weights.name) {
            arrays["encoder.\(weights.name)"] = .init(weights.values, shape: weights.shape)
        }
        for (index, detector) in detectors.enumerated() {
            for (name, array) in detector.arrays { arrays["detectors.\(index).\(name)"] = array }
        }
        arrays.merge(maps?.arrays ?? [:]) { $1 }
        let held = model.calibration.scores
        if !held.isEmpty { arrays["calibration"] = .init(held, shape: [held.count]) }
        if let grid {
            arrays["map.down"] = Self.spread(grid.rows, grid.height, grid)
            arrays["map.across"] = Self.spread(grid.columns, grid.width, grid)
        }
        let lines =
            Self.head(model) + Self.preparation(c.fit, side: model.side) + Self.container
            + Self.encoding(encoder)
            + (maps.map { $0.features + $0.scoring }
                ?? Self.features(c.encoder, stages, grid)
                + Self.scoring(detectors, named: c.detector.name, grid))
            + Self.forward(model, ofMaps: maps != nil) + Self.loading
        text = lines.joined(separator: "\n") + "\n"
    }

    /// What each patch counts for in each pixel of a line: [length, positions].
    private static func spread(_ positions: [Int], _ length: Int, _ grid: PatchGrid) -> TensorFile.Entry {
        TensorFile.Entry(grid.spread(positions, length), shape: [length, positions.count])
    }

    // MARK: Python

    /// A text as a literal of Python's, in ASCII.
    package static func literal(_ text: String) -> String {
        let inner = text.unicodeScalars.map { scalar -> String in
            guard !(" "..."~").contains(scalar) || scalar == "\"" || scalar == "\\" else {
                return String(scalar)
            }
            let digits = String(scalar.value, radix: 16)
            return "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
        }
        return "\"\(inner.joined())\""
    }

    private static func list(_ numbers: [Int]) -> String {
        "[" + numbers.map(String.init).joined(separator: ", ") + "]"
    }

    private static func boolean(_ value: Bool) -> String { value ? "True" : "False" }

    /// Lines, each behind so many spaces; empty ones stay empty.
    static func indented(_ spaces: Int, _ lines: [String]) -> [String] {
        lines.map { $0.isEmpty ? "" : String(repeating: " ", count: spaces) + $0 }
    }

    private static func head(_ model: OneClassModel) -> [String] {
        let calibration = model.calibration
        return [
            "\"\"\"A model of occ-gpu in PyTorch: scores images as occ-gpu does.",
            "",
            "    from \(name) import load",
            "    found = load()(images)    # uint8 [N,H,W,3], RGB, of any size",
            "    found[\"score\"]            # higher is more anomalous",
            "",
            "Takes torch and safetensors, and \(name).safetensors beside it.",
            "\"\"\"",
            "",
            "import math",
            "import os",
            "",
            "import torch",
            "import torch.nn.functional as F",
            "from safetensors.torch import load_file",
            "",
            "NORMAL_CLASS = \(literal(model.normalClass))",
            "SIDE = \(model.side)  # of the images that the encoder sees, in pixels",
            "THRESHOLD = \(calibration.threshold.map { "\($0)" } ?? "None")  # a score above it is an alarm",
        ]
    }

    // MARK: Images

    /// `ImageNodes`, in PyTorch: sum by sum in the same order and precision, so that the bytes are the same.
    private static func preparation(_ fit: Fit, side: Int) -> [String] {
        let source = fit == .crop ? "min(length, other)" : "length"
        let target =
            fit == .pad
            ? ["long = max(length, other)", "target = max((2 * SIDE * length + long) // (2 * long), 1)"]
            : ["target = SIDE"]
        let body =
            ["\"\"\"Pixels that each of a line's takes in of an axis, and their weights: triangles.\"\"\""]
            + ["source = \(source)  # pixels that are shown"] + target
            + [
                "scale = source / target",
                "support = max(scale, 1.0)",
                "place = torch.arange(SIDE, dtype=torch.float64) - (SIDE - target) // 2",
                "center = (place + 0.5) * scale",
                "low = (center - support + 0.5).floor().clamp(min=0)",
                "pixel = torch.arange(math.ceil(2 * support) + 1)[:, None] + low",
                "weights = (1 - ((pixel + 0.5 - center) / support).abs()).clamp(min=0) * (pixel < source)",
                "weights = weights / weights.sum(0).clamp(min=2.3e-308) * ((place >= 0) & (place < target))",
                "first = low.long().clamp(max=length - 1) + (length - source) // 2",
                "turns = torch.arange(len(pixel))[:, None]",
                "return (first + turns).clamp(max=length - 1), weights.float()",
            ]
        return ["", "", "def taps(length, other):"] + indented(4, body) + [
            "",
            "",
            "def resampled(x, length, other, axis, start):",
            "    \"\"\"Sums along one axis of [N,H,W,3], in the order and precision of occ-gpu.\"\"\"",
            "    for places, weights in zip(*(part.to(x.device) for part in taps(length, other))):",
            "        start = start + x.index_select(axis, places) * weights.reshape(-1, *[1] * (3 - axis))",
            "    return start",
            "",
            "",
            "def prepared(images):",
            "    \"\"\"Images uint8 [N,H,W,3] -> float [N,3,SIDE,SIDE] in 0...1.\"\"\"",
            "    _, height, width, _ = images.shape",
            "    lines = resampled(images.float(), width, height, 2, 0.0)",
            "    return resampled(lines, height, width, 1, 0.5).floor().permute(0, 3, 1, 2) / 255",
        ]
    }

    // MARK: Encoder

    /// The class, up to its encoder.
    private static let container = [
        "",
        "",
        "class Model(torch.nn.Module):",
        "    \"\"\"The encoder, whose arrays have PyTorch's names, in single precision; the detector in double.\"\"\"",
        "",
        "    def __init__(self, arrays):",
        "        super().__init__()",
        "        for name, array in arrays.items():",
        "            *path, last = name.split(\".\")",
        "            module = self",
        "            for part in path:",
        "                if part not in module._modules:",
        "                    module.add_module(part, torch.nn.Module())",
        "                module = module._modules[part]",
        "            module.register_buffer(last, array)",
        "",
        "    def norm(self, x, name, epsilon, residual=None, relu=False):",
        "        p = self.encoder.get_submodule(name)",
        "        x = F.batch_norm(x, p.running_mean, p.running_var, p.weight, p.bias, eps=epsilon)",
        "        x = x if residual is None else x + residual",
        "        return F.relu(x) if relu else x",
    ]

    private static func encoding(_ encoder: EncoderSteps) -> [String] {
        func normalization(_ own: EncoderSteps.Normalization, of x: String) -> String {
            let residual = own.residual.map { ", x\($0)" } ?? "", relu = own.relu ? ", relu=True" : ""
            return "self.norm(\(x), \(literal(own.layer)), \(own.epsilon)\(residual)\(relu))"
        }
        func expression(_ step: EncoderSteps.Step) -> String {
            let x = "x\(step.operand)"
            switch step.kind {
            case .convolution(let weight, let window, let own):
                let y = "F.conv2d(\(x), w(\(literal(weight))), None, \(window.stride), \(window.padding))"
                return own.map { normalization($0, of: y) } ?? y
            case .normalization(let own): return normalization(own, of: x)
            case .maxPool(let window):
                return "F.max_pool2d(\(x), \(window.side), \(window.stride), \(window.padding))"
            case .crop(let border): return "F.pad(\(x), [\(-border)] * 4)"
            case .relu: return "F.relu(\(x))"
            case .leakyReLU(let factor): return "F.leaky_relu(\(x), \(factor))"
            case .sum(let other): return "\(x) + x\(other)"
            case .dense(let weight, let bias):
                let offset = bias.map { ", w(\(literal($0)))" } ?? ""
                return
                    "F.linear(\(x).permute(0, 2, 3, 1).flatten(1), w(\(literal(weight)))\(offset))[..., None, None]"
            }
        }
        let maps = encoder.stages.map { "x\($0)" }.joined(separator: ", ")
        return indented(
            4,
            ["", "def encode(self, x0):"]
                + indented(
                    4,
                    [
                        "\"\"\"Images float [N,3,H,W] in 0...1 -> the map of each stage, [N,C,P,Q].\"\"\"",
                        "w = self.encoder.get_buffer",
                    ] + encoder.steps.map { "x\($0.result) = \(expression($0))" } + ["return [\(maps)]"]))
    }

    // MARK: Features

    /// What `FeatureNodes` appends.
    private static func features(_ encoder: any Encoder, _ stages: [Int], _ grid: PatchGrid?) -> [String] {
        let chosen = stages.map { "maps[\($0 - 1)]" }.joined(separator: ", ")
        let body: [String]
        if let grid, let step = encoder.receptiveFields.last?.step {
            let windows = stages.map { number in
                let field = encoder.receptiveFields[number - 1]
                return "(\(number - 1), \(field.step), \(field.mapSide(of: grid.patch)))"
            }
            body = [
                "\"\"\"Images float [N,3,SIDE,SIDE] -> rows [N P,D], image by image: means of windows of its maps,",
                "which hold those of all patches that begin a multiple of \(step) pixels from where it begins.\"\"\"",
                "rows, columns = torch.tensor(\(list(grid.rows))), torch.tensor(\(list(grid.columns)))",
                "found = None",
                "for top in sorted({row % \(step) for row in rows.tolist()}):",
                "    for left in sorted({column % \(step) for column in columns.tolist()}):",
                "        down, across = rows % \(step) == top, columns % \(step) == left",
                "        maps, parts = self.encode(x[:, :, top:, left:]), []",
                "        for stage, step, side in [\(windows.joined(separator: ", "))]:",
                "            means = F.avg_pool2d(maps[stage], side, 1)",
                "            means = means[:, :, (rows[down] - top) // step]",
                "            parts.append(means[..., (columns[across] - left) // step])",
                "        part = torch.cat(parts, 1)",
                "        if found is None:",
                "            found = part.new_empty(*part.shape[:2], len(rows), len(columns))",
                "        found[:, :, down.nonzero(), across.nonzero()[:, 0]] = part",
                "return found.permute(0, 2, 3, 1).flatten(0, 2)",
            ]
        } else {
            let cut = grid.map { grid in
                [
                    "within = torch.arange(\(grid.patch))",
                    "rows = torch.tensor(\(list(grid.rows)))[:, None] + within",
                    "columns = torch.tensor(\(list(grid.columns)))[:, None] + within",
                    "x = x[:, :, rows][..., columns].permute(0, 2, 4, 1, 3, 5).flatten(0, 2)",
                ]
            }
            body =
                [
                    "\"\"\"Images float [N,3,SIDE,SIDE] -> rows of features, [N\(grid == nil ? "" : " P"),D], image by image.\"\"\""
                ] + (cut ?? []) + [
                    "maps = self.encode(x)",
                    "return torch.cat([map.mean((2, 3)) for map in [\(chosen)]], 1)",
                ]
        }
        return indented(4, ["", "def features(self, x):"] + indented(4, body))
    }

    // MARK: Scores

    private static func scoring(
        _ detectors: [TorchDetector], named name: String, _ grid: PatchGrid?
    ) -> [String] {
        let places = grid?.count ?? 1, hasOne = detectors[0].locations == 1
        let normalized = [
            "norms = rows.square().sum(1, keepdim=True).sqrt()",
            "rows = rows * ((norms >= \(FeatureMatrix.leastNorm)) / norms.clamp(min=\(FeatureMatrix.leastNorm)))",
            "rows = rows.float().double()",
        ]
        return indented(
            4,
            ["", "def detect(self, rows, d):"]
                + indented(
                    4,
                    [
                        "\"\"\"Scores of rows [L,R,D] by one detector, \(name), of L places or of all: [L,R].\"\"\""
                    ]
                        + detectors[0].lines)
                + ["", "def scores(self, features):"]
                + indented(
                    4,
                    [
                        "\"\"\"Rows of features [N P,D] -> scores, double [N,P].\"\"\"",
                        "rows = features.double()",
                    ] + (TorchDetector.normalizes(name) ? normalized : []) + [
                        hasOne
                            ? "rows = rows[None]"
                            : "rows = rows.unflatten(0, (-1, \(places))).transpose(0, 1)",
                        "found = torch.stack([self.detect(rows, d) for d in self.detectors.children()]).mean(0)",
                        hasOne ? "return found.reshape(-1, \(places))" : "return found.T",
                    ]))
    }

    // MARK: The whole

    private static func forward(_ model: OneClassModel, ofMaps: Bool) -> [String] {
        var body = [
            "\"\"\"Images uint8 [N,H,W,3] in RGB -> what the model says of them, by name.\"\"\"",
            "features = self.features(prepared(images))",
        ]
        body +=
            ofMaps
            ? [
                "score, map = self.scores(features)",
                "found = {\"features\": features, \"score\": score, \"map\": map.float()}",
            ]
            : [
                "scores = self.scores(features)",
                "found = {\"features\": features, \"score\": scores.amax(1)}",
            ]
        if !model.calibration.scores.isEmpty {
            body += [
                "as_high = (self.calibration >= found[\"score\"][:, None]).sum(1).double()",
                "found[\"p_value\"] = (1 + as_high) / (1 + len(self.calibration))",
            ]
        }
        if model.calibration.threshold != nil {
            body.append("found[\"anomalous\"] = found[\"score\"] > THRESHOLD")
        }
        if let grid = model.grid {
            let scale = model.mapScale, (ordinary, unit) = (scale.ordinary, scale.unit)
            body += [
                "logs = torch.asinh((scores - \(ordinary)) / \(unit))",
                "logs = logs.reshape(-1, \(grid.rows.count), \(grid.columns.count))",
                "means = self.map.down @ logs @ self.map.across.T",
                "found[\"map\"] = (\(ordinary) + \(unit) * torch.sinh(means)).float()",
            ]
        }
        return indented(
            4, ["", "@torch.no_grad()", "def forward(self, images):"] + indented(4, body + ["return found"]))
    }

    private static let loading = [
        "",
        "",
        "def load(path=os.path.join(os.path.dirname(os.path.abspath(__file__)), \"\(name).safetensors\")):",
        "    \"\"\"The model, on the CPU; `.to(device)` takes it elsewhere.\"\"\"",
        "    return Model(load_file(path)).eval()",
    ]
}
