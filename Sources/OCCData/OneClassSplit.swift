import OCCEngine

/// A data set cut for one-class learning: normal images to train on, normal images held out to calibrate the
/// threshold, and a test set of both kinds. A training or calibration image is never a test image.
public struct OneClassSplit: Sendable {
    /// The setting of Sohn et al.'s noise experiments, beside the usual clean one.
    public struct Options: Sendable {
        /// The share of normal training images that is held out for calibration.
        public var holdOut = 0.1
        /// The share of outliers among the training images.
        public var contamination = 0.0
        /// Fit the detector on this many clean normal images only.
        public var labeledNormals: Int?
        public var maxTrain: Int?
        public var maxTest: Int?
        public var seed: UInt64 = 1

        public init() {}
    }

    /// The normal class.
    public let normalClass: String
    /// Trains the encoder.
    public let train: ImageBatch
    /// Fits the detector: `train`, or clean normal images of it.
    public let detectorFit: ImageBatch
    /// Calibrates the threshold.
    public let calibration: ImageBatch
    public let test: ImageBatch
    /// 1 for outliers.
    public let testLabels: [Int]
    public let testClasses: [String]
    public let testNames: [String]
    /// Of each test image, 1 where the defect is: all 0 for a normal one; nil for an outlier without a mask.
    public let testMasks: [[UInt8]?]

    /// - Parameter normal: the normal class by index or name; nil where the data set says itself.
    public init(_ dataset: ImageDataset, normal: String?, options: Options = Options()) throws {
        let normalIndex: Int
        switch (dataset.kind, normal) {
        case (_, let normal?): normalIndex = try dataset.classIndex(normal)
        case (.normalAndAnomalous, nil): normalIndex = 0
        case (.oneVersusRest, nil):
            let list = dataset.classNames.enumerated().map { "\($0) \($1)" }.joined(separator: ", ")
            throw OCCError(
                .usage, "\(dataset.name): which class is normal?",
                remedy: "Give \(setting: "normal") one of: \(list).")
        }
        normalClass = dataset.classNames[normalIndex]
        var random = CounterRandom(seed: options.seed, stream: RandomStream.split)
        func shuffled(_ indices: [Int]) -> [Int] { random.permutation(indices.count).map { indices[$0] } }

        let labels = dataset.train.labels
        var normals = shuffled(labels.indices.filter { labels[$0] == normalIndex })
        let held = Int((Double(normals.count) * options.holdOut).rounded())
        let calibrationIndices = normals.suffix(held)
        normals.removeLast(held)
        if let limit = options.maxTrain, limit < normals.count { normals.removeLast(normals.count - limit) }
        guard normals.count >= 2 else {
            throw OCCError(
                .badData, "\(dataset.name): class \(normalClass) leaves \(normals.count) images to train on",
                remedy: "Give it more images, or a smaller \(setting: "hold-out").")
        }
        calibration = dataset.train.images.subset(calibrationIndices.sorted())
        var training = normals
        if options.contamination > 0 {
            // Of n images the share c are outliers: n normal ones and n c / (1 - c) others.
            let wanted = Int(
                (Double(normals.count) * options.contamination / (1 - options.contamination)).rounded())
            let others = shuffled(labels.indices.filter { labels[$0] != normalIndex })
            guard others.count >= wanted else {
                throw OCCError(
                    .usage,
                    "\(dataset.name): has \(others.count) training images of other classes; a contamination of "
                        + "\(options.contamination) needs \(wanted)",
                    remedy: "Lower \(setting: "contamination").")
            }
            training += others.prefix(wanted)
        }
        let images = dataset.train.images
        train = images.subset(training.sorted())
        if let count = options.labeledNormals {
            guard count >= 2, count <= normals.count else {
                throw OCCError(
                    .usage,
                    "\(setting: "labeled-normals") \(count): there are \(normals.count) clean normal images")
            }
            detectorFit = images.subset(normals.prefix(count).sorted())
        } else {
            detectorFit = train
        }

        var chosen = Array(dataset.test.labels.indices)
        if let limit = options.maxTest, limit < chosen.count {
            chosen = shuffled(chosen).prefix(limit).sorted()
        }
        test = dataset.test.images.subset(chosen)
        testLabels = chosen.map { dataset.test.labels[$0] == normalIndex ? 0 : 1 }
        testClasses = chosen.map { dataset.classNames[dataset.test.labels[$0]] }
        testNames = chosen.map { dataset.test.names[$0] }
        let clean = [UInt8](repeating: 0, count: dataset.side * dataset.side)
        testMasks = chosen.map { dataset.test.labels[$0] == normalIndex ? clean : dataset.test.masks[$0] }
    }
}
