import OneClass

let split = try OneClassSplit(ImageDataset.load("builtin:shapes"), normal: nil)
var configuration = RunConfiguration()
(configuration.encoder, configuration.width, configuration.head) = (.resnet10, 0.25, [])
(configuration.batch, configuration.steps, configuration.schedule.peak) = (32, 60, 0.03)
configuration.augment = "cnr0.75+hflip+jitter_b0.2_c0.2_s0.2_h0.1"
let model = try OneClassModel.fit(split, configuration: configuration)
let scores = try model.score(split.test)  // higher is more anomalous
try model.save("model.safetensors")
let loaded = try OneClassModel.load("model.safetensors")
let metrics = try RankingMetrics(scores: loaded.score(split.test), labels: split.testLabels)
guard try loaded.score(split.test) == scores, metrics.auroc > 0.6 else {
    fatalError("AUROC \(metrics.auroc)")
}
print("AUROC \(metrics.auroc)")
