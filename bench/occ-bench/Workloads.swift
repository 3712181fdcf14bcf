import Foundation
import OneClass

/// The pieces of work that are compared, by command. A workload's name is its key in bench/thresholds.json.
enum Workloads {
    static let groups = ["step", "layers", "infer", "patches", "maps", "anomalib", "detectors", "augment"]

    /// Builds each comparison when its turn comes, so that only one holds memory at a time.
    static func all(
        _ group: String, threads: Int, images: String? = nil
    ) throws -> [(name: String, make: () throws -> Comparison)] {
        switch group {
        case "step":
            return [
                (
                    "contrastive step, 32 pairs, width 1",
                    { try step(Contrastive(), width: 1, threads: threads) }
                ),
                (
                    "contrastive step, 32 pairs, width 0.25",
                    { try step(Contrastive(), width: 0.25, threads: threads) }
                ),
                (
                    "rotation step, 64 x 4, width 1",
                    { try step(RotationPrediction(), width: 1, threads: threads) }
                ),
                (
                    "rotation step, 64 x 4, width 0.25",
                    { try step(RotationPrediction(), width: 0.25, threads: threads) }
                ),
            ]
        case "layers":
            return convolutions.map { shape in (shape.name, { try convolution(shape, threads: threads) }) }
        case "infer":
            return [("inference, batch 64, width 1", { try inference(width: 1, threads: threads) })]
        case "patches":
            return [(32, 8), (32, 4), (64, 8), (64, 4)].map { patch, stride in
                (
                    "patches of \(patch), stride \(stride), 256 x 256",
                    { try patches(patch, stride: stride, threads: threads) }
                )
            }
        case "maps":
            return [(64, 8, 256), (64, 4, 256), (64, 8, 1024)].map { patch, stride, side in
                (
                    "map of \(side) x \(side), patches of \(patch), stride \(stride)",
                    { try map(side: side, patch: patch, stride: stride, threads: threads) }
                )
            }
        case "anomalib":
            return [("PaDiM", 1), ("PaDiM", 8), ("PatchCore", 1)].map { name, images in
                let detector: any MapDetector = name == "PaDiM" ? PaDiM() : PatchCore()
                let title = "\(name), ResNet-18, 256 x 256, \(images == 1 ? "an image" : "\(images) images")"
                return (title, { try maps(detector, title, images: images, threads: threads) })
            }
        case "detectors":
            return [
                ("KDE, 5k queries x 10k x 512", { try kernelDensity(threads: threads) }),
                ("OC-SVM RBF fit, 5k x 512", { try oneClassSVM(threads: threads) }),
            ]
        case "augment": return [("augmentation, 256 views", { try augmentation(threads: threads) })]
        case "load":
            guard let images else {
                throw OCCError(
                    .usage, "--images is missing",
                    remedy: "Name a folder of images, or run bench/peers/load_images.py, which makes one.")
            }
            return [("loading images to 256 x 256", { try loading(images, threads: threads) })]
        default:
            throw OCCError(
                .usage, "there is no benchmark '\(group)'",
                remedy: "There is: \(groups.joined(separator: ", ")).")
        }
    }

    private static func configuration(_ method: any Method, width: Double) -> RunConfiguration {
        var c = RunConfiguration()
        (c.method, c.encoder, c.steps) = (method, ResNet(.resnet18, width: width), 1_000_000)
        return c
    }

    private static func images() throws -> OneClassSplit {
        try OneClassSplit(ImageDataset.load("builtin:shapes"), normal: nil)
    }

    /// A training step of ResNet-18 at 32 x 32 with the paper's head. Ours includes gathering the batch and
    /// the augmentation; the peers' batches are ready.
    private static func step(_ method: any Method, width: Double, threads: Int) throws
        -> Comparison
    {
        let trainer = try Trainer(
            configuration: configuration(method, width: width), images: try images().train,
            device: try .cpu(threads: threads))
        let pairs = method is RotationPrediction ? "rotation step, 64 x 4" : "contrastive step, 32 pairs"
        return Comparison(
            name: "\(pairs), width \(formatted(width))", items: Double(trainer.imagesPerStep), unit: "images",
            body: { try trainer.advance() },
            peers: ["channels_last", "eager", "compile"].map {
                [
                    "work": "step", "form": $0, "method": method.name, "width": width,
                    "rows": trainer.imagesPerStep,
                    "threads": threads,
                ]
            })
    }

    /// The convolutions of ResNet-18's stages on a batch of 64.
    private struct Convolution {
        let side: Int, inputs: Int, outputs: Int, stride: Int
        var name: String { "conv 3x3/\(stride) \(inputs)->\(outputs) at \(side)x\(side), batch 64" }
    }

    private static let convolutions = [
        Convolution(side: 32, inputs: 64, outputs: 64, stride: 1),
        Convolution(side: 32, inputs: 64, outputs: 128, stride: 2),
        Convolution(side: 16, inputs: 128, outputs: 128, stride: 1),
        Convolution(side: 8, inputs: 256, outputs: 256, stride: 1),
        Convolution(side: 4, inputs: 512, outputs: 512, stride: 1),
    ]

    /// Forward, backward data and backward weight together.
    private static func convolution(_ shape: Convolution, threads: Int) throws -> Comparison {
        let program = Program(device: try .cpu(threads: threads))
        let (plan, _) = try program.add("conv", .training) { plan in
            let x = try plan.input("x", [64, shape.side, shape.side, shape.inputs], type: .float32)
            plan.watch(x)
            let y = try Conv2D("conv", channels: shape.outputs, kernel: 3, stride: shape.stride)(x, in: plan)
            plan.keep(y)
            let seed = try plan.input("dy", y.shape, type: .float32)
            if let gradient = try plan.differentiate(y, seed: seed).gradient(of: x) { plan.keep(gradient) }
            // An update makes the plan a training one, with room for gradients.
            try Optimizer().append(to: plan)
        }
        try program.load()
        try program.initializeParameters(seed: 1)
        let flop = plan.operations.filter { $0.name.hasPrefix("conv2d") }.reduce(0) { $0 + $1.flop }
        return Comparison(
            name: shape.name, items: Double(flop) / 1e9, unit: "GFLOP",
            body: { try plan.run() },
            peers: ["channels_last", "eager"].map {
                [
                    "work": "conv", "form": $0, "side": shape.side, "inputs": shape.inputs,
                    "outputs": shape.outputs,
                    "stride": shape.stride, "threads": threads,
                ]
            })
    }

    private static func inference(width: Double, threads: Int) throws -> Comparison {
        let split = try images()
        let trainer = try Trainer(
            configuration: configuration(RotationPrediction(), width: width), images: split.train,
            device: try .cpu(threads: threads))
        let batch = split.test.subset(0..<64)
        return Comparison(
            name: "inference, batch 64, width \(formatted(width))", items: 64, unit: "images",
            body: { _ = try trainer.features(of: batch) },
            peers: ["channels_last", "eager", "compile"].map {
                ["work": "infer", "form": $0, "width": width, "rows": 64, "threads": threads]
            })
    }

    /// Scores and maps of images of 256 x 256 by ResNet-18 at a quarter of its width and one Gaussian.
    private static func patches(_ patch: Int, stride: Int, threads: Int) throws -> Comparison {
        var c = configuration(RotationPrediction(), width: 0.25)
        (c.data, c.imageSize, c.patch, c.stride, c.steps) = ("builtin:surface", 256, patch, stride, 0)
        (c.maxTrain, c.holdOut, c.detector, c.detectorRows) = (10, 0.01, GaussianDensity(), 2000)
        let split = try c.split(c.dataset()), count = stride < 8 ? 1 : 4
        let model = try OneClassModel.fit(split, configuration: c, device: try .cpu(threads: threads))
        let batch = split.test.subset(0..<count)
        return Comparison(
            name: "patches of \(patch), stride \(stride), 256 x 256", items: Double(count), unit: "images",
            body: { _ = try model.localize(batch) },
            peers: ["channels_last", "eager", "compile"].map {
                [
                    "work": "patches", "form": $0, "width": 0.25, "patch": patch, "stride": stride,
                    "rows": count,
                    "threads": threads,
                ]
            },
            note: {
                String(
                    format: "%.1f %% of our time is outside the network",
                    100 * (1 - (try model.networkShare(batch))))
            })
    }

    /// Scores and map of an image by ResNet-10 at a quarter of its width and one Gaussian: in one pass of an encoder
    /// without padding, and patch by patch of one that pads.
    private static func map(side: Int, patch: Int, stride: Int, threads: Int) throws -> Comparison {
        func localization(_ padding: Padding) throws -> (body: () throws -> Void, share: () throws -> Double)
        {
            var c = configuration(CutPastePrediction(.threeWay), width: 0.25)
            c.encoder = ResNet(.resnet10, width: 0.25, padding: padding)
            (c.data, c.imageSize, c.patch, c.stride, c.steps) = ("builtin:surface", side, patch, stride, 0)
            (c.maxTrain, c.maxTest, c.holdOut) = (4, 10, 0.01)
            (c.detector, c.detectorRows) = (GaussianDensity(), 200)
            let split = try c.split(c.dataset())
            let model = try OneClassModel.fit(split, configuration: c, device: try .cpu(threads: threads))
            let image = split.test.subset(0..<1)
            return ({ _ = try model.localize(image) }, { try model.networkShare(image) })
        }
        let dense = try localization(.none)
        return Comparison(
            name: "map of \(side) x \(side), patches of \(patch), stride \(stride)", items: 1, unit: "images",
            body: dense.body, peers: [],
            alternatives: side > 256 ? [] : [("patch by patch", try localization(.zeros).body)],
            note: {
                String(format: "%.1f %% of our time is outside the network", 100 * (1 - (try dense.share())))
            })
    }

    /// Scores and maps of images by a detector on the maps of ResNet-18 with its 7x7 stem, beside anomalib's model alone:
    /// ours begin with bytes, theirs with normalized images.
    private static func maps(_ detector: any MapDetector, _ name: String, images: Int, threads: Int) throws
        -> Comparison
    {
        var c = configuration(RotationPrediction(), width: 1)
        c.encoder = ResNet(.resnet18, stem: .large, normalize: .imagenet)
        (c.data, c.imageSize, c.steps, c.layers) = ("builtin:surface", 256, 0, detector.defaultLayers)
        (c.detector, c.maxTrain, c.maxTest, c.holdOut) = (detector, 16, max(10, images), 0)
        let split = try c.split(c.dataset())
        let model = try OneClassModel.fit(split, configuration: c, device: try .cpu(threads: threads))
        let batch = split.test.subset(0..<images)
        let memory = (detector as? PatchCore).map { Int(Double(split.train.count * 32 * 32) * $0.coreset) }
        return Comparison(
            name: name, items: Double(images), unit: "images",
            body: { _ = try model.localize(batch) },
            peers: ["eager", "channels_last", "compile"].map {
                [
                    "work": "maps", "form": $0, "detector": detector.name, "side": 256, "rows": images,
                    "memory": memory ?? 0, "threads": threads,
                ]
            },
            note: {
                String(
                    format: "%.1f %% of our time is outside the network",
                    100 * (1 - (try model.networkShare(batch))))
            })
    }

    private static func normals(_ rows: Int, _ columns: Int, seed: UInt64) -> FeatureMatrix {
        var random = CounterRandom(seed: seed, stream: 0xBE7C)
        return FeatureMatrix(
            rows: rows, columns: columns,
            values: (0..<rows * columns).map { _ in Float(random.normal() + 0.5) })
    }

    private static func kernelDensity(threads: Int) throws -> Comparison {
        _ = try Device.cpu(threads: threads)
        let detector = try KernelDensity().fit(normals(10_000, 512, seed: 1)),
            queries = normals(5000, 512, seed: 2)
        return Comparison(
            name: "KDE, 5k queries x 10k x 512", items: 5000, unit: "queries",
            body: { _ = try detector.scores(queries) },
            peers: [["work": "kde", "queries": 250, "rows": 10_000, "columns": 512, "threads": threads]],
            peerShare: 0.05)
    }

    private static func oneClassSVM(threads: Int) throws -> Comparison {
        _ = try Device.cpu(threads: threads)
        let features = normals(5000, 512, seed: 3)
        let detector = OneClassSVM(kernel: .rbf, tolerance: 1e-3)  // scikit-learn's
        return Comparison(
            name: "OC-SVM RBF fit, 5k x 512", items: 5000, unit: "rows",
            body: { _ = try detector.fit(features) },
            peers: [["work": "ocsvm", "rows": 5000, "columns": 512, "threads": threads]])
    }

    /// The standard recipe on 256 images of 32 x 32.
    private static func augmentation(threads: Int) throws -> Comparison {
        let program = Program(device: try .cpu(threads: threads)), split = try images()
        let (plan, (data, indices)) = try program.add("augment", .inference) { plan in
            let data = try plan.input("data", [split.train.count, 32, 32, 3], type: .uint8)
            let indices = try plan.input("indices", [256], type: .int32)
            plan.keep(try AugmentationRecipe.standard(try gather(data, indices: indices, in: plan), in: plan))
            return (data, indices)
        }
        try program.load()
        try program.write(split.train.pixels, to: data)
        try program.write((0..<Int32(256)).map { $0 }, to: indices)
        var step = 0
        return Comparison(
            name: "augmentation, 256 views", items: 256, unit: "views",
            body: {
                try program.setStep(seed: 1, step: step, learningRate: 0)
                try plan.run()
                step += 1
            }, peers: [["work": "augment", "rows": 256, "threads": threads]])
    }

    /// Reading, decoding and resizing the files of a folder.
    private static func loading(_ folder: String, threads: Int) throws -> Comparison {
        _ = try Device.cpu(threads: threads)
        var loading = ImageLoading()
        loading.side = 256
        let paths = try expandImagePaths([folder]).images, side = loading.side
        return Comparison(
            name: "loading images to 256 x 256", items: Double(paths.count), unit: "images",
            body: { [loading] in for image in try loadImages(paths, loading) { _ = try image.get() } },
            peers: ["threads", "processes"].map {
                ["work": "load", "form": $0, "images": folder, "side": side, "threads": threads]
            })
    }

    private static func formatted(_ width: Double) -> String { width == 1 ? "1" : "\(width)" }
}
