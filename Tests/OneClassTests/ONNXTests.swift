import Foundation
import OCCData
import OCCDetectors
import OCCEngine
import OCCNetworks
import OneClass
import TestSupport
import Testing

/// ONNX files: their bytes, what a model's graph is made of, and what is refused. `bench/peers/check_onnx.py`
/// runs them.
@Suite struct ONNXTests {
    // MARK: Bytes

    /// The examples of the format's own page, and what else is written.
    @Test func fieldsHaveKnownBytes() {
        func bytes(_ write: (inout ProtocolBuffer) -> Void) -> [UInt8] {
            var message = ProtocolBuffer()
            write(&message)
            return message.encoded
        }
        #expect(bytes { $0.integer(1, 150) } == [0x08, 0x96, 0x01])
        #expect(bytes { $0.integer(1, 0) } == [0x08, 0])
        #expect(bytes { $0.integer(1, 127) } == [0x08, 0x7F])
        #expect(bytes { $0.integer(1, 128) } == [0x08, 0x80, 0x01])
        #expect(bytes { $0.integer(2, -2) } == [0x10, 0xFE] + [UInt8](repeating: 0xFF, count: 8) + [0x01])
        #expect(bytes { $0.integer(20, 7) } == [0xA0, 0x01, 0x07])
        #expect(bytes { $0.text(2, "testing") } == [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6E, 0x67])
        #expect(bytes { $0.text(1, "") } == [0x0A, 0])
        #expect(bytes { $0.real(2, 1) } == [0x15, 0, 0, 0x80, 0x3F])
        var inner = ProtocolBuffer()
        inner.integer(1, 150)
        #expect(bytes { $0.message(3, inner) } == [0x1A, 0x03, 0x08, 0x96, 0x01])
        let long = [UInt8](repeating: 5, count: 300)
        #expect(bytes { $0.bytes(9, long) } == [0x4A, 0xAC, 0x02] + long)
    }

    /// What onnx's own `helper` makes of the same model: y = abs(x).
    @Test func modelHasKnownBytes() {
        let value = { ONNX.ValueInfo(name: $0, type: .float, shape: [.any("N"), .fixed(3)]) }
        let graph = ONNX.Graph(
            name: "g", nodes: [ONNX.Node(name: "n", operation: "Abs", inputs: ["x"], outputs: ["y"])],
            arrays: [ONNX.Array("a", .int64, [Int64(-1)], [1])], inputs: [value("x")], outputs: [value("y")])
        let encoded = ONNX.Model(graph: graph, metadata: ["k": "v"]).encoded
        #expect(encoded == Self.known)
    }

    private static let known: [UInt8] = [
        0x08, 0x08, 0x12, 0x07, 0x6F, 0x63, 0x63, 0x2D, 0x67, 0x70, 0x75, 0x3A, 0x52, 0x0A, 0x0E, 0x0A,
        0x01, 0x78, 0x12, 0x01, 0x79, 0x1A, 0x01, 0x6E, 0x22, 0x03, 0x41, 0x62, 0x73, 0x12, 0x01, 0x67,
        0x2A, 0x11, 0x08, 0x01, 0x10, 0x07, 0x42, 0x01, 0x61, 0x4A, 0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        0xFF, 0xFF, 0xFF, 0x5A, 0x14, 0x0A, 0x01, 0x78, 0x12, 0x0F, 0x0A, 0x0D, 0x08, 0x01, 0x12, 0x09,
        0x0A, 0x03, 0x12, 0x01, 0x4E, 0x0A, 0x02, 0x08, 0x03, 0x62, 0x14, 0x0A, 0x01, 0x79, 0x12, 0x0F,
        0x0A, 0x0D, 0x08, 0x01, 0x12, 0x09, 0x0A, 0x03, 0x12, 0x01, 0x4E, 0x0A, 0x02, 0x08, 0x03, 0x42,
        0x04, 0x0A, 0x00, 0x10, 0x11, 0x72, 0x06, 0x0A, 0x01, 0x6B, 0x12, 0x01, 0x76,
    ]

    // MARK: Graphs

    static func model(_ change: (inout RunConfiguration) -> Void = { _ in }) throws -> OneClassModel {
        var c = RunConfiguration()
        (c.data, c.imageSize, c.steps, c.batch, c.detectorRows) = ("builtin:surface", 32, 1, 4, 40)
        (c.encoder, c.head) = (ResNet(.resnet10, width: 0.1), [])
        change(&c)
        var options = OneClassSplit.Options()
        (options.maxTrain, options.maxTest, options.holdOut) = (40, 4, c.holdOut)
        var split = try OneClassSplit(
            ImageDataset.load("builtin:surface", imageSize: 32), normal: nil, options: options)
        split.outliers = try c.outliers.map { try ImageDataset.load($0, imageSize: 32).train.images }
        return try OneClassModel.fit(split, configuration: c)
    }

    /// Checks that each node's inputs are there before it, that names are unique, and that nothing is idle.
    private static func check(_ graph: ONNX.Graph, within outer: Set<String> = []) -> Set<String> {
        var known = outer, used: Set<String> = []
        for name in graph.inputs.map(\.name) + graph.arrays.map(\.name) {
            #expect(known.insert(name).inserted, "\(name) is there twice")
        }
        for node in graph.nodes {
            for input in node.inputs where !input.isEmpty {
                #expect(known.contains(input), "\(node.name) takes \(input), which is not there")
                used.insert(input)
            }
            for case .graph(_, let inner) in node.attributes { used.formUnion(check(inner, within: known)) }
            for output in node.outputs {
                #expect(known.insert(output).inserted, "\(output) is there twice")
            }
        }
        for output in graph.outputs { #expect(known.contains(output.name), "\(output.name) is not made") }
        for array in graph.arrays { #expect(used.contains(array.name), "\(array.name) is not used") }
        return used
    }

    static let changes: [@Sendable (inout RunConfiguration) -> Void] = [
        { _ in },
        { ($0.detector, $0.fit) = (GaussianDensity(shrinkage: 0.1), .pad) },
        { ($0.detector, $0.fit, $0.layers) = (SupportVectorDataDescription(), .crop, StageNumbers([1, 4])) },
        { ($0.detector, $0.calibration) = (OneClassSVM(kernel: .linear), .cross) },
        { $0.encoder = WideResNet(depth: 10, widening: 1, width: 0.5) },
        { $0.encoder = ResNet(.resnet50, width: 0.1) },
        { ($0.encoder, $0.layers) = (LeNet(width: 0.2, outputs: 6, biases: true), StageNumbers([2, 4])) },
        { $0.detector = NearestNeighbors(neighbors: 2) },
        { ($0.method, $0.patch, $0.stride) = (CutPastePrediction(.threeWay), 16, 8) },
        {
            ($0.method, $0.patch, $0.stride) = (CutPastePrediction(.threeWay), 24, 3)
            ($0.encoder, $0.locations) = (ResNet(.resnet10, width: 0.1, padding: .none, stages: 2), .each)
        },
    ]

    @Test(arguments: 0..<changes.count) func graphsAreWhole(_ number: Int) throws {
        let model = try Self.model(Self.changes[number]), graph = try model.onnxGraph()
        _ = Self.check(graph)
        #expect(graph.inputs.map(\.name) == ["images"])
        let map = model.grid == nil ? [] : ["map"]
        #expect(graph.outputs.map(\.name) == ["score", "p_value", "anomalous"] + map)
        // The weights are stored once, under torchvision's names.
        let arrays = Dictionary(uniqueKeysWithValues: graph.arrays.map { ($0.name, $0) })
        let first = try #require(arrays["conv1.weight"]), weights = try model.exportWeights()
        let own = try #require(weights.first { $0.name == "conv1.weight" })
        #expect(first.shape == own.shape && first.bytes == own.values.withUnsafeBytes { Array($0) })
    }

    /// Methods that score by themselves, with the operations that a graph of each has; and flows on features.
    private static let own:
        [(change: @Sendable (inout RunConfiguration) -> Void, operation: String, hasMap: Bool)] = [
            ({ $0.method = AutoEncoder(code: 8) }, "Expand", true),
            ({ ($0.method, $0.encoder) = (AutoEncoder(), LeNet(width: 0.1, outputs: 8)) }, "LeakyRelu", true),
            ({ $0.method = Denoising() }, "Expand", true),
            ({ ($0.method, $0.patch, $0.stride) = (AutoEncoder(code: 8), 16, 8) }, "Expand", true),
            ({ ($0.method, $0.head) = (DeepSVDD(), [8, 4]) }, "ReduceSum", false),
            ({ ($0.method, $0.outliers) = (OutlierExposure(), "builtin:part") }, "MatMul", false),
            ({ ($0.method, $0.head) = (ContrastingShiftedInstances(), [8, 4]) }, "ReduceMax", false),
            ({ ($0.method, $0.batch) = (DAGMM(), 16) }, "Softmax", false),
            ({ $0.method = (try? smallMethod("flow")) ?? $0.method }, "Tanh", false),
            ({ $0.detector = FlowDensity() }, "Tanh", false),
        ]

    @Test(arguments: 0..<own.count) func graphsOfOwnScoresAreWhole(_ number: Int) throws {
        let (change, operation, hasMap) = Self.own[number]
        let model = try Self.model { c in
            change(&c)
            if c.method is any OwnScoring { c.detector = OwnScore() }
        }
        let graph = try model.onnxGraph()
        let used = Self.check(graph)
        #expect(graph.nodes.contains { $0.operation == operation })
        #expect(
            graph.outputs.map(\.name) == ["score", "p_value", "anomalous"] + (hasMap ? ["map"] : []))
        // Every weight that scores depend on is there under its own name, and stored once.
        let arrays = graph.arrays.map(\.name)
        #expect(Set(arrays).count == arrays.count && Set(arrays).isSubset(of: used))
        let weights = Set(try model.exportWeights().map(\.name))
        #expect(!weights.isDisjoint(with: arrays))
        #expect(try model.onnx() == model.onnx())
    }

    /// Detectors of maps, with the operations that a graph of each has.
    @Test(arguments: [("padim", "Sqrt", 1), ("patchcore", "GatherElements", 1), ("padim", "Sqrt", 3)])
    func graphsOfMapsAreWhole(_ name: String, _ operation: String, _ folds: Int) throws {
        let model = try Self.model { c in
            c.detector = name == "padim" ? PaDiM(channels: 9) : PatchCore(coreset: 0.02)
            c.layers = StageNumbers([1, 2])
            if folds > 1 { (c.calibration, c.folds) = (.cross, folds) }
        }
        let graph = try model.onnxGraph(), used = Self.check(graph)
        #expect(graph.nodes.contains { $0.operation == operation })
        #expect(graph.outputs.map(\.name) == ["score", "p_value", "anomalous", "map"])
        // What is behind the last stage that the detector sees is not there.
        let arrays = Set(graph.arrays.map(\.name))
        #expect(arrays.contains("layer2.0.conv1.weight") && !arrays.contains { $0.hasPrefix("layer3") })
        #expect(arrays.isSubset(of: used))
    }

    @Test func withoutThresholdThereIsNoAlarm() throws {
        let model = try Self.model { $0.holdOut = 0 }
        #expect(try model.onnxGraph().outputs.map(\.name) == ["score"])
    }

    /// The same model gives the same bytes, which say what it is.
    @Test func filesSayWhatTheyAre() throws {
        let model = try Self.model(), bytes = try model.onnx()
        #expect(try model.onnx() == bytes)
        #expect(Array(bytes.prefix(2)) == [0x08, 8])
        #expect(bytes.contains(ProtocolBuffer.entry("normal_class", model.normalClass)))
        #expect(bytes.contains(ProtocolBuffer.entry("image_size", "32")))
        #expect(bytes.contains([0x42, 0x04, 0x0A, 0x00, 0x10, 17]), "opset 17 of the default domain")
    }

    // MARK: Refusals

    /// A network whose map is noisy, by an operation without nodes.
    struct Noisy: Encoder {
        let name = "noisy", summary = "A network with noise on its map."
        static let settings: [Setting<Noisy>] = []

        func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> EncoderOutput {
            let map = try gaussianNoise(
                ResNet(.resnet10, width: 0.1)(images, in: plan).map, sigma: 0.1, in: plan)
            return EncoderOutput(map: map, pooled: try globalAveragePool(map, in: plan))
        }
    }

    /// The first feature.
    struct FirstFeature: Detector, OneClassClassifier {
        let name = "first-feature", summary = "The first feature."
        static let settings: [Setting<FirstFeature>] = []
        var state: DetectorState { DetectorState() }

        func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier { self }
        func restore(_ state: DetectorState) throws -> any OneClassClassifier { self }
        func scores(_ features: FeatureMatrix) throws -> [Double] {
            (0..<features.rows).map { Double(features.values[$0 * features.columns]) }
        }
    }

    @Test func whatHasNoNodesIsRefusedByName() throws {
        let noisy = try Self.model { $0.encoder = Noisy() }
        let operation = #expect(throws: OCCError.self) { try noisy.onnx() }
        #expect(operation?.kind == .usage && operation?.message.contains("gaussian_noise") == true)
        let first = try Self.model { $0.detector = FirstFeature() }
        let detector = #expect(throws: OCCError.self) { try first.onnx() }
        #expect(detector?.kind == .usage && detector?.message.contains("first-feature") == true)
    }
}

extension ProtocolBuffer {
    /// The bytes of a pair of texts in a file's metadata.
    fileprivate static func entry(_ key: String, _ value: String) -> [UInt8] {
        var pair = ProtocolBuffer(), message = ProtocolBuffer()
        pair.text(1, key)
        pair.text(2, value)
        message.message(14, pair)
        return message.encoded
    }
}
