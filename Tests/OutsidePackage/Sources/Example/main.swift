// A data set, an encoder, a method and a detector of this package's own, trained, saved, loaded and scored.
import OneClass

/// Pictures of stripes: bright above and dark below; an anomaly has a stripe from top to bottom.
func stripes(_ count: Int, anomalous: Bool, seed: UInt64) -> ImageBatch {
    var random = CounterRandom(seed: seed, stream: 0), pixels: [UInt8] = []
    for _ in 0..<count {
        let column = Int(random.uniform() * 24)
        for row in 0..<32 {
            for x in 0..<32 {
                let isStripe = anomalous && (column..<column + 6).contains(x)
                let value = isStripe ? 250 : 200 - 4 * Double(row) + 20 * random.uniform()
                pixels += [UInt8](repeating: UInt8(value), count: 3)
            }
        }
    }
    return ImageBatch(side: 32, pixels: pixels)
}

func dataset() -> ImageDataset {
    var train = LabeledImages(side: 32), test = LabeledImages(side: 32)
    (train.images, train.labels) = (stripes(96, anomalous: false, seed: 1), [Int](repeating: 0, count: 96))
    test.images = ImageBatch(
        side: 32,
        pixels: stripes(20, anomalous: false, seed: 2).pixels + stripes(20, anomalous: true, seed: 3).pixels)
    test.labels = [Int](repeating: 0, count: 20) + [Int](repeating: 1, count: 20)
    (train.names, test.names) = ((0..<96).map { "train \($0)" }, (0..<40).map { "test \($0)" })
    return ImageDataset(
        name: "stripes", kind: .normalAndAnomalous, classNames: ["plain", "striped"], train: train, test: test
    )
}

/// Three convolutions.
struct SmallNetwork: Encoder {
    var channels = 16
    let name = "small"
    let summary = "Three convolutions."
    static let settings = [
        Setting("channels", \SmallNetwork.channels, "N", range: .within(1...1024), "Channels of every layer.")
    ]

    func callAsFunction(_ images: Tensor, in plan: PlanBuilder) throws -> EncoderOutput {
        var x = try plan.activations(images)
        for layer in 1...3 {
            x = try Conv2D("conv\(layer)", channels: channels, kernel: 3, stride: 2)(x, in: plan)
            x = try BatchNorm("bn\(layer)", relu: true)(x, in: plan)
        }
        return EncoderOutput(map: x, pooled: try globalAveragePool(x, in: plan))
    }
}

/// Predicts whether an image stands on its head.
struct UprightPrediction: Method {
    let name = "upright"
    let summary = "Predicts whether an image is upside down."
    static let settings: [Setting<UprightPrediction>] = []
    let defaults = TrainingDefaults(headWidths: [16], recipe: "hflip", learningRate: 0.05, batch: 16)
    let rowInputs = [RowInput("symmetry")]
    let copies = 2

    func view(item: Int, copy: Int) -> BatchRow { BatchRow(image: item, label: copy, inputs: [4 * copy]) }

    func build(_ batch: TrainingBatch, in plan: PlanBuilder) throws -> TrainingOutputs {
        let views = try batch.recipe(batch.images, in: plan)
        let x = try dihedral(views, transforms: batch.inputs["symmetry"], in: plan)
        let features = try batch.encoder(x, in: plan).pooled
        let logits = try ProjectionHead(widths: batch.headWidths, logits: 2)(features, in: plan)
        let loss = try softmaxCrossEntropy(logits, labels: batch.labels, in: plan)
        return TrainingOutputs(loss: loss, features: features)
    }
}

/// The distance to the mean of the training features, in the scale of each.
struct ScaledDistance: Detector, OneClassClassifier {
    var floor = 1e-3
    private var mean: [Double] = [], scale: [Double] = []
    let name = "scaled-distance"
    let summary = "Distance to the mean, in each feature's deviations."
    static let settings = [
        Setting("floor", \ScaledDistance.floor, "D", range: .within(1e-9...1), "Smallest deviation.")
    ]

    func fit(_ features: FeatureMatrix) throws -> any OneClassClassifier {
        try features.requireFittable(name)
        var result = self
        for column in 0..<features.columns {
            let values = (0..<features.rows).map { Double(features.values[$0 * features.columns + column]) }
            let mean = values.reduce(0, +) / Double(values.count)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
            result.mean.append(mean)
            result.scale.append(max(variance.squareRoot(), floor))
        }
        return result
    }

    func scores(_ features: FeatureMatrix) throws -> [Double] {
        (0..<features.rows).map { row in
            (0..<features.columns).reduce(0) { sum, column in
                let value = Double(features.values[row * features.columns + column])
                return sum + abs(value - mean[column]) / scale[column]
            }
        }
    }

    var state: DetectorState {
        var state = DetectorState()
        state.set("mean", mean, shape: [mean.count])
        state.set("scale", scale, shape: [scale.count])
        return state
    }

    func restore(_ state: DetectorState) throws -> any OneClassClassifier {
        var result = self
        (result.mean, result.scale) = (try state.array("mean").values, try state.array("scale").values)
        return result
    }
}

Encoders.registry.register(SmallNetwork())
Methods.registry.register(UprightPrediction())
Detectors.registry.register(ScaledDistance())

var configuration = RunConfiguration()
configuration.encoder = SmallNetwork(channels: 8)
configuration.method = UprightPrediction()
configuration.detector = ScaledDistance()
configuration.steps = 60
let split = try OneClassSplit(dataset(), normal: nil)
let model = try OneClassModel.fit(split, configuration: configuration)
let scores = try model.score(split.test)  // higher is more anomalous
try model.save("model.safetensors")
let loaded = try OneClassModel.load("model.safetensors")
let auroc = try RankingMetrics(scores: scores, labels: split.testLabels).auroc
guard try loaded.score(split.test) == scores, loaded.configuration == model.configuration, auroc > 0.9 else {
    fatalError("AUROC \(auroc)")
}
print(
    "AUROC \(auroc) by \(loaded.configuration.encoder.name), \(loaded.configuration.method.name), \(loaded.configuration.detector.name)"
)
