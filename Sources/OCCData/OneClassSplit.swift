import OCCEngine

/// A data set cut for one-class learning: normal images to train on, normal images held out to calibrate the
/// threshold, and a test set of both kinds. A training or calibration image is never a test image.
public struct OneClassSplit: Sendable {
    /// How a data set is cut. Outliers among the training images are the setting of Sohn et al.'s noise
    /// experiments.
    public struct Options: Sendable {
        /// The share of normal training images that is held out for calibration; nil for `heldOut(of:)` of
        /// them.
        public var holdOut: Double?
        /// The share of outliers among the training images.
        public var contamination = 0.0
        /// The number of clean normal images that the detector is fitted on; nil for all training images.
        public var labeledNormals: Int?
        /// The number of training images at most; nil for all.
        public var maxTrain: Int?
        /// The number of test images at most; nil for all.
        public var maxTest: Int?
        /// The seed that images are drawn by.
        public var seed: UInt64 = 1

        /// The usual clean setting: as many held out as `heldOut(of:)` says, everything else used.
        public init() {}
    }

    /// How many of so many normal images are held out where no share is stated: a quarter, until these are
    /// the 99 that a promise of 1 % false alarms takes; a tenth where that is more; 1000 at most.
    ///
    /// With h images held out no promise is below 1 / (h + 1), and with confidence 95 % the rate is below
    /// about 3 / h: below 99, each image held out lowers both in proportion. Beyond, they buy certainty
    /// alone: 2.1 % in place of 3.0 % by 299 images, for a promise of 1 %.
    public static func heldOut(of count: Int) -> Int {
        count < 3 ? 0 : max(1, min(count / 4, 99), min(count / 10, 1000))
    }

    /// The normal class, by name.
    public let normalClass: String
    /// The images that train the encoder.
    public let train: ImageBatch
    /// Where each of these images comes from.
    public let trainNames: [String]
    /// The images that the detector is fitted on: `train`, or clean normal images of it.
    public let detectorFit: ImageBatch
    /// The places in `train` of its normal images, in the order in which clean ones are drawn.
    private let normalPlaces: [Int]
    /// The images that calibrate the threshold.
    public let calibration: ImageBatch
    /// Where each of these images comes from.
    public let calibrationNames: [String]
    /// The images to test on, of both kinds.
    public let test: ImageBatch
    /// The label of each test image: 1 for an outlier, 0 for a normal one.
    public let testLabels: [Int]
    /// The name of the class of each test image.
    public let testClasses: [String]
    /// Where each test image comes from.
    public let testNames: [String]
    /// The mask of each test image, 1 where the defect is: all 0 for a normal one; nil for an outlier without
    /// a mask.
    public let testMasks: [[UInt8]?]

    /// Images of something else, which a method with outlier exposure is shown; nil for none.
    public var outliers: ImageBatch?

    /// The SHA-256 of all that is normal in what a model is made from: the training and the held-out images, in their order.
    public var trainingDigest: String { sha256((train.digest + calibration.digest).utf8) }

    /// Cuts a data set, at random by the seed.
    ///
    /// - Parameter normal: the normal class by index or name; nil where the data set says itself.
    /// - Throws: `OCCError(.usage)` for a class that is missing or unknown, `.badData` where too few images
    ///   are left.
    public init(_ dataset: ImageDataset, normal: String?, options: Options = Options()) throws {
        let normalIndex: Int
        switch (dataset.kind, normal) {
        case (_, let normal?): normalIndex = try dataset.classIndex(normal)
        case (.normalAndAnomalous, nil): normalIndex = 0
        case (.oneVersusRest, nil):
            let list = dataset.classNames.enumerated().map { "\($0) \($1)" }.joined(separator: ", ")
            let isOfFiles = dataset.train.names.first.map { FileKind($0) == .file } ?? false
            let together =
                isOfFiles
                ? " If all images are normal, put their folders into one, train/good. If one folder holds normal images "
                    + "and the others defects of them, call it good: defects are looked for otherwise than other classes."
                : ""
            throw OCCError(
                .usage, "\(dataset.name): which class is normal?",
                remedy: "Give \(setting: "normal") one of: \(list).\(together)")
        }
        normalClass = dataset.classNames[normalIndex]
        var random = CounterRandom(seed: options.seed, stream: RandomStream.split)
        func shuffled(_ indices: [Int]) -> [Int] { random.permutation(indices.count).map { indices[$0] } }

        let labels = dataset.train.labels
        var normals = shuffled(labels.indices.filter { labels[$0] == normalIndex })
        let held =
            options.holdOut.map { Int((Double(normals.count) * $0).rounded()) }
            ?? Self.heldOut(of: normals.count)
        let calibrationIndices = normals.suffix(held)
        normals.removeLast(held)
        if let limit = options.maxTrain, limit < normals.count { normals.removeLast(normals.count - limit) }
        guard normals.count >= 2 else {
            throw OCCError(
                .badData,
                "\(dataset.name): class \(normalClass) leaves \(counted(normals.count, "image")) to train on",
                remedy: "Give it more images, or a smaller \(setting: "hold-out").")
        }
        let names = dataset.train.names
        calibration = dataset.train.images.subset(calibrationIndices.sorted())
        calibrationNames = calibrationIndices.sorted().map { names[$0] }
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
        let order = training.sorted()
        train = dataset.train.images.subset(order)
        trainNames = order.map { names[$0] }
        let places = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
        normalPlaces = normals.map { places[$0]! }
        if let count = options.labeledNormals {
            detectorFit = try Self.clean(count, of: train, normalPlaces)
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

    /// Takes so many of the training images that are normal for certain, whatever outliers are among the others: those
    /// that `labeledNormals` takes.
    ///
    /// - Throws: `OCCError(.usage)` where there are fewer.
    public func cleanNormals(_ count: Int) throws -> ImageBatch {
        try Self.clean(count, of: train, normalPlaces)
    }

    private static func clean(_ count: Int, of train: ImageBatch, _ places: [Int]) throws -> ImageBatch {
        guard count >= 2, count <= places.count else {
            throw OCCError(
                .usage,
                "\(setting: "labeled-normals") \(count): there are \(places.count) clean normal images")
        }
        return train.subset(places.prefix(count).sorted())
    }
}
